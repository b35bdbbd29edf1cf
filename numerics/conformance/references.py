"""What a stranger's table can equal: the catalogue on its grid, with its start-up, last steps and stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..catalogue import METHODS, resolve
from ..coefficients import plan
from ..errors import InputError, SamplingError
from ..grids import Grid
from ..readback import Trace, of_tableau, table, trace
from ..records import Record
from ..tableau import Tableau, assemble
from .path import column, grid_of


@dataclass(frozen=True)
class Reference:
    """A table of the catalogue on a stranger's grid.  ending: "" or how its last steps differ from the record's."""

    record: Record
    ending: str
    table: Tableau

    @property
    def name(self) -> str:
        return f"{self.record.name} ({self.ending})" if self.ending else self.record.name


LOWERED = "last steps of lower order"


def candidates(found: Trace, process: str, names: tuple[str, ...] = ()) -> Iterator[Reference]:
    """Every record that asks its model in the same steps as the trace, or just those named, each in every variant."""
    grid = grid_of(process, found.grid)
    for record in [resolve(name) for name in names] or METHODS.values():
        yield from variants(found, grid, record)


def variants(found: Trace, grid: Grid, record: Record) -> Iterator[Reference]:
    """The record as it is, and with its last steps lowered as its first ones are."""
    if record.history >= grid.steps or _evaluations(record, grid) != found.nfe:
        return
    plans = {"": plan(record, grid)}
    if record.history:
        plans[LOWERED] = lowered(record, grid)
    for ending, methods in plans.items():
        try:
            tableau = assemble(record, methods, grid, numbers=_stages(record, found, grid))
            read = trace(of_tableau(tableau, found.prediction, found.grid))
        except (InputError, SamplingError):  # not a method for this grid: its frame or its stages do not exist here
            continue
        yield Reference(record, ending, table(read, record.name))


def lowered(record: Record, grid: Grid) -> list[Record | None]:
    """The record's plan, with step N - 1 - j taken by what needs no more than j steps before it."""
    full = plan(record, grid)
    ramp: list[Record | None] = [record]
    while (last := ramp[-1]) is not None and last.start is not None and METHODS[last.start].frame == record.frame:
        ramp.append(METHODS[last.start])
    for j in range(record.history):
        n = grid.steps - 1 - j
        had = full[n]
        if had is not None and had.history > j:
            full[n] = next((m for m in ramp if m is not None and m.history <= j), None)
    return full


def _evaluations(record: Record, grid: Grid) -> int:
    """How often a run asks: a step that is infinite in the clock, and start-up steps, may do with less."""
    methods = plan(record, grid)
    return sum(1 if m is None else m.nfe_per_step for m in methods)


def _stages(record: Record, found: Trace, grid: Grid) -> dict[str, Tensor]:
    """The places of a record's stages that are free, as the trace has them: fractions of each step in lambda."""
    names = [row.to for row in record.rows if isinstance(row.to, str) and row.to in record.numbers]
    if not names:
        return {}
    lam, at = grid.columns.lam, column(found.points)
    places: dict[str, list[float]] = {name: [] for name in names}
    for n in range(grid.steps):
        inside = [i for i, to in enumerate(found.step) if to == n + 1 and found.evaluated[i]][: len(names)]
        default = [float(record.numbers[name]) for name in names]
        seen = [float((at[i] - lam[n]) / (lam[n + 1] - lam[n])) for i in inside]
        usable = seen if len(seen) == len(names) and all(0 < r < 1 for r in seen) else default
        for name, r in zip(names, usable, strict=True):
            places[name].append(r)
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in places.items()}
