"""The coefficients of every row of every step: generated weights on the differences of the stored clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .catalogue import METHODS
from .generated import weights as generated
from .grids import Grid
from .points import Point
from .records import Frame, Record, Row
from .schedules import Columns


class StepRow(NamedTuple):
    """x_end = carry x_n + sum_j weights[j] d_j: a row of one step, its end point and where its outputs were made."""

    point: Point
    carry: float
    weights: tuple[float, ...]
    nodes: tuple[tuple[int, int], ...]
    evaluated: bool


# The one-node rule of the frame: what a start-up in another frame stands for, and what a step that is infinite in
# the clock is.
ONE_NODE = (Row(to=1, nodes=((0, 0),), weights="one_node", arguments=("h", "kappa")),)


def plan(record: Record, grid: Grid) -> list[Record | None]:
    """Who takes each step: the record, a start-up method of it, or (None) the one-node rule of its frame."""
    alpha, sigma = grid.columns.alpha.tolist(), grid.columns.sigma.tolist()
    behind = int(alpha[0] == 0)  # nothing beyond an infinite step serves as history
    return [
        None if sigma[n + 1] == 0 or alpha[n] == 0 else _with_history(record, n - behind) for n in range(grid.steps)
    ]


def _with_history(record: Record, available: int) -> Record | None:
    method = record
    while method.history > available:
        assert method.start is not None
        method = METHODS[method.start]
        if method.frame != record.frame:
            return None
    return method


def steps_of(plan: Sequence[Record | None], grid: Grid, frame: Frame) -> list[list[StepRow]]:
    """The rows of every step, all steps of one method at once.

    carry = m_end / m_n, and the coefficient of an output is S_end W f, with the frame's scale m, its output scale S
    at the end of the row, the row's weight W and the factor f where the output was made.
    """
    result: list[list[StepRow]] = [[] for _ in plan]
    for method in dict.fromkeys(plan):
        steps = torch.tensor([n for n, m in enumerate(plan) if m is method])
        rows = ONE_NODE if method is None else method.rows
        numbers = step_numbers(frame, grid.columns, steps, 0 if method is None else method.history)
        scale = frame_columns(frame, grid.columns.take(steps))[0]
        ends = [grid.places(steps, row.to, frame.clock) for row in rows]
        for row, end in zip(rows, ends, strict=True):
            end_scale, output_scale, _ = frame_columns(frame, end)
            made_at = [ends[stage - 1] if stage else grid.columns.take(steps - back) for back, stage in row.nodes]
            weights = getattr(generated, row.weights)(*(numbers[a] for a in row.arguments))
            factors = [frame_columns(frame, where)[2] for where in made_at]
            coefficients = [output_scale * w * f for w, f in zip(weights, factors, strict=True)]
            if method is None and frame.whole is not None:
                c = grid.columns.take(steps)
                whole = frame.whole(c.alpha, c.sigma, end.alpha, end.sigma)
                coefficients = [torch.where(numbers["h"].isinf(), whole, w) for w in coefficients]
            table = torch.stack([end_scale / scale, *coefficients], dim=1).tolist()
            for n, point, (carry, *rest) in zip(steps.tolist(), end.points(), table, strict=True):
                result[n].append(StepRow(point, carry, tuple(rest), row.nodes, row.evaluated))
    return result


def frame_columns(frame: Frame, c: Columns) -> list[Tensor]:
    """Scale, output scale and factor of the frame at every point of the columns, float64."""
    return [torch.as_tensor(v, dtype=torch.float64).expand_as(c.t) for v in frame.functions(c.alpha, c.sigma)]


def step_numbers(frame: Frame, c: Columns, steps: Tensor, history: int) -> dict[str, Tensor]:
    """h, the step ratios r1, r2, … and a1 of the given steps, from differences of the stored clock."""
    clock = getattr(c, frame.clock)
    h = clock[steps + 1] - clock[steps]
    numbers = {"h": h, "kappa": torch.tensor(frame.kappa)}
    for k in range(1, history + 1):
        numbers[f"r{k}"] = (clock[steps + 1 - k] - clock[steps - k]) / h
    if history:
        numbers["a1"] = (c.alpha[steps - 1] / c.alpha[steps]) ** 2
    return numbers
