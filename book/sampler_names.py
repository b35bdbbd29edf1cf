"""Samplers that have no record of the catalogue, under their names: those of libraries and papers, and tableaux."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from ..names.input_error import InputError
from ..names.library_names import library_names
from ..numerics.catalogue import NAMES
from ..numerics.support.text_search import finds
from .proofs import term
from .records.kept_records import RECORDS, Kept
from .tables.library_table import answer, verdict

Answer = dict[str, Any]
TABLEAUX = "res4lyf"
AS_RUN = "?extra_options=enable_final_model_call"  # its runs end without a call otherwise


def without_record(search: str | None = None) -> list[Answer]:
    """What is known of each of them: name, read_in, near, why, verdict, observed_order, claimed_order, proved_order.

    search: only those where each of its words starts a word of the name, of the library, or of where it was read.
    """
    return [found for found in _all() if search is None or finds(search, f"{found['name']} {found['read_in']}")]


def bare(name: str) -> str:
    """The name with its library, where it is given without; of a tableau only where no library has the name.

    Raises InputError where names of several libraries stand for different samplers.
    """
    if name.partition("?")[0] in NAMES or name in library_names():
        return name
    entries = [entry for entry in library_names().values() if entry.name == name and entry.typed != name]
    if len({entry.record or entry.typed for entry in entries}) > 1:
        raise InputError("NAME", name, f"the name with its library: {', '.join(e.typed for e in entries)}")
    if entries:
        return entries[0].typed
    return next((found["name"] for found in _all() if found["name"] == f"{TABLEAUX}:{name}"), name)


@cache
def _all() -> tuple[Answer, ...]:
    names = (answer(entry) for entry in library_names().values() if entry.record is None)
    return (*names, *_tableaux())


def _tableaux() -> Iterator[Answer]:
    """The tableaux of RES4LYF, as far as they are no aliases; none without their kept result."""
    kept = Kept("tableaux", RECORDS / "tableaux", (), lambda *_: "").read(TABLEAUX) or {"tableaux": ()}
    for row in kept["tableaux"]:
        name = f"{TABLEAUX}:{row['name']}"
        if name in NAMES:
            continue
        observed = verdict(name) or verdict(f"{name}{AS_RUN}") or {}
        yield {
            "name": name,
            "read_in": f"{kept['file']} {kept['commit'][:12]}",
            "near": None,
            "why": _why(row),
            "verdict": observed.get("verdict"),
            "observed_order": observed.get("observed_order"),
            "claimed_order": row["claimed"],
            "proved_order": row["order"],
        }


def _why(row: Answer) -> str:
    """A tableau in words: its form, what fails next, and its repair."""
    past = f" and {row['past']} past outputs" if row["past"] else ""
    repair = row["repair"]
    mended = "" if repair is None else f"; of order {repair['order']} with {repair['change']}"
    stages = "1 stage" if row["stages"] == 1 else f"{row['stages']} stages"
    group = row["group"].replace("_", " ")
    anchored = ", proved for noise_anchor=0, without which it is of order 2 at most" if group == "linear" else ""
    return f"a tableau ({group}) of {stages}{past}{anchored}; fails next: {term(row['failing'])}{mended}"
