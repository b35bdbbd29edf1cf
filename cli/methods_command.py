"""`samplerproof methods`: the catalogue, what filters leave of it, and all of one method, as plain data."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from math import inf
from typing import Any

from ..book.pages.myst import sampler_page
from ..book.sampler_names import bare, without_record
from ..book.tables.claimed_table import claimed
from ..book.tables.library_table import answer
from ..book.technique_index import techniques_named
from ..names.library_names import library_names, names_of_records
from ..numerics.catalogue import METHODS, resolve
from ..numerics.errors import InputError, nearest
from ..numerics.generated.citations import CITATIONS
from ..numerics.records import GeneratedParameter, Record
from ..numerics.support.text_search import finds

KEYS = (
    "name",
    "aliases",
    "family",
    "kind",
    "frame",
    "order",
    "order_asymptotic",
    "stochastic",
    "law_order",
    "gaussian_order",
    "nfe_per_step",
    "stability",
    "cite",
    "parameters",
    "start",
    "last_step",
    "since",
    "libraries",
)


def catalogue(
    family: str | None = None, stochastic: bool = False, order: int | None = None, search: str | None = None
) -> list[dict[str, Any]]:
    """One dictionary a method, in the order of the catalogue; order is the nominal one.

    family, order: only methods of that family, of that order.  stochastic: only those that draw noise.  search: only
    those where each of its words, in any case, starts a word of a name, an alias, the name of a library, the family,
    the summary, or the authors, title or year of the paper; behind them the samplers without a record that a search
    without another filter finds, as `described` answers them.  Raises InputError on an unknown family, and where no
    method is left.
    """
    families = dict.fromkeys(record.family for record in METHODS.values())
    if family is not None and family not in families:
        raise InputError("--family", family, f"not a family of methods; {nearest(family, families)}")
    if search is not None and not search.split():
        raise InputError("--search", search, "a word, or several")
    found = [
        record
        for record in METHODS.values()
        if family in (None, record.family)
        and order in (None, record.order)
        and (record.stochastic or not stochastic)
        and (search is None or finds(search, _searched(record)))
    ]
    filtered = (family, stochastic, order) != (None, False, None)
    beside = [] if search is None or filtered else without_record(search)
    if not found and not beside:
        raise _none(family, stochastic, order, search)
    return [*map(_entry, found), *beside]


def described(name: str) -> dict[str, Any]:
    """All of one method: as in the catalogue, with its summary, the rows of a step, its paper and its page.

    A library's name is found without the library too, where one library has it.  Of a sampler that has no record: why,
    the nearest record, and the order that is claimed, proved and measured; of one that has, `named` is where the name
    was read.  claimed: the order that a paper or a library claims, by what, and what has that order; None where none
    was read.  equal_steps: whether the order is proved for step ratios 1 + O(h) only.  page: the file in the book,
    below _build/html.  Raises InputError on an unknown name, parameter or value.
    """
    name = bare(name)
    if (other := next((a for a in without_record() if a["name"] == name), None)) is not None:
        return other
    record, known = resolve(name, "NAME"), library_names().get(name)
    claim = claimed().get(record.name)
    return {
        **({} if known is None else {"named": answer(known)}),
        **_entry(record),
        "claimed": None if claim is None else asdict(claim),
        "summary": record.summary,
        "equal_steps": record.equal_steps,
        "rows": list(record.formulas),
        "page": sampler_page(record.name.partition("?")[0]),
        "bibtex": CITATIONS[record.cite],
    }


def techniques(search: str | None) -> list[tuple[str, str, str]]:
    """Name, title and page of the techniques around samplers that a search finds; they are no methods."""
    found = [] if not (search or "").split() else techniques_named(search or "")
    return [(technique.system, technique.title, f"techniques/{technique.name}.html") for technique in found]


def _entry(record: Record) -> dict[str, Any]:
    others = {"libraries": names_of_records().get(record.name.partition("?")[0], ())}
    return {key: _plain(others[key] if key in others else getattr(record, key)) for key in KEYS}


def _searched(record: Record) -> str:
    """The text that --search looks in."""
    # BibTeX protects capitals by braces, inside of words too.
    paper = CITATIONS[record.cite].replace("{", "").replace("}", "")
    names = [record.name, *record.aliases, *names_of_records().get(record.name, ())]
    return " ".join([*names, record.label, record.family, record.summary, paper])


def _none(family: str | None, stochastic: bool, order: int | None, search: str | None) -> InputError:
    """The fault of filters that leave nothing: they are named together."""
    given = {"--family": family, "--order": order, "--search": search}
    chosen = [f"{option} {value}" for option, value in given.items() if value is not None]
    orders = ", ".join(map(str, sorted({record.order for record in METHODS.values()})))
    hint = f"methods have the orders {orders}" if order is not None else "`samplerproof methods` lists all"
    return InputError("methods", " ".join([*chosen, *(["--stochastic"] if stochastic else [])]), f"none left; {hint}")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, GeneratedParameter):
        return {"name": value.name, "default": str(value.default), "low": _end(value.low), "high": _end(value.high)}
    return value


def _end(bound: Fraction | float) -> str | None:
    """An end of a parameter's domain; None if it is infinite."""
    return None if bound in (-inf, inf) else str(bound)
