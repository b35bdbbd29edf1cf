"""The arrays in which a mixture is evaluated on a block of points."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 1 << 17  # numbers in one working array, 1 MB: larger ones take longer, and smaller ones more calls


class Workspace(NamedTuple):
    """The arrays of one block of points, reused for the next block."""

    spare: Tensor  # [K, d, b]
    scaled: Tensor  # [K, d, b]
    logits: Tensor  # [K, b]


def workspace(components: int, dim: int, width: int, device: torch.device) -> Workspace:
    """New arrays for blocks of a width b, float64."""

    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float64, device=device)

    return Workspace(empty(components, dim, width), empty(components, dim, width), empty(components, width))


def softmax_(logits: Tensor) -> Tensor:
    """exp(logits) / sum over components, in place."""
    logits.sub_(logits.amax(dim=0)).exp_()
    return logits.div_(logits.sum(dim=0))
