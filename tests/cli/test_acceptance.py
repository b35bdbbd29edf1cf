"""What a researcher types, and the exponents that must come out: M1 at fixed time, T = 400..3200 noise levels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import samplerproof as sp


@pytest.mark.parametrize("steps", [[399, 799, 1599], pytest.param([399, 799, 1599, 3199], marks=pytest.mark.slow)])
def test_exponents_of_li_et_al_at_fixed_time(
    steps: list[int], study_file: Callable[..., Path], in_process: Callable[..., tuple[int, str, str]]
) -> None:
    """Assert exponents of TV near 1 and 2, exponents of KL twice as large, and their windows."""
    path = study_file(
        ("steps = [24, 49, 99]", f"steps = {steps}"),
        ('metrics = ["tv", "kl", "w2", "trajectory"]', 'metrics = ["tv", "kl"]'),
        ("points = 1001", "points = 2001"),
    )
    code, out, err = in_process("study", path, "--json")
    assert (code, err) == (0, "")
    fits = {(f["method"], f["metric"]): f for f in json.loads(out)["fits"]}
    tv = {method: fits[method, "tv"]["exponent"] for method in ("li-ddim", "li-accelerated-ode")}
    assert 0.98 <= tv["li-ddim"] <= 1.02
    assert 1.92 <= tv["li-accelerated-ode"] <= 2.02
    for method, exponent in tv.items():
        assert fits[method, "kl"]["exponent"] == pytest.approx(2 * exponent, abs=0.03)
        assert fits[method, "tv"]["window"] == [399, steps[-1]]


@pytest.mark.slow
def test_exponents_on_the_schedule_of_li_et_al(study_file: Callable[..., Path]) -> None:
    """With the logarithm divided out; the raw exponents are blurred by it and fall outside."""
    path = study_file(
        ('kind = "vp-linear"\nbeta_min = 0.1\nbeta_max = 20.0', 'kind = "li"\nc0 = 1.0\nc1 = 7.0'),
        ('[grid]\nkind = "uniform-t"\nt_min = 1e-3\nt_max = 1.0\n', ""),
        ("steps = [24, 49, 99]", "steps = [399, 799, 1599]"),
        ('metrics = ["tv", "kl", "w2", "trajectory"]', 'metrics = ["tv"]'),
    )
    fits = {f["method"]: f for f in sp.study(path).fits}
    assert [f["log_power"] for f in fits.values()] == [2, 3]
    assert 0.98 <= fits["li-ddim"]["compensated_exponent"] <= 1.07
    assert 1.95 <= fits["li-accelerated-ode"]["compensated_exponent"] <= 2.02
    assert fits["li-ddim"]["exponent"] < 0.9
    assert fits["li-accelerated-ode"]["exponent"] < 1.8


STOCHASTIC = ('methods = ["li-ddpm", "li-accelerated-sde"]', 'methods = ["li-ddim", "li-accelerated-ode"]')


@pytest.mark.slow
def test_exponents_and_constants_of_stochastic_samplers_at_fixed_time(study_file: Callable[..., Path]) -> None:
    """On M1 both are 1/T: T = 200..1600 noise levels; T TV is 2.256 and .672 to .679 from T = 400 on."""
    path = study_file(
        STOCHASTIC[::-1],
        ("steps = [24, 49, 99]", "steps = [199, 399, 799, 1599]"),
        ('metrics = ["tv", "kl", "w2", "trajectory"]', 'metrics = ["tv", "kl"]'),
    )
    answer = sp.study(path)
    fits = {(f["method"], f["metric"]): f["exponent"] for f in answer.fits}
    for method, low, high in (("li-ddpm", 0.99, 1.01), ("li-accelerated-sde", 0.99, 1.03)):
        assert low <= fits[method, "tv"] <= high
        assert fits[method, "kl"] == pytest.approx(2 * fits[method, "tv"], abs=0.03)
    for r in answer.records:
        if r["metric"] == "tv" and r["steps"] >= 399:
            constant = (r["steps"] + 1) * r["value"]
            assert 2.254 <= constant <= 2.258 if r["method"] == "li-ddpm" else 0.672 <= constant <= 0.679


@pytest.mark.slow
def test_order_two_on_a_gaussian_needs_the_noise_inside(study_file: Callable[..., Path]) -> None:
    """Assert order two of the accelerated SDE sampler on a Gaussian, and order one with the noise outside."""
    path = study_file(
        (STOCHASTIC[1], 'methods = ["li-accelerated-sde", "li-accelerated-sde-readme"]'),
        ("weights = [0.35, 0.65]", "weights = [1.0]"),
        ("means = [-1.2, 0.9]", "means = [0.7]"),
        ("stds = [0.5, 0.35]", "stds = [0.5]"),
        ("steps = [24, 49, 99]", "steps = [99, 199, 399, 799, 1599]"),
        ('metrics = ["tv", "kl", "w2", "trajectory"]', 'metrics = ["tv"]'),
    )
    fits = {f["method"]: f["exponent"] for f in sp.study(path).fits}
    assert 1.98 <= fits["li-accelerated-sde"] <= 2.02
    assert 0.9 <= fits["li-accelerated-sde-readme"] <= 1.02
