"""What the page of discrepancies says besides its numbers: what authors' code does, and what it once had wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from samplerproof.book.tables import verification_tables
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.conformance.known_repairs import REPAIRS
from samplerproof.numerics.conformance.official_code import CORRECTIONS, REMARKS
from samplerproof.numerics.conformance.repairs import repair_of

BOOK = Path(__file__).resolve().parents[2] / "book"


def entry(target: str) -> dict[str, Any]:
    """A discrepancy as a study has it."""
    versions = {"samplerproof": "0", "mine": "1"}
    return {"target": target, "versions": versions, "verdict": "non-finite", "findings": [], "matches": []} | {
        "reference": None,
        "repair": None,
    }


def page(*targets: str) -> str:
    records = [entry(target) for target in targets]
    return verification_tables.discrepancies(
        {"records": records, "discrepancies": records, "manifest": {"run": {"steps": 20}}}
    )


@pytest.mark.parametrize("target", REMARKS)
def test_an_entry_has_its_text_and_is_a_target_of_the_study(target: str) -> None:
    """Assert that the text stands under its own target alone, and that the study verifies that target."""
    assert f"Beside it: {REMARKS[target]}" in page(target)
    assert "Beside it" not in page("mine:another")
    lists = [
        tomllib.loads((BOOK / f"{name}.toml").read_text(encoding="utf-8")) for name in ("verification", "checkouts")
    ]
    assert any(target in each["verification"]["targets"] for each in lists)


def test_every_repair_has_its_text_and_none_is_of_what_was_right() -> None:
    """Assert that a change to others' code is never shown without what the authors' code does."""
    assert {repair.target for repair in REPAIRS} <= set(REMARKS)
    assert not any("SASolver" in repair.target for repair in REPAIRS)
    assert repair_of("diffusers:SASolverScheduler") is None


def test_the_page_says_what_was_wrong_and_since_when_it_is_right() -> None:
    """Assert that the correction stands on a page without discrepancies too, and names records that exist."""
    for text in CORRECTIONS:
        assert text in page()
    assert "2026-11-28" in CORRECTIONS[0]
    named = [
        name for text in (*CORRECTIONS, *REMARKS.values()) for name in re.findall(r"`([a-z+0-9-]+-solver[^`]*)`", text)
    ]
    assert named
    assert set(named) <= set(METHODS)
