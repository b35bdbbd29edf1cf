"""The time embedding of diffusers in double precision.

diffusers computes the sines and cosines of a level in float32 for every dtype of the network. In float64 their rounding
is noise that differs from level to level: on a small U-Net 1e-8 to 1e-7 of the prediction. It hides smaller
errors of samplers, and shortens the steps of a reference flow at 1e-10. Neither rounds fractional levels.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Waves(nn.Module):
    """diffusers' Timesteps with its own frequencies (float32 numbers); phase, sine and cosine in the dtype of t."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.original = original

    def forward(self, t: Tensor) -> Tensor:
        if t.dtype != torch.float64:
            embedded: Tensor = self.original(t)
            return embedded
        width, half = self.original.num_channels, self.original.num_channels // 2
        exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=t.device)
        frequencies = (exponent / (half - self.original.downscale_freq_shift)).exp().double()
        phase = self.original.scale * (t[:, None] * frequencies)
        waves = [phase.cos(), phase.sin()] if self.original.flip_sin_to_cos else [phase.sin(), phase.cos()]
        return F.pad(torch.cat(waves, dim=1), (0, width % 2))


def use_double_precision(model: nn.Module) -> None:
    """Replace every Timesteps module of a network of diffusers by Waves."""
    for name, module in list(model.named_modules()):
        if type(module).__name__ == "Timesteps":
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, Waves(module))
