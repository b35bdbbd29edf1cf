"""Look a sampler up by any of its names, with values for its parameters behind a `?`."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from .errors import InputError, nearest
from .generated.catalogue import RECORDS
from .records import Parameter, Record

METHODS: dict[str, Record] = {record.name: record for record in RECORDS}
_BY_NAME = {name: record for record in RECORDS for name in (record.name, *record.aliases)}


def resolve(name: str, field: str = "method") -> Record:
    """The record of a name or alias, NAME or NAME?parameter=value&…

    A value is a number as written: 1/2 and 0.5 are the same.  The record's name is canonical: defaults are left out.
    Raises InputError on an unknown name (with the nearest ones), parameter or value.
    """
    base, mark, query = name.partition("?")
    if base not in _BY_NAME:
        own = [known for known in _BY_NAME if ":" in base or ":" not in known]  # not the libraries' names for them
        raise InputError(field, name, f"not a known method; {nearest(base, own)}")
    record = _BY_NAME[base]
    if not mark:
        return record
    if not record.parameters:
        raise InputError(field, name, f"{base} takes no parameters")
    values = _values(record, query, field, name)
    if not values:
        return record
    orders = [order for p, v in values for value, order in p.orders if v == value]
    given = replace(
        record,
        name=f"{record.name}?" + "&".join(f"{p.name}={v}" for p, v in values),
        aliases=(),
        order=orders[0] if orders else record.order,
        values=tuple((p.symbol, v) for p, v in values),
    )
    return replace(given, order_asymptotic=min([given.order, *(first.order + 1 for first in starts(record))]))


def starts(record: Record) -> list[Record]:
    """The start-up methods of a record, that of the first step last."""
    found = []
    while record.start is not None:
        record = METHODS[record.start]
        found.append(record)
    return found


def _values(record: Record, query: str, field: str, name: str) -> list[tuple[Parameter, Fraction]]:
    """The parameters that are given another value than their default, in the record's order."""
    known = {p.name: p for p in record.parameters}
    given: dict[str, Fraction] = {}
    for pair in query.split("&"):
        key, _, text = pair.partition("=")
        if key not in known or key in given:
            example = "&".join(f"{p.name}={p.default}" for p in record.parameters)
            raise InputError(field, name, f"{record.name} takes {', '.join(known)}, each once: {record.name}?{example}")
        p = known[key]
        try:
            value = Fraction(text)
        except (ValueError, ZeroDivisionError):
            raise InputError(field, name, f"{key} is a number such as {p.default}") from None
        inside = p.low <= value <= p.high and (p.closed or value not in (p.low, p.high))
        if not inside or value in p.excluded:
            sign = "<=" if p.closed else "<"
            but = "".join(f", not {v}" for v in p.excluded)
            raise InputError(field, name, f"{p.low} {sign} {key} {sign} {p.high}{but}")
        given[key] = value
    return [(p, given[p.name]) for p in record.parameters if given.get(p.name, p.default) != p.default]
