"""Tableau: on a fixed grid a sampler is a table of float64 numbers, computed once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .catalogue import METHODS, resolve
from .errors import InputError
from .generated import weights as generated
from .generated.frames import FRAMES
from .grids import Grid
from .points import Point
from .records import Frame, Record
from .records import Row as RecordRow
from .schedules import Columns


@dataclass(frozen=True)
class Tableau:
    """Vectors v_0, v_1, …: the first `given` are supplied, each later one is a row,

        v_i = sum_k states[i - given, k] v_{i-1-k} + sum_j outputs[i - given, j] d_{i-1-j},

    where d_i is the prediction of the denoiser at v_i, made at points[i]. The last vector is the sample; it is
    not evaluated. states [R, K] and outputs [R, J] are float64; step[i] is the grid point on the way to which
    v_i is made (for messages); ends[i] says that v_i is the state at that grid point.
    """

    method: str
    prediction: str
    points: tuple[Point, ...]
    step: tuple[int, ...]
    ends: tuple[bool, ...]
    given: int
    states: Tensor
    outputs: Tensor

    @property
    def nfe(self) -> int:
        """Number of function evaluations of a whole run."""
        return len(self.points) - 1

    def row(self, i: int) -> Tableau:
        """Row i alone, as a tableau whose given vectors are as many as the row can see."""
        seen = max(self.states.shape[1], self.outputs.shape[1])
        last = i + self.given
        earlier = [max(j, 0) for j in range(last - seen, last)]
        keep = [*earlier, last]
        return replace(
            self,
            points=tuple(self.points[j] for j in keep),
            step=tuple(self.step[j] for j in keep),
            ends=tuple(self.ends[j] for j in keep),
            given=seen,
            states=self.states[i : i + 1],
            outputs=self.outputs[i : i + 1],
        )


@dataclass(frozen=True)
class _Line:
    """A row before it is laid out: which earlier vectors and outputs it reads, with which coefficients."""

    states: dict[int, float]
    outputs: dict[int, float]


def tabulate(name: str, grid: Grid, start: str = "ramp") -> Tableau:
    """Tabulate a method of the catalogue on a grid.

    start = "ramp": steps that lack history are taken by the record's start-up method, recursively;
    "exact": the states at the first history + 1 grid points are supplied instead (Tableau.given).
    A step whose clock is infinite at an end (sigma = 0 last, alpha = 0 first in the data frame) is the one-node
    rule. Raises InputError: unknown method or start, more history than steps, a start at alpha = 0 in a frame whose
    scale vanishes there (all but data and velocity).
    """
    record = resolve(name)
    if start not in ("ramp", "exact"):
        raise InputError("start", start, 'one of "ramp", "exact"')
    if record.history >= grid.steps and record.history > 0:
        raise InputError("steps", grid.steps, f"{record.name} needs more than its history of {record.history} steps")
    frame = FRAMES[record.frame]
    if float(_frame_columns(frame, grid.columns)[0][0]) == 0:
        raise InputError("grid", "alpha = 0 at the start", f"not possible in the {record.frame} frame of {record.name}")

    first = record.history if start == "exact" else 0
    plan = [_method_at(record, grid, n) for n in range(grid.steps)]
    coefficients = _coefficients(plan, grid, frame)

    at_grid = {n: n for n in range(first + 1)}  # grid point -> vector
    points = list(grid.points[: first + 1])
    step, ends = list(range(first + 1)), [True] * (first + 1)
    lines: list[_Line] = []
    for n in range(first, grid.steps):
        rows = _rows(plan[n])
        stages: list[int] = []
        for k, row in enumerate(rows):
            carry, weights = coefficients[n][k]
            sources = [stages[stage - 1] if stage else at_grid[n - back] for back, stage in row.nodes]
            lines.append(_Line({at_grid[n]: carry}, dict(zip(sources, weights, strict=True))))
            stages.append(len(points))
            points.append(grid.points[n + row.to])
            step.append(n + 1)
            ends.append(k == len(rows) - 1)
        at_grid[n + 1] = stages[-1]
    return Tableau(
        method=record.name,
        prediction=frame.prediction,
        points=tuple(points),
        step=tuple(step),
        ends=tuple(ends),
        given=first + 1,
        states=_lay_out([line.states for line in lines], first + 1),
        outputs=_lay_out([line.outputs for line in lines], first + 1),
    )


# The one-node rule of the frame: what every start-up ends in, and what a step that is infinite in the clock is.
ONE_NODE = (RecordRow(to=1, nodes=((0, 0),), weights="one_node", arguments=("h", "kappa")),)


def _rows(method: Record | None) -> tuple[RecordRow, ...]:
    return ONE_NODE if method is None else method.rows


def _method_at(record: Record, grid: Grid, n: int) -> Record | None:
    """Who takes step n: the record, a start-up method of it, or (None) the one-node rule of its frame."""
    alpha, sigma = grid.columns.alpha, grid.columns.sigma
    if float(sigma[n + 1]) == 0 or float(alpha[n]) == 0:
        return None
    available = n - int(float(alpha[0]) == 0)  # nothing beyond an infinite step serves as history
    method = record
    while method.history > available:
        assert method.start is not None
        method = METHODS[method.start]
        if method.history == 0:
            return None
    return method


def _coefficients(plan: list[Record | None], grid: Grid, frame: Frame) -> list[list[tuple[float, tuple[float, ...]]]]:
    """For every step and row: the coefficient of the state at the step's start, and those of the outputs.

    x_end = (m_end / m_n) x_n + S_end sum_j W_j f_j d_j, with scale m, output scale S and factor f of the frame.
    """
    c = grid.columns
    scale, output_scale, factor = _frame_columns(frame, c)
    result: list[list[tuple[float, tuple[float, ...]]]] = [[] for _ in plan]
    for method in dict.fromkeys(plan):
        steps = torch.tensor([n for n, m in enumerate(plan) if m is method])
        step_numbers = _step_numbers(frame, c, steps, 0 if method is None else method.history)
        for row in _rows(method):
            end = steps + row.to
            carry = scale[end] / scale[steps]
            made = getattr(generated, row.weights)(*(step_numbers[a] for a in row.arguments))
            # An output made at a stage lives at that stage's grid point.
            at = [steps + (_rows(method)[stage - 1].to if stage else -back) for back, stage in row.nodes]
            weights = [output_scale[end] * w * factor[where] for w, where in zip(made, at, strict=True)]
            if method is None and frame.whole is not None:
                whole = frame.whole(c.alpha[steps], c.sigma[steps], c.alpha[end], c.sigma[end])
                weights = [torch.where(step_numbers["h"].isinf(), whole, w) for w in weights]
            table = torch.stack([carry, *weights], dim=1).tolist()
            for n, (first, *rest) in zip(steps.tolist(), table, strict=True):
                result[n].append((first, tuple(rest)))
    return result


def _frame_columns(frame: Frame, c: Columns) -> list[Tensor]:
    """Scale, output scale and factor of the frame at every grid point, float64 [N + 1] each."""
    return [torch.as_tensor(v, dtype=torch.float64).expand_as(c.t) for v in frame.functions(c.alpha, c.sigma)]


def _step_numbers(frame: Frame, c: Columns, steps: Tensor, history: int) -> dict[str, Tensor]:
    """h, the step ratios r1, r2, … and a1 of the given steps, from differences of the stored clock."""
    clock = getattr(c, frame.clock)
    h = clock[steps + 1] - clock[steps]
    numbers = {"h": h, "kappa": torch.tensor(frame.kappa)}
    for k in range(1, history + 1):
        numbers[f"r{k}"] = (clock[steps + 1 - k] - clock[steps - k]) / h
    if history:
        numbers["a1"] = (c.alpha[steps - 1] / c.alpha[steps]) ** 2
    return numbers


def _lay_out(lines: list[dict[int, float]], given: int) -> Tensor:
    """Rows {earlier vector: coefficient} as a matrix [R, width] over lags, the most recent vector first."""
    width = max(given + i - source for i, line in enumerate(lines) for source in line)
    table = torch.zeros(len(lines), width, dtype=torch.float64)
    for i, line in enumerate(lines):
        for source, value in line.items():
            table[i, given + i - source - 1] = value
    return table
