"""A stage that is evaluated at another level than the record's: the first finding says which, and where it belongs."""

from __future__ import annotations

import planted
import pytest
from planted import spoilt, variance_exploding, verdict_on

from samplerproof.numerics.conformance.report import Finding

pytestmark = pytest.mark.usefixtures("remembered_references")
WORDS = "evaluation is at sigma/alpha"
ARITHMETIC, GEOMETRIC = (f"the {kind} mean of the ends of the step" for kind in ("arithmetic", "geometric"))


def findings(base: str, record: str, old: str, new: str) -> list[Finding]:
    answer = verdict_on(variance_exploding(spoilt(getattr(planted, base), old, new)), record)
    assert answer.verdict == "different-formula"
    return answer.findings


@pytest.mark.parametrize(
    ("base", "record", "old", "new", "at", "belongs"),
    [
        ("heun", "edm-heun", "denoise(there, t)", "denoise(there, (s + t) / 2)", ARITHMETIC, "the level that"),
        ("two_s", "dpm-solver++-2s", "s * torch.exp(-h / 2)", "(s + t) / 2", ARITHMETIC, GEOMETRIC),
    ],
)
def test_the_first_finding_names_the_stage(base: str, record: str, old: str, new: str, at: str, belongs: str) -> None:
    """Assert the evaluation, its level and that of the record, in this order."""
    first = findings(base, record, old, new)[0]
    here, _, there = first.detail.partition(f"; {record} has it at ")
    assert first.step == 1
    assert here.startswith(f"step 1: its second {WORDS}")
    assert at in here
    assert belongs in there


def test_a_stage_at_its_level_is_not_named() -> None:
    """Assert no word on levels where the formula is at fault."""
    assert not any(WORDS in f.detail for f in findings("heun", "edm-heun", "(d + e) / 2", "(d + e)"))
    assert not any(WORDS in f.detail for f in findings("two_s", "dpm-solver++-2s", "t / s * x", "t / s * inside"))
