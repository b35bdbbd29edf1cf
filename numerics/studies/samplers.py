"""The samplers of a study: methods of the catalogue, and external ones, each as a table on every grid."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..catalogue import NAMES, resolve
from ..content import digest
from ..errors import InputError
from ..grids import Grid
from ..points import Point
from ..records import Record
from ..tableau import Tableau, tabulate
from .read_function import External, read_on

EXACT = "exact"  # of `start`: the states at the first grid points are given


class Sampler(Protocol):
    """A sampler of a study.  name: as the study has it."""

    @property
    def name(self) -> str: ...

    @property
    def stochastic(self) -> bool: ...

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of the catalogue whose generated code it runs."""
        ...

    def tableau(self, grid: Grid, start: str, /) -> Tableau:
        """Its table on one of the study's grids; InputError where it has none."""
        ...

    def identity(self, grid: Grid, /) -> Any:
        """All that determines the table, besides grid and start, as JSON: part of the key of a stored value."""
        ...

    def order_in_law(self, gaussian: bool, /) -> int | None:
        """The order that shows with an exact score, on a Gaussian target or on any; None if it is not known."""
        ...


@dataclass(frozen=True)
class CatalogueMethod:
    """A method of the catalogue under one of its names."""

    name: str
    record: Record

    @property
    def stochastic(self) -> bool:
        return self.record.stochastic

    @property
    def methods(self) -> tuple[str, ...]:
        return (self.record.name,)

    def tableau(self, grid: Grid, start: str) -> Tableau:
        return tabulate(self.record.name, grid, start)

    def identity(self, grid: Grid) -> str:
        return self.record.name

    def order_in_law(self, gaussian: bool) -> int:
        return self.record.order_in_law(gaussian)


@dataclass(frozen=True)
class ExternalSampler:
    """A sampler read back on each grid of a study: by the grid's points its table, or why it has none."""

    name: str
    tables: Mapping[tuple[Point, ...], Tableau]
    faults: Mapping[tuple[Point, ...], InputError]

    @property
    def stochastic(self) -> bool:
        return any(any(table.drawn) for table in self.tables.values())

    @property
    def methods(self) -> tuple[str, ...]:
        return ()

    def tableau(self, grid: Grid, start: str) -> Tableau:
        if grid.points in self.faults:
            raise self.faults[grid.points]
        if start == EXACT:
            raise InputError("start", start, f"{self.name!r} is external and makes its own start; give ramp")
        return self.tables[grid.points]

    def identity(self, grid: Grid) -> dict[str, str]:
        """The hash of its table, as the name of a function does not determine its code."""
        if grid.points in self.faults:
            return {"fault": str(self.faults[grid.points])}
        return {"table": digest(self.tables[grid.points])}

    def order_in_law(self, gaussian: bool) -> None:
        return None


def records_of(names: list[str], external: Collection[str] = ()) -> tuple[Record | None, ...]:
    """For each name its record, None for an external sampler.

    Raises InputError for a name that is not known, for two names of one sampler, and for an external sampler under
    the name of a method.
    """
    for name in external:
        if name.partition("?")[0] in NAMES:
            raise InputError("external", name, "a name that the catalogue does not have")
    seen: dict[str, str] = {}
    records: list[Record | None] = []
    for n, name in enumerate(names):
        field = f"run.methods[{n}]"
        record = None if name in external else resolve(name, field)
        table = name if record is None else record.name
        if table in seen:
            same = "listed already" if record is None else f"the same table as {seen[table]!r}, which is listed already"
            raise InputError(field, name, same)
        seen[table] = name
        records.append(record)
    return tuple(records)


def samplers_of(names: list[str], external: Mapping[str, External], grids: Collection[Grid]) -> tuple[Sampler, ...]:
    """The samplers of these names; the external ones are read back on every grid.  Raises InputError as records_of."""
    return tuple(
        _read(name, f"run.methods[{n}]", external[name], grids) if record is None else CatalogueMethod(name, record)
        for n, (name, record) in enumerate(zip(names, records_of(names, external), strict=True))
    )


def _read(name: str, field: str, sampler: External, grids: Collection[Grid]) -> ExternalSampler:
    tables: dict[tuple[Point, ...], Tableau] = {}
    faults: dict[tuple[Point, ...], InputError] = {}
    for grid in grids:
        try:
            tables[grid.points] = read_on(grid, name, sampler, field)
        except InputError as fault:
            faults[grid.points] = fault
    return ExternalSampler(name, tables, faults)
