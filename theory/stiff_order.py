"""Stiff order of explicit exponential schemes: what holds for every size of h L.

With z = hL and psi_{k,i}(z) = c_i^k phi_k(c_i z) - sum_j a_ij(z) c_j^{k-1}/(k-1)!, and psi_k for the update, stiff
order p asks that psi_k = 0 for k <= p, psi_{1,i} = 0, and that for every tree of order <= p

    sum_i b_i(z) c_i^q J(D_1, …, D_m)_i = 0,    D = psi_{k,i} (k >= 2) or sum_j a_ij(z) c_j^q J(D_1, …)_j,

where a vertex counts 1, c^q counts q and psi_k counts k, and J is any multilinear map. L and J do not commute, so z is
a variable of its own on every edge (Hochbruck and Ostermann 2005, table 2.2; Luan and Ostermann 2014, table 1: 16
conditions for order 5 besides psi_{1,i} = 0 and psi_1 = 0). All functions of a stage are vectors over the stages; what
such a D can be is a subspace of Q^s, spanned by the coefficients of its power series, and a condition holds iff those
of b are orthogonal to it. Each function is an exponential polynomial of few terms: its first coefficients decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations_with_replacement
from math import factorial
from typing import Any, TypeAlias

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from .notation import h
from .phi_functions import phi
from .scheme import Scheme
from .series import Expansion, Series

HIGHEST = 6  # the published tables end at 5; RES4LYF names one scheme of order 6

# A tree of conditions: ("psi", k), or a vertex (legs, children).
Branch: TypeAlias = "tuple[Any, ...]"
Vector: TypeAlias = "tuple[Any, ...]"


@cache
def vertices(order: int) -> tuple[Branch, ...]:
    """The vertices of that order, each with at least one child: 0, 0, 1, 3, 8, … of order 1, 2, 3, 4, 5, …"""
    found: list[Branch] = []
    for legs in range(order - 2):
        for chosen in _children(order - 1 - legs, order - 1 - legs):
            found.append((legs, chosen))
    return tuple(found)


def branches(order: int) -> tuple[Branch, ...]:
    """What may stand at a stage: psi of order >= 2, or a vertex."""
    return (("psi", order), *vertices(order)) if order >= 2 else ()


def _children(weight: int, largest: int) -> Iterator[tuple[Branch, ...]]:
    """Multisets of at least one branch whose orders sum to weight, each of order at most `largest`."""
    for order in range(2, min(weight, largest) + 1):
        for count in range(1, weight // order + 1):
            for same in combinations_with_replacement(branches(order), count):
                rest = weight - order * count
                if rest == 0:
                    yield same
                else:
                    for smaller in _children(rest, min(order - 1, rest)):
                        yield (*same, *smaller)


class StiffConditions:
    """The conditions of a scheme; weak: those of the highest order at b_i(0) and with psi(0) = 0 only."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme, self.every = scheme, range(scheme.stages)
        self.expand = Expansion(())
        self.terms = _terms(scheme)
        self.a = [[self._of(e) for e in line] for line in scheme.a]
        self.b = [self._of(e) for e in scheme.b]
        self.c = [self.expand.element(c) for c in scheme.c]
        self._spans: dict[Branch, list[Vector]] = {}

    def order(self, weakened: bool = False) -> int:
        """The stiff order; weakened: the conditions of this order hold with b_i(0), psi_p(0), those below in full.

        Then, too, the scheme is convergent of that order (Hochbruck and Ostermann 2005, theorem 4.7).
        """
        strict = 0
        while strict < HIGHEST and self._holds(strict + 1, at_zero=False):
            strict += 1
        return strict + 1 if weakened and strict < HIGHEST and self._holds(strict + 1, True) else strict

    def _holds(self, order: int, at_zero: bool) -> bool:
        if order == 2 and any(x for i in self.every for x in self._psi(1, i)):
            return False
        last = self._psi(order, None)[: 1 if at_zero else None]
        weights = _basis([tuple(series[n] for series in self.b) for n in range(1 if at_zero else self.terms)])
        rest = (self._legs(legs, vector) for legs, children in vertices(order) for vector in self._products(children))
        return not any(last) and not any(_dot(w, v) for v in rest for w in weights)

    def _span(self, branch: Branch) -> list[Vector]:
        """A basis of what a branch can be at the stages."""
        if branch not in self._spans:
            if branch[0] == "psi":
                values = [self._psi(branch[1], i) for i in self.every]
                found = [tuple(value[n] for value in values) for n in range(self.terms)]
            else:
                found = [
                    tuple(
                        sum((x[n] * v for x, v in zip(line, inner, strict=True)), start=sp.QQ.zero) for line in self.a
                    )
                    for inner in _basis([self._legs(branch[0], v) for v in self._products(branch[1])])
                    for n in range(self.terms)
                ]
            self._spans[branch] = _basis(found)
        return self._spans[branch]

    def _products(self, children: tuple[Branch, ...]) -> list[Vector]:
        """The products, stage by stage, of what the children can be."""
        found: list[Vector] = [(sp.QQ.one,) * self.scheme.stages]
        for child in children:
            found = _basis([tuple(map(sp.QQ.mul, v, w)) for v in found for w in self._span(child)])
        return found

    def _legs(self, legs: int, vector: Vector) -> Vector:
        return tuple(c**legs * x for c, x in zip(self.c, vector, strict=True))

    def _psi(self, k: int, i: int | None) -> Series:
        """psi_{k,i}, or psi_k of the update."""
        c, line = (sp.QQ.one, self.b) if i is None else (self.c[i], self.a[i])
        exact = self._of(self.expand.expression(c) ** k * phi(k, self.expand.expression(c) * h)) if c else None
        total = list(exact or self.expand.constant(0, self.terms))
        for weight, place in zip(line, self.c, strict=True):
            factor = place ** (k - 1) / factorial(k - 1)
            total = [x - factor * y for x, y in zip(total, weight, strict=True)]
        return tuple(total)

    def _of(self, entry: sp.Expr) -> Series:
        return self.expand.of(entry, self.terms)


def stiff_orders(scheme: Scheme) -> tuple[int, int] | None:
    """The stiff order and the weakened one; None unless explicit, exponential, exact and without past outputs.

    HIGHEST stands for all orders above it too.
    """
    if not scheme.exponential or scheme.kind != "explicit" or scheme.history or scheme.tolerance:
        return None
    conditions = StiffConditions(scheme)
    return conditions.order(), conditions.order(weakened=True)


def _terms(scheme: Scheme) -> int:
    """Coefficients that decide whether a combination of entries and psi_k vanishes.

    z^m times a combination of products of phi_k(qz) is a sum of P_q(z) e^{qz}, a solution of a linear equation of order
    sum (deg P_q + 1): as many coefficients beyond m are enough. m is the highest sum of indices in a product.
    """
    rates, depth = {sp.S.Zero, sp.S.One, *scheme.c}, HIGHEST + 1
    for entry in scheme.entries:
        for product in sp.Add.make_args(sp.expand(entry)):
            reached: set[sp.Expr] = {sp.S.Zero}
            power = 0
            for factor in sp.Mul.make_args(product):
                base, exponent = factor.as_base_exp()
                if isinstance(base, phi):
                    for _ in range(int(exponent)):
                        reached |= {rate + base.args[1] / h for rate in reached}
                    power += (int(base.args[0]) + 1) * int(exponent)
                elif base == h:
                    power += int(exponent)
            rates |= reached
            depth = max(depth, power)
    return len(rates) * (depth + 1) + depth


def _dot(v: Vector, w: Vector) -> Any:
    return sum(map(sp.QQ.mul, v, w), start=sp.QQ.zero)


def _basis(vectors: list[Vector]) -> list[Vector]:
    """A basis of the span, without zero vectors."""
    vectors = [v for v in dict.fromkeys(vectors) if any(v)]
    if not vectors:
        return []
    reduced, pivots = DomainMatrix([list(v) for v in vectors], (len(vectors), len(vectors[0])), sp.QQ).rref()
    return [tuple(line) for line in reduced.to_list()[: len(pivots)]]
