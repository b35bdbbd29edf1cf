"""The kept verdicts of the study of verifications: one for every target of the list, and consistent."""

from __future__ import annotations

from typing import Any

import pytest

from samplerproof.book.records.verification_results import CHECKOUTS, answer, listed, of_targets
from samplerproof.book.studies.verification import deviates
from samplerproof.book.tables import verification_tables
from samplerproof.numerics.conformance.adapters.diffusers_classes import CLASSES, NO_TABLE
from samplerproof.numerics.conformance.official_code import CHANGES

AT_LEAST = 120  # samplers of all libraries


@pytest.fixture(scope="module")
def kept_answer() -> dict[str, Any]:
    """All kept verdicts; stale ones fail the tests here and no others."""
    return answer()


def test_every_class_of_the_adapters_and_every_target_of_the_list_has_its_row(kept_answer: dict[str, Any]) -> None:
    """Assert that the kept verdicts are those of the list, and that the list has all classes of diffusers."""
    targets = listed().targets
    assert [r["target"] for r in kept_answer["records"] if "checkout" not in r] == targets
    seen = {target.partition(":")[2].partition("?")[0] for target in targets}
    assert seen >= {*CLASSES, *NO_TABLE}
    assert len({*CLASSES, *NO_TABLE}) == 51


def test_a_verdict_on_a_checkout_is_of_the_commit_that_the_list_has(kept_answer: dict[str, Any]) -> None:
    """Assert that every library of the list has a repository and a whole commit, its kept verdicts are of these, and
    every target is either kept or named as not verified.
    """
    study = listed(CHECKOUTS)
    for checkout in study.checkouts.values():
        assert checkout.repository is not None
        assert checkout.commit is not None
        assert len(checkout.commit) == 40
    kept = {r["target"]: r for r in kept_answer["records"] if "checkout" in r}
    assert [t for t in study.targets if t not in kept] == kept_answer["unverified"]
    for target, record in kept.items():
        assert record["checkout"] == study.checkouts[target.partition(":")[0]].provenance, target


def test_samplers_are_counted_once_by_class(kept_answer: dict[str, Any]) -> None:
    """Assert that an option or another name of a sampler does not count, and that the page has the counts."""
    records = kept_answer["records"]
    counted = verification_tables.samplers(records)
    assert "comfyui:dpmpp_2m_sde" in counted
    assert not any("?" in name or name.endswith("_gpu") for name in counted)
    libraries = {name.partition(":")[0] for name in counted}
    page = verification_tables.overview(kept_answer)
    assert (
        f"{len(counted)} samplers of {len(libraries)} libraries or official files, in {len(records)} settings" in page
    )
    assert "tree/77917ed3a6291689e5c2ee8ccbdd6708e85a53a6" in page
    assert all(f"- {text}" in page for text in CHANGES)
    assert len(counted) >= AT_LEAST
    assert len(libraries) >= 6


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
    for study in (listed(), listed(CHECKOUTS)):
        kept = of_targets(study)
        files = list(map(kept.path, kept.names))
        assert len(files) == len(set(map(str.lower, map(str, files))))
        assert set(kept.folder.glob("*.json")) <= set(files)
    assert set(of_targets(listed()).folder.glob("*.json")) == set(map(of_targets(listed()).path, listed().targets))


def test_no_verdict_is_that_of_a_busy_machine(kept_answer: dict[str, Any]) -> None:
    """Assert that no target is kept as one that was still running when its time was over."""
    details = [finding["detail"] for record in kept_answer["records"] for finding in record["findings"]]
    assert details
    assert [detail for detail in details if "still running" in detail] == []
