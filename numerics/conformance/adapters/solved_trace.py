"""A recorded run as a trace: its grid, the step of every evaluation, and its rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...denoisers import parts
from ...errors import InputError
from ...points import Point
from ...readback import Trace, same_vector
from ...row_lags import vector_before
from ...schedules import Schedule
from ..forward_processes import point
from .recorded_run import RecordedRun
from .solved_rows import Design, solve
from .target import NoTable
from .visited_levels import destinations

ON = 1e-4  # |alpha - 1|, |alpha + sigma - 1|, |alpha^2 + sigma^2 - 1| of a point of ve, flow, vp
STAGES = (1, 2, 3, 4)  # evaluations a step that are tried where a run has no grid
INFINITE = 1e300  # sigma / alpha at alpha = 0
BASES = 2  # states that a row may continue


def process_of(points: Sequence[Point], field: str) -> str:
    """The process on which all points lie: ve, flow or vp.  Raises InputError where they lie on none."""
    off = {
        "ve": max(abs(p.alpha - 1) for p in points),
        "flow": max(abs(p.alpha + p.sigma - 1) for p in points),
        "vp": max(abs(math.hypot(p.alpha, p.sigma) - 1) for p in points),
    }
    found = min(off, key=lambda name: off[name])
    if off[found] > ON:
        allowed = "points of one process: alpha = 1 (ve), alpha + sigma = 1 (flow), or alpha^2 + sigma^2 = 1 (vp)"
        raise InputError(field, [list(p[:2]) for p in points[:2]], allowed)
    return found


def placing(process: str, schedule: Schedule | None) -> Callable[[Point], Point]:
    """p -> the point of alpha and sigma of p, with the time and the derivatives of the schedule, or of the process."""

    def there(p: Point) -> Point:
        if schedule is None:
            return point(process, p.alpha, p.sigma)
        t = p.t if not math.isnan(p.t) else float(schedule.time(torch.tensor(p.lam, dtype=torch.float64)))
        own = schedule.point(t)
        known = not math.isnan(p.dalpha)
        return Point(p.alpha, p.sigma, t, p.dalpha if known else own.dalpha, p.dsigma if known else own.dsigma)

    return there


def traces(run: RecordedRun, process: str) -> Iterator[Trace]:
    """The run as a trace on its grid; where it has none, on each that its evaluations may belong to.

    Raises InputError where its steps cannot be found, or its components do not determine its rows.
    """
    if run.components < run.coefficients:
        few = f"{run.components} components"
        allowed = f"at least {run.coefficients}, one for the start, each output and each noise; or give --against"
        raise InputError("run.start", few, allowed)
    for grid in grids(run):
        try:
            yield solved(run, process, grid)
        except NoTable as fault:
            if run.grid:
                raise InputError("run.evaluations", "points", fault.allowed) from fault


def grids(run: RecordedRun) -> list[tuple[Point, ...]]:
    """The grid of the run, or those that are possible: the last point is then where its last row leads.

    Two evaluations at a level are a corrector's: the last level may then be that of the end.
    """
    if run.grid:
        return [run.grid]
    apart = [p for k, p in enumerate(run.points) if k == 0 or p[:2] != run.points[k - 1][:2]]
    found = [(*apart[::count], apart[-1]) for count in STAGES if count == 1 or len(apart) > count]
    return [tuple(apart), *found] if 2 < len(apart) < len(run.points) else found


def steps_of(run: RecordedRun, grid: Sequence[Point]) -> list[int]:
    """For every evaluation the grid point that the step leads to in which its input was computed."""
    if run.step:
        return list(run.step)

    def level(p: Point) -> float:
        return min(p.rho, INFINITE)

    ends = [*map(level, grid[:-1]), level(grid[-1]) if run.grid else 0.0]
    return destinations([level(p) for p in run.points], ends, "the run")


def outline(run: RecordedRun, grid: Sequence[Point]) -> tuple[Tensor, list[Point], list[int], list[bool]]:
    """The vectors of a run on a grid, [V, d]: the start, the inputs that are other than it, the end; and the point, the
    step and whether the model is evaluated there, of each.  Raises NoTable where its steps cannot be found.
    """
    to = steps_of(run, grid)
    states, points, step = run.states, [*run.points, grid[-1]], [*to, len(grid) - 1]
    evaluated = [True] * len(run.points) + [False]
    if same_vector(run.inputs[0], run.start, run.dtype):
        return torch.cat([run.start[None], states[1:]]), points, step, evaluated
    return torch.cat([run.start[None], states]), [grid[0], *points], [0, *step], [False, *evaluated]


def solved(run: RecordedRun, process: str, grid: Sequence[Point]) -> Trace:
    """The trace of the run, by solving its rows in order.  Raises NoTable where its steps cannot be found."""
    states, points, step, evaluated = outline(run, grid)
    rows = _rows(run, states, step, evaluated)
    ends = grid if run.grid else [*grid[:-1], _led_to(rows[-1], points, run.prediction, process)]
    points[-1] = ends[-1]
    vectors, errors = _composed(rows, points)
    there = placing(process, run.schedule)
    return Trace(
        prediction=run.prediction,
        dtype=run.dtype,
        vectors=vectors,
        points=tuple(map(there, points)),
        step=tuple(step),
        evaluated=tuple(evaluated),
        grid=tuple(map(there, ends)),
        numbers={},
        superposition=(0.0, *(row.residual or 0.0 for row in rows)),
        mutated=(),
        uncertainty=(0.0, *errors),
        schedule=run.schedule,
        channel=run.channel,
    )


@dataclass(frozen=True)
class _Row:
    """A solved row: shares of earlier vectors, of outputs [nfe] and of noises [draws], with their errors.

    outputs: at which vector each was made.
    """

    states: dict[int, tuple[float, float]]
    outputs: Tensor
    output_errors: Tensor
    noises: Tensor
    noise_errors: Tensor
    residual: float | None
    made: list[int]


def _rows(run: RecordedRun, states: Tensor, step: Sequence[int], evaluated: Sequence[bool]) -> list[_Row]:
    """The row of every vector but the start."""
    count, nfe = len(states), len(run.outputs)
    columns = torch.cat([states, run.outputs, run.noises])
    made = [i for i, is_evaluated in enumerate(evaluated) if is_evaluated]
    rows: list[_Row] = []
    used = 0
    for i in range(1, count):
        bases = [vector_before(step, i)]
        while bases[-1] > 0 and len(bases) < BASES:
            bases.append(vector_before(step, bases[-1]))
        outputs = [count + k for k, j in enumerate(made) if j < i]
        noises = range(count + nfe, len(columns))
        found = solve(states[i], Design(columns, bases, outputs, noises, used), torch.finfo(run.dtype).eps)
        c, e = found.coefficients, found.errors
        drawn = c[count + nfe :].nonzero()[:, 0].tolist()
        used = max([used, *(n + 1 for n in drawn)])
        rows.append(
            _Row(
                states={j: (float(c[j]), float(e[j])) for j in bases if float(c[j]) != 0},
                outputs=c[count : count + nfe],
                output_errors=e[count : count + nfe],
                noises=c[count + nfe :],
                noise_errors=e[count + nfe :],
                residual=found.residual,
                made=made,
            )
        )
    return rows


def _composed(rows: Sequence[_Row], points: Sequence[Point]) -> tuple[Tensor, list[float]]:
    """Every vector as an image of start, outputs and noises, and the error of its row over its largest contribution.

    A row that continues two states is compared in the outputs that made them, and has their errors too.
    """
    width = 1 + len(rows[0].outputs) + len(rows[0].noises)
    vectors = torch.zeros(len(rows) + 1, width, dtype=torch.float64)
    vectors[0, 0] = 1
    errors: list[float] = []
    for i, row in enumerate(rows, start=1):
        vectors[i, 1:] = torch.cat([row.outputs, row.noises])
        for j, (share, _) in row.states.items():
            vectors[i] += share * vectors[j]
        sizes = {j: math.hypot(points[j].alpha, points[j].sigma) for j in row.states}
        whole = [abs(share) * sizes[j] for j, (share, _) in row.states.items()]
        off = [error * sizes[j] for j, (_, error) in row.states.items()]
        for values, uncertain in ((row.outputs, row.output_errors), (row.noises, row.noise_errors)):
            whole += values.abs().tolist()
            off += uncertain.tolist()
        own = max(off, default=0.0) / max([1e-300, *whole])
        errors.append(own + (sum(errors) if len(row.states) > 1 else 0.0))
    return vectors, errors


def _led_to(row: _Row, points: Sequence[Point], prediction: str, process: str) -> Point:
    """The point of the process to which a row leads: the images of constant data and noise predictions."""
    ends = []
    for kind in (0, 1):
        total = sum(share * points[j][kind] for j, (share, _) in row.states.items())
        for weight, j in zip(row.outputs.tolist(), row.made, strict=True):
            total += weight * parts(prediction, points[j])[kind] if weight else 0.0
        ends.append(total)
    alpha, sigma = ends[0], math.hypot(ends[1], float(row.noises.norm()))
    if abs(sigma) <= ON * points[row.made[-1]].sigma:
        sigma = 0.0
    whole = {"ve": alpha, "flow": alpha + sigma}.get(process, math.hypot(alpha, sigma))
    if not abs(whole - 1) < 0.1:
        allowed = "the points of its steps, with the end: its last row leads to no point of the process"
        raise InputError("run.grid", "nothing", allowed)
    return Point(1.0, sigma) if process == "ve" else Point(alpha / whole, sigma / whole)
