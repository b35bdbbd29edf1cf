"""The samplers of a study: methods of the catalogue, and external ones, each as a table on every grid."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from secrets import token_hex
from typing import Any, Protocol, TypeAlias

from ..catalogue import NAMES, resolve
from ..content import digest
from ..errors import InputError
from ..grids import Grid
from ..points import Point
from ..records import Record
from ..tableau import Tableau, tabulate
from .likeness import Likeness, likenesses
from .named_samplers import Named, Target, readings_of
from .read_function import AsItIs, External, SamplerFault, for_one_output, note_of, reading

Reading: TypeAlias = Tableau | AsItIs | InputError
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

    def record_on(self, grid: Grid, /) -> Record | None:
        """The method of the catalogue whose table it has on a grid, its rows equal up to rounding; None if none."""
        ...

    def why_no_record(self, grid: Grid, /) -> str:
        """Why it has the table of no method on a grid, where record_on is None."""
        ...

    def as_it_is(self, grid: Grid, /) -> AsItIs | None:
        """The sampler to be run as it is, where it has no table because it is not linear."""
        ...

    def kept(self, grid: Grid, /) -> bool:
        """Whether `identity` determines its values, so that they may be stored."""
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

    def record_on(self, grid: Grid) -> Record:
        return self.record

    def why_no_record(self, grid: Grid) -> str:
        return ""

    def as_it_is(self, grid: Grid) -> None:
        return None

    def kept(self, grid: Grid) -> bool:
        return True


@dataclass(frozen=True)
class ExternalSampler:
    """A sampler read back on each grid of a study.

    readings: by the grid's points its table, the sampler to be run as it is, or why it is neither.
    determined: what determines a run of it as it is, besides the grid; None where that is not known.
    note: how it is put on the grids, "" where that needs no word.
    """

    name: str
    grids: tuple[Grid, ...]
    readings: Mapping[tuple[Point, ...], Reading]
    determined: str | None = None
    note: str = ""

    @property
    def stochastic(self) -> bool:
        return any(isinstance(table, Tableau) and any(table.drawn) for table in self.readings.values())

    @property
    def methods(self) -> tuple[str, ...]:
        return ()

    def tableau(self, grid: Grid, start: str) -> Tableau:
        found = self.readings[grid.points]
        if isinstance(found, InputError):
            raise found
        if isinstance(found, AsItIs):
            raise InputError("run.methods", self.name, f"a sampler that is linear ({found.reason})")
        if start == EXACT:
            raise InputError("start", start, f"{self.name!r} is external and makes its own start; give ramp")
        return found

    def identity(self, grid: Grid) -> dict[str, str]:
        """The hash of its table, as the name of a function does not determine its code."""
        found = self.readings[grid.points]
        if isinstance(found, InputError):
            return {"fault": str(found)}
        if isinstance(found, AsItIs):
            return {"as it is": self.determined or f"run {self._unlike}"}
        return {"table": digest(found)}

    @cached_property
    def _unlike(self) -> str:
        """A text that no other run has."""
        return token_hex(16)

    def order_in_law(self, gaussian: bool) -> None:
        return None

    def record_on(self, grid: Grid) -> Record | None:
        found = self.likeness[grid.points]
        return found.record if found is not None and found.equal and not found.ending else None

    def why_no_record(self, grid: Grid) -> str:
        if not isinstance(self.readings[grid.points], Tableau):
            return "it has no table here"
        found = self.likeness[grid.points]
        return "its table is that of no method" if found is None or not found.equal else f"it equals {found.name}"

    def as_it_is(self, grid: Grid) -> AsItIs | None:
        found = self.readings[grid.points]
        return found if isinstance(found, AsItIs) else None

    def kept(self, grid: Grid) -> bool:
        return self.as_it_is(grid) is None or self.determined is not None

    @cached_property
    def likeness(self) -> dict[tuple[Point, ...], Likeness | None]:
        """The nearest record on every grid."""
        tables = {grid: found for grid in self.grids if isinstance(found := self.readings[grid.points], Tableau)}
        return {**dict.fromkeys(self.readings), **likenesses(tables)}


def records_of(names: list[str], external: Collection[str] = ()) -> tuple[Record | None, ...]:
    """For each name its record, None for an external sampler.

    Raises InputError for a name that is not known, for two names of one sampler, and for an external sampler under
    the name of a method.
    """
    for name in external:
        if name.partition("?")[0] in NAMES and ":" not in name:  # a target may also be the alias of a record
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


def samplers_of(
    names: list[str], external: Mapping[str, External | Named], grids: Collection[Grid]
) -> tuple[Sampler, ...]:
    """The samplers of these names; the external ones are read back on every grid.

    Raises InputError as records_of, and on a sampler that has a fault of its own on every grid.
    """
    return tuple(
        _read(name, f"run.methods[{n}]", external[name], grids) if record is None else CatalogueMethod(name, record)
        for n, (name, record) in enumerate(zip(names, records_of(names, external), strict=True))
    )


def _read(name: str, field: str, sampler: External | Named, grids: Collection[Grid]) -> ExternalSampler:
    each = tuple(grids)
    if isinstance(sampler, Target):
        found, determined, note = readings_of(sampler, each, field), sampler.kept, sampler.note
    else:
        found, determined, note = [_reading(grid, name, sampler, field) for grid in each], None, note_of(sampler)
    faults = [one for one in found if isinstance(one, SamplerFault)]
    if faults and len(faults) == len(found):
        raise faults[0]
    readings = {grid.points: made for grid, made in zip(each, found, strict=True)}
    return ExternalSampler(name, each, readings, determined, note)


def _reading(grid: Grid, name: str, sampler: External, field: str) -> Reading:
    try:
        return for_one_output(reading(grid, name, sampler, field))
    except InputError as fault:
        return fault
