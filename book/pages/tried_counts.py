"""Counts for the page "Attempts to break it": tests marked `tried`, with cases and failures of each kind."""

from __future__ import annotations

from typing import Any

from ..markup import table
from ..records.kept_records import RECORDS, made_by
from .myst import origin

TRIED = RECORDS / "tried.json"
FILE = "tried_counts.txt"  # the page, book/tried.md, includes it


def tried() -> dict[str, Any]:
    """The record that `make tried` writes.  Raises InputError where there is none."""
    return made_by("make tried", TRIED)


def counts(answer: dict[str, Any]) -> str:
    """The table of counts, and where it comes from."""
    kinds, manifest = answer["kinds"], answer["manifest"]
    rows = [(entry["tried"], str(entry["tests"]), str(entry["cases"]), str(entry["failed"])) for entry in kinds]
    cases, failed = (sum(entry[key] for entry in kinds) for key in ("cases", "failed"))
    made = (
        f"{cases} cases in all, {failed} of the tests failed. Made in {manifest['seconds']:.0f} seconds "
        f"{origin(manifest)}."
    )
    return table(("what was tried", "tests", "cases", "tests that failed"), rows) + f"\n\n{made}\n"
