"""A recording of a model: a few fine trajectories, with its data prediction along them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..denoisers import Denoiser, convert
from ..errors import InputError, SamplingError, of_type, whole
from ..grids import Grid, from_times, spacing
from ..points import Point
from ..sample import sample
from ..schedules import Schedule
from ..tableau import tabulate

RECORD = "exp-adams-4"  # order 4 in the data frame; it evaluates the model at the states of the grid only
RHO = 20.0  # karras' exponent of the fine grid: nearly uniform in lambda, with fewer steps where there is only noise
LEAST = 8  # steps
NODES = 6  # of the interpolant of the data predictions
HERMITE = 4  # of that of the states, whose derivatives are known
ROUNDING = 1e-9  # of lambda at an end


@dataclass
class Counted:
    """A denoiser that counts what it is asked: calls, and rows, the samples in all of them."""

    denoise: Denoiser
    calls: int = 0
    rows: int = 0

    def __call__(self, x: Tensor, at: Point, prediction: str) -> Tensor:
        self.calls += 1
        self.rows += len(x)
        return self.denoise(x, at, prediction)


@dataclass(frozen=True, eq=False)
class Recording:
    """R trajectories through n + 1 points, noisiest first.

    states, data: float64 [n + 1, R, *shape], the states x and the model's data predictions at them.
    evaluations: rows that the model was asked for; calls: in how many calls.
    """

    schedule: Schedule
    points: tuple[Point, ...]
    states: Tensor
    data: Tensor
    evaluations: int
    calls: int

    @property
    def begin(self) -> Point:
        """The noisiest point."""
        return self.points[0]

    @property
    def end(self) -> Point:
        """The cleanest point."""
        return self.points[-1]

    def at(self, points: Sequence[Point]) -> tuple[Tensor, Tensor]:
        """The states and the data predictions at other points between the ends: [len(points), R, *shape] each.

        Data predictions are polynomials of degree 5 in lambda through the nearest recorded ones; states, as
        xhat = x / sqrt(alpha^2 + sigma^2), of degree 7 through the nearest four with their derivatives
        ahat D - ahat^2 xhat, ahat = alpha / sqrt(alpha^2 + sigma^2). Recorded points have what was recorded.
        Raises InputError on a point outside of the ends.
        """
        of_states, of_data, between = self.weights(points)
        x, d = self.states.flatten(1), self.data.flatten(1)
        shape = (len(points), *self.states.shape[1:])
        return (of_states @ x + of_data @ d).reshape(shape), (between @ d).reshape(shape)

    def weights(self, points: Sequence[Point]) -> tuple[Tensor, Tensor, Tensor]:
        """The interpolation as matrices [len(points), n + 1]: x = A states + B data, D = C data are (A, B, C)."""
        nodes = torch.tensor([point.lam for point in self.points], dtype=torch.float64)
        wanted = torch.tensor([point.lam for point in points], dtype=torch.float64)
        inside = (wanted >= nodes[0] - ROUNDING) & (wanted <= nodes[-1] + ROUNDING)
        if not bool(inside.all()):
            ends = f"lambda from {float(nodes[0]):.6g} to {float(nodes[-1]):.6g}, which is recorded"
            raise InputError("points", float(wanted[~inside][0]), ends)
        between = near_polynomials(nodes, wanted)[0]
        values, slopes = near_hermite(nodes, wanted)
        there = torch.tensor([math.hypot(point.alpha, point.sigma) for point in points], dtype=torch.float64)[:, None]
        here = torch.tensor([math.hypot(point.alpha, point.sigma) for point in self.points], dtype=torch.float64)
        share = torch.tensor([point.alpha for point in self.points], dtype=torch.float64) / here
        return there * (values - slopes * share**2) / here, there * slopes * share, between


def near_polynomials(nodes: Tensor, wanted: Tensor, count: int = NODES) -> tuple[Tensor, Tensor]:
    """The polynomials through the nearest `count` nodes as a matrix [wanted, nodes], and l_j'(t_j) of each node j."""
    first = (torch.searchsorted(nodes, wanted) - count // 2).clamp(0, len(nodes) - count)
    index = first[:, None] + torch.arange(count)
    near, own = nodes[index], torch.eye(count, dtype=torch.bool)
    away = wanted[:, None, None] - near[:, None, :]  # [wanted, node, other node]
    apart = torch.where(own, 1.0, near[:, :, None] - near[:, None, :])
    basis = torch.where(own, 1.0, away / apart).prod(dim=2)
    steep = torch.where(own, 0.0, 1 / apart).sum(dim=2)
    empty = torch.zeros(len(wanted), len(nodes), dtype=torch.float64)
    return empty.scatter(1, index, basis), empty.scatter(1, index, steep)


def near_hermite(nodes: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The polynomials through HERMITE nodes and their slopes there: weights of values and slopes, [wanted, nodes]."""
    basis, steep = near_polynomials(nodes, wanted, HERMITE)
    away = wanted[:, None] - nodes
    return (1 - 2 * away * steep) * basis**2, away * basis**2


def record(
    denoise: Denoiser, schedule: Schedule, begin: Point, end: Point, start: Tensor, steps: int = 60
) -> Recording:
    """Run the model finely from start samples, and keep what it predicts.

    denoise: a mixture, or what `adapt` or a checkpoint's `denoiser` returns.  begin, end: points of the schedule, the
    noisy one first.  start: samples at `begin`, [R, *shape].  steps: of the fine grid; steps + 1 evaluations of R rows.
    The trajectories are those of exponential Adams of order 4 in the data frame, run in float64.
    Raises InputError on ends where lambda is not finite or that are out of order, and on fewer than 8 steps;
    SamplingError where the model returns a value that is not finite or another shape.

    >>> import torch
    >>> import samplerproof as sp
    >>> from samplerproof.numerics.advice.recording import record
    >>> edm = sp.schedule("edm")
    >>> start = 80 * torch.randn(2, 1, dtype=torch.float64)
    >>> mixture = sp.GaussianMixture([1.0], [0.0], stds=[1.0])
    >>> recording = record(mixture, edm, edm.point(80.0), edm.point(0.002), start)
    >>> recording.evaluations, recording.calls
    (122, 61)
    """
    of_type("start", start, Tensor, "a tensor [samples, ...]")
    if start.ndim < 1 or not len(start):
        raise InputError("start", list(start.shape), "at least one sample")
    fine = fine_grid(schedule, begin, end, steps)
    counted, states, data = Counted(denoise), [], []

    def listening(x: Tensor, at: Point, prediction: str) -> Tensor:
        value = counted(x, at, "data")
        states.append(x.to("cpu", torch.float64, copy=True))
        data.append(value.to("cpu", torch.float64, copy=True))
        return convert(x, value, at, "data", prediction)

    x = sample(listening, start.to(torch.float64), tabulate(RECORD, fine))
    last = listening(x, fine.points[-1], "data")
    if last.shape != x.shape or not bool(torch.isfinite(last).all()):
        raise SamplingError(f"t = {fine.points[-1].t:g}: the denoiser returned another shape, or a non-finite value")
    return Recording(schedule, fine.points, torch.stack(states), torch.stack(data), counted.rows, counted.calls)


def fine_grid(schedule: Schedule, begin: Point, end: Point, steps: int) -> Grid:
    """The grid of a recording, whose ends are exactly those given.  Raises InputError as `record`."""
    of_type("schedule", schedule, Schedule, 'a schedule, such as sp.schedule("edm")')
    if whole("steps", steps) < LEAST:
        raise InputError("steps", steps, f"at least {LEAST}, the fewest that can be interpolated")
    for name, point in (("begin", begin), ("end", end)):
        if not (point.alpha > 0 and point.sigma > 0):
            raise InputError(name, point[:2], "alpha > 0 and sigma > 0: lambda is finite there")
    if not begin.lam < end.lam:
        raise InputError("begin", begin.lam, f"lambda below that of the end, {end.lam:.6g}")
    ratios = {"sigma_max": begin.sigma / begin.alpha, "sigma_min": end.sigma / end.alpha}
    t = spacing(schedule, "karras", **ratios, rho=RHO)(torch.arange(steps + 1, dtype=torch.float64) / steps)
    return ended(schedule, t, begin, end)


def ended(schedule: Schedule, t: Tensor, begin: Point, end: Point) -> Grid:
    """The grid at times t [N + 1] with exactly these ends, which formulas give up to rounding."""
    return from_times(schedule, torch.cat([t.new_tensor([begin.t]), t[1:-1], t.new_tensor([end.t])]))
