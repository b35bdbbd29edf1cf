"""Look a sampler up by any of its names."""

from __future__ import annotations

from .errors import InputError, nearest
from .generated.catalogue import RECORDS
from .records import Record

METHODS: dict[str, Record] = {record.name: record for record in RECORDS}
_BY_NAME = {name: record for record in RECORDS for name in (record.name, *record.aliases)}


def resolve(name: str, field: str = "method") -> Record:
    """The record of that name or alias.  Raises InputError with the nearest names."""
    base, mark, _ = name.partition("?")
    if base not in _BY_NAME:
        raise InputError(field, name, f"not a known method; {nearest(base, _BY_NAME)}")
    if mark:
        raise InputError(field, name, f"{base} takes no parameters")
    return _BY_NAME[base]
