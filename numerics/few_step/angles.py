"""The angle th = atan(sigma/alpha) of a level, in which a jump of data of unit size is a rotation."""

from __future__ import annotations

import torch
from torch import Tensor


def angle(lam: float | Tensor) -> Tensor:
    """th = atan(sigma/alpha) at lambda = log(alpha/sigma), float64: pi/2 for noise, 0 for data."""
    return (-torch.as_tensor(lam, dtype=torch.float64)).exp().atan()


def equal_angles(first: float, last: float, steps: int) -> list[float]:
    """The steps + 1 levels lambda from the first to the last whose angles are equally far apart."""
    begin, end = angle(first), angle(last)
    th = begin + (end - begin) * torch.arange(steps + 1, dtype=torch.float64) / steps
    return (-th.tan().log()).tolist()
