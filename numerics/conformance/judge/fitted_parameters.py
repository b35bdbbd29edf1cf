"""The value of a record's parameter at which its rows are those of a run, and its name as a rational number."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor

from ...catalogue import METHODS, resolve
from ...coefficients import plan
from ...errors import InputError, SamplingError
from ...grids import Grid
from ...readback import Trace, image
from ...records import Record
from ...tableau import Tableau, assemble
from ..forward_processes import grid_of
from .compare import same_shape

STEPS = 4  # the first ones, on which a value is sought
STARTS = 0.6, 1.7  # times the default, where it is sought from
ROUNDS = 8
FOUND = 1e-9  # of a row: what is left at the value
CHURNED, CHURN = "noised_place", 0.25  # where a step with churn starts; noise by which sigma grows, below sqrt 2 - 1
RATIONAL = 1e-10  # relative, from a fraction of a denominator of at most DENOMINATOR
DENOMINATOR = 200


def fitted(run: Trace, process: str, without: Collection[str] = ()) -> Iterator[str]:
    """The names NAME?parameter=value of the records whose first rows are those of a run in float64.

    Of records with one parameter besides the places of stages, which the evaluations show, and not those in `without`.
    Raises InputError where the points of the run are no grid.
    """
    if len(run.grid) - 1 < STEPS:
        return
    grid, rows = grid_of(process, run.grid[: STEPS + 1]), _first(run.table, STEPS)
    draws = bool(run.vectors[:, 1 + run.nfe :].any())
    if len(rows.points) < 2:  # no evaluation in these steps but the first
        return
    for record in METHODS.values():
        if record.name in without:
            continue
        places = {row.to for row in record.rows if isinstance(row.to, str)}
        free = [p for p in record.parameters if p.name not in places]
        if len(free) != 1 or record.stochastic != draws or record.history >= STEPS:
            continue
        shared = CHURNED in places  # out among the steps of the run, of which STEPS are looked at
        near = STEPS * CHURN if shared else float(free[0].default)
        value = _value(record, free[0].name, near, grid, rows, run.prediction)
        if value is not None:
            value *= (len(run.grid) - 1) / STEPS if shared else 1
            name = f"{record.name}?{free[0].name}={written(value)}"
            try:
                yield resolve(name).name
            except InputError:  # outside of its domain
                continue


def _first(table: Tableau, steps: int) -> Tableau:
    """The rows of the first steps."""
    return _cut(table, max(i for i, to in enumerate(table.step) if to <= steps) + 1)


def _cut(table: Tableau, keep: int) -> Tableau:
    """The first vectors of a table; where a step starts with noise, its end is no vector unless it is the last."""
    return replace(
        table,
        points=table.points[:keep],
        step=table.step[:keep],
        evaluated=(*table.evaluated[: keep - 1], False),
        states=table.states[: keep - 1],
        outputs=table.outputs[: keep - 1],
        noises=table.noises[: keep - 1],
    )


def _value(record: Record, parameter: str, default: float, grid: Grid, rows: Tableau, prediction: str) -> float | None:
    """The value with these rows, by Gauss-Newton steps from two starts; None where there is none."""

    def gap(value: float) -> Tensor:
        """The distance of all entries; not a number where there is no table, or one of another shape."""
        given = replace(record, values=((parameter, value),))  # type: ignore[arg-type]
        try:
            table = image(assemble(given, plan(given, grid), grid), prediction, grid.points).table
        except (InputError, SamplingError, ValueError, TypeError):
            return math.nan * _entries(rows)
        table = _cut(table, len(rows.points))
        return _entries(table) - _entries(rows) if same_shape(table, rows) else math.nan * _entries(rows)

    for start in STARTS:
        value, least = start * default, math.inf
        for _ in range(ROUNDS):
            here = gap(value)
            left = float(here.abs().nan_to_num(nan=math.inf).max())
            if left < FOUND:
                return value
            if not left < least / 2:
                break
            step = 1e-6 * max(1.0, abs(value))
            least, slope = left, (gap(value + step) - here) / step
            value -= float(slope @ here / (slope @ slope))  # not a number where it changes nothing
    return None


def _entries(table: Tableau) -> Tensor:
    """All coefficients of a few rows in one vector, with zeros up to the widest lag that there can be."""
    width = len(table.points)
    parts = (table.states, table.outputs, table.noises)
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1])).flatten() for part in parts])


def written(value: float) -> str:
    """A value as a fraction where it is one, else in twelve digits."""
    near = Fraction(value).limit_denominator(DENOMINATOR)
    return str(near) if abs(float(near) - value) <= RATIONAL * max(1.0, abs(value)) else f"{value:.12g}"
