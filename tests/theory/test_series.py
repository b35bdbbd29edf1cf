"""Arithmetic of series: sums and products in lowest terms against sympy's own, and points modulo a prime."""

from __future__ import annotations

import random

import pytest
import sympy as sp
from sympy.polys.fields import field

from samplerproof.theory import series
from samplerproof.theory.notation import WEIGHT_TAYLOR, h
from samplerproof.theory.notation import r as ratios
from samplerproof.theory.series import PRIME, Expansion

FIELD, X, Y = field("x, y", sp.QQ)
FACTORS = (X, Y, X + 1, X + Y, 2 * X + 3 * Y + 1, X**2 + Y + 1)


def fractions(seed: int) -> list[object]:
    """Fractions whose denominators are products of a few factors, some of them cancelled in sums and products."""
    draw = random.Random(seed)
    found = []
    for _ in range(6):
        above = draw.choice(FACTORS) * sp.QQ(draw.randint(-5, 5) or 1, draw.randint(1, 6)) + draw.randint(-2, 2)
        found.append(above / (draw.choice(FACTORS) * draw.choice(FACTORS) * draw.randint(1, 4)))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_sums_and_products_are_sympys_in_lowest_terms(seed: int) -> None:
    """Assert that values agree with sympy's fields, and that above and below have no factor in common."""
    for a, b, c in zip(fractions(seed), fractions(seed + 100), fractions(seed + 200), strict=True):
        sums = [((a, b), a + b), ((a, -a), a - a), ((a, b, c, a), 2 * a + b + c), ((a, b, c, -b), a + c)]
        for ours, theirs in (*((series.total(terms), found) for terms, found in sums), (series.times(a, b), a * b)):
            assert ours.numer * theirs.denom == theirs.numer * ours.denom
            assert ours.numer.gcd(ours.denom).is_ground
            assert bool(ours) == bool(theirs)
            assert series.total([ours, FIELD.one]).numer * theirs.denom != theirs.numer * ours.denom


def test_what_is_lost_in_a_sum_is_lost() -> None:
    """Assert that 1/(x (x + 1)) + 1/(x + 1) is 1/x, and that a pole that stays is kept."""
    assert series.total([1 / (X * (X + 1)), 1 / (X + 1)]).denom == X.numer
    assert series.total([1 / (X * (X + 1)), 2 / (X + 1)]).denom == (X**2 + X).numer
    assert series.times((X + Y) / X, X / (X + Y) ** 2).denom == (X + Y).numer


def test_a_point_modulo_a_prime_is_a_zero_of_its_factor_alone() -> None:
    """Assert that the factor vanishes there, all others do not, and that a factor linear in no symbol has no point."""
    linear = [f.numer for f in FACTORS]
    for f in linear:
        at = series.zero_of(f)
        assert at is not None
        assert [series.value_at(g, at) for g in linear if g == f] == [0]
        assert all(series.value_at(g, at) for g in linear if g != f)
    assert series.zero_of((X**2 + Y**2 + 1).numer) is None
    assert series.value_at(X.numer.mul_ground(sp.QQ(1, 3)), (7, 0)) * 3 % PRIME == 7
    unlucky = (X * (Y - pow(3, 101, PRIME)) + 1).numer  # its slope in X vanishes where Y stands first
    at = series.zero_of(unlucky)
    assert at is not None
    assert (at[0], series.value_at(unlucky, at)) == (pow(3, 100, PRIME), 0)
    square = (X**2 + Y**2 + 1) / (X + 1)
    assert series.times(square, 1 / (X**2 + Y**2 + 1)).numer.is_ground


def test_an_expression_has_whole_coefficients() -> None:
    """Assert that an element is written with the least whole coefficients, whatever was cleared on its way."""
    expand = Expansion((ratios[0],))
    (r,) = expand.field.gens
    element = series.total([series.times(r / 6 + expand.field(1) / 4, 1 / (r + 1)), (r / 3) / (r + 1)])
    assert str(expand.expression(element)) == "(2*r1 + 1)/(4*r1 + 4)"
    assert sp.simplify(expand.expression(element) - (ratios[0] / 2 + sp.Rational(1, 4)) / (ratios[0] + 1)) == 0


def test_series_that_do_not_exist_are_refused() -> None:
    """Assert that a division by h, an exponential and a root are refused where they have no series, and right else."""
    one, h = (FIELD.one, FIELD.zero, FIELD.zero), (FIELD.zero, FIELD.one, FIELD.zero)
    for refused, reason in (
        (lambda: series.shift(one, -1), "not divisible by h"),
        (lambda: series.exp(one), "exp needs"),
        (lambda: series.root(h, sp.QQ(1, 2)), "a root needs"),
    ):
        with pytest.raises(ValueError, match=reason):
            refused()
    assert series.shift(h, -1) == one
    half = FIELD(sp.QQ(1, 2))
    assert series.exp(h) == (FIELD.one, FIELD.one, half)
    assert series.root((FIELD.one, FIELD.one, FIELD.zero), sp.QQ(1, 2)) == (FIELD.one, half, -half / 4)


def test_square_roots_among_numbers_are_kept_exact() -> None:
    """Assert products of two roots as elements and in series, and that a number off by 1e-30 is another one."""
    two, three = sp.sqrt(2), sp.sqrt(3)
    expand = Expansion((), surds=(two, three))
    number = (1 + two) * (2 - two) / 3 - three / 7
    element = expand.element(number)
    assert sp.expand(expand.expression(element) - number) == 0
    assert element == expand.of(number, 2)[0] != expand.element(number + sp.Rational(1, 10**30))
    constant, slope, left = expand.of((two * h + three) ** 2, 3)
    assert [expand.expression(c) for c in (constant, slope, left)] == [3, sp.expand(2 * two * three), 2]


def test_a_weight_of_the_clock_has_the_series_of_its_taylor_symbols() -> None:
    """Assert w(u + h/2)/w(u) = 1 + q_1 h/2 + q_2 h^2/4, and that what counts is larger than the tolerance."""
    first, second, *_ = WEIGHT_TAYLOR
    expand = Expansion((first, second))
    found = expand.weight(sp.Rational(1, 2), 3)
    assert [expand.expression(c) for c in found] == [1, first / 2, second / 4]
    rounded = Expansion((), tolerance=sp.Rational(1, 1000))
    assert [rounded.counts(rounded.element(sp.Rational(1, n))) for n in (999, 1000, -999)] == [True, False, True]
