"""Look a sampler up by any of its names, with values for its parameters behind a `?`."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ..names.lookup import Domain, Entry, Names, with_values
from .generated.catalogue_records import RECORDS
from .records import Record

METHODS: dict[str, Record] = {record.name: record for record in RECORDS}


def _entry(record: Record) -> Entry:
    domains = (
        Domain(p.name, Fraction(p.default), p.low, p.high, p.closed, tuple(map(Fraction, p.excluded)))
        for p in record.parameters
    )
    return Entry(record.name, record.aliases, tuple(domains))


NAMES = Names(map(_entry, RECORDS))


def resolve(name: str, field: str = "method") -> Record:
    """The record of a name or alias, NAME or NAME?parameter=value&…, as names/lookup.py reads it.

    The record's name is canonical: defaults are left out.  Raises InputError on an unknown name, parameter or value.
    """
    choice = NAMES.parse(name, field)
    record = METHODS[choice.base]
    if not choice.values:
        return record
    known = {p.name: p for p in record.parameters}
    orders = [order for key, v in choice.values for value, order in known[key].orders if v == value]
    given = replace(
        record,
        name=f"{record.name}?" + "&".join(f"{key}={v}" for key, v in choice.values),
        label=with_values(record.label, dict(choice.values)),
        aliases=(),
        order=orders[0] if orders else record.order,
        values=choice.values,
    )
    return replace(given, order_asymptotic=min([given.order, *(first.order + 1 for first in starts(record))]))


def starts(record: Record) -> list[Record]:
    """The start-up methods of a record, that of the first step last."""
    found = []
    while record.start is not None:
        record = METHODS[record.start]
        found.append(record)
    return found
