"""The set study on networks: its rules, its tables, and a small run of the whole."""

from __future__ import annotations

import json
import math

import pytest
import torch

from samplerproof.book import reproduce
from samplerproof.book.studies import frechet, network_study, sample_pictures
from samplerproof.book.studies.low_precision import causes
from samplerproof.book.studies.network_study import (
    FULL,
    GRID,
    SCHEDULE,
    Setting,
    asymptotic_from,
    local_orders,
    price,
    settings,
)
from samplerproof.book.studies.sample_pictures import grid_for, samples_of
from samplerproof.book.tables.network_tables import largest
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.checkpoints.description import read_toml
from samplerproof.numerics.checkpoints.load import OWN_CHECKPOINTS, load
from samplerproof.numerics.studies import network_problem

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("orders", "first"),
    [
        ([1.0, 2.1, 1.9], 10),
        ([2.0, 2.0, 2.0], 5),
        ([2.0, 2.0, 1.7], None),
        ([2.0, 1.7, 2.0], 20),
        ([], None),
    ],
)
def test_the_asymptotic_range_begins_where_no_later_slope_is_off(orders, first):
    """Assert the rule: not the first good slope, but the first after which none is bad."""
    slopes = [(5 * 2**k, 10 * 2**k, order) for k, order in enumerate(orders)]
    assert asymptotic_from(slopes, 2) == first


def test_local_orders_and_prices_are_those_of_a_power_law():
    """Assert both on 3 N^-2, where they are known; and that an error which comes back is not paid for."""
    points = [(n, 3.0 * n**-2) for n in (5, 10, 20, 40)]
    assert [order for _, _, order in local_orders(points)] == pytest.approx([2.0] * 3)
    assert price(points) == pytest.approx(math.sqrt(300))
    assert price(points, 1.0) == 5
    assert price(points, 1e-9) is None
    assert price([(5, 0.5), (10, 0.001), (20, 0.05), (40, 0.005)]) == pytest.approx(40 * (1 / 2) ** 0.301, rel=1e-3)
    assert price([]) is None


def test_settings_name_each_table_once_and_rings_have_every_deterministic_one():
    for quick in (True, False):
        for setting in settings(quick):
            assert len(set(setting.methods)) == len(setting.methods)
            assert not any(METHODS[name].stochastic for name in setting.methods)
    assert set(settings(False)[0].methods) == {name for name, record in METHODS.items() if not record.stochastic}


def test_the_largest_cause_is_found():
    """Assert that what the arithmetic adds is separated from the weights it computes with."""
    apart = {"weights": 1.0, "lambda": 0.1, "state": 0.5, "network": 1.01, "all": 1.2}
    assert largest(apart) == "weights"
    assert largest({**apart, "network": 3.0}) == "arithmetic"
    assert largest({**apart, "state": 9.0}) == "state"
    assert largest({**apart, "state": None}) == "-"


def test_each_cause_changes_one_thing():
    """Assert that float64 as the low precision leaves nothing, and bfloat16 something, by every cause."""
    checkpoint = load("rings")
    x = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    point = load("rings").native(0.37)
    exact = checkpoint.denoiser()(x, point, "noise")
    for cause, (denoise, state) in causes(checkpoint, torch.bfloat16, CPU).items():
        off = float((denoise(x.to(state).double(), point, "noise") - exact).abs().max())
        assert 1e-6 < off < 0.5, cause
    for cause, (denoise, state) in causes(checkpoint, torch.float64, CPU).items():
        assert torch.equal(denoise(x.to(state).double(), point, "noise"), exact), cause


def test_a_budget_buys_whole_steps():
    for method, evaluations, steps in (
        ("ddim", 5, 5),
        ("edm-heun", 5, 2),
        ("dpm-solver++-3s", 5, 1),
        ("etd-rk4", 3, None),
    ):
        way = grid_for(method, evaluations, SCHEDULE, FULL)
        assert (way and way.steps) == steps
    assert grid_for("exp-adams-4", 3, SCHEDULE, FULL) is None  # no more steps than it looks back
    assert samples_of(load("rings"), "ddim", None, 3, CPU) is None


def test_the_frechet_distance_tells_digits_from_none():
    """Assert that the classifier classifies, that real digits are near and noise is far."""
    data, classifier, right = frechet.reference()
    assert right > 0.85
    goal = frechet.moments(classifier, data.train)
    noise = torch.randn(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    near, far = (frechet.frechet(goal, frechet.moments(classifier, x)) for x in (data.held_out, noise))
    assert frechet.frechet(goal, goal) == pytest.approx(0, abs=1e-12)
    assert 0 < near < 0.3 * far
    again, _ = frechet.trained(data)
    assert all(torch.equal(a, b) for a, b in zip(classifier.parameters(), again.parameters(), strict=True))


@pytest.mark.slow
def test_the_whole_in_small_and_nothing_twice(tmp_path, monkeypatch):
    """Assert tables, figures and records of a run on two networks, and that a second one computes nothing."""
    monkeypatch.setattr(frechet, "FEW", 20)
    methods = ("ddim", "exp-adams-3")
    small = (Setting("rings", methods, (10, 20, 40), 4), Setting("digits", ("exp-adams-3",), (4, 6, 8), 1))
    monkeypatch.setattr(network_study, "SHORTER", methods)
    monkeypatch.setattr(frechet, "FINE", ("dpm-solver++-3s", 8))
    monkeypatch.setattr(sample_pictures, "FINE", ("dpm-solver++-3s", 8))
    monkeypatch.setattr(sample_pictures, "EVALUATIONS", (4,))
    monkeypatch.setattr(frechet, "EVALUATIONS", (4,))
    monkeypatch.setattr(network_problem, "RTOL", 1e-6)
    monkeypatch.setattr(network_problem, "LOOSE", 1e-5)
    monkeypatch.setattr(network_study, "settings", lambda quick: small)
    answer = reproduce.with_networks(tmp_path, True)["checkpoints"]
    json.dumps(answer, allow_nan=False)
    rates = {(r["network"], r["method"]): r for r in answer["rates"]}
    assert list(rates) == [("rings", "ddim"), ("rings", "exp-adams-3"), ("digits", "exp-adams-3")]
    assert rates["rings", "ddim"]["asymptotic_from"] in (10, 20)
    assert rates["rings", "ddim"]["last"] == pytest.approx(1, abs=0.15)
    costs = {(r["network"], r["method"]): r["nfe"] for r in answer["costs"]}
    assert costs["rings", "exp-adams-3"] < 40
    by = {(r["dtype"], r["steps"]): r["apart"] for r in answer["floors"] if r["cause"] == "all"}
    assert by["float32", 8] < 1e-3 * by["bfloat16", 8]
    exact = next(r["distance"] for r in answer["frechet"] if r["method"] == "as good as exact")
    assert 0 < exact < 3
    assert all(told["samples_per_second"] > 0 for told in answer["manifest"]["networks"].values())
    text = (tmp_path / "checkpoints.md").read_text(encoding="utf-8")
    for table in text.split("\n\n"):
        widths = {line.count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(widths) <= 1
    assert "| rings | ddim | 1 |" in text
    drawn = (f"checkpoints.{s}" for s in ("md", "svg", "png", "pdf"))
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoints", "panels", *drawn}
    assert {"pictures-digits.png", "records.sqlite"} <= {p.name for p in (tmp_path / "checkpoints").iterdir()}

    def computed(*arguments, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr("samplerproof.numerics.studies.network_problem.sample", computed)
    monkeypatch.setattr("samplerproof.numerics.studies.network_problem.reference_flow", computed)
    again = network_study.run_checkpoints(tmp_path / "checkpoints", True)
    assert (again["rates"], again["costs"], again["floors"]) == (answer["rates"], answer["costs"], answer["floors"])


def test_the_grid_of_the_study_reaches_where_the_tables_say():
    """Assert the ends in lambda that the text names, within what every kept network was trained on."""
    from samplerproof.numerics.schedules import schedule

    vp = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
    for spaced, low in ((GRID, -3.0), (FULL, -5.03)):
        ends = vp.columns(torch.tensor([spaced["t_max"], spaced["t_min"]], dtype=torch.float64)).lam.tolist()
        assert ends == pytest.approx([low, 3.7], abs=0.05)
        for name in ("rings", "digits", "photos"):
            span = read_toml(OWN_CHECKPOINTS / name)["span"]
            assert span[0] < ends[0] < ends[1] < span[1]
