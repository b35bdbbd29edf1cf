"""The names of all techniques, read from their sources: no measurement is imported, so that a search is quick."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..numerics.generated.citations import CITATIONS
from ..numerics.support.text_search import finds

FOLDER = Path(__file__).parent / "techniques"


class TechniqueName(NamedTuple):
    """What is searched of a technique (techniques/technique.py)."""

    name: str
    system: str
    title: str
    cite: str


def technique_names() -> Iterator[TechniqueName]:
    """Those of every `Technique(...)` in the folder, by file."""
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Technique":
                given = {word.arg: word.value for word in node.keywords}
                yield TechniqueName(*(str(ast.literal_eval(given[field])) for field in TechniqueName._fields))


def techniques_named(search: str) -> list[TechniqueName]:
    """The techniques with every word of a search, in any case, where a word of their names, title or paper starts."""

    def searched(technique: TechniqueName) -> str:
        return " ".join([*technique, CITATIONS[technique.cite].replace("{", "").replace("}", "")])

    return [technique for technique in technique_names() if finds(search, searched(technique))]
