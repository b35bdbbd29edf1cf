"""What a stranger's table can equal: the catalogue on its grid, with its start-up, last steps and stages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

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
THROUGH = "last step as every other"
QUIET = "no noise in the last step"
SHORT = "steps of fewer evaluations by its lower orders"


def candidates(found: Trace, process: str, names: tuple[str, ...] = ()) -> Iterator[Reference]:
    """Every record that asks its model in the same steps as the trace, or just those named, each in every variant.

    Raises InputError where the points of the trace make no grid.
    """
    grid = grid_of(process, found.grid)
    for record in [resolve(name) for name in names] or METHODS.values():
        yield from variants(found, grid, record)


def variants(found: Trace, grid: Grid, record: Record) -> Iterator[Reference]:
    """The record as it is, and with its first or last steps taken otherwise."""
    if record.history >= grid.steps:
        return
    for ending, methods in _plans(record, grid, _asked(found)).items():
        if sum(1 if m is None else m.nfe_per_step for m in methods) != found.nfe:
            continue
        try:
            tableau = assemble(record, methods, grid, numbers=_numbers(record, found, grid))
            read = table(trace(of_tableau(tableau, found.prediction, found.grid)), record.name)
        except (InputError, SamplingError):  # not a method for this grid: its frame, its stages or its weights at the
            continue  # stages of the trace do not exist here
        yield Reference(record, ending, read)
        last = read.noises[-1] if read.noises.shape[1] else None
        if last is not None and bool(last.any()):
            quiet = read.noises.clone()
            quiet[-1] = 0
            yield Reference(record, QUIET, replace(read, noises=quiet))


def _plans(record: Record, grid: Grid, asked: list[int]) -> dict[str, list[Record | None]]:
    """Who takes each step, by what is unusual about it."""
    plans = {"": plan(record, grid)}
    if record.history:
        plans[LOWERED] = lowered(record, grid)
    if plans[""][-1] is None and record.frame == "noise-rho":  # its clock is finite at sigma = 0
        plans[THROUGH] = [*plans[""][:-1], record]
    if record.nfe_per_step == max(asked) > min(asked) and not record.history:
        family = {m.nfe_per_step: m for m in METHODS.values() if _siblings(m, record)}
        plans[SHORT] = [record if asked[n] == record.nfe_per_step else family.get(asked[n]) for n in range(grid.steps)]
    return plans


def _siblings(one: Record, other: Record) -> bool:
    """Whether two names differ in nothing but their number: dpm-solver++-2s-taylor and -3s-taylor."""
    return re.sub(r"\d", "", one.name) == re.sub(r"\d", "", other.name) and one.rows[0].to == other.rows[0].to


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


def _asked(found: Trace) -> list[int]:
    """Evaluations in every step: at the state that it starts from, and at the stages on the way to its end."""
    steps = len(found.grid) - 1
    made = Counter(to for to, evaluated in zip(found.step, found.evaluated, strict=True) if evaluated)
    return [made[n + 1] + (n + 1 == steps) for n in range(steps)]


def _numbers(record: Record, found: Trace, grid: Grid) -> dict[str, Tensor]:
    """Parameters by step: those the trace names, and the places of free stages, as fractions of each step in lambda."""
    given = {s: torch.tensor(v, dtype=torch.float64) for s, v in found.numbers.items() if s in record.numbers}
    names = [row.to for row in record.rows if isinstance(row.to, str) and row.to in record.numbers]
    if not names:
        return given
    lam, at = grid.columns.lam, column(found.points)
    places: dict[str, list[float]] = {name: [] for name in names}
    for n in range(grid.steps):
        inside = [i for i, to in enumerate(found.step) if to == n + 1 and found.evaluated[i]][: len(names)]
        default = [float(record.numbers[name]) for name in names]
        seen = [float((at[i] - lam[n]) / (lam[n + 1] - lam[n])) for i in inside]
        usable = seen if len(seen) == len(names) and all(0 < r < 1 for r in seen) else default
        for name, r in zip(names, usable, strict=True):
            places[name].append(r)
    return given | {name: torch.tensor(values, dtype=torch.float64) for name, values in places.items()}
