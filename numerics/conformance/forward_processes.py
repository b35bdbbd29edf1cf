"""Forward processes (VP, VE, flow) as schedules: on them lambda determines alpha and sigma."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import InputError, nearest
from ..grids import Grid
from ..points import Point
from ..records import ScheduleRecord
from ..schedules import Columns, Schedule

# The time is finite at both ends: the angle on vp, sigma elsewhere. The velocity in it is alpha eps - sigma x0 on vp,
# eps - x0 on the flow.
PROCESSES = {
    "vp": ScheduleRecord(
        name="vp",
        parameters=(),
        domain=(0.0, math.pi / 2),
        defaults={},
        prior="unit",
        columns=lambda t: (t.cos(), t.sin(), -t.tan().log(), t.tan() ** 2, -t.sin(), t.cos()),
        time=lambda lam: torch.exp(-lam).atan(),
    ),
    "ve": ScheduleRecord(
        name="ve",
        parameters=(),
        domain=(0.0, math.inf),
        defaults={},
        prior="sigma",
        columns=lambda t: (1.0, t, -t.log(), t**2, 0.0, 1.0),
        time=lambda lam: torch.exp(-lam),
    ),
    "flow": ScheduleRecord(
        name="flow",
        parameters=(),
        domain=(0.0, 1.0),
        defaults={},
        prior="unit",
        columns=lambda t: (1 - t, t, (1 - t).log() - t.log(), (t / (1 - t)) ** 2, -1.0, 1.0),
        time=lambda lam: torch.sigmoid(-lam),
    ),
}


ROUNDED = 1e-14  # how far alpha and sigma of a grid are from the relation of its process


def point(process: str, alpha: float, sigma: float) -> Point:
    """The point of a process at alpha and sigma, which may be rounded."""
    if process not in PROCESSES:
        raise InputError("process", process, f"not a known process; {nearest(process, PROCESSES)}")
    if process == "vp":
        return Point(alpha, sigma, math.atan2(sigma, alpha), -sigma, alpha)
    return Point(alpha, sigma, sigma, 0.0 if process == "ve" else -1.0, 1.0)


def at_ratio(process: str, ratio: float) -> Point:
    """The point of a process where sigma/alpha is `ratio`, which may be infinite where alpha reaches 0."""
    if ratio == math.inf and process != "ve":
        return point(process, 0.0, 1.0)
    alpha = {"ve": 1.0, "vp": 1 / math.hypot(1, ratio), "flow": 1 / (1 + ratio)}[process]
    return point(process, alpha, ratio * alpha)


class BackwardGrid(Grid):
    """The points of a run from data to noise, as inversion goes."""

    def __post_init__(self) -> None:
        if any(later.lam >= at.lam for at, later in pairwise(self.points)):
            raise InputError("grid", "points", "lambda moves strictly from data to noise")


def goes_backward(points: Sequence[Point]) -> bool:
    """Whether points go from data to noise, some of them twice or not."""
    return points[-1].lam < points[0].lam and all(later.lam <= at.lam for at, later in pairwise(points))


def on_process(grid: Grid, process: str) -> tuple[Point, ...]:
    """The points of a process with the sigma / alpha of a grid; those of the grid where it is of that process.

    Raises InputError for alpha = 1 where sigma / alpha is infinite.
    """
    c = grid.columns
    size = {"vp": torch.hypot(c.alpha, c.sigma), "ve": c.alpha, "flow": c.alpha + c.sigma}[process]
    if bool(((size - 1).abs() <= ROUNDED).all()):
        return tuple(point(process, *p[:2]) for p in grid.points)
    if process == "ve" and bool(c.rho.isinf().any()):
        raise InputError("grid", "alpha = 0", "a grid where sigma / alpha is finite")
    one = torch.ones_like(c.rho)
    alpha = {"vp": 1 / torch.hypot(one, c.rho), "ve": one, "flow": 1 / (1 + c.rho)}[process]
    sigma = torch.where(c.rho.isinf(), one, c.rho * alpha)
    return tuple(point(process, a, s) for a, s in zip(alpha.tolist(), sigma.tolist(), strict=True))


def grid_of(process: str, points: Sequence[Point], schedule: Schedule | None = None) -> Grid:
    """The grid of these points.  Raises InputError unless they go strictly in one direction.

    schedule: the one whose time they have; None: the process itself.
    """
    alpha, sigma, t, dalpha, dsigma = torch.tensor(points, dtype=torch.float64).T
    lam = alpha.log() - sigma.log()
    return (BackwardGrid if goes_backward(points) else Grid)(
        Columns(t, alpha, sigma, lam, sigma / alpha, (sigma / alpha) ** 2, dalpha, dsigma),
        schedule or Schedule(process, {}, PROCESSES[process]),
    )


def clock_at(clock: str, points: Sequence[Point]) -> Tensor:
    """The clock t, rho, rho2 or lambda, any other name, at every point, float64."""
    lam = torch.tensor([p.lam for p in points], dtype=torch.float64)
    t = torch.tensor([p.t for p in points], dtype=torch.float64)
    return {"t": t, "rho": (-lam).exp(), "rho2": (-2 * lam).exp()}.get(clock, lam)
