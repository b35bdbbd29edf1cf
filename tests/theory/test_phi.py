"""phi atoms: identities, moments by quadrature, and the exact zero test from both sides."""

from __future__ import annotations

import mpmath as mp
import pytest
import sympy as sp

from samplerproof.theory.notation import h
from samplerproof.theory.phi_functions import is_zero, moment, phi


@pytest.mark.parametrize("kappa", [-1, 0, 1])
@pytest.mark.parametrize("k", range(5))
@pytest.mark.parametrize("end", [sp.S.One, sp.Rational(2, 7), -sp.Rational(3, 2)])
def test_moment_equals_quadrature(kappa: int, k: int, end: sp.Expr) -> None:
    step = sp.Rational(7, 10)
    with mp.workdps(30):
        value = mp.mpf(sp.N(moment(k, kappa, end).rewrite(sp.exp).subs(h, step), 30))
        reach = mp.mpf(end.p) / end.q * mp.mpf("0.7")
        direct = mp.quad(lambda tau: mp.e ** (-kappa * (reach - tau)) * (tau / mp.mpf("0.7")) ** k, [0, reach])
        assert abs(value - direct) < mp.mpf(10) ** -26


def test_phi_at_zero_is_an_inverse_factorial() -> None:
    assert [phi(k, 0) for k in range(5)] == [1 / sp.factorial(k) for k in range(5)]


def test_phi_refuses_a_negative_index() -> None:
    with pytest.raises(ValueError, match="index"):
        phi(-1, h)


def test_derivative_of_an_atom_agrees_with_the_derivative_of_its_exponential_form() -> None:
    for k in range(4):
        atom = phi(k, h)
        assert is_zero(sp.diff(atom, h) - sp.diff(atom.rewrite(sp.exp), h))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (phi(2, h) * h - phi(1, h) + 1, True),
        (phi(2, h) * h - phi(1, h) + 1 + sp.Rational(1, 10**9), False),
        (sp.exp(h / 2) ** 2 - sp.exp(h), True),
        (sp.exp(h / 2) * sp.exp(h / 3) - sp.exp(5 * h / 6), True),
        (sp.cos(h) ** 2 + sp.sin(h) ** 2 - 1, True),
        (sp.sqrt(8) - 2 * sp.sqrt(2), True),
        (h - sp.sin(h), False),
    ],
)
def test_is_zero_decides_both_ways(expression: sp.Expr, expected: bool) -> None:
    assert is_zero(expression) is expected
