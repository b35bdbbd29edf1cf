"""Grids: the points of the forward process that a sampler steps through, from noisy to clean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .content import ATOL, RTOL, ByContent, close
from .errors import InputError, nearest, of_type, positive, whole
from .generated.schedule_functions import li_beta, li_first_beta
from .grid_kinds.all_kinds import PREFIX, checked
from .grid_kinds.falling import check_falling
from .grid_kinds.grid_kind import MOST_LOG, RATIO, Levels, counted
from .grid_kinds.placed_levels import times
from .grid_kinds.read_back_levels import of_function, read_back
from .grid_kinds.smooth_kinds import SMOOTH_KINDS
from .points import Point
from .schedules import Columns, Schedule, schedule
from .text_table import aligned

# The kinds whose levels are a smooth function of the fraction of the way, as tensors: their ends, and the exponent.
SMOOTH = {kind.name: tuple(p.name for p in kind.parameters if p.name != "zero") for kind in SMOOTH_KINDS}

INFINITE = 300.0  # the length of an infinite step in lambda: e^-300 of the state is left, which is nothing


@dataclass(frozen=True, eq=False)
class Grid(ByContent):
    """N + 1 points of the forward process, from noisy to clean: N steps, strictly increasing in lambda.

    columns: t, alpha, sigma, lambda and rho of every point, float64 [N + 1].  schedule: the process between the points;
    None for a discrete one.  `points[n]` is the point n.  == compares exactly, isclose to a tolerance.
    Raises InputError on fewer than two points, and where lambda or t turns back.

    >>> import samplerproof as sp
    >>> grid = sp.Grid.from_sigmas([10.0, 1.0, 0.1, 0.0])
    >>> grid.steps, grid.points[1].sigma
    (3, 1.0)
    >>> print(grid)
    3 steps, edm, lambda -2.30259 to inf
    n    t  alpha  sigma    lambda
    0   10      1     10  -2.30259
    1    1      1      1         0
    2  0.1      1    0.1   2.30259
    3    0      1      0       inf
    """

    columns: Columns
    schedule: Schedule | None = None

    @classmethod
    def from_sigmas(cls, sigmas: Sequence[float] | Tensor) -> Grid:
        """The grid of noise levels sigma [N + 1], decreasing, at alpha = 1 (schedule "edm"); the last may be 0.

        Raises InputError on levels that are negative, infinite, NaN or not decreasing.
        """
        try:
            levels = torch.as_tensor(sigmas, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError) as fault:
            raise InputError("sigmas", sigmas, "a list of numbers") from fault
        if levels.ndim != 1:
            raise InputError("sigmas", levels.tolist(), "a list of at least two levels")
        check_falling("sigmas", levels.tolist())
        return from_times(schedule("edm"), levels)

    def __repr__(self) -> str:
        return f"Grid({self._summary()})"

    def __str__(self) -> str:
        c = self.columns
        lines = zip(*(column.tolist() for column in (c.t, c.alpha, c.sigma, c.lam)), strict=True)
        rows = [[str(n), *(f"{value + 0:.6g}" for value in line)] for n, line in enumerate(lines)]
        return self._summary() + "\n" + aligned(("n", "t", "alpha", "sigma", "lambda"), rows)

    def _summary(self) -> str:
        process = "discrete process" if self.schedule is None else self.schedule.kind
        first, last = float(self.columns.lam[0]) + 0, float(self.columns.lam[-1]) + 0  # never -0
        return f"{self.steps} steps, {process}, lambda {first:.6g} to {last:.6g}"

    def isclose(self, other: Grid, *, rtol: float = RTOL, atol: float = ATOL) -> bool:
        """Whether both have the same schedule, and points that agree to |a - b| <= atol + rtol |b|."""
        return isinstance(other, Grid) and close(self, other, rtol, atol)

    def __post_init__(self) -> None:
        of_type("grid", self.columns, Columns, "columns; Grid.from_sigmas makes a grid of a list of levels")
        lam, t = self.columns.lam, self.columns.t
        if lam.ndim != 1 or len(lam) < 2:
            raise InputError("grid", list(lam.shape), "at least two points in one dimension")
        for name, ahead in (("lambda", lam[1:] > lam[:-1]), ("t", t[1:] < t[:-1])):
            if not bool(ahead.all()):
                n = int((~ahead).nonzero()[0])
                pair = [float(t[n]), float(t[n + 1])]
                raise InputError(f"grid.t[{n}:{n + 2}]", pair, f"{name} must move strictly from noise to data")

    @property
    def steps(self) -> int:
        """N, one less than the number of points."""
        return len(self.columns.lam) - 1

    @property
    def required_schedule(self) -> Schedule:
        """The schedule, for points between the levels.  Raises InputError on a discrete process, which has none."""
        if self.schedule is None:
            allowed = "a grid on a schedule: a discrete process has no points between its levels"
            raise InputError("grid", "a discrete process", allowed)
        return self.schedule

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """All points, noisy to clean."""
        return self.columns.points()

    def point(self, n: int) -> Point:
        """Point n."""
        return self.points[n]

    def lengths(self, steps: Tensor, clock: str) -> Tensor:
        """The lengths of steps in a clock, which is the name of a column; INFINITE to alpha = 0 or sigma = 0."""
        u = getattr(self.columns, clock)
        length: Tensor = u[steps + 1] - u[steps]
        return torch.where(length.isinf(), INFINITE, length)

    def places(self, steps: Tensor, to: int | Fraction | Tensor, clock: str) -> Columns:
        """For each of the steps n: the grid point n + to, or the point at the fraction `to` of the step in a clock.

        to: an offset; one fraction, or one per step; a fraction below 0 lies before the step, as in EDM's churn.
        clock: the name of a column.  Raises InputError for a fraction on a discrete process.
        """
        if isinstance(to, int):
            return self.columns.take(steps + to)
        schedule = self.required_schedule
        part = to if isinstance(to, Tensor) else float(to)
        inside = getattr(self.columns, clock)[steps] + part * self.lengths(steps, clock)
        lam = {"lam": inside, "rho": -inside.log(), "rho2": -inside.log() / 2}
        return schedule.columns(inside if clock == "t" else schedule.time(lam[clock]))


def from_times(schedule: Schedule, t: Tensor) -> Grid:
    """The grid at decreasing times t [N + 1].  Raises InputError where they do not decrease or leave the domain."""
    return Grid(schedule.columns(t.to(torch.float64)), schedule)


def spacing(schedule: Schedule, kind: str, /, **parameters: float) -> Callable[[Tensor], Tensor]:
    """The grids of a kind as a function: fractions i of the way, from 0 (noisy) to 1 (clean) -> times t.

    uniform-t: t equally spaced in [t_min, t_max].  uniform-lambda: lambda equally spaced between the same ends.
    karras: rho = (rho_max^{1/q} + i (rho_min^{1/q} - rho_max^{1/q}))^q for rho = sigma/alpha, with
    sigma_max, sigma_min its ends and q = `rho` (Karras et al. 2022, eq. 5; no appended zero).
    Raises InputError on an unknown kind, unknown or missing parameters, and ends out of order or domain.
    """
    if kind not in SMOOTH:
        raise InputError("grid.kind", kind, f"not a known grid; {nearest(kind, SMOOTH)}")
    _, values = checked(kind, parameters)
    low, high = (float(values[name]) for name in SMOOTH[kind][:2])
    if kind == "uniform-t":
        return lambda i: _between(high, low, i)
    if kind == "uniform-lambda":
        first, last = (float(schedule.columns(torch.tensor(v, dtype=torch.float64)).lam) for v in (high, low))
        for name, end, lam in (("t_max", high, first), ("t_min", low, last)):
            if not math.isfinite(lam):
                raise InputError(f"grid.{name}", end, "lambda is infinite there; stay inside the schedule's ends")
        return lambda i: schedule.time(_between(first, last, i))
    q = float(values["rho"])
    if not max(abs(math.log(low)), abs(math.log(high))) < MOST_LOG * q:
        raise InputError("grid.rho", q, "so large that sigma^(1/rho) is a number at both ends")
    return lambda i: schedule.time(-q * _between(high ** (1 / q), low ** (1 / q), i).log())


def grid(schedule: Schedule, kind: str | Callable[..., Any], steps: int, **parameters: Any) -> Grid:
    """The grid of `steps` steps of a kind on a schedule: N + 1 points from noisy to clean, float64.

        kind              parameters                    points
        "uniform-t"       t_min, t_max                  t equally spaced
        "uniform-lambda"  t_min, t_max                  lambda = log(alpha/sigma) equally spaced between the same ends
        "karras"          sigma_min, sigma_max, rho = 7  sigma/alpha as in Karras et al. 2022, eq. 5
        "list"            sigmas, or timesteps          levels of your own, noisiest first

    and all others that `samplerproof grids` lists, by their own names or those of the libraries. With zero=1 the last
    step leads to sigma = 0; kinds that choose among a model's levels have it unless zero=0.
    "scheduler:diffusers:Class?option=value" and "scheduler:k-diffusion:function?option=value" take the levels that the
    library makes; a function (n, …) or (model_sampling, steps, …), as k-diffusion and ComfyUI have them, is called with
    the parameters.
    Raises InputError on an unknown kind, unknown or missing parameters, ends out of order or outside of the schedule's
    domain, levels that the schedule does not have, and steps < 1.

    >>> import samplerproof as sp
    >>> sp.grid(sp.schedule("edm"), "karras", 20, sigma_min=0.002, sigma_max=80, rho=7)
    Grid(20 steps, edm, lambda -4.38203 to 6.21461)
    >>> sp.grid(sp.schedule("flow"), "flow", 4, shift=3).columns.sigma.tolist()
    [1.0, 0.9, 0.75, 0.5, 0.0]
    """
    of_type("schedule", schedule, Schedule, 'a schedule, such as sp.schedule("edm")')
    steps = whole("steps", steps)
    if steps < 1:
        raise InputError("steps", steps, "at least 1")
    if callable(kind):
        name = getattr(kind, "__name__", repr(kind))
        return from_times(schedule, times(schedule, of_function(kind, name, steps, parameters), name))
    of_type("grid.kind", kind, str, 'the name of a kind, such as "karras", or a function')
    if kind.startswith(PREFIX):
        for key, value in parameters.items():
            raise InputError(f"grid.{key}", value, "an option of the library stands behind a ? in the kind")
        return from_times(schedule, times(schedule, read_back(kind, steps), kind))
    record, values = checked(kind, parameters)
    if record.levels is not None:
        return from_times(schedule, times(schedule, record.levels(steps, values), kind))
    count = counted(steps, values.pop("zero"))
    t = spacing(schedule, record.name, **values)(torch.arange(count, dtype=torch.float64) / max(count - 1, 1))
    if record.name == "uniform-lambda":  # its ends are given in t
        t[-1], t[0] = values["t_min"], values["t_max"]
    return from_times(schedule, torch.cat([t, times(schedule, Levels(RATIO, [0.0]), kind)]) if count == steps else t)


def _between(first: float, last: float, i: Tensor) -> Tensor:
    """first + i (last - first), exact at both ends."""
    return first * (1 - i) + last * i


def li_grid(steps: int, c0: float, c1: float) -> Grid:
    """The grid of Li et al.'s schedule with T = steps + 1 levels (arXiv 2403.03852, as restated in 2409.18959, sec. 2).

    b_1 = T^-c0, b_k = (c1 log T / T) min(b_1 (1 + c1 log T / T)^{k-1}, 1), alpha_k^2 = prod_{j <= k} (1 - b_j);
    t is the level k.  Raises InputError on numbers that are not positive, and where b_k reaches 1.
    """
    for name, value in (("c0", c0), ("c1", c1)):
        positive(f"schedule.{name}", value)
    if steps < 1:
        raise InputError("steps", steps, "at least 1")
    levels = torch.tensor(steps + 1, dtype=torch.float64)
    k = torch.arange(1, steps + 2, dtype=torch.float64)
    c0_, c1_ = torch.tensor(c0, dtype=torch.float64), torch.tensor(c1, dtype=torch.float64)
    beta = li_beta(k, levels, c0_, c1_)
    beta[0] = li_first_beta(levels, c0_)
    if float(beta.max()) >= 1:
        raise InputError(
            "steps", steps, f"too few for c1 = {c1}: b_k reaches {float(beta.max()):.3g}, must stay below 1"
        )
    energy = -torch.log1p(-beta).cumsum(0).flip(0)  # -log alpha^2 as a sum, before any exponential
    rho2 = energy.expm1()
    nan = torch.full_like(energy, torch.nan)
    alpha, sigma = (-energy / 2).exp(), (-(-energy).expm1()).sqrt()
    return Grid(Columns(k.flip(0), alpha, sigma, -rho2.log() / 2, rho2.sqrt(), rho2, nan, nan))
