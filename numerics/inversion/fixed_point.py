"""Fixed points z = g(z), each sample of a batch by itself: by plain iteration, averages, or Anderson's method."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError, SamplingError, positive, whole

SOLVERS = ("anderson", "average", "plain")
LIMIT = 200  # evaluations


@dataclass(frozen=True)
class FixedPoint:
    """z [n, ...]; evaluations of g for the whole batch; residual max |g(z) - z| at the last of them."""

    z: Tensor
    evaluations: int
    residual: float
    converged: bool


def fixed_point(
    g: Callable[[Tensor], Tensor],
    z: Tensor,
    solver: str = "anderson",
    memory: int = 2,
    tolerance: float = 1e-13,
    limit: int = LIMIT,
) -> FixedPoint:
    """Solve z = g(z) from a first guess z [n, ...], where g acts on every sample by itself.

    plain: z <- g(z).  average: the mean of the last two g(z), as AIDI's two-point scheme.  anderson: the combination of
    the last `memory` + 1 values g(z_k), weights summing to 1, whose residual g(z) - z is the shortest (Anderson 1965);
    on an affine g in d dimensions it ends after d + 1 values if memory >= d.
    A sample has converged where |g(z) - z| <= tolerance max(1, |z|) in every entry; it is then g(z), and is not moved
    again.  Where g fails at a later point, since the iteration has left all bounds, the residual is infinite.
    Raises InputError on an unknown solver, memory or limit < 1, and a tolerance that is not positive.
    """
    if solver not in SOLVERS:
        raise InputError("solver", solver, f"one of {', '.join(SOLVERS)}")
    if whole("memory", memory) < 1:
        raise InputError("memory", memory, "at least 1")
    if whole("limit", limit) < 1:
        raise InputError("limit", limit, "at least 1")
    positive("tolerance", tolerance)
    shape, z = z.shape, z.reshape(len(z), -1)
    points: list[Tensor] = []  # the last values g(z_k) and residuals g(z_k) - z_k, [n, D]
    residuals: list[Tensor] = []
    done = torch.zeros(len(z), dtype=torch.bool, device=z.device)
    count, left = 0, z
    while count < limit and not bool(done.all()):
        try:
            value = g(z.reshape(shape)).reshape(z.shape)
        except SamplingError:
            if count == 0:
                raise
            return FixedPoint(z.reshape(shape), count, math.inf, converged=False)
        count += 1
        left = torch.where(done[:, None], 0.0, value - z)
        small = (left.abs() <= tolerance * z.abs().clamp(min=1)).all(dim=1)
        points, residuals = [*points[-memory:], value], [*residuals[-memory:], left]
        moved = torch.where(small[:, None], value, _next(solver, points, residuals))
        z = torch.where(done[:, None], z, moved)
        done = done | small
    return FixedPoint(z.reshape(shape), count, float(left.abs().max()) if len(z) else 0.0, bool(done.all()))


def _next(solver: str, points: list[Tensor], residuals: list[Tensor]) -> Tensor:
    """The next point from the last values and residuals."""
    if solver == "plain" or len(points) == 1:
        return points[-1]
    if solver == "average":
        return (points[-1] + points[-2]) / 2
    changes = torch.stack([new - old for old, new in itertools.pairwise(residuals)], dim=2)  # [n, D, m]
    moves = torch.stack([new - old for old, new in itertools.pairwise(points)], dim=2)
    share = torch.linalg.pinv(changes) @ residuals[-1][:, :, None]
    moved: Tensor = points[-1] - (moves @ share)[:, :, 0]
    return moved
