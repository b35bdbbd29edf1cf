"""Pieces of MyST Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ...numerics.generated.citations import CITATIONS

ONE_SIDEBAR = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n\n"  # a wide table takes the place of the other


def slug(name: str) -> str:
    """The file of a sampler's page: dpm-solver++-2m -> dpm-solver-pp-2m, as a plus has a meaning in addresses."""
    return name.replace("++", "-pp")


def link(name: str, folder: str = "") -> str:
    """A link from a method's name to its page; folder: of the pages, relative to the page with the link."""
    return f"[`{name}`]({folder}{slug(name)}.md)"


def sampler_page(name: str) -> str:
    """The file of a method's page in the built book, below _build/html."""
    return f"methods/{slug(name)}.html"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of (key, value) without a head."""
    lines = [f"* - {key}\n  - {value}" for key, value in rows]
    return "\n".join([":::{list-table}", ":widths: 35 65", *lines, ":::"])


def origin(manifest: dict[str, Any]) -> str:
    """The commit and the versions that made a result."""
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    return f"at commit {manifest['commit'][:12]}, with {versions}"


def display(formula: str) -> str:
    """A displayed formula."""
    return f"$$\n{formula}\n$$"


def year(key: str) -> str:
    """The year of a paper.  KeyError on an unknown key."""
    found = re.search(r"^  year = \{(\d{4})\}", CITATIONS[key], flags=re.M)
    assert found is not None, key
    return found[1]
