"""Every citation key resolves in the one bibliography, and every entry there is whole."""

from __future__ import annotations

import re
from pathlib import Path

from samplerproof.theory.claims import CLAIMS
from samplerproof.theory.methods import METHODS
from samplerproof.theory.schedule_formulas import SCHEDULES

BIBLIOGRAPHY = Path(__file__).resolve().parents[2] / "book" / "references.bib"
ENTRIES = dict(re.findall(r"@\w+\{(\w+),(.*?)\n\}", BIBLIOGRAPHY.read_text(encoding="utf-8"), flags=re.S))
USED = {cited.cite for cited in (*METHODS, *CLAIMS, *SCHEDULES)}


def test_every_key_resolves() -> None:
    assert set() < USED <= set(ENTRIES)


def test_every_entry_has_title_author_year_and_an_identifier() -> None:
    for key, body in ENTRIES.items():
        for field in ("title", "author", "year"):
            assert re.search(rf"\n  {field} = ", body), (key, field)
        assert re.search(r"\n  (eprint|doi|url) = ", body), key
