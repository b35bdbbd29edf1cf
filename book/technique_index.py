"""The names of all techniques, read from their sources: no measurement is imported, so that a search is quick."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..numerics.generated.citations import CITATIONS

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
    """The techniques with every word of a search, in any case, at the start of one in their names, title or paper."""
    words = [re.compile(rf"(?<!\w){re.escape(word)}", re.IGNORECASE) for word in search.split()]

    def searched(technique: TechniqueName) -> str:
        return " ".join([*technique, CITATIONS[technique.cite].replace("{", "").replace("}", "")])

    return [technique for technique in technique_names() if all(w.search(searched(technique)) for w in words)]
