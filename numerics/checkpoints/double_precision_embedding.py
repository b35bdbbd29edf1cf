"""The embedding of levels in double precision.

diffusers computes the waves of a level in float32 whatever the network's dtype. In float64 that is noise, another one
at every level: on a small U-Net 1e-8 to 1e-7 of the prediction, under which no error of a sampler is seen, and on which
the steps of a reference flow at 1e-10 get shorter. Fractional levels are taken as they are, here and there.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Waves(nn.Module):
    """diffusers' Timesteps, with its own frequencies (float32 numbers); the phase and its waves in t's dtype."""

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.theirs = theirs

    def forward(self, t: Tensor) -> Tensor:
        if t.dtype != torch.float64:
            known: Tensor = self.theirs(t)
            return known
        width, half = self.theirs.num_channels, self.theirs.num_channels // 2
        exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=t.device)
        frequencies = (exponent / (half - self.theirs.downscale_freq_shift)).exp().double()
        phase = self.theirs.scale * (t[:, None] * frequencies)
        waves = [phase.cos(), phase.sin()] if self.theirs.flip_sin_to_cos else [phase.sin(), phase.cos()]
        return F.pad(torch.cat(waves, dim=1), (0, width % 2))


def fine_times(model: nn.Module) -> None:
    """Put Waves in the place of every Timesteps of a network of diffusers."""
    for name, module in list(model.named_modules()):
        if type(module).__name__ == "Timesteps":
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, Waves(module))
