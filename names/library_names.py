"""Samplers under the names that libraries and papers have for them: their records, or why they have none."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

PAPER = "paper"  # the group of names that belong to no library: they are typed without a prefix


@dataclass(frozen=True)
class LibraryName:
    """A sampler of a library.  record: NAME or NAME?parameter=value; None where there is none: why not.

    near: the record that it comes closest to, if there is one.  version, source: where the name was read.  arxiv: the
    number of its paper, where it is a paper's.  proved: the order proved of a table without a record.
    """

    library: str
    name: str
    version: str
    source: str
    record: str | None = None
    near: str | None = None
    why: str = ""
    arxiv: str = ""
    proved: int | None = None

    @property
    def typed(self) -> str:
        """The name as it is typed: LIBRARY:NAME, or the name alone for that of a paper."""
        return self.name if self.library == PAPER else f"{self.library}:{self.name}"


@cache
def names_of_records() -> dict[str, tuple[str, ...]]:
    """The names of libraries, as they are typed, by the name of their record without its parameters."""
    found: dict[str, list[str]] = {}
    for entry in library_names().values():
        if entry.record is not None:
            found.setdefault(entry.record.partition("?")[0], []).append(entry.typed)
    return {record: tuple(names) for record, names in found.items()}


@cache
def library_names() -> dict[str, LibraryName]:
    """All of them, by the name as it is typed."""
    tables = tomllib.loads(files(__package__).joinpath("libraries.toml").read_text(encoding="utf-8"))
    found = (
        LibraryName(library, name, table["version"], table["source"], **entry)
        for library, table in tables.items()
        for name, entry in table["names"].items()
    )
    return {entry.typed: entry for entry in found}
