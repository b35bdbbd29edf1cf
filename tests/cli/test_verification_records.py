"""The committed records of the study of verifications: complete, and the pages are made from them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from samplerproof.book.studies.verification import deviates
from samplerproof.book.tables import verification_tables
from samplerproof.numerics.conformance.adapters.diffusers_classes import CLASSES, NO_TABLE

BOOK = Path(__file__).resolve().parents[2] / "book"
FOLDER = BOOK / "records" / "verification"
ANSWER = json.loads((FOLDER / "records.json").read_text(encoding="utf-8"))


def test_the_pages_are_made_from_the_records(tmp_path: Path) -> None:
    verification_tables.write(ANSWER, tmp_path)
    for name in (verification_tables.TABLE, verification_tables.DISCREPANCIES):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_every_class_of_the_adapters_and_every_target_of_the_list_has_its_row() -> None:
    targets = tomllib.loads((BOOK / "verification.toml").read_text(encoding="utf-8"))["verification"]["targets"]
    assert [record["target"] for record in ANSWER["records"]] == targets
    seen = {target.partition(":")[2].partition("?")[0] for target in targets}
    assert seen >= {*CLASSES, *NO_TABLE}
    assert len({*CLASSES, *NO_TABLE}) == 51


def test_every_deviation_has_its_entry_and_no_other() -> None:
    deviating = [record["target"] for record in ANSWER["records"] if deviates(record)]
    assert [entry["target"] for entry in ANSWER["discrepancies"]] == deviating


def test_what_conforms_agrees_in_float64() -> None:
    """To 1e-14, or to 1e-6 of the error as shipped where closed forms cancel; a guard in DDPM leaves 1e-10."""
    for record in ANSWER["records"]:
        if record["verdict"] in ("identical", "roundoff"):
            limit = max(1e-14, 1e-6 * record["max_relative_error"])
            guarded = any("where ddpm has nothing" in finding["detail"] for finding in record["findings"])
            assert record["max_relative_error_float64"] <= (1e-9 if guarded else limit), record["target"]


@pytest.mark.parametrize("key", ["commit", "versions", "seconds", "started", "run"])
def test_the_records_say_where_they_come_from(key: str) -> None:
    assert ANSWER["manifest"][key]
    assert ANSWER["manifest"]["dirty"] is False
