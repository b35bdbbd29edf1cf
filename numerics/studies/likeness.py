"""The record of the catalogue that is nearest to the table of an external sampler on the grids of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch.nn.functional import pad

from ..catalogue import resolve
from ..conformance.judge.compare import deviations, same_shape
from ..conformance.judge.references import Reference, similar, variants
from ..errors import InputError, SamplingError
from ..grids import Grid
from ..points import Point
from ..readback import Trace, image
from ..records import Record
from ..tableau import Tableau

EQUAL = 1e-9  # of a row: rounding is below it on thousands of steps, a weight off by a millionth above
SEARCHED = 24  # steps: the whole catalogue is compared on the longest grid of at most that many


@dataclass(frozen=True)
class Likeness:
    """The nearest record on a grid.  ending: as in Reference, "" for the record as it is.

    difference: the largest of a row, over the largest contribution to the row.  agreeing: rows that are equal up to
    rounding, of `rows`.
    """

    record: Record
    ending: str
    difference: float
    agreeing: int
    rows: int

    @property
    def equal(self) -> bool:
        """Whether the rows are equal up to rounding."""
        return self.difference <= EQUAL

    @property
    def name(self) -> str:
        return f"{self.record.name} ({self.ending})" if self.ending else self.record.name


def likenesses(tables: Mapping[Grid, Tableau]) -> dict[tuple[Point, ...], Likeness | None]:
    """The nearest record of each table, by the points of its grid; None where none evaluates its model as it does.

    The records are those nearest on one grid of few steps; on the other grids their variants are compared.
    """
    if not tables:
        return {}
    by_steps = sorted(tables, key=lambda grid: grid.steps)
    first = ([grid for grid in by_steps if grid.steps <= SEARCHED] or by_steps[:1])[-1]
    searched = nearest(tables[first], first)
    found = {first.points: searched}
    for grid, table in tables.items():
        if grid is not first:
            found[grid.points] = nearest(table, grid, None if searched is None else [searched.record.name])
    return found


def nearest(table: Tableau, grid: Grid, names: Sequence[str] | None = None) -> Likeness | None:
    """The nearest of the records of these names, or of all: the one with most rows equal; of these, with most rows that
    read the same vectors; of these, the one with the least mean difference of a row.
    """
    try:
        trace = image(table, grid=grid.points)
        found = trace.table
    except (InputError, SamplingError):  # a conversion that its points do not have
        return None
    best: tuple[tuple[int, int, float], Likeness] | None = None
    for reference in _references(trace, grid, names):
        if not same_shape(found, reference.table):
            continue
        errors = [row.error for row in deviations(found, reference.table)]
        equal, mean = sum(error <= EQUAL for error in errors), sum(min(error, 1.0) for error in errors)
        key = -equal, -_alike(found, reference.table), mean
        if best is None or key < best[0]:
            best = key, Likeness(reference.record, reference.ending, max(errors), equal, len(errors))
    return None if best is None else best[1]


def _alike(one: Tableau, other: Tableau) -> int:
    """The number of rows that read the same outputs."""
    width = max(one.outputs.shape[1], other.outputs.shape[1])
    read = [pad(table.outputs, (0, width - table.outputs.shape[1])) != 0 for table in (one, other)]
    return int((read[0] == read[1]).all(dim=1).sum())


def _references(trace: Trace, grid: Grid, names: Sequence[str] | None) -> list[Reference]:
    chosen = similar(trace) if names is None else names
    return [reference for name in chosen for reference in variants(trace, grid, resolve(name))]
