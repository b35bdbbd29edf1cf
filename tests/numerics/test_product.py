"""Total variation between products, against closed forms and a second route in two dimensions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.laws.product import Factor, product_tv

X = torch.linspace(-9.0, 9.0, 8001, dtype=torch.float64)
WEIGHTS = torch.full_like(X, float(X[1] - X[0]))


def tv(log_p: Tensor, log_q: Tensor, copies: int) -> float:
    return product_tv([(Factor(log_p, log_q, WEIGHTS), copies)])


def log_normal(mean: float, std: float = 1.0) -> Tensor:
    return -(((X - mean) / std) ** 2) / 2 - math.log(std * math.sqrt(2 * math.pi))


@pytest.mark.parametrize("shift", [1e-5, 3e-3, 0.5])
@pytest.mark.parametrize("copies", [1, 2, 4, 16, 64])
def test_shifted_gaussians_have_a_closed_form(shift: float, copies: int) -> None:
    """In d dimensions the means are sqrt(d) shift apart: TV = erf(sqrt(d) shift / (2 sqrt 2))."""
    exact = math.erf(math.sqrt(copies) * shift / (2 * math.sqrt(2)))
    assert tv(log_normal(shift), log_normal(0.0), copies) == pytest.approx(exact, rel=1e-5)
    assert tv(log_normal(shift * 1.001), log_normal(0.0), copies) > exact


def test_two_copies_of_a_mixture_by_quadrature_in_the_plane() -> None:
    p = (0.35 * log_normal(-1.2, 0.5).exp() + 0.65 * log_normal(0.9, 0.35).exp()).log()
    q = (0.36 * log_normal(-1.2, 0.51).exp() + 0.64 * log_normal(0.91, 0.35).exp()).log()
    few = slice(2000, 6001, 4)
    plane = (p.exp()[few, None] * p.exp()[few] - q.exp()[few, None] * q.exp()[few]).abs()
    exact = float(plane.sum()) * (4 * float(WEIGHTS[0])) ** 2 / 2
    assert tv(p, q, 2) == pytest.approx(exact, rel=1e-4)
    assert tv(q, p, 2) == pytest.approx(exact, rel=1e-4)


def test_unlike_factors_add_up() -> None:
    """Means 0.3 apart in one direction and 0.4 in four others are sqrt(0.73) apart."""
    factors = [Factor(log_normal(shift), log_normal(0.0), WEIGHTS) for shift in (0.3, 0.4)]
    exact = math.erf(math.sqrt(0.73) / (2 * math.sqrt(2)))
    assert product_tv([(factors[0], 1), (factors[1], 4)]) == pytest.approx(exact, rel=1e-5)


def test_equal_laws_are_at_distance_zero_and_bad_input_is_refused() -> None:
    assert tv(log_normal(0.0), log_normal(0.0), 3) == 0
    with pytest.raises(InputError, match="copies: got 0; at least 1"):
        tv(X, X, 0)
    with pytest.raises(InputError, match="weights"):
        product_tv([(Factor(X, X, WEIGHTS[:-1]), 1)])
