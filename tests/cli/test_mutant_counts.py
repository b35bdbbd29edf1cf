"""The table of planted faults on the page "Attempts to break it": its counts, and that every survivor is judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from samplerproof.book.pages import mutant_counts
from samplerproof.numerics.errors import InputError

ALL = [
    ("theory/trees.py", "killed"),
    ("theory/trees.py", "survived"),
    ("theory/order.py", "killed by time"),
    ("numerics/rates.py", "survived"),
    ("numerics/generated/defects.py", "killed by text"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a record of five mutants, in the place of the kept one."""
    every = [
        {"file": file, "line": 7, "place": n, "operator": "sign", "before": "-x", "after": "x", "outcome": outcome}
        for n, (file, outcome) in enumerate(ALL)
    ]
    survivors = [one for one in every if one["outcome"] == "survived"]
    manifest = {"commit": "c" * 40, "versions": {"python": "3.11"}}
    record = {"seed": 3, "killed": 3, "all": every, "survivors": survivors, "manifest": manifest}
    (tmp_path / "mutants.json").write_text(json.dumps(record), encoding="utf-8")
    monkeypatch.setattr(mutant_counts, "MUTANTS", tmp_path / "mutants.json")
    monkeypatch.setattr(mutant_counts, "JUDGED", tmp_path / "survivors.toml")
    return tmp_path


def test_outcomes_are_counted_and_survivors_listed_with_their_judgements(folder: Path) -> None:
    """Assert the rows of hand-written and generated code, the sentence of counts, and the row of each survivor."""
    judged = (
        '["theory/trees.py:1:sign"]\ntest = "tests/a.py::b"\n["numerics/rates.py:3:sign"]\nequivalent = "a bound"\n'
    )
    (folder / "survivors.toml").write_text(judged, encoding="utf-8")
    (text,) = mutant_counts.mutant_counts().values()
    assert "| hand-written | 4 | 1 | 1 | 0 | 2 | 0 |" in text
    assert "| generated | 1 | 0 | 0 | 1 | 0 | 0 |" in text
    assert "5 mutants. The tests found 3 of them. Of the 2 others, 1 are found by tests that were added" in text
    assert "| `theory/trees.py`, line 7 | `-x` → `x` | `tests/a.py::b` |" in text
    assert "| `numerics/rates.py`, line 7 | `-x` → `x` | nothing changes: a bound |" in text


def test_a_survivor_without_a_judgement_is_refused(folder: Path) -> None:
    """Assert one line that names its place."""
    (folder / "survivors.toml").write_text('["theory/trees.py:1:sign"]\ntest = "tests/a.py::b"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"survivors\.toml: got 'numerics/rates\.py:3:sign'; a judgement of every"):
        mutant_counts.mutant_counts()
