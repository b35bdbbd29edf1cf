"""The status of a curve of errors: each word with its rule, from both sides; intervals of exponents that cover."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import Tensor

from samplerproof.numerics import rates
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.laws.estimators import energy, moment_error
from samplerproof.numerics.laws.gaussian import Gaussian
from samplerproof.numerics.rates import CurvePoint
from samplerproof.numerics.studies.config import parse
from samplerproof.numerics.studies.fits import DEVIATIONS, _of_samples, _record_of, curve_of, fit, points
from samplerproof.numerics.studies.run import run
from samplerproof.numerics.studies.study_table import study_csv, study_markdown, study_text

STEPS = (20, 40, 80, 160, 320)
M1 = {"weights": [0.35, 0.65], "means": [-1.2, 0.9], "stds": [0.5, 0.35]}
VP = {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0}
IN_TIME = {"kind": "uniform-t", "t_min": 1e-3, "t_max": 1.0}


def curve(*values: float | None, steps: tuple[int, ...] = STEPS, **more: Any) -> list[dict[str, Any]]:
    """Records of one curve; more: keys that all of them have."""
    own = {"method": "m", "metric": "trajectory", "reason": None, **more}
    return [{**own, "steps": n, "nfe": n, "value": v} for n, v in zip(steps, values, strict=False)]


def orders(*local: float) -> list[dict[str, Any]]:
    """A curve with these local orders."""
    values = [1.0]
    for order in local:
        values.append(values[-1] * 2**-order)
    return curve(*values)


@pytest.mark.parametrize(
    ("records", "status"),
    [
        (orders(2.1, 2.05, 2.02, 2.01), "settled"),
        (orders(1.9, 1.02, 0.97, 0.99), "settled"),  # the first is outside of the window
        (orders(1.925, 1.480, 1.682), "turning"),  # li-accelerated-ode on M1, 25..200
        (orders(0.8, 0.85, 0.895), "turning"),  # each step as large as the one before
        (orders(2.98, 1.24, 1.2), "turning"),  # the last two agree, the exponent over the window does not
        (orders(0.01, 0.02, 0.03), "turning"),  # the error does not fall yet
        (orders(2.0, 1.0, 0.3, 0.01), "floor"),  # it no longer falls
        (curve(1e-9, 1e-10, 1.1e-11, 1e-12, 1e-13), "floor"),
        (curve(1.0, 2.0, 8.0), "diverged"),
        (curve(1.0, 0.5, 0.25, 0.2, 0.3), "turning"),  # a bump is no divergence
        (curve(1.0, 0.5), "undefined"),
        (curve(1.0, 0.5, 1e-12), "undefined"),
    ],
    ids=str,
)
def test_each_word_has_its_rule(records: list[dict[str, Any]], status: str) -> None:
    found = fit(records)
    assert found["status"] == status
    assert (found["reason"] is None) == (status == "settled")
    assert (found["exponent"] is None) == (status == "undefined")
    assert found["local_steps"] == [r["steps"] for r in records][-len(found["local_steps"]) or len(STEPS) :] or (
        status in ("floor", "undefined")
    )


@pytest.mark.parametrize(("away", "status"), [(0.04, "settled"), (0.06, "turning")])
def test_a_settled_order_is_within_the_tolerance_of_its_limit(away: float, status: str) -> None:
    """Assert the rule for local orders p + c/N, of which the last is that far from p."""
    found = fit(orders(1 + 4 * away, 1 + 2 * away, 1 + away))
    assert found["status"] == status


def test_a_run_that_overflows_is_diverged() -> None:
    """Assert the word and the reason where the run on the most steps is not finite, not where one on fewer is."""
    broken = {"value": None, "reason": "step 3 (t = 0.5): the denoiser returned a non-finite value"}
    records = curve(0.1, 0.05, 0.025, 0.0125)
    first, last = fit([{**records[0], **broken}, *records[1:]]), fit([*records[:3], {**records[3], **broken}])
    assert (first["status"], last["status"]) == ("settled", "diverged")
    assert "non-finite" in last["reason"]


def test_values_within_twice_their_bias_are_not_fitted() -> None:
    """Assert that a quadrature error of half the value, a floor and an interval that holds zero leave a value out."""
    values = [0.4, 0.2, 0.1, 0.05]
    plain = fit(curve(*values))
    assert plain["window"] == [20, 160]
    for key, good, bad in (("error", 0.02, 0.026), ("floor", 0.049, 0.05)):
        records = [curve(*values), curve(*values)]
        for of, number in zip(records, (good, bad), strict=True):
            of[-1][key] = number
        assert [fit(of)["window"][1] for of in records] == [160, 80]
    noisy = [{**r, "low": r["value"] - 0.06, "high": r["value"] + 0.06} for r in curve(*values)]
    found = fit(noisy)
    assert (found["window"], found["status"]) == ([20, 80], "floor")
    needed = [{**r, "low": -0.1, "needed": 12345} for r in noisy]
    assert "12,000 samples or more" in fit(needed)["reason"]


def test_an_exponent_of_estimates_has_an_interval() -> None:
    """Assert that intervals of values become one of the exponent, and that a steep curve with short ones is settled."""
    values = [0.4, 0.2, 0.1, 0.05]
    found = fit([{**r, "low": r["value"] * 0.995, "high": r["value"] * 1.005} for r in curve(*values)])
    assert found["low"] < found["exponent"] < found["high"]
    assert found["high"] - found["low"] < 0.02
    assert found["status"] == "settled"
    unsure = fit([{**r, "low": r["value"] * 0.8, "high": r["value"] * 1.25} for r in curve(*values)], samples=1000)
    assert unsure["status"] == "undefined"
    assert "samples" in unsure["reason"]
    assert (fit(curve(*values))["low"], fit(curve(*values))["high"]) == (None, None)


@pytest.mark.parametrize(("scatter", "distance"), [(2e-2, 0.0102), (5e-4, 0.0529)])
def test_noise_is_not_read_as_a_slow_approach(scatter: float, distance: float) -> None:
    """Assert that local orders which move by less than the groups of their errors scatter are taken to approach their
    limit like 1/N, and others as slowly as they show.
    """
    curve = [
        CurvePoint(r["steps"], r["value"], groups=tuple(scatter / 4 * (-1) ** (k + n) for k in range(16)))
        for n, r in enumerate(orders(1.0, 1.01, 1.02))
    ]
    slopes = [rates._local(a, b, 0.0) for a, b in pairwise(curve)]
    assert rates._distance(curve, slopes)[0] == pytest.approx(distance, rel=1e-2)


def test_a_local_order_that_depends_on_the_samples_is_reported() -> None:
    """Assert by how much other samples may change the last local order of a trajectory error that turns, where that is
    more than its tolerance; nothing where the errors of the groups move together, and of a settled curve.
    """
    for scatter, apart in ((0.1, True), (0.001, True), (0.1, False)):
        records = orders(0.85, 0.86, 0.38)
        for n, record in enumerate(records):
            record["groups"] = [scatter / 4 * (-1) ** (k + n * apart) for k in range(16)]
        found = fit(records)
        assert (found["status"], found["low"]) == ("turning", None)
        reason = str(_of_samples(found, records))
        # 16 parts of scatter / 4 in both errors, Student's t and log 2
        assert ("with other samples the last one may differ by 0.64" in reason) is (scatter == 0.1 and apart)
    assert _of_samples({**found, "status": "settled"}, records) == {}


def test_groups_account_for_half_of_an_interval_or_are_not_read() -> None:
    """Assert it of 16 groups that spread the logarithm by 0.04, with an interval of nearly twice that, and of more."""
    groups = [0.01 * (-1) ** k for k in range(16)]
    for deviation, known in ((0.079, True), (0.081, False)):
        half = math.exp(deviation * DEVIATIONS / 2)
        (point,) = points([{**curve(0.1)[0], "low": 0.1 / half, "high": 0.1 * half, "groups": groups}])
        assert point.groups == (tuple(groups) if known else ())


def test_an_external_sampler_has_the_order_of_the_record_that_it_is_on_a_whole_grid() -> None:
    """Assert the record for a grid, and none where it is two of them, or where one grid of all is another one's."""
    tables = {("a", 10): "ddim", ("a", 20): "ddim", ("b", 10): "ddim", ("b", 20): "edm-heun"}
    problem: Any = SimpleNamespace(grids={key: key for key in tables})
    sampler: Any = SimpleNamespace(record_on=tables.get)
    found: list[Any] = [_record_of(problem, sampler, grid) for grid in ("a", "b", None)]
    assert found == ["ddim", None, None]


def test_too_few_numbers_of_steps_have_no_columns_of_exponents() -> None:
    """Assert a table without status and exponent for one N, with the errors and no note; with them for three."""
    for values, shown in (((0.4,), False), ((0.4, 0.2, 0.1), True)):
        records = [
            {**record, "grid": None, "nfe": record["steps"], "predicted": None, "ratio": None}
            for record in curve(*values)
        ]
        names = {"method": "m", "grid": None, "metric": records[0]["metric"]}
        fits = [{**names, **fit(records), "predicted": None, "unpredicted": None}]
        text = study_text({"records": records, "fits": fits})
        assert "4.00e-01" in text
        assert ("status" in text, "fewer than three" in text) == (shown, False)


def test_a_method_that_is_no_name_is_one_line() -> None:
    """Assert the field, the value and what is allowed."""
    with pytest.raises(InputError, match=r"^run\.methods\[1\]: got 42; the name of a method, a target such as"):
        study(run={"methods": ["ddim", 42]})


def study(**given: Any) -> Any:
    tables = {"target": M1, "schedule": VP, "grid": IN_TIME, **given}
    tables["run"] = {"steps": [25, 50, 100, 200], "metrics": ["tv"], **tables["run"]}
    return parse(tables)


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    """A study on the line: a start-up of lower order, weights for equal steps, a method without a leading error."""
    methods = ["li-accelerated-ode", "exp-adams-3", "deis-tab1", "ipndm-3"]
    return run(study(run={"methods": methods, "points": 501}), None)


def test_the_accelerated_ode_is_turning(answer: dict[str, Any]) -> None:
    """Assert the exponent 1.674 of the README's target on 25 to 200 steps with its word, beside the proved order 2."""
    found = next(f for f in answer["fits"] if f["method"] == "li-accelerated-ode" and f["metric"] == "tv")
    assert found["exponent"] == pytest.approx(1.674, abs=2e-3)
    assert found["status"] == "turning"
    assert found["predicted"] == {"steady": 2, "free": 2, "start_up": 2}


def test_records_have_leading_errors(answer: dict[str, Any]) -> None:
    """Assert predicted and ratio of methods with an order proof in a smooth frame, and the reason of the other."""
    for record in answer["records"]:
        over_1 = (record["method"], record["steps"]) == ("exp-adams-3", 25)  # its leading term, in total variation
        known = record["method"] != "deis-tab1" and not over_1
        assert (record["predicted"] is not None) == known
        if known:
            assert record["ratio"] == record["value"] / record["predicted"]
    reasons = {f["method"]: f["unpredicted"] for f in answer["fits"]}
    assert reasons["deis-tab1"] == "no leading error of deis-tab1 is known"
    assert reasons["ipndm-3"] is None
    own = next(f for f in answer["fits"] if f["method"] == "ipndm-3")
    assert own["predicted"] == {"steady": 2, "free": 1, "start_up": 2}


def test_tables_have_every_name_in_any_width(answer: dict[str, Any]) -> None:
    """Assert names and words whole, lines within the width, and no exponent without its status."""
    answer = {
        key: [*answer[key], *({**entry, "grid": "karras"} for entry in answer[key])] for key in ("records", "fits")
    }
    fits = {curve_of(f): f for f in answer["fits"]}
    for width in (60, 80, 120, None):
        text = study_text(answer, width)
        for f in fits.values():
            assert f["method"] in text
            assert f["status"] in text
        assert width is None or max(map(len, text.splitlines())) <= width
        for line in text.splitlines():
            if "exponent " in line and ";" in line:
                assert any(word in line for word in ("settled", "turning", "floor", "diverged", "undefined"))
    assert "2 N - 1" in study_text(answer)
    assert "3 (2 with its start-up)" in study_text(answer)
    assert "2 (1 for free ratios)" in study_text(answer)
    assert study_csv(answer).count("\n") == 1 + len(answer["records"])
    rows = [line for line in study_markdown(answer).splitlines() if line.startswith("| ")]
    assert sum(any(line.startswith(f"| {f['method']} ") for f in fits.values()) for line in rows) == len(fits)


def shifted(seed: int, n: int, shifts: tuple[float, ...]) -> tuple[list[Tensor], Tensor]:
    """Samples of normal laws with these shifts, and independent ones of the law without."""
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(n, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    return [x + torch.tensor([shift, 0.0]) for shift in shifts], y


def covered(
    metric: str, repeats: int, share: float = 1.0, shifts: tuple[float, ...] = (1.6, 0.8, 0.4)
) -> tuple[int, int]:
    """(in how many repeats the interval of the exponent, or a share of it, contains that of the exact errors; how many
    have one: an error that its interval does not separate from 0 leaves none).
    """
    goal = Gaussian(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    exact = {"moments": [math.hypot(s, 0.0) for s in shifts], "energy": [_energy(s) for s in shifts]}[metric]
    truth = -np.polyfit(np.log(STEPS[:3]), np.log(exact), 1)[0]
    count = stated = 0
    for seed in range(repeats):
        of, y = shifted(seed, 400, shifts)
        estimates = [moment_error(x, goal) if metric == "moments" else energy(x, y) for x in of]
        records = curve(*(e.value for e in estimates), metric=metric)
        for record, estimate in zip(records, estimates, strict=True):
            record |= {"low": estimate.low, "high": estimate.high, "floor": None}
        found = fit(records)
        if found["exponent"] is None:
            continue
        stated += 1
        low, high = (found["exponent"] + share * (found[end] - found["exponent"]) for end in ("low", "high"))
        count += low <= truth <= high
    return count, stated


def _energy(shift: float) -> float:
    """The energy distance of two normal laws in the plane, a shift apart: 2 E|Z + shift| - 2 E|Z|, Z of variance 2."""
    angle = np.linspace(0, 2 * np.pi, 2001)[:-1]
    r, weights = np.polynomial.legendre.leggauss(400)
    r, weights = 8 * (r + 1), 8 * weights
    density = r / 2 * np.exp(-(r**2) / 4) * weights
    away = np.sqrt((r[:, None] * np.cos(angle) + shift) ** 2 + (r[:, None] * np.sin(angle)) ** 2).mean(axis=1)
    return float(2 * (density * (away - r)).sum())


@pytest.mark.parametrize(("share", "covers"), [(1.0, True), (0.2, False)])
def test_an_interval_of_an_exponent_covers(share: float, covers: bool) -> None:
    """Assert that 95 % are not excluded at the level 1e-4 in a few repeats, and are for a fifth of the interval."""
    count, stated = covered("moments", 30, share)
    assert stated == 30
    assert (binom.cdf(count, stated, 0.95) > 1e-4) == covers


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["moments", "energy"])
def test_intervals_of_exponents_cover(metric: str) -> None:
    """Assert that 95 % are not excluded at the level 1e-4, in 1,000 repeats."""
    count, stated = covered(metric, 1000)
    assert stated > 900
    assert binom.cdf(count, stated, 0.95) > 1e-4
