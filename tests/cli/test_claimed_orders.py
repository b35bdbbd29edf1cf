"""The table of orders claimed, proved and measured: what is in it, and its order."""

from __future__ import annotations

from typing import Any

import pytest

from samplerproof.book.tables.claimed_table import claimed, claimed_page, lines
from samplerproof.numerics.catalogue import METHODS, resolve


def rows(name: str, observed: float, order: int) -> list[dict[str, Any]]:
    """Kept orders on two targets."""
    row = {"method": name, "order": order, "observed": observed, "steps": [320, 640]}
    return [{**row, "target": "line"}, {**row, "target": "plane", "steps": [160, 320]}]


def test_claims_are_of_records_and_repairs_have_the_claimed_order() -> None:
    """Assert that each name is a record, and that what is called a repair is proved to have the order."""
    for name, claim in claimed().items():
        record = METHODS[name]
        if claim.repair is not None:
            assert record.order_free is not None or record.order < claim.order
            assert resolve(claim.repair).order >= claim.order
            assert resolve(claim.repair).order_free is None


def test_the_largest_disagreement_stands_first() -> None:
    """Assert the sorting by claimed less proved, then by measured less proved."""
    found = lines([*rows("exp-adams-4", 2.0, 4), *rows("ddim", 1.0, 1)])
    assert len(found) == len(METHODS)
    assert [line.disagreement for line in found] == sorted((line.disagreement for line in found), reverse=True)
    assert found[0].record.name in ("ipndm-v-4-published", "unipc-3-vary-published")
    by_name = {line.record.name: line for line in found}
    assert [row["target"] for row in by_name["exp-adams-4"].measured] == ["line", "plane"]
    assert by_name["exp-adams-4"].disagreement == (0, 0, pytest.approx(2))
    assert by_name["edm-heun"].measured == ()
    assert by_name["ddim"].disagreement == (0, 0, pytest.approx(0))
    assert by_name["consistency"].claimed is None


def test_the_page_has_every_sampler_and_names_the_repair() -> None:
    """Assert a row for each, and one row whole."""
    page = claimed_page([*rows("ipndm-4", 2.004, 2), *rows("dpm-2-ancestral", 2.04, 2)])
    assert all(f"| [`{name}`](methods/" in page for name in METHODS)
    row = next(line for line in page.splitlines() if line.startswith("| [`ipndm-4`]"))
    assert [cell.strip() for cell in row.strip("|").split("|")][1:8] == [
        "4",
        "diffusers, fourth-order",
        "2",
        "1",
        "2",
        "2.00 on the line, 320 to 640",
        "2.00 in the plane, 160 to 320",
    ]
    assert "| 2.04 (in law 2) on the line, 320 to 640 |" in page
    assert "[`deis-rhoab3`](methods/deis-rhoab3.md)" in row
