"""Samplers under the names of libraries: the record of each, or why it has none, and the kept verdict."""

from __future__ import annotations

from typing import Any

from ...names.library_names import PAPER, LibraryName, library_names
from ..markup import code, number, plain, table
from ..pages.myst import ONE_SIDEBAR, link
from ..records.kept_records import RECORDS, Kept

KINDS = ("verification", "checkouts")  # of kept verdicts
TITLES = {"comfyui": "ComfyUI", "webui": "Stable Diffusion web UI", "res4lyf": "RES4LYF", PAPER: "Papers"}


def verdict(name: str) -> dict[str, Any] | None:
    """The kept verdict on a target, LIBRARY:NAME; None where it was not verified, or no records are installed."""
    for kind in KINDS:
        if (entry := Kept(kind, RECORDS / kind, (), lambda *_: "").read(name)) is not None:
            return dict(entry["record"])
    return None


def answer(entry: LibraryName) -> dict[str, Any]:
    """What is known of a name, as plain data.  why, near: only without a record.  verdict, observed_order: as kept.

    claimed_order, proved_order: of a table without a record; null where there is none.
    """
    kept = verdict(entry.typed) or {}
    reason: dict[str, Any] = {"record": entry.record}
    if entry.record is None:
        reason = {"near": entry.near, "why": entry.why, "claimed_order": None, "proved_order": entry.proved}
    measured = {"verdict": kept.get("verdict"), "observed_order": kept.get("observed_order")}
    source = f"arXiv {entry.arxiv}, recalled" if entry.arxiv else f"{entry.source} {entry.version}".strip()
    return {"name": entry.typed, "read_in": source, **reason, **measured}


def library_page() -> str:
    """The page of all names, a table a library."""
    names = library_names().values()
    recorded = sum(entry.record is not None for entry in names)
    parts = [
        "# Names of libraries",
        f"{len(names)} samplers under the names that libraries have for them: {recorded} have a record of the "
        "catalogue, the others a reason why not. `samplerproof methods NAME` shows the same of one. *Measured* is the "
        "order of the error that was observed where the code of the library was verified; with the verdict *roundoff* "
        "or *identical* its table is that of the record.",
    ]
    for library in dict.fromkeys(entry.library for entry in names):
        of_it = [entry for entry in names if entry.library == library]
        read = f"{plain(of_it[0].source)} {plain(of_it[0].version)}".strip()
        head = ("name", "record", "verdict", "measured", "why no record")
        parts += [f"## {TITLES.get(library, library)}", f"Read in {read}.", table(head, map(_row, of_it))]
    return ONE_SIDEBAR + "\n\n".join(parts) + "\n"


def _row(entry: LibraryName) -> tuple[str, ...]:
    known = answer(entry)
    shown = entry.record or entry.near
    record = "-" if shown is None else link(shown.partition("?")[0], "methods/")
    if shown is not None and "?" in shown:
        record += f" at {code(shown.partition('?')[2])}"
    near = "" if entry.record is not None or shown is None else "near "
    return (
        code(entry.name),
        f"{near}{record}",
        known["verdict"] or "-",
        number(known["observed_order"], ".2f"),
        _paper(entry) + plain(entry.why) or "-",
    )


def _paper(entry: LibraryName) -> str:
    return f"[{entry.arxiv}](https://arxiv.org/abs/{entry.arxiv}): " if entry.arxiv else ""
