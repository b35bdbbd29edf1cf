"""One language: words that were retired stay out of identifiers, docstrings, comments, messages and pages."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest
from retired_words import IDENTIFIERS, PROSE

pytestmark = pytest.mark.check

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("samplerproof", "names", "theory", "numerics", "book", "cli", "benchmarks")
PAGES = ("README.md", "CONTRIBUTING.md", *(f"{folder}/*.md" for folder in ("book", "proofs_notebooks")))
RETIRED = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in PROSE), re.IGNORECASE)
TEXTS = (tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.COMMENT))


def retired_in_code(code: str) -> list[tuple[int, str]]:
    """Line and word of every retired word in the identifiers, strings and comments of a module."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.NAME:
            parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", token.string)
            found += [(token.start[0], part) for part in parts if part.lower() in IDENTIFIERS]
        elif token.type in TEXTS:
            found += [(token.start[0], match.group()) for match in RETIRED.finditer(token.string)]
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_retired_word_stands_in_the_code(folder: str) -> None:
    """Assert that identifiers, docstrings, comments and messages keep to the glossary."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = {
        f"{path.relative_to(ROOT)}:{line}": word
        for path in files
        for line, word in retired_in_code(path.read_text(encoding="utf-8"))
    }
    assert found == {}


def test_no_retired_word_stands_on_a_page() -> None:
    """Assert that the README, the guide and the pages and chapters of the book keep to the glossary."""
    pages = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    assert len(pages) > 10
    found = {
        f"{path.relative_to(ROOT)}:{number}": match.group()
        for path in pages
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in RETIRED.finditer(line)
    }
    assert found == {}


@pytest.mark.parametrize(
    "planted",
    ["_told = 1", "class Stranger: ...", '"""What it says."""', "# so many steps", 'f"{x} told"', "def a(said): ..."],
)
def test_a_planted_word_is_found(planted: str) -> None:
    """Assert that a retired word is found in each place where it may stand."""
    assert retired_in_code(f"{planted}\n")
    assert not retired_in_code("step = untold_values  # what it reports\n".replace("untold", "reported"))
