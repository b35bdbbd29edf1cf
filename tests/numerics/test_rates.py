"""Fitted exponents: exact on power laws, honest about scatter, silent on too little."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.rates import fit, leads, local_exponents, trend

STEPS = [25, 50, 100, 200, 400]


@given(exponent=st.floats(0.1, 5), scale=st.floats(1e-6, 1e6))
def test_power_laws_are_recovered(exponent, scale):
    errors = [scale * n**-exponent for n in STEPS]
    found = fit(STEPS, errors)
    assert found is not None
    assert found.exponent == pytest.approx(exponent, abs=1e-12)
    assert found.stderr <= 1e-12
    assert found.window == (25, 400)
    assert local_exponents(STEPS, errors) == pytest.approx([exponent] * 4, abs=1e-12)


def test_scatter_shows_in_the_error_and_agrees_with_numpy():
    errors = [2 * n**-2 * math.exp(0.1 * (-1) ** k) for k, n in enumerate(STEPS)]
    found = fit(STEPS, errors)
    assert found is not None
    coefficients, covariance = np.polyfit(np.log(STEPS), np.log(errors), 1, cov=True)
    assert found.exponent == pytest.approx(-coefficients[0], rel=1e-12)
    assert found.stderr == pytest.approx(math.sqrt(covariance[0, 0]), rel=1e-12)
    assert found.stderr > 0.01


def test_known_logarithms_are_divided_out():
    errors = [math.log(n + 1) ** 3 * n**-2 for n in STEPS]
    plain, corrected = fit(STEPS, errors), fit(STEPS, errors, log_power=3)
    assert plain is not None
    assert corrected is not None
    assert corrected.exponent == pytest.approx(2, abs=1e-12)
    assert abs(plain.exponent - 2) > 0.3


def test_windows_and_useless_points():
    errors = [n**-1.0 for n in STEPS]
    errors[0] = 1e3
    found = fit(STEPS, errors, window=(50, 400))
    assert found is not None
    assert found.exponent == pytest.approx(1)
    assert found.window == (50, 400)
    dropped = fit([10, *STEPS, 800, 1600], [math.nan, *errors, 0.0, math.inf], window=(1, 2000))
    assert dropped is not None
    assert dropped.window == (25, 400)
    assert fit(STEPS[:2], errors[:2]) is None
    assert fit(STEPS, [1.0, 0.5, math.nan, 0.0, math.inf]) is None
    assert fit([10, 10, 20], [1.0, 1.0, 0.5]) is None
    shuffled = fit(STEPS[::-1], errors[::-1], window=(50, 400))
    assert shuffled == found


def test_bad_input():
    with pytest.raises(InputError, match="errors"):
        fit([1, 2, 3], [1.0])
    with pytest.raises(InputError, match="steps"):
        fit([0, 1, 2], [1.0, 1.0, 1.0])


@given(limit=st.floats(0.5, 2), slope=st.floats(-20, 20), few=st.integers(10, 100), more=st.integers(1, 100))
def test_the_trend_is_what_is_left_of_one_over_n(limit: float, slope: float, few: int, more: int) -> None:
    """Assert that of b + a/N it is |a|/N, whatever b, and that one value has none."""
    many = few + more
    found = trend([(1, math.inf), (few, limit + slope / few), (many, limit + slope / many)])
    assert found == pytest.approx(abs(slope) / many, abs=1e-9)
    assert trend([(many, limit)]) is None


def test_a_line_leads_up_to_a_tenth() -> None:
    """Assert that the bound is where it is said to be."""
    assert [leads(None), leads(0.1), leads(0.1 + 1e-9)] == [None, True, False]
