"""The perceptrons of students that read more than a state and its level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checkpoints.own_networks import LevelEmbedding, Perceptron

LATENT = 4  # numbers of the latent of an adversarial student


class JumpPerceptron(Perceptron):
    """net(y, lam, end): y [n, d] of unit size, the levels lam [n] and end [n] of a jump -> v, shaped like y."""

    def __init__(self, shape: Sequence[int], widths: Sequence[int], embedding: int) -> None:
        super().__init__(shape, widths, embedding)
        self.ends = LevelEmbedding(embedding)

    def forward(self, y: Tensor, lam: Tensor, end: Tensor) -> Tensor:  # type: ignore[override]
        return self.at_level(y, self.clock(lam) + self.ends(end))


class LatentPerceptron(Perceptron):
    """net(y, lam, latent): y [n, d] of unit size, lam [n], latent [n, LATENT] -> v of a guess of the data, like y."""

    def __init__(self, shape: Sequence[int], widths: Sequence[int], embedding: int) -> None:
        super().__init__([shape[0] + LATENT], widths, embedding, out=shape[0])

    def forward(self, y: Tensor, lam: Tensor, latent: Tensor) -> Tensor:  # type: ignore[override]
        return self.at_level(torch.cat([y, latent], dim=1), self.clock(lam))
