"""phi_k against mpmath: at most 4 ulp, differentiable, and honest about what it does not take."""

from __future__ import annotations

import math

import mpmath as mp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samplerproof.numerics.phi import K_MAX, phi


def oracle(k: int, z: float) -> mp.mpf:
    """The definition at 60 digits."""
    with mp.workdps(60):
        value, exact = mp.e ** mp.mpf(z), mp.mpf(z)
        for j in range(k):
            value = (value - 1 / mp.factorial(j)) / exact
        return +value


def ulps(k: int, z: float) -> float:
    got = float(phi(k, torch.tensor([z], dtype=torch.float64)))
    return float(abs(mp.mpf(got) - oracle(k, z)) / mp.mpf(math.ulp(got)))


magnitudes = st.floats(-7, math.log10(30)).map(lambda e: 10**e)
arguments = st.builds(lambda m, s: s * m, st.one_of(magnitudes, st.floats(1e-7, 30)), st.sampled_from([-1.0, 1.0]))


@settings(max_examples=600)
@given(st.integers(0, K_MAX), arguments)
def test_four_ulp(k: int, z: float) -> None:
    assert ulps(k, z) <= 4


@pytest.mark.parametrize("k", range(1, K_MAX + 1))
@pytest.mark.parametrize("side", [-1.2, 1.5])
def test_four_ulp_on_both_sides_of_the_switch(k: int, side: float) -> None:
    for z in (side * k, math.nextafter(side * k, 0), math.nextafter(side * k, 2 * side * k)):
        assert ulps(k, z) <= 4


def test_the_naive_form_fails_the_same_check() -> None:
    z = 1e-5
    naive = (math.exp(z) - 1 - z) / z**2
    assert float(abs(naive - oracle(2, z)) / mp.mpf(math.ulp(naive))) > 1e4


@pytest.mark.parametrize("k", range(K_MAX + 1))
def test_value_at_zero_and_shape(k: int) -> None:
    value = phi(k, torch.zeros(2, 3, dtype=torch.float64))
    assert value.shape == (2, 3)
    assert torch.equal(value, torch.full((2, 3), 1 / math.factorial(k), dtype=torch.float64))


@pytest.mark.parametrize("k", range(K_MAX + 1))
def test_differentiable_twice(k: int) -> None:
    z = torch.tensor([-25.0, -9.0, -1.0, -1e-6, 0.0, 1e-6, 3.0, 20.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: phi(k, v), z)
    assert torch.autograd.gradgradcheck(lambda v: phi(k, v), z)


def test_refuses_other_indices_and_dtypes() -> None:
    with pytest.raises(ValueError, match="0 <= k <= 6"):
        phi(7, torch.zeros(1, dtype=torch.float64))
    with pytest.raises(TypeError, match="float64"):
        phi(1, torch.zeros(1))
