"""Predictions of whole studies: the same samples as the study's, for every number of steps; promises by kind."""

from __future__ import annotations

from typing import Any

import pytest

from samplerproof.numerics.catalogue import resolve
from samplerproof.numerics.leading.leading_error import LeadingError
from samplerproof.numerics.leading.of_study import leading_errors, leading_errors_of, tolerance, why_none
from samplerproof.numerics.studies.config import Study, parse
from samplerproof.numerics.studies.mixture_problem import prepare
from samplerproof.numerics.studies.run import run

M1 = {"weights": [0.35, 0.65], "means": [-1.2, 0.9], "stds": [0.5, 0.35]}
PLANE = {"weights": [0.5, 0.5], "means": [[1.0, 0.0], [-1.0, 0.5]], "stds": [0.5, 0.4]}
WIDE = {"weights": [0.5, 0.5], "means": [[0.5] * 16, [-0.3] * 16], "stds": [0.5, 0.4]}  # in sixteen dimensions
VP = {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0}
UNIFORM = {"kind": "uniform-lambda", "t_min": 0.05, "t_max": 0.8}
LINE, SPACE = LeadingError(1, {"trajectory": 1.0, "kl": 1.0}), LeadingError(1, {"trajectory": 1.0, "mean": 1.0})


def study(**run_: Any) -> Study:
    target, grid = run_.pop("target", M1), run_.pop("grid", UNIFORM)
    schedule = {"kind": "li", "c0": 1.0, "c1": 7.0} if grid is None else VP
    table = {"target": target, "schedule": schedule, "run": {"steps": [64, 128], "points": 801, **run_}}
    return parse(table if grid is None else {**table, "grid": grid})


@pytest.mark.parametrize(
    ("settings", "within"),
    [
        ({"methods": ["ddim", "exp-adams-2"], "metrics": ["tv", "kl", "w2", "trajectory"]}, 0.05),
        ({"methods": ["li-ddim"], "metrics": ["tv"], "grid": {"kind": "uniform-t", "t_min": 0.05, "t_max": 0.8}}, 0.05),
        ({"methods": ["li-accelerated-ode"], "metrics": ["tv"], "grid": None}, 0.25),
        ({"methods": ["dpm-solver++-2m"], "metrics": ["trajectory"], "target": PLANE, "points": 100}, 0.03),
        ({"methods": ["ddim", "edm-heun"], "metrics": ["trajectory"], "target": WIDE, "points": 40}, 0.03),
    ],
)
def test_every_run_of_a_study_is_predicted(settings: dict[str, Any], within: float, tmp_path: Any) -> None:
    wanted = study(**settings)
    found = leading_errors_of(wanted)
    assert set(found) == {(m, n) for m in wanted.run.methods for n in wanted.run.steps}
    for r in run(wanted, tmp_path)["records"]:
        expected = found[r["method"], r["steps"]].at(r["metric"], r["steps"])
        assert expected is not None
        share = within * (2 if r["metric"] == "kl" else 1) * 128 / r["steps"]
        assert r["value"] / expected == pytest.approx(1, abs=share), r


def test_more_samples_than_can_be_afforded_are_left_out_with_the_number() -> None:
    """Assert that d = 16 allows 4,096 samples, and no other reason is given."""
    for points, why in ((4096, None), (4097, "its derivatives are computed for at most 4096 samples in d = 16")):
        problem = prepare(study(methods=["ddim"], metrics=["trajectory"], target=WIDE, points=points))
        assert why_none(problem) == why


def test_what_has_no_prediction_is_left_out() -> None:
    """The frames of tAB and of velocity; and every method where the start law is not the process's own."""
    asked = study(methods=["ddim", "deis-tab1", "flow-euler"], metrics=["tv"])
    assert {name for name, _ in leading_errors_of(asked)} == {"ddim"}
    assert leading_errors_of(study(methods=["ddim"], metrics=["tv"], init="normal")) == {}


@pytest.mark.parametrize(
    ("name", "metric", "steps", "share"),
    [
        ("ddim", "tv", 127, None),
        ("ddim", "tv", 128, 0.05),
        ("dpm-solver-3s", "trajectory", 512, 0.01),
        ("dpm-solver++-2m", "kl", 512, 0.02),
        ("exp-adams-3", "tv", 512, 0.06),
        ("exp-adams-3", "tv", 2048, 0.01),
        ("exp-adams-4", "tv", 4096, None),
        ("li-ddim", "tv", 4096, None),  # it steps in rho^2
        ("unipc-2", "tv", 4096, None),
    ],
)
def test_promises_on_the_line(name: str, metric: str, steps: int, share: float | None) -> None:
    asked = study(methods=["ddim"], metrics=["tv"], start="exact")
    assert tolerance(asked, resolve(name), LINE, metric, steps) == share


def test_promises_elsewhere() -> None:
    exact = study(methods=["ddim"], metrics=["trajectory"], start="exact", target=PLANE)
    assert tolerance(exact, resolve("ddim"), SPACE, "trajectory", 64) == 0.05
    assert tolerance(exact, resolve("ddim"), SPACE, "trajectory", 256) == 0.011
    assert tolerance(exact, resolve("exp-adams-3"), SPACE, "trajectory", 256) is None
    ramp = study(methods=["ddim"], metrics=["tv"])
    assert tolerance(ramp, resolve("dpm-solver++-2m"), LINE, "tv", 128) == 0.05
    assert tolerance(ramp, resolve("exp-adams-3"), LINE, "tv", 2048) is None
    own = study(methods=["li-ddim"], metrics=["tv"], grid=None)
    assert tolerance(own, resolve("ddim"), LINE, "tv", 4096) is None
    in_time = study(methods=["ddim"], metrics=["tv"], grid={"kind": "uniform-t", "t_min": 0.05, "t_max": 0.8})
    assert tolerance(in_time, resolve("ddim"), LINE, "tv", 4096) is None


def test_a_term_that_does_not_lead_is_not_given() -> None:
    """Assert it of distances between far modes, where it is larger than they can be, and not of total variation."""
    far = {"weights": [0.5, 0.5], "means": [-3.0, 3.0], "stds": [0.25, 0.25]}
    grid = {**UNIFORM, "t_min": 1e-3, "t_max": 1.0}
    made = study(target=far, grid=grid, methods=["ddim"], steps=[20], metrics=["tv", "trajectory"])
    leading = leading_errors(prepare(made))
    (run_,) = leading.found
    tv, distance = ({"method": run_[0], "grid": run_[1], "steps": run_[2], "metric": m} for m in ("tv", "trajectory"))
    assert leading.at(distance) is None
    assert "larger than an error can be" in leading.why_not(distance)
    assert leading.at(tv) == leading.found[run_].at("tv", 20)
