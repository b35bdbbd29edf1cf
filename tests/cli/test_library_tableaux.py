"""The tableaux of RES4LYF: the kept orders are found again, runs of the library agree with them, repairs hold."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import pytest

from samplerproof.book.library_tableaux import library, proved_entry, repaired
from samplerproof.book.own_tableaux import tableau_of
from samplerproof.book.pages.tableaux_page import tableaux_page
from samplerproof.book.records import verification_results
from samplerproof.book.records.tableau_results import OF_TABLEAUX, tableau_results
from samplerproof.theory.scheme import prove_scheme

Entry = dict[str, Any]


@cache
def entries() -> dict[str, Entry]:
    return {entry["name"]: entry for entry in library()["tableau"]}


@cache
def kept() -> dict[str, Entry]:
    return {row["name"]: row for row in tableau_results()["tableaux"]}


@cache
def observed() -> dict[str, float]:
    """The orders seen in runs of the library, by the verifier alone: it reads no coefficient of the tableaux."""
    found = {}
    for record in verification_results.answer()["records"]:
        name, _, options = record["target"].removeprefix("res4lyf:").partition("?")
        if name in entries() and options == "extra_options=enable_final_model_call":
            found[name] = record["observed_order"]
    return {name: order for name, order in found.items() if order is not None}


def test_the_record_has_every_tableau_and_is_current() -> None:
    """Assert that no tableau is missing, and that a changed coefficient makes the record stale."""
    assert not OF_TABLEAUX.stale()
    assert list(kept()) == list(entries())
    assert len(kept()) == 114


@pytest.mark.parametrize(
    "name",
    ["res_3m", "etdrk4_4s", "res_3s_sunstar", "lawson4_4s", "pec423_2h2s", "rk5_7s", "radau_ia_3s", "radau_iia_11s"],
)
def test_kept_orders_are_found_again(name: str) -> None:
    assert proved_entry(entries()[name]) == kept()[name]


@pytest.mark.slow
def test_all_kept_orders_are_found_again() -> None:
    assert [proved_entry(entry) for entry in entries().values()] == list(kept().values())


def test_runs_of_the_library_show_the_proved_orders() -> None:
    """Assert that every exponential one-step tableau that was run shows its order, the wrong ones theirs too."""
    seen = {name: observed()[name] for name in observed() if kept()[name]["group"] == "exponential"}
    assert len(seen) > 30
    off = {
        name: (order, kept()[name]["order"])
        for name, order in seen.items()
        if abs(order - kept()[name]["order"]) > 0.35
    }
    assert off == {}
    assert {kept()[name]["order"] for name in seen} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("name", [name for name, entry in entries().items() if "repair" in entry])
def test_a_repair_has_the_order_claimed(name: str) -> None:
    """Assert that the tableau as it is has less, and the kept order of the repaired one at least what is claimed."""
    row = kept()[name]
    assert row["order"] < row["claimed"] <= row["repair"]["order"]


@pytest.mark.parametrize("name", ["res_16s", "res_4s_friedli", "lawson42-gen-mod_1h4s"])
def test_repaired_tableaux_are_proved(name: str) -> None:
    """Assert the order of a repaired tableau, and that a weight off by 1e-6 has less."""
    mended = repaired(entries()[name])
    assert mended is not None
    assert prove_scheme(tableau_of(mended, name)[1]).order == kept()[name]["repair"]["order"]
    moved = deepcopy(mended)
    moved["b"][-1] = f"{moved['b'][-1]} + 1/1000000"
    assert prove_scheme(tableau_of(moved, name)[1]).order == 0


def test_the_page_lists_disagreement_first() -> None:
    """Assert that all tableaux are on the page, those with the largest gap first, with repair and run."""
    page = tableaux_page(tableau_results(), verification_results.answer()["records"])["tableaux.md"]
    assert all(f"`{name}`" in page for name in entries())
    differ = page.partition("## Where proof and claim differ")[2].partition("## All")[0]
    gaps = [int(line.split(" | ")[3]) - int(line.split(" | ")[4]) for line in differ.splitlines() if "| `" in line]
    assert gaps == sorted(gaps, reverse=True)
    assert len(gaps) == sum(row["claimed"] not in (None, row["order"]) for row in kept().values())
