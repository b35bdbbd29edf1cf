"""Variation of constants: nodes and a rule give weights, exactly.

In a frame z(end) = z(0) + integral of c e^{kappa u} F du over the step. F is replaced by its interpolant at the
nodes; with everything that depends on the end point pulled out (Frame.output_scale) what remains is

    W_j = integral over [0, end h] of e^{-kappa (end h - tau)} L_j(tau) dtau            (rule `exact`)

The Lagrange polynomials L_j live in a polynomial ring over the field of step ratios, and the moments of the frame's
weight enter as atoms (Frame.moment): no integral is computed symbolically.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import sympy as sp
from sympy.polys.fields import field

from .notation import h
from .phi_functions import phi

# The moments of the step: k -> integral of s^k against the frame's weight.
Moment = Callable[[int], sp.Expr]
# A rule turns the coefficients of a polynomial in s (lowest degree first) into its weight over the step.
Rule = Callable[[Sequence[sp.Expr], Moment], sp.Expr]


def exact(coefficients: Sequence[sp.Expr], moment: Moment) -> sp.Expr:
    """Integrate the interpolant exactly."""
    return sum((a * moment(k) for k, a in enumerate(coefficients)), start=sp.S.Zero)


def collapsed(at: sp.Expr) -> Rule:
    """Put the whole weight of the step on the interpolant's value at s = `at` (in units of h)."""

    def collapsed_rule(coefficients: Sequence[sp.Expr], moment: Moment) -> sp.Expr:
        value = sum((a * at**k for k, a in enumerate(coefficients)), start=sp.S.Zero)
        return sp.factor(value) * moment(0)

    return collapsed_rule


@cache
def lagrange(nodes: tuple[sp.Expr, ...]) -> tuple[tuple[sp.Expr, ...], ...]:
    """Coefficients in s (lowest degree first) of the Lagrange polynomials at distinct nodes.

    Each is returned factored: for nodes at past points all factors have positive coefficients in the
    step ratios, so that evaluating them in floating point does not cancel.
    """
    symbols = sorted(set().union(*(sp.sympify(c).free_symbols for c in nodes)), key=str)
    ring = field(symbols or [h], sp.QQ)[0]
    points = [ring.from_expr(sp.sympify(c)) for c in nodes]
    rows = []
    for j, cj in enumerate(points):
        polynomial = [ring.one]
        for i, ci in enumerate(points):
            if i == j:
                continue
            if ci == cj:
                raise ValueError(f"nodes: {nodes[i]} and {nodes[j]} coincide; nodes must be distinct")
            shifted = [ring.zero, *polynomial]
            for k, a in enumerate(polynomial):
                shifted[k] -= a * ci
            polynomial = [a / (cj - ci) for a in shifted]
        rows.append(tuple(sp.factor(a.as_expr()) for a in polynomial))
    return tuple(rows)


def weights(nodes: Sequence[sp.Expr], rule: Rule, moment: Moment) -> tuple[sp.Expr, ...]:
    """The weights W_j of a row, for interpolation nodes in units of h and the moments of its interval."""
    return tuple(rule(polynomial, moment) for polynomial in lagrange(tuple(nodes)))


def one_node(kappa: sp.Expr) -> sp.Expr:
    """The weight of a constant F over the whole step: h phi_1(-kappa h)."""
    return h * phi(1, -kappa * h)
