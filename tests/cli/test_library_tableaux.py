"""The tableaux of RES4LYF: the kept orders are found again, runs of the library agree with them, repairs hold."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import sympy as sp

import samplerproof as sampler
from samplerproof.book.library_tableaux import library, proved_entry, repaired
from samplerproof.book.own_tableaux import tableau_of
from samplerproof.book.pages.tableaux_page import tableaux_page
from samplerproof.book.records import verification_results
from samplerproof.book.records.tableau_results import OF_TABLEAUX, tableau_results
from samplerproof.book.scheme_tables import scheme_table
from samplerproof.book.studies.swept_schemes import MEASURED, MIXTURES, error, observed_order, of_library
from samplerproof.theory.collocation import chebyshev_nodes, collocation, picard_chain
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


def test_kept_orders_of_sweeps_are_the_proved_ones() -> None:
    """Assert that on both mixtures every measured order is within 0.1 of the proved one, up to sixteen stages."""
    rows = tableau_results()["measured"]
    assert [row["name"] for row in rows] == [label for label, _, _ in MEASURED]
    assert max(row["stages"] for row in rows) == 16
    assert {row["order"] for row in rows} == {1, 2, 3, 4, 6}
    assert all(abs(observed - row["order"]) < 0.1 for row in rows for observed in row["observed"])


@pytest.mark.parametrize(("sweeps", "order"), [(1, 2), (2, 3)])
def test_sweeps_of_radau_are_measured_again(sweeps: int, order: int) -> None:
    """Assert the proved order and the measured one, and that a weight off by 1e-6 shows in the error."""
    scheme = of_library("radau_iia_2s", sweeps)
    assert prove_scheme(scheme).order == order
    assert abs(observed_order(scheme, "two components", 32) - order) < 0.1
    moved = replace(scheme, b=(*scheme.b[:-1], scheme.b[-1] + sp.Rational(1, 10**6)))
    errors = [error(each, MIXTURES["two components"], 64) for each in (scheme, moved)]
    assert abs(errors[0] - errors[1]) > 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("label", ["res_16s, repaired", "Chebyshev, 4 nodes, 3 Picard sweeps"])
def test_many_stages_are_measured_again(label: str) -> None:
    make = {name: scheme for name, scheme, _ in MEASURED}[label]
    row = next(row for row in tableau_results()["measured"] if row["name"] == label)
    found = observed_order(make(), "three components", row["steps"][1])
    assert abs(found - row["observed"][1]) < 0.01


def test_a_table_of_a_scheme_is_refused_where_it_cannot_be() -> None:
    """Assert that implicit schemes and levels that end at 0 are refused in a line."""
    levels = sampler.Grid.from_sigmas([2.0, 1.0])
    with pytest.raises(sampler.InputError, match="explicit, without past outputs"):
        scheme_table(of_library("radau_iia_3s"), levels)
    with pytest.raises(sampler.InputError, match="levels at alpha = 1 that end at sigma > 0"):
        scheme_table(of_library("radau_iia_2s", 1), sampler.Grid.from_sigmas([2.0, 0.0]))


def test_collocation_gives_the_published_tableaux() -> None:
    """Assert that Radau IIA and Lobatto IIIA are collocation at their nodes, and m sweeps have order m + 1."""
    for name, nodes in (("radau_iia_2s", ("1/3", 1)), ("lobatto_iiia_3s", (0, "1/2", 1))):
        ours, theirs = collocation(name, [sp.Rational(c) for c in nodes]), of_library(name)
        assert (ours.c, ours.a, ours.b) == (theirs.c, theirs.a, theirs.b)
    exponential = collocation("chebyshev", chebyshev_nodes(4), exponential=True)
    assert [prove_scheme(exponential.swept(m)).order for m in (1, 2, 3)] == [2, 3, 4]
    assert prove_scheme(picard_chain("chain", 3).swept(2)).order == 1
