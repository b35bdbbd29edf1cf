"""Every stochastic record shows its order in law: on a Gaussian by affine forms, on a mixture by its density, or, where
that is joint with too many outputs, by means of test functions."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from kinds import STOCHASTIC
from shapes import by_shape

from samplerproof.book.studies.leading_laws import leading_covariance
from samplerproof.book.studies.measured_orders import (
    BY_MEANS,
    STEPS_OF_LAW,
    extrapolated,
    of_the_law,
    off,
    on_a_gaussian,
    table,
)
from samplerproof.numerics.laws.backward import Resolution


def slopes(errors: list[float]) -> list[float]:
    return [math.log2(a / b) for a, b in pairwise(errors)]


@pytest.mark.parametrize("name", by_shape(STOCHASTIC))
def test_on_a_gaussian(name: str) -> None:
    """Assert the order, and so that it is no other whole number, and the leading term where it is known."""
    errors, _, ratios = on_a_gaussian(name)
    assert extrapolated(errors) == pytest.approx(STOCHASTIC[name].order_in_law(gaussian=True), abs=0.1)
    if ratios:
        assert 2 * ratios[-1] - ratios[-2] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", by_shape(name for name in STOCHASTIC if name not in BY_MEANS))
def test_on_a_mixture(name: str) -> None:
    assert of_the_law(name)[0] == pytest.approx(STOCHASTIC[name].order_in_law(gaussian=False), abs=0.1)


def test_leading_errors_tell_samplers_of_one_order_apart() -> None:
    """Assert that DDPM's error is not the leading term of DDPM with its larger variance; with a past there is none."""
    ends = (float(table("ddpm", 320).points[0].lam), float(table("ddpm", 320).points[-1].lam))
    small, large = (leading_covariance(name, 0.5, *ends, 320) for name in ("ddpm", "ddpm-large"))
    error = on_a_gaussian("ddpm")[0][-1]
    assert error == pytest.approx(small, rel=0.02)
    assert abs(error / large - 1) > 0.1
    assert leading_covariance("ddpm", 0.5, *ends, 640) == pytest.approx(small / 2, rel=1e-12)
    with pytest.raises(ValueError, match="sa-solver-2: the leading error of its law is not known"):
        leading_covariance("sa-solver-2", 0.5, *ends, 320)


# Of correctors and predictors with a longer history than P2C2 the means take ten to twenty seconds each.
LONG = [name for name in BY_MEANS if "p3c" in name]
LEFT = [pytest.param(name, id=name, marks=pytest.mark.slow) for name in LONG]


@pytest.mark.parametrize("name", [*by_shape(["ddpm", *(name for name in BY_MEANS if name not in LONG)]), *LEFT])
def test_in_means_on_a_mixture(name: str) -> None:
    errors = [off(table(name, n)) for n in BY_MEANS.get(name, STEPS_OF_LAW)]
    order = STOCHASTIC[name].order_in_law(gaussian=False)
    assert min(abs(slopes(errors)[-1] - order), abs(extrapolated(errors) - order)) <= 0.1
    assert abs(extrapolated(errors) - (order + 1)) > 0.5


def test_a_coefficient_off_by_a_ten_thousandth_shows_no_order() -> None:
    runs = [table("sa-solver-3", n) for n in (80, 160, 320)]
    factors = torch.tensor([1.0, 1.0, 1.0001], dtype=torch.float64)
    assert max(slopes([off(replace(run, outputs=run.outputs * factors)) for run in runs])) < 0.7


@pytest.mark.slow
def test_errors_of_means_are_far_above_those_of_the_recursion() -> None:
    run = table("sa-solver-p2c1", 640)
    fine = off(run, Resolution(0.1, 4.0, 1e-6))
    assert off(run) == pytest.approx(fine, rel=0.02)
