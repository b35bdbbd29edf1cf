"""Linear stability of a scheme for short steps, and the root condition of the states that it carries.

On N = c x for small h at fixed x = hc the entries are numbers; a one-step scheme multiplies by R = P/Q with

    P(x) = det(I - x A + x 1 b^T),    Q(x) = det(I - x A),

and one with past outputs is a matrix, as in linear_stability.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from .linear_stability import RING, is_simple_von_neumann, remembered, stable_length, step_matrix
from .notation import hc, zeta
from .notation import r as ratios
from .scheme import Scheme

DIGITS = 40  # of an irrational coefficient
SIMPLE = 10**6  # largest denominator of a fraction that stands for a decimal


def stability(scheme: Scheme) -> sp.Expr | None:
    """The largest S such that all x in (-S, 0) are stable, oo where all are.

    Irrational coefficients count to 40 digits, decimals as the simplest fraction within the tolerance. None for an
    implicit scheme with past outputs.
    """
    if not zero_stable(scheme):
        return sp.S.Zero
    if scheme.history:
        return None if scheme.kind != "explicit" else stable_length(_with_past(scheme))
    above, below = stability_function(scheme)
    return stable_length(sp.Poly(zeta * below.as_expr() - above.as_expr(), zeta, hc, domain=sp.QQ))


def stability_function(scheme: Scheme) -> tuple[sp.Poly, sp.Poly]:
    """P and Q of a one-step scheme, Q(0) = 1."""
    limit, series, every = scheme.limit, scheme.expansion(), range(scheme.stages)
    a, b = [[series.element(e) for e in line] for line in limit.a], [series.element(e) for e in limit.b]
    lowered = [[a[i][j] - b[j] for j in every] for i in every]
    return _reversed(scheme, lowered), _reversed(scheme, a)


def _reversed(scheme: Scheme, matrix: list[list[sp.Expr]]) -> sp.Poly:
    """det(I - x M): the characteristic polynomial of M with its coefficients in the other order."""
    series, size = scheme.expansion(), scheme.stages
    coefficients = DomainMatrix(matrix, (size, size), series.field).charpoly()
    numbers = [_rational(series.expression(c), scheme.tolerance) for c in coefficients]
    return sp.Poly(sum(c * hc**k for k, c in enumerate(numbers)), hc, domain=sp.QQ)


def _rational(number: sp.Expr, tolerance: sp.Rational) -> sp.Rational:
    exact = number if number.is_Rational else sp.Rational(str(sp.N(number, DIGITS)))
    if tolerance:
        simple = sp.Rational(Fraction(int(exact.p), int(exact.q)).limit_denominator(SIMPLE))
        return simple if abs(simple - exact) <= tolerance else exact
    return exact


def _with_past(scheme: Scheme) -> sp.Poly:
    """The characteristic polynomial at equal steps, in zeta and hc."""
    equal = {ratio: sp.S.One for ratio in ratios}
    limit = scheme.limit
    lines = zip((*limit.a, limit.b), (*(limit.u or ((),) * limit.stages), limit.v), strict=True)
    weights = [
        [_rational(sp.sympify(e).subs(equal), scheme.tolerance) for e in (*line, *before) if e]
        for line, before in lines
    ]
    matrix = step_matrix(
        limit, RING, lambda row, back: limit.rows[row].states[back].subs(equal), lambda row, j: weights[row][j] * hc
    )
    return remembered(matrix)


def zero_stable(scheme: Scheme) -> bool:
    """Whether the roots of zeta^K - sum_k s_k zeta^{K-1-k} satisfy the root condition, at equal steps."""
    states: Sequence[sp.Expr] = [sp.sympify(s).subs({ratio: sp.S.One for ratio in ratios}) for s in scheme.states]
    while len(states) > 1 and states[-1] == 0:
        states = states[:-1]
    polynomial = [sp.S.One, *(-s for s in states)]
    return is_simple_von_neumann(polynomial, lambda value: int(sp.sign(value)))
