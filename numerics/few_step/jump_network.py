"""The perceptron of a student whose jumps end at any level."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..checkpoints.own_networks import LevelEmbedding, Perceptron


class JumpPerceptron(Perceptron):
    """net(y, lam, end): y [n, d] of unit size, the levels lam [n] and end [n] of a jump -> v, shaped like y."""

    def __init__(self, shape: Sequence[int], widths: Sequence[int], embedding: int) -> None:
        super().__init__(shape, widths, embedding)
        self.ends = LevelEmbedding(embedding)

    def forward(self, y: Tensor, lam: Tensor, end: Tensor) -> Tensor:  # type: ignore[override]
        return self.at_level(y, self.clock(lam) + self.ends(end))
