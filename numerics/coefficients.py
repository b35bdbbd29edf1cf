"""The coefficients of every row of every step: generated weights on the differences of the stored clock."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

from .catalogue import METHODS
from .generated import weight_functions as generated
from .generated.frame_functions import FRAMES
from .grids import Grid
from .moments import moments
from .points import Point
from .records import Frame, GeneratedRow, Record
from .schedules import Columns


class StepRow(NamedTuple):
    """x_end = sum_k states[k] x_{n-k} + sum_j weights[j] d_j + sum_i noises[i] z_i: a row of one step, and its end.

    nodes: where its outputs lie.  noises: of what is drawn for this step's rows up to this one.
    """

    point: Point
    states: tuple[float, ...]
    weights: tuple[float, ...]
    nodes: tuple[tuple[int, int], ...]
    evaluated: bool
    noises: tuple[float, ...] = ()


# The one-node rule of the frame: what a start-up in another frame stands for, and what a step that is infinite in
# the clock is.
ONE_NODE = (GeneratedRow(to=1, nodes=((0, 0),), weights="one_node", arguments=("h", "kappa")),)
ONE_NODE_SMOOTH = (GeneratedRow(to=1, nodes=((0, 0),), weights="one_node_smooth", arguments=("m0",)),)

# A row multiplies what is rounded by the growth of the frame's scale over its step: beyond this growth fewer than half
# of the digits of float64 are left.
MOST_GROWTH = 2.0**26


def lost(frame: Frame, grid: Grid) -> int:
    """How many steps the frame cannot begin with: its scale is lost in rounding, or its clock is infinite.

    Lost is a step over which the scale grows by more than MOST_GROWTH, as alpha does from cos(pi/2) = 6e-17, and every
    step before it. These steps are DDIM by the data prediction, x' = sigma'/sigma x + (alpha' - alpha sigma'/sigma) x0,
    which is finite as alpha -> 0; where they begin nothing is left for later steps to use. In the velocity frame, of
    scale 1 and clock t, no step is lost.
    """
    scale, clock = frame_columns(frame, grid.columns)[0], getattr(grid.columns, frame.clock)
    gone = ~(scale[1:] <= MOST_GROWTH * scale[:-1]) | clock[:-1].isinf()
    return int(gone.nonzero().max()) + 1 if bool(gone.any()) else 0


def plan(record: Record, grid: Grid) -> list[Record | None]:
    """Who takes each step: the record, a start-up method of it, or (None) the one-node rule of its frame.

    A step that the frame cannot take (see lost) is None, and nothing from before its end serves as history. A step to
    sigma = 0 is that rule, after what the record does before its first evaluation.
    """
    sigma, behind = grid.columns.sigma.tolist(), lost(FRAMES[record.frame], grid)
    return [
        None if n < behind else _to_the_end(record) if sigma[n + 1] == 0 else with_history(record, n - behind)
        for n in range(grid.steps)
    ]


def _to_the_end(record: Record) -> Record | None:
    """The record on a step to sigma = 0: its rows without outputs, such as EDM's churn, then the one-node rule."""
    before = tuple(itertools.takewhile(lambda row: not row.nodes, record.rows))
    if not before:
        return None
    last = GeneratedRow(to=1, nodes=((0, len(before)),), weights="one_node", arguments=("h", "kappa"))
    return replace(record, rows=(*before, last), nfe_per_step=len(before), history=0, start=None)


def with_history(record: Record, available: int) -> Record | None:
    """Who takes a step after so many others: the record, a start-up method of it, or (None) the one-node rule."""
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
) -> list[list[StepRow]]:
    """The rows of every step, all steps of one method at once.  given: parameters, one value a step.

    A state z_{n-k} of coefficient c_k comes with c_k m_end / m_{n-k}, and an output with S_end W f: the frame's scale
    m, its output scale S at the end of the row, the row's weight W and the factor f where the output was made.
    """
    first = lost(frame, grid)
    result: list[list[StepRow]] = [[_by_data(grid, n)] if n < first else [] for n in range(grid.steps)]
    for method in dict.fromkeys(plan[first:]):
        steps = torch.tensor([n for n, m in enumerate(plan) if m == method and n >= first])
        rows = (ONE_NODE_SMOOTH if frame.smooth else ONE_NODE) if method is None else method.rows
        numbers = step_numbers(method, rows, frame, grid, steps, given or {})
        ends = [_end(row, grid, steps, frame, numbers, given or {}) for row in rows]
        noises: list[Tensor] = []
        scale: Tensor | float = 1.0
        for row, end in zip(rows, ends, strict=True):
            end_scale, output_scale, _ = frame_columns(frame, end)
            made_at = [ends[stage - 1] if stage else grid.columns.take(steps - back) for back, stage in row.nodes]
            weights = getattr(generated, row.weights)(*(numbers[a] for a in row.arguments))
            factors = [frame_columns(frame, where)[2] for where in made_at]
            coefficients = [output_scale * w * f for w, f in zip(weights, factors, strict=True)]
            if row.weights == "one_node" and frame.whole is not None:
                c = made_at[0]
                whole = frame.whole(c.alpha, c.sigma, end.alpha, end.sigma)
                coefficients = [torch.where(end.sigma == 0, whole, w) for w in coefficients]
            shares: Sequence[float | Tensor] = (1.0,)
            if row.states is not None:
                shares = getattr(generated, row.states)(*(numbers[a] for a in row.state_arguments))
            scales = [frame_columns(frame, grid.columns.take(steps - k))[0] for k in range(len(shares))]
            kept = torch.stack([s * end_scale / m for s, m in zip(shares, scales, strict=True)], dim=1).tolist()
            made = _table(coefficients, steps)
            if row.noises is not None:
                over_sigma = getattr(generated, row.noises)(*(numbers[a] for a in row.noise_arguments))
                noises = [end.sigma * c for c in over_sigma]
            else:  # what was drawn before this row is carried along
                noises = [c * end_scale / scale for c in noises]
            scale, drawn = end_scale, _table(noises, steps)
            for n, point, carry, line, draws in zip(steps.tolist(), end.points(), kept, made, drawn, strict=True):
                result[n].append(StepRow(point, tuple(carry), tuple(line), row.nodes, row.evaluated, tuple(draws)))
    return result


def _by_data(grid: Grid, n: int) -> StepRow:
    """Step n as DDIM by the data prediction."""
    c, end = grid.columns.take(torch.tensor([n])), grid.columns.take(torch.tensor([n + 1]))
    whole = FRAMES["data"].whole
    assert whole is not None
    coefficient = whole(c.alpha, c.sigma, end.alpha, end.sigma)
    return StepRow(grid.point(n + 1), (float(end.sigma / c.sigma),), (float(coefficient),), ((0, 0),), True)


def _table(columns: Sequence[Tensor], steps: Tensor) -> list[list[float]]:
    """The columns side by side, a line a step."""
    if not columns:
        return [[] for _ in steps]
    table: list[list[float]] = torch.stack([c.expand(len(steps)) for c in columns], dim=1).tolist()
    return table


def _end(
    row: GeneratedRow,
    grid: Grid,
    steps: Tensor,
    frame: Frame,
    numbers: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
) -> Columns:
    """Where a row ends in each of the steps."""
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
    """What the weights of these rows are made from, by name: h, step ratios and the rest, at the given steps.

    Clock differences are those of the stored clock; the moments of a smooth weight come by quadrature.
    """
    c = grid.columns
    clock = getattr(c, frame.clock)
    h = grid.lengths(steps, frame.clock)
    numbers = {"h": h, "kappa": torch.tensor(frame.kappa)}
    history = 0 if method is None else method.history
    for k in range(1, history + 1):
        numbers[f"r{k}"] = (clock[steps + 1 - k] - clock[steps - k]) / h
    if history:
        numbers["a1"] = (c.alpha[steps - 1] / c.alpha[steps]) ** 2
        numbers["two_step_alpha_ratio"] = c.alpha[steps - 1] / c.alpha[steps + 1]
    numbers |= {"rho": c.rho[steps], "next_rho": c.rho[steps + 1]}
    numbers["alpha_ratio"] = c.alpha[steps] / c.alpha[steps + 1]
    if method is not None:
        numbers |= {symbol: torch.tensor(float(v), dtype=torch.float64) for symbol, v in method.numbers.items()}
    numbers |= {symbol: values[steps] for symbol, values in given.items()}
    if "churn" in numbers:  # Karras et al. 2022, algorithm 2
        gamma = (numbers["churn"] / grid.steps).clamp(max=math.sqrt(2) - 1)
        numbers["noised_place"] = -gamma.log1p() / h
    wanted = {a for row in rows for a in row.arguments}
    if "middle" in wanted and "middle" not in given:
        numbers["middle"] = (getattr(grid.places(steps, Fraction(1, 2), "t"), frame.clock) - clock[steps]) / h
    if frame.smooth:
        numbers |= moments(grid, steps, numbers.get("b"), wanted)
    return numbers
