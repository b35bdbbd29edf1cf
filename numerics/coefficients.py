"""The coefficients of every row of every step: generated weights on the differences of the stored clock."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

from .catalogue import METHODS
from .generated import weight_functions as generated
from .generated.frame_functions import FRAMES, data_whole
from .grids import Grid
from .moments import moments
from .points import Point
from .records import Frame, GeneratedRow, Record
from .schedules import Columns


class StepRows(NamedTuple):
    """One row of each of n steps, x_end = sum_k states[k] x_{n-k} + sum_j weights[j] d_j + sum_i noises[i] z_i.

    steps: their numbers, ascending.  stage: the number of the row in its step.  points: its ends.  states, weights and
    noises: float64 [n, …].  nodes: the outputs d_j as (steps back, stage).  z_i: drawn for the i-th row of this step.
    """

    steps: Tensor
    stage: int
    points: tuple[Point, ...]
    states: Tensor
    weights: Tensor
    nodes: tuple[tuple[int, int], ...]
    evaluated: bool
    noises: Tensor

    def take(self, kept: Tensor) -> StepRows:
        """The rows of the steps at these indices of `steps`."""
        points = tuple(self.points[k] for k in kept.tolist())
        columns = (self.states[kept], self.weights[kept], self.nodes, self.evaluated, self.noises[kept])
        return StepRows(self.steps[kept], self.stage, points, *columns)


class _Steps(NamedTuple):
    """Steps of a run that are taken by one method: the grid points of their starts, the arguments of its weights."""

    grid: Grid
    frame: Frame
    starts: Tensor
    numbers: Mapping[str, Tensor]

    def weights(self, function: str, arguments: Sequence[str]) -> Sequence[Tensor]:
        """The values of a generated function at every step."""
        values: Sequence[Tensor] = getattr(generated, function)(*(self.numbers[a] for a in arguments))
        return values

    def back(self, k: int) -> Columns:
        """The grid points k steps before the starts."""
        return self.grid.columns.take(self.starts - k)


# The one-node rule of the frame: in place of a start-up method of another frame, and for a step that is infinite in
# the clock.
ONE_NODE = (GeneratedRow(to=1, nodes=((0, 0),), weights="one_node", arguments=("h", "kappa")),)
ONE_NODE_SMOOTH = (GeneratedRow(to=1, nodes=((0, 0),), weights="one_node_smooth", arguments=("m0",)),)

# Over a long step a row multiplies what is rounded by up to the growth of the frame's scale. Short steps are stable:
# there roundings do not grow.
LONG = 1.5  # growth of the scale over one step
MOST_GROWTH = 2.0**26  # over one step: half of the digits of float64 are left
MOST_GROWTH_IN_ALL = 2.0**40  # over many long steps, each of which takes less than its growth: a quarter is left


def lost(frame: Frame, grid: Grid) -> int:
    """The number of first steps that the frame cannot take: its scale is lost in rounding, or its clock is infinite.

    A step is lost if the scale grows by more than MOST_GROWTH over it, or by more than MOST_GROWTH_IN_ALL over it and
    the long steps after it, as alpha does from cos(pi/2) = 6e-17 in one step or in many; so is every step before it.
    Many short steps do no harm: on 799 steps of Li et al.'s schedule alpha starts at 7e-10. Lost steps are DDIM by the
    data prediction, x' = sigma'/sigma x + (alpha' - alpha sigma'/sigma) x0, which is finite as alpha -> 0; outputs at
    their starts are not used by later steps. In the velocity frame, with scale 1 and clock t, no step is lost.
    """
    scale, clock = frame_columns(frame, grid.columns)[0], getattr(grid.columns, frame.clock)
    growth = scale[1:] / scale[:-1]
    over_long_steps = torch.where(growth > LONG, growth, 1.0).flip(0).cumprod(dim=0).flip(0)
    unusable = (growth > MOST_GROWTH) | (over_long_steps > MOST_GROWTH_IN_ALL) | clock[:-1].isinf()
    return int(unusable.nonzero().max()) + 1 if bool(unusable.any()) else 0


def plan(record: Record, grid: Grid) -> list[Record | None]:
    """The method of each step: the record, a start-up method of it, or (None) the one-node rule of its frame.

    A step that the frame cannot take (see lost) is None, unless the record takes steps of any length, and history
    begins at its end. A step to sigma = 0 is the
    one-node rule, after the rows of the record before its first evaluation.
    """
    sigma, first = grid.columns.sigma.tolist(), lost(FRAMES[record.frame], grid)
    return [
        (record if any_length(record) else None)
        if n < first
        else _last_step(record)
        if sigma[n + 1] == 0
        else with_history(record, n - first)
        for n in range(grid.steps)
    ]


def any_length(record: Record) -> bool:
    """Whether it adds noise, and its noise and what it keeps of the state do not depend on the length of a step."""
    (row, *more) = record.rows
    return not more and row.noises is not None and "h" not in (*row.state_arguments, *row.noise_arguments)


def _last_step(record: Record) -> Record | None:
    """The record on a step to sigma = 0: its rows without outputs, such as EDM's churn, then the one-node rule."""
    before = tuple(itertools.takewhile(lambda row: not row.nodes, record.rows))
    if not before:
        return None
    last = GeneratedRow(to=1, nodes=((0, len(before)),), weights="one_node", arguments=("h", "kappa"))
    return replace(record, rows=(*before, last), nfe_per_step=len(before), history=0, start=None)


def with_history(record: Record, available: int) -> Record | None:
    """The method of a step after `available` others: the record, its start-up, or (None) the one-node rule."""
    method = record
    while method.history > available:
        assert method.start is not None
        method = METHODS[method.start]
        shared = {p.name for p in method.parameters}
        method = replace(method, values=tuple((s, v) for s, v in record.values if s in shared))
        if method.frame != record.frame:
            return None
    return method


def steps_of(
    plan: Sequence[Record | None], grid: Grid, frame: Frame, given: Mapping[str, Tensor] | None = None
) -> list[StepRows]:
    """The rows of every step, computed for all steps of one method at once.

    given: values of parameters by symbol, one a step.
    """
    first = lost(frame, grid)
    result = [_data_step(grid, n, plan[n], given or {}) for n in range(first)]
    for method, steps in _by_method(plan, first):
        result += _steps_of_method(method, grid, frame, torch.tensor(steps), given or {})
    return result


def _by_method(plan: Sequence[Record | None], first: int) -> list[tuple[Record | None, list[int]]]:
    """The methods of a plan, each with its steps from the first one on."""
    steps: dict[int, list[int]] = {}  # by the identity of a record, whose hash takes long
    for n, method in enumerate(plan[first:], start=first):
        steps.setdefault(id(method), []).append(n)
    return [(plan[numbers[0]], numbers) for numbers in steps.values()]


class _Joined(Grid):
    """Grids of one length behind each other, of which steps inside of each are read."""

    def __post_init__(self) -> None:
        """No check: lambda falls from grid to grid."""


def steps_on_all(plan: Sequence[Record | None], grids: Sequence[Grid], frame: Frame) -> list[list[StepRows]]:
    """steps_of of every grid, computed for all grids at once.

    grids: of one schedule and one number of steps, none of which is lost; the plan is that of each.
    """
    columns = Columns(*(torch.cat([getattr(grid.columns, f.name) for grid in grids]) for f in fields(Columns)))
    joined, width = _Joined(columns, grids[0].schedule), grids[0].steps + 1
    result: list[list[StepRows]] = [[] for _ in grids]
    for method, inside in _by_method(plan, 0):
        steps, one = torch.tensor(inside), torch.arange(len(inside))
        places = torch.cat([g * width + steps for g in range(len(grids))])
        for rows in _steps_of_method(method, joined, frame, places, {}):
            for g, own in enumerate(result):
                own.append(rows.take(g * len(inside) + one)._replace(steps=steps))
    return result


def _steps_of_method(
    method: Record | None, grid: Grid, frame: Frame, steps: Tensor, given: Mapping[str, Tensor]
) -> list[StepRows]:
    """The rows of the given steps, all taken by one method, or (None) by the one-node rule of the frame.

    A state z_{n-k} of coefficient c_k comes with c_k m_end / m_{n-k}, and an output with S_end W f: the scale m of the
    frame, its output scale S at the end of the row, the weight W of the row, and the factor f where the output is made.
    """
    one_node = ONE_NODE_SMOOTH if frame.smooth else ONE_NODE
    rows = one_node if method is None else method.rows
    numbers = step_numbers(method, rows, frame, grid, steps, given)
    ends = [_end(row, grid, steps, frame, numbers, given) for row in rows]
    taken = _Steps(grid, frame, steps, numbers)
    result: list[StepRows] = []
    noises: list[Tensor] = []
    scale: Tensor | float = 1.0
    for stage, (row, end) in enumerate(zip(rows, ends, strict=True)):
        end_scale = frame_columns(frame, end)[0]
        states = _table(_state_coefficients(row, end_scale, taken), steps)
        weights = _table(_output_coefficients(row, end, ends, taken), steps)
        # Noises: those of the row itself, or what was drawn before, scaled to the end of the row.
        if row.noises is not None:
            noises = [end.sigma * c for c in taken.weights(row.noises, row.noise_arguments)]
        else:
            noises = [c * end_scale / scale for c in noises]
        scale, drawn = end_scale, _table(noises, steps)
        # Points of the grid are shared by all rows that end there.
        on_grid = isinstance(row.to, int)
        points = tuple(grid.points[n + row.to] for n in steps.tolist()) if on_grid else end.points()
        result.append(StepRows(steps, stage, points, states, weights, row.nodes, row.evaluated, drawn))
    return result


def _state_coefficients(row: GeneratedRow, end_scale: Tensor, taken: _Steps) -> list[Tensor]:
    """c_k m_end / m_{n-k} for every state that a row is made from."""
    shares: Sequence[float | Tensor] = (1.0,)
    if row.states is not None:
        shares = taken.weights(row.states, row.state_arguments)
    scales = [frame_columns(taken.frame, taken.back(k))[0] for k in range(len(shares))]
    return [share * end_scale / m for share, m in zip(shares, scales, strict=True)]


def _output_coefficients(row: GeneratedRow, end: Columns, ends: Sequence[Columns], taken: _Steps) -> list[Tensor]:
    """S_end W f for every output that a row is made from.  ends: the ends of all rows of the step."""
    made_at = [ends[stage - 1] if stage else taken.back(back) for back, stage in row.nodes]
    factors = [frame_columns(taken.frame, where)[2] for where in made_at]
    output_scale = frame_columns(taken.frame, end)[1]
    weights = taken.weights(row.weights, row.arguments)
    coefficients = [output_scale * w * f for w, f in zip(weights, factors, strict=True)]
    if row.weights == "one_node" and taken.frame.whole is not None:  # a step to sigma = 0 is infinite in the clock
        start = made_at[0]
        whole = taken.frame.whole(start.alpha, start.sigma, end.alpha, end.sigma)
        coefficients = [torch.where(end.sigma == 0, whole, c) for c in coefficients]
    return coefficients


def _data_step(grid: Grid, n: int, method: Record | None, given: Mapping[str, Tensor]) -> StepRows:
    """Step n as DDIM by the data prediction, or as a method that takes steps of any length.

    That keeps a share c of the noise and adds q of sigma: c sigma'/sigma x + (alpha' - c alpha sigma'/sigma) x0 +
    q sigma' z.
    """
    start, end = grid.columns.take(torch.tensor([n])), grid.columns.take(torch.tensor([n + 1]))
    state, coefficient = end.sigma / start.sigma, data_whole(start.alpha, start.sigma, end.alpha, end.sigma)
    steps = torch.tensor([n])
    if method is None:
        coefficients = [[state], [coefficient], []]
    else:
        (row,), in_data = method.rows, FRAMES["data"]
        taken = _Steps(grid, in_data, steps, step_numbers(method, method.rows, in_data, grid, steps, given))
        (share,) = (1.0,) if row.states is None else taken.weights(row.states, row.state_arguments)
        (added,) = taken.weights(row.noises or "", row.noise_arguments)
        coefficient = end.alpha - share * start.alpha * state
        coefficients = [[share * state], [coefficient], [added * end.sigma]]
    states, weights, noises = (_table(columns, steps) for columns in coefficients)
    return StepRows(steps, 0, (grid.point(n + 1),), states, weights, ((0, 0),), True, noises)


def _table(columns: Sequence[Tensor], steps: Tensor) -> Tensor:
    """The columns as a matrix of rows, one a step."""
    if not columns:
        return torch.empty((len(steps), 0), dtype=torch.float64)
    return torch.stack([c.expand(len(steps)) for c in columns], dim=1)


def _end(
    row: GeneratedRow,
    grid: Grid,
    steps: Tensor,
    frame: Frame,
    numbers: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
) -> Columns:
    """The points where a row ends, one a step."""
    if row.to == "middle" and "middle" not in given:
        return grid.places(steps, Fraction(1, 2), "t")
    return grid.places(steps, numbers[row.to] if isinstance(row.to, str) else row.to, frame.clock)


def frame_columns(frame: Frame, c: Columns) -> list[Tensor]:
    """Scale, output scale and factor of the frame at every point of the columns, float64."""
    return [torch.as_tensor(v, dtype=torch.float64).expand_as(c.t) for v in frame.functions(c.alpha, c.sigma)]


def step_numbers(
    method: Record | None,
    rows: Sequence[GeneratedRow],
    frame: Frame,
    grid: Grid,
    steps: Tensor,
    given: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The arguments of the generated weights of these rows, by name, at the given steps [n].

    Clock differences are those of the stored clock; the moments of a smooth weight are computed by quadrature.
    """
    # The step and its ratios to the steps before.
    c = grid.columns
    clock = getattr(c, frame.clock)
    h = grid.lengths(steps, frame.clock)
    numbers = {"h": h, "kappa": torch.tensor(frame.kappa)}
    history = 0 if method is None else method.history
    for k in range(1, history + 1):
        numbers[f"r{k}"] = (clock[steps + 1 - k] - clock[steps - k]) / h
    # Values of the schedule.
    if history:
        numbers["a1"] = (c.alpha[steps - 1] / c.alpha[steps]) ** 2
        numbers["two_step_alpha_ratio"] = c.alpha[steps - 1] / c.alpha[steps + 1]
    numbers |= {"rho": c.rho[steps], "next_rho": c.rho[steps + 1]}
    numbers["alpha_ratio"] = c.alpha[steps] / c.alpha[steps + 1]
    # Parameters of the method, and what depends on them.
    if method is not None:
        numbers |= {symbol: torch.tensor(float(v), dtype=torch.float64) for symbol, v in method.numbers.items()}
    numbers |= {symbol: values[steps] for symbol, values in given.items()}
    if "churn" in numbers:  # Karras et al. 2022, algorithm 2
        gamma = (numbers["churn"] / grid.steps).clamp(max=math.sqrt(2) - 1)
        numbers["noised_place"] = -gamma.log1p() / h
    # Numbers of a schedule between grid points: the middle of the step in t, the moments of a smooth weight.
    wanted = {a for row in rows for a in row.arguments}
    if "middle" in wanted and "middle" not in given:
        numbers["middle"] = (getattr(grid.places(steps, Fraction(1, 2), "t"), frame.clock) - clock[steps]) / h
    if frame.smooth:
        numbers |= moments(grid, steps, numbers.get("b", 0.0), wanted)
    return numbers
