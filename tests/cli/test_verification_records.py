"""The kept verdicts of the study of verifications: one for every target of the list, and consistent."""

from __future__ import annotations

from typing import Any

import pytest

from samplerproof.book.records.verification_results import answer, listed, of_targets
from samplerproof.book.studies.verification import deviates
from samplerproof.numerics.conformance.adapters.diffusers_classes import CLASSES, NO_TABLE


@pytest.fixture(scope="module")
def kept_answer() -> dict[str, Any]:
    """All kept verdicts; stale ones fail the tests here and no others."""
    return answer()


def test_every_class_of_the_adapters_and_every_target_of_the_list_has_its_row(kept_answer: dict[str, Any]) -> None:
    """Assert that the kept verdicts are those of the list, and that the list has all classes of diffusers."""
    targets = listed().targets
    assert [record["target"] for record in kept_answer["records"]] == targets
    seen = {target.partition(":")[2].partition("?")[0] for target in targets}
    assert seen >= {*CLASSES, *NO_TABLE}
    assert len({*CLASSES, *NO_TABLE}) == 51


def test_every_deviation_has_its_entry_and_no_other(kept_answer: dict[str, Any]) -> None:
    """Assert that the discrepancies are the verdicts that deviate."""
    deviating = [record["target"] for record in kept_answer["records"] if deviates(record)]
    assert [entry["target"] for entry in kept_answer["discrepancies"]] == deviating


def test_what_conforms_agrees_in_float64(kept_answer: dict[str, Any]) -> None:
    """To 1e-14, or to 1e-6 of the error as shipped where closed forms cancel; a guard in DDPM leaves 1e-10."""
    for record in kept_answer["records"]:
        if record["verdict"] in ("identical", "roundoff"):
            limit = max(1e-14, 1e-6 * record["max_relative_error"])
            guarded = any("where ddpm has nothing" in finding["detail"] for finding in record["findings"])
            assert record["max_relative_error_float64"] <= (1e-9 if guarded else limit), record["target"]


def test_every_verdict_has_a_file_of_its_own() -> None:
    """Assert that no two targets share a file, and that no file is left of a target that is gone."""
    kept = of_targets(listed())
    files = list(map(kept.path, kept.names))
    assert len(files) == len(set(map(str.lower, map(str, files))))
    assert set(kept.folder.glob("*.json")) == set(files)
