"""arc(z) = (z - arctan z)/z^3 = 1/3 - z^2/5 + z^4/7 - …, the remainder of arctan after its linear term."""

from __future__ import annotations

import torch
from torch import Tensor

TERMS = 26  # of the series: the last is below an ulp at |z| = 1/2


def arc(z: Tensor) -> Tensor:
    """arc at every element of z (float64, any shape), differentiable; accurate to 4 eps.

    The series for |z| < 1/2, where the definition cancels.  Raises TypeError for another dtype.
    """
    if z.dtype != torch.float64:
        raise TypeError(f"arc: dtype {z.dtype}; torch.float64")
    # Each form gets only arguments in its domain: a NaN behind torch.where would make gradients NaN.
    small = z.abs() < 0.5
    near, far = torch.where(small, z, 0.0).square(), torch.where(small, 1.0, z)
    series = torch.zeros_like(z)
    for j in reversed(range(TERMS)):
        series = 1 / (2 * j + 3) - near * series
    return torch.where(small, series, (far - far.atan()) / far**3)
