"""Curves in lambda: cubic splines through recorded values, which gradients in lambda pass through."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.interpolate import CubicSpline
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Curve:
    """A piecewise cubic curve: knots [n], coefficients [4, n - 1, ...] of rising powers in the piece."""

    knots: Tensor
    coefficients: Tensor

    def __call__(self, lam: Tensor) -> Tensor:
        """The values at lam [m]: [m, ...]; differentiable in lam."""
        inside = torch.searchsorted(self.knots, lam.detach().contiguous(), right=True) - 1
        piece = inside.clamp(0, len(self.knots) - 2)
        c = self.coefficients[:, piece]
        off = (lam - self.knots[piece]).reshape(-1, *[1] * (c.ndim - 2))
        value: Tensor = c[0] + off * (c[1] + off * (c[2] + off * c[3]))
        return value


def through(knots: Tensor, values: Tensor) -> Curve:
    """The cubic spline through values [n, ...] at knots [n], with not-a-knot ends."""
    found = CubicSpline(knots.numpy(), values.numpy()).c
    return Curve(knots, torch.from_numpy(found.copy()).flip(0))
