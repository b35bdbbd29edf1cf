"""Counts for the page "Attempts to break it": faults planted in theory and numerics, and what became of each."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...numerics.errors import InputError
from ..markup import code, table
from ..records.kept_records import RECORDS, made_by
from .myst import origin

MUTANTS = RECORDS / "mutants.json"
JUDGED = RECORDS / "survivors.toml"  # by hand, by the place of a survivor; see _judgement
FILE = "mutant_counts.txt"  # the page, book/tried.md, includes it
OUTCOMES = {
    "killed": "found by a value",
    "killed by time": "found, as it runs without end",
    "killed by text": "found by its text alone",
    "survived": "survived",
    "not covered": "run by no test",
}


def place(mutant: dict[str, Any]) -> str:
    """File, node and operator, by which a mutant is found again in the code that it was planted in."""
    return f"{mutant['file']}:{mutant['place']}:{mutant['operator']}"


def mutant_counts() -> dict[str, str]:
    """File -> table of outcomes, that of the survivors with their judgements, and where both come from.

    Raises InputError where the record is missing, and for a survivor that is not judged.
    """
    answer = made_by("make mutants", MUTANTS)
    judgements: dict[str, dict[str, str]] = tomllib.loads(JUDGED.read_text(encoding="utf-8"))
    missing = [place(one) for one in answer["survivors"] if place(one) not in judgements]
    if missing:
        raise InputError(str(JUDGED), missing[0], "a judgement of every survivor")
    return {FILE: _text(answer, judgements)}


def _text(answer: dict[str, Any], judgements: dict[str, dict[str, str]]) -> str:
    generated: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for one in answer["all"]:
        generated[one["file"].startswith("numerics/generated/")].append(one)
    rows = [_row(name, generated[sort]) for name, sort in (("hand-written", False), ("generated", True))]
    survivors = [(one, judgements[place(one)]) for one in answer["survivors"]]
    added = sum("test" in judgement for _, judgement in survivors)
    same = sum("equivalent" in judgement for _, judgement in survivors)
    total, manifest = len(answer["all"]), answer["manifest"]
    made = (
        f"Drawn by seed {answer['seed']}: {total} mutants. The tests found {answer['killed']} of them. Of the "
        f"{len(survivors)} others, {added} are found by tests that were added or had not been chosen, or their code is "
        f"gone; {same} change nothing that is promised; {len(survivors) - added - same} are open. A new draw would "
        f"show the first share again, not the second. Made {origin(manifest)}."
    )
    listed = [
        (f"`{one['file']}`, line {one['line']}", f"{code(one['before'])} → {code(one['after'])}", _judgement(judgement))
        for one, judgement in survivors
    ]
    counted = table(("code", "mutants", *OUTCOMES.values()), rows)
    return f"{counted}\n\n{made}\n\n{table(('place', 'change that survived', 'judgement'), listed)}\n"


def _row(name: str, of: Sequence[dict[str, Any]]) -> list[str]:
    found = Counter(one["outcome"] for one in of)
    return [name, str(len(of)), *(str(found[outcome]) for outcome in OUTCOMES)]


def _judgement(judgement: dict[str, str]) -> str:
    """`equivalent` with the reason, `test` with the test that finds it now, or `open` with what is missing."""
    ((kind, text),) = judgement.items()
    return {"equivalent": f"nothing changes: {text}", "test": code(text), "open": f"open: {text}"}[kind]
