"""`samplerproof reproduce --seeds`: every technique measured anew, one row each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..numerics.support.files import check_writable, write_text
from ..numerics.support.progress import Progress, silent
from .markup import plain, table
from .techniques.all_techniques import TECHNIQUES

FILE = "seeds.json"
HEAD = ("system", "claim", "verdict here", "proved", "covered", "number", "page")


def reproduce_seeds(out: Path, progress: Progress = silent) -> list[dict[str, Any]]:
    """Measure every technique and write seeds.json and seeds.md into `out`; returns the rows.

    A row has the system, its paper's claim, the verdict with exact scores, the names of what is proved of it, the
    number that the verdict rests on and what it is, on what it was tried, and its page in the book.  Raises InputError
    where `out` cannot be written.
    """
    check_writable(out)
    rows = []
    for done, technique in enumerate(TECHNIQUES):
        progress(done, len(TECHNIQUES), technique.system)
        rows.append(technique.row(technique.measure().number if technique.measurable else None))
    progress(len(TECHNIQUES), len(TECHNIQUES), "")
    write_text(out / FILE, json.dumps(rows, indent=1, allow_nan=False) + "\n")
    write_text(out / "seeds.md", markdown(rows))
    return rows


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table in Markdown."""
    lines = [
        (
            plain(row["system"]),
            row["claim"],
            row["verdict"],
            ", ".join(row["proved"]),
            row["covered"],
            f"{_shown(row['number'])}, {row['quantity']}",
            row["page"],
        )
        for row in rows
    ]
    return "# Techniques: what is claimed, and what holds here\n\n" + table(HEAD, lines) + "\n"


def _shown(number: float | None) -> str:
    return "not measured" if number is None else f"{number:.4g}"
