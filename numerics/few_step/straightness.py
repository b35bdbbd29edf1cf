"""Whether the straight lines between starts and ends of a map cross: the pairs of a reflow, and the folds of a map."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import InputError, of_type, runnable

STEP = 1e-4  # of the central differences, of order 4, in units of the starts


@torch.no_grad()
def least_slope(move: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """The least eigenvalue of the symmetric part of the Jacobian of a map of samples x [n, d], over these samples.

    In one dimension it is the least slope. Where it is positive everywhere the map is monotone, <T x - T y, x - y> > 0:
    the lines (1 - t) x + t T x do not cross, and one reflow of the pairs (x, T x) is exactly straight. Where it is mu
    in a negative direction, lines cross beyond t = 1/(1 - mu); in one dimension the map folds there, and its law has
    no density in closed form. Steps of DDIM with an exact score are positive each (claim ddim-gradient).
    By central differences of order 4; x is cast to float64.  Raises InputError on another shape of x or of what the
    map returns.  Liu et al. 2022 (arXiv 2209.03003).

    >>> import torch
    >>> import samplerproof as sp
    >>> x = torch.linspace(-3, 3, 7)[:, None]
    >>> round(sp.techniques.least_slope(lambda x: x + 1.5 * torch.cos(x), x), 3)
    -0.497
    """
    runnable("move", move, "a function of samples x [n, d]")
    of_type("x", x, Tensor, "a tensor")
    if x.ndim != 2 or not len(x):
        raise InputError("x", list(x.shape), "samples [n, d]")
    n, d = x.shape
    # All displaced samples in one batch [4 d n, d], so that a network is called once.
    at, axes = x.double(), torch.eye(d, dtype=torch.float64, device=x.device)
    offsets = torch.stack([scale * STEP * axes for scale in (2.0, 1.0, -1.0, -2.0)])
    moved = move((at + offsets[:, :, None]).reshape(-1, d))
    if moved.shape != (4 * d * n, d):
        raise InputError("move", list(moved.shape), f"{[4 * d * n, d]}, the shape of its argument")
    far, near, back, farther = moved.double().reshape(4, d, n, d)
    slopes = (8 * (near - back) - (far - farther)) / (12 * STEP)  # [d, n, d]: direction, sample, component
    jacobian = slopes.transpose(0, 1)
    return float(torch.linalg.eigvalsh((jacobian + jacobian.mT) / 2).min())
