"""The table of an external sampler on a grid of a study."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch

from ..conformance.adapters.callables import on_levels, solver_of
from ..conformance.judge.rescaled import placed
from ..errors import DependsError, InputError, one_line
from ..external_run import Run
from ..grids import Grid
from ..points import Point
from ..readback import LINEAR, SCALE, Trace, superposition, trace
from ..tableau import Tableau

SCALES = (1e4, 1e-4)  # standard deviations of further random inputs: what clips large values, or adds a constant
SAME = 1e-12  # relative: the ends of a table are those of the grid


@runtime_checkable
class Tabulates(Protocol):
    """A sampler that gives its own table on a grid."""

    def tabulate(self, grid: Grid, /) -> Tableau: ...


# A function (denoise, x, sigmas) -> the sample: denoise(x, sigma) -> data prediction, on x = x0 + sigma eps.
External = Callable[..., Any] | Tabulates


def read_on(grid: Grid, name: str, sampler: External, field: str) -> Tableau:
    """The table of an external sampler on a grid.

    A function is run on the levels sigma / alpha of the grid, with alpha = 1, and its states are scaled by alpha.
    Raises InputError on `field`: a function of other parameters, one that raises or is not linear (it has no table), a
    table that does not lead from the first point of the grid to the last.
    """
    if isinstance(sampler, Tabulates):
        try:
            made = sampler.tabulate(grid)
        except InputError:  # it has no table on this grid
            raise
        except (Exception, SystemExit) as fault:
            reason = f"{type(fault).__name__}: {one_line(fault)}"
            raise InputError(field, name, f"an object whose tabulate runs ({reason})") from fault
        _check_table(made, grid, name, field)
        return made
    levels = grid.columns.rho.tolist()
    if math.inf in levels:
        raise InputError(field, name, "a grid without alpha = 0, where sigma / alpha is infinite")
    try:
        run = on_levels(name, solver_of(sampler, {}, name), levels)
        found = trace(run, "data")
        deviations = {SCALE: max(found.superposition)}
        if bool(found.vectors.isfinite().all()) and deviations[SCALE] <= LINEAR[torch.float64]:
            deviations |= {scale: _deviation(run, found, scale) for scale in SCALES}
    except InputError as fault:
        raise InputError(field, name, fault.allowed) from fault
    except (Exception, SystemExit) as fault:  # the function may raise anything
        raise InputError(field, name, f"a function that runs ({type(fault).__name__}: {one_line(fault)})") from fault
    _check_linear(found, deviations, name, field)
    try:
        return replace(placed(found, _process_of(grid)).table, method=name)
    except InputError as fault:  # a level beyond the schedule
        raise InputError(field, name, f"levels of the schedule ({fault})") from fault


def _deviation(run: Run, found: Trace, scale: float) -> float:
    try:
        return max(superposition(run, found, scale))
    except DependsError:
        return math.inf


def _check_linear(found: Trace, deviations: Mapping[float, float], name: str, field: str) -> None:
    """deviations: from superposition, by the standard deviation of the random inputs."""
    if not bool(found.vectors.isfinite().all()):
        raise InputError(field, name, "a function whose states are finite")
    for scale, worst in deviations.items():
        if worst <= LINEAR[torch.float64]:
            continue
        if worst == math.inf:
            reason = "its evaluations or draws depend on the values"
        else:
            reason = f"random inputs deviate from superposition by {worst:.1e}, at standard deviation {scale:g}"
        raise InputError(field, name, f"a sampler that is linear in its start, outputs and noises ({reason})")


def _check_table(made: object, grid: Grid, name: str, field: str) -> None:
    """InputError unless it is a table that a run can take, from the first point of the grid to the last."""
    if not isinstance(made, Tableau):
        raise InputError(field, name, f"an object whose tabulate returns a Tableau, not {type(made).__name__}")
    vectors, rows = len(made.points), len(made.points) - made.given
    matrices = (made.states, made.outputs, made.noises)
    if (
        made.given < 1
        or rows < 1
        or {vectors} != {len(made.step), len(made.evaluated)}
        or any(matrix.ndim != 2 or len(matrix) != rows for matrix in matrices)
        or made.states.shape[1] < 1
    ):
        raise InputError(field, name, "a table with a point, step and evaluated for every vector, and a row for each")
    if any(matrix.dtype != torch.float64 or not bool(matrix.isfinite().all()) for matrix in matrices):
        raise InputError(field, name, "a table of finite coefficients in float64")
    _check_ends(made, grid, name, field)


def _check_ends(made: Tableau, grid: Grid, name: str, field: str) -> None:
    for found, end in ((made.points[0], grid.point(0)), (made.points[-1], grid.point(grid.steps))):
        if not all(math.isclose(a, b, rel_tol=SAME) for a, b in zip(found[:2], end[:2], strict=True)):
            raise InputError(field, name, f"a table from the first point of the grid to the last, not at {found[:2]}")


def _process_of(grid: Grid) -> Callable[[Point], Point]:
    """at -> the point of the grid's process where sigma / alpha is at.sigma: a grid point, or one between them."""
    by_level: dict[float, Point] = dict(zip(grid.columns.rho.tolist(), grid.points, strict=True))

    def there(at: Point) -> Point:
        if at.sigma in by_level:
            return by_level[at.sigma]
        if grid.schedule is None:  # Li et al.'s levels, which preserve the variance
            return Point(1 / math.hypot(1, at.sigma), at.sigma / math.hypot(1, at.sigma))
        lam = -torch.tensor(at.sigma, dtype=torch.float64).log()
        return grid.schedule.point(float(grid.schedule.time(lam)))

    return there
