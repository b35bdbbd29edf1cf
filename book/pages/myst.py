"""Pieces of MyST Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...numerics.generated.citations import CITATIONS


def slug(name: str) -> str:
    """The file of a sampler's page: dpm-solver++-2m -> dpm-solver-pp-2m, for a plus is not plain in an address."""
    return name.replace("++", "-pp")


def link(name: str, folder: str = "") -> str:
    """A sampler's name, leading to its page; folder: where the pages are, seen from here."""
    return f"[`{name}`]({folder}{slug(name)}.md)"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of what is said and of what: it has no head."""
    lines = [f"* - {of}\n  - {said}" for of, said in rows]
    return "\n".join([":::{list-table}", ":widths: 35 65", *lines, ":::"])


def display(formula: str) -> str:
    return f"$$\n{formula}\n$$"


def year(key: str) -> str:
    """The year of a paper.  KeyError on an unknown key."""
    found = re.search(r"^  year = \{(\d{4})\}", CITATIONS[key], flags=re.M)
    assert found is not None, key
    return found[1]
