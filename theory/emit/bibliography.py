"""The bibliography -> the text of numerics/generated/citations.py, so that `cite` works where no book is."""

from __future__ import annotations

import re
from pathlib import Path

from .source_text import header

BIBLIOGRAPHY = Path(__file__).resolve().parents[2] / "book" / "references.bib"


def render_citations() -> str:
    """Every entry of the bibliography, as it is written there, by its key."""
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    entries = re.findall(r"^(@\w+\{(\w+),\n.*?^\})$", text, flags=re.M | re.S)
    rows = "".join(f'    "{key}": r"""{entry}""",\n' for entry, key in entries)
    head = header("book/references.bib", "The papers that the catalogue cites, as BibTeX.")
    return f"{head}CITATIONS: dict[str, str] = {{\n{rows}}}\n"
