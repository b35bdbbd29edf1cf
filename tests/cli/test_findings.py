"""The table of findings: what was proved is asked of theory, what was measured agrees, and what is planted is seen."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from samplerproof.book import reproduce as whole
from samplerproof.book.tables.bound_tables import markdown as bounds_told
from samplerproof.book.tables.exponent_table import above_noise
from samplerproof.book.tables.findings import (
    ALTERNATING,
    FINDINGS,
    OURS,
    Proved,
    findings,
    markdown,
    methods,
    proofs,
    verdict,
)
from samplerproof.numerics.catalogue import resolve

STEPS = (160, 320, 640)


@cache
def proved() -> dict[str, Proved]:
    return proofs()


def lines(errors: dict[str, float], order: dict[str, int]) -> dict[str, Any]:
    """An answer in which every method's error is error / N^order."""
    records = [
        {"method": name, "steps": n, "metric": "trajectory", "value": error / n ** order[name]}
        for name, error in errors.items()
        for n in STEPS
    ]
    return {"records": records}


def answers() -> dict[str, dict[str, Any]]:
    """Both studies as theory has them."""
    known = proved()
    error = {name: 100 * float(known[name].share or 1) for name in known}
    free = {name: known[name].order_free for name in methods(ALTERNATING)}
    return {
        FINDINGS: lines({name: error[name] for name in methods(FINDINGS)}, {n: p.order for n, p in known.items()}),
        ALTERNATING: lines({name: error[name] for name in free}, free),
    }


def test_orders_are_those_of_the_catalogue_and_shares_those_of_the_claim() -> None:
    """Assert the findings themselves: lower than claimed, higher once repaired, lower still for free ratios."""
    found = proved()
    assert {name: p.order for name, p in found.items()} == {name: resolve(name).order for name in found}
    for f in OURS:
        if f.claimed is not None and not f.method.startswith(("li-", "dpm-solver++-2m")):
            assert found[f.method].order < f.claimed
    assert [found[n].order for n in ("exp-adams-3", "unipc-2-vary", "deis-rhoab3")] == [3, 3, 4]
    assert [(found[n].order, found[n].order_free) for n in ("ipndm-3", "ipndm-4", "bdia-ddim?gamma=1")] == [(2, 1)] * 3
    assert found["li-accelerated-ode"].order_free == 2
    shares = {name: p.share for name, p in found.items() if p.share is not None}
    assert shares == {"bdia-ddim": Fraction(1, 3), "bdia-ddim?gamma=9/10": Fraction(1, 19)}


def test_what_agrees_is_as_proved() -> None:
    """Assert the verdict on orders and shares that agree with the proof."""
    rows = findings(answers(), proved())
    assert {r["verdict"] for r in rows} == {"as proved"}
    assert {r["share"]["verdict"] for r in rows if r["share"]} == {"as proved"}
    assert "differs" not in markdown(rows)


@pytest.mark.parametrize("finding", OURS, ids=lambda f: f"{f.method}, {f.study}")
def test_an_order_planted_wrong_differs(finding: Any) -> None:
    """Assert that one row alone differs: the proof's order is raised by one in its study."""
    right = proved()[finding.method]
    by = {"order": right.order + 1} if finding.study == FINDINGS else {"order_free": right.order_free + 1}
    rows = findings(answers(), proved() | {finding.method: replace(right, **by)})
    off = [(r["method"], r["study"]) for r in rows if r["verdict"] != "as proved"]
    assert off == [(finding.method, finding.study)]
    assert markdown(rows).count("| differs |") == 1


@pytest.mark.parametrize("share", [Fraction(1, 2), Fraction(34, 100)])
def test_a_share_planted_wrong_differs(share: Fraction) -> None:
    """Assert that a wrong share of the error of DDIM is found."""
    rows = findings(answers(), proved() | {"bdia-ddim": replace(proved()["bdia-ddim"], share=share)})
    assert [r["method"] for r in rows if r["share"] and r["share"]["verdict"] == "differs"] == ["bdia-ddim"]


@pytest.mark.parametrize(
    ("slopes", "said"),
    [
        ((2.05, 2.02), "as proved"),
        ((1.95, 1.93), "as proved"),
        ((2.15, 2.14), "differs"),
        ((1.85, 1.86), "differs"),
        ((2.4, 2.2), "not settled"),
        ((1.6, 1.8), "not settled"),
        ((2.6, 2.4), "differs"),
        ((1.4, 1.2), "differs"),
    ],
)
def test_a_line_that_turns_towards_its_order_says_nothing_against(slopes: tuple[float, float], said: str) -> None:
    """Assert that a slope which approaches the proved order is not settled, and one that does not differs."""
    points = [(160, 1.0), (320, 2.0 ** -slopes[0]), (640, 2.0 ** -sum(slopes))]
    assert verdict(2, points, sum(slopes) / 2) == said


def test_without_enough_values_nothing_is_settled() -> None:
    """Assert that fewer values than a fit needs give no verdict."""
    assert verdict(2, [(160, 1.0)], None) == "not settled"


@pytest.mark.slow
def test_reproduce_writes_figure_table_and_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert the files of a whole run, kept small, and that JSON and table say the same."""
    monkeypatch.setattr(whole, "studies", lambda quick: {n: small(s) for n, s in studies(quick).items()})
    monkeypatch.setattr(whole, "pointed", lambda study, quick: small(pointed(study, quick)))
    monkeypatch.setattr(whole, "draw_stability", lambda *arguments: None)
    whole.reproduce(tmp_path, quick=True)
    assert all((tmp_path / f"findings.{suffix}").stat().st_size > 0 for suffix in ("svg", "png", "md"))
    answer = json.loads((tmp_path / "records.json").read_text(encoding="utf-8"))
    assert [(r["method"], r["study"]) for r in answer["findings"]] == [(f.method, f.study) for f in OURS]
    assert markdown(answer["findings"]) == (tmp_path / "findings.md").read_text(encoding="utf-8")
    assert {r["study"] for r in answer["records"]} >= {FINDINGS, ALTERNATING}
    assert bounds_told(answer["bounds"]["exponents"]) == (tmp_path / "bounds.md").read_text(encoding="utf-8")
    assert all((tmp_path / f"{stem}.png").stat().st_size > 0 for stem in ("bounds", "stochastic"))
    assert answer["manifest"]["studies"].keys() >= {FINDINGS, ALTERNATING}


studies, pointed = whole.studies, whole.pointed


def small(study: dict[str, Any]) -> dict[str, Any]:
    """The study with three numbers of steps and few points."""
    few = {"samples": 10} if isinstance(study["target"]["means"][0], list) else {"points": 101}
    steps = study["run"]["steps"][:3]
    return {**study, "run": {**study["run"], **few, "steps": steps}}


def test_null_values_leave_the_tables_standing() -> None:
    """Assert that a null leaves its point out, and that a line without values has no exponent and no share."""
    some, none = answers(), answers()
    bdia = [r for r in none[FINDINGS]["records"] if r["method"].startswith("bdia-ddim")]
    for record in bdia:
        record["value"] = None
    some[FINDINGS]["records"][0]["value"] = None
    assert len(findings(some, proved())) == len(findings(answers(), proved()))
    rows = [r for r in findings(none, proved()) if r["study"] == FINDINGS and r["method"].startswith("bdia-ddim")]
    assert all(r["exponent"] is None and r["share"] is None for r in rows)
    assert markdown(rows)


def test_an_estimate_that_noise_may_have_made_is_no_point_of_a_fit() -> None:
    """Assert that a value whose interval holds zero, a null and a value of rounding are left out of a line."""
    points = [(8, 0.5, 0.4), (16, 0.2, -0.1), (32, None, None), (64, 1e-12, None), (128, 0.1, None)]
    records = [{"method": "m", "metric": "e", "steps": n, "value": v, "low": low} for n, v, low in points]
    assert above_noise({"records": records}, "m", "e") == [(8, 0.5), (128, 0.1)]
