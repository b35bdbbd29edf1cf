"""Orders of multistep methods with stale features: dz/du = g(z, f(z, u), u), where f is not evaluated at every output.

An output takes the features f by interpolation in the clock through m earlier evaluations of f, its refreshes; m = 1 is
reuse. Trees have two kinds of vertices: g, whose weight is integrated, and f, which is not. A vertex g has time legs,
subtrees g (derivatives in z) and subtrees f (derivatives in f); a subtree f has legs and subtrees g, and its order
counts both. On the exact path f(u + c h) = sum_t h^|t| c^|t| / gamma(t) D(t)/sigma(t), so that a refresh at position s
and the Lagrange weights l_k of the refreshes give a subtree f of order n the weight sum_k l_k s_k^n in place of c^n:
a lag. All outputs of a multistep method are made at grid points, on the exact path; the weight of a tree in the update
then depends on three things alone, up to densities that both sides share: the order e of its legs and subtrees g at the
root, and the orders n_i of its subtrees f. The method has order p iff for all of them with e + sum n_i + 1 <= p

    sum_j a_j(h) c_j^e prod_i (sum_k l_jk s_jk^{n_i}) = 1/(e + sum n_i + 1)   through h^{p - e - sum n_i - 1}.

The positions s_jk are symbols: what is proved holds for every pattern of refreshes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import prod
from typing import Any

import sympy as sp

from .method import Method
from .order import TreeWeights
from .series import Expansion

Rule = Callable[[sp.Expr, Sequence[sp.Expr]], Sequence[sp.Expr]]  # (position, refreshes) -> their weights
Shape = tuple[int, tuple[int, ...]]  # e, and the orders n_i


def extrapolation(position: sp.Expr, refreshes: Sequence[sp.Expr]) -> list[sp.Expr]:
    """The Lagrange weights of the refreshes at a position."""
    return [
        sp.Mul(*((position - other) / (own - other) for other in refreshes if other is not own)) for own in refreshes
    ]


def exchanged(position: sp.Expr, refreshes: Sequence[sp.Expr]) -> list[sp.Expr]:
    """A planted fault: the weights of the last two refreshes exchanged."""
    last, second, *others = extrapolation(position, refreshes)
    return [second, last, *others]


POSITION = sp.Symbol("position")


def keys(output: int, m: int) -> tuple[sp.Symbol, ...]:
    """The positions of the m refreshes that an output uses, in units of h from u_n."""
    symbols: tuple[sp.Symbol, ...] = sp.symbols(f"key_{output}_:{m}")
    return symbols


@cache
def lag(m: int, n: int, rule: Rule = extrapolation) -> sp.Expr:
    """sum_k l_k s_k^n at a position c, in lowest terms: c^n for n < m, and c^m - prod (c - s_k) for n = m."""
    refreshes = keys(0, m)
    return sp.cancel(sum(w * s**n for w, s in zip(rule(POSITION, refreshes), refreshes, strict=True)))


def shapes(order: int) -> Iterator[Shape]:
    """What can stand at the root of a tree of that order, with subtrees f of order 1 at least."""

    def parts(total: int, most: int) -> Iterator[tuple[int, ...]]:
        if total == 0:
            yield ()
        for first in range(min(total, most), 0, -1):
            for others in parts(total - first, first):
                yield (first, *others)

    for stale in range(order):
        for orders in parts(stale, stale):
            yield order - 1 - stale, orders


class StaleWeights:
    """The conditions of a multistep method whose features come from m refreshes.

    Raises ValueError for a method with stages, a corrector, noise or two carried states, and for m < 1.
    """

    def __init__(self, method: Method, m: int, terms: int, rule: Rule = extrapolation) -> None:
        if len(method.rows) != 1 or method.corrects or method.noise or len(method.rows[0].states) != 1:
            raise ValueError(f"{method.name}: not a multistep method of one row and one state")
        if m < 1:
            raise ValueError(f"m: got {m}; one refresh at least")
        nodes = method.rows[0].nodes
        symbols = method.symbols + sum((keys(j, m) for j in range(len(nodes))), start=())
        self.expand, self.terms = Expansion(tuple(sorted(symbols, key=str))), terms
        self.coefficients = TreeWeights(method, terms, self.expand).coefficients[0]
        self.positions = [self.expand.element(method.position(node)) for node in nodes]
        self.method, self.m, self.rule = method, m, rule
        self._residuals: dict[Shape, list[sp.Expr]] = {}

    def residual(self, shape: Shape) -> list[sp.Expr]:
        """The weight of the trees of a shape minus what the exact flow has, as coefficients of h^0, h^1, …"""
        if shape not in self._residuals:
            self._residuals[shape] = self._residual(shape)
        return self._residuals[shape]

    def _residual(self, shape: Shape) -> list[sp.Expr]:
        legs, orders = shape
        total = [self.expand.field(0) - self.expand.field(1) / (1 + legs + sum(orders))]
        total += [self.expand.field(0)] * (self.terms - 1)
        for j, a in enumerate(self.coefficients):
            factor = prod((self.positions[j] for _ in range(legs)), start=self.expand.field(1))  # 0^0 is 1
            factor = prod((self._lag(j, n) for n in orders), start=factor)
            total = [before + factor * power for before, power in zip(total, a, strict=True)]
        return [self.expand.expression(c) for c in total]

    def conditions(self, order: int) -> list[sp.Expr]:
        """What must vanish for that order, but not for the one below it."""
        return [self.residual(shape)[order - size] for size in range(1, order + 1) for shape in shapes(size)]

    def _lag(self, output: int, n: int) -> Any:
        values = (self.method.position(self.method.rows[0].nodes[output]), *keys(output, self.m))
        at = dict(zip((POSITION, *keys(0, self.m)), values, strict=True))
        return self.expand.element(lag(self.m, n, self.rule).subs(at, simultaneous=True))


def stale_order(method: Method, m: int, rule: Rule = extrapolation) -> int:
    """The order of a multistep method with features from m refreshes, for every pattern of refreshes and step ratios.

    >>> from samplerproof.theory.methods import find
    >>> [stale_order(find("exp-adams-3"), m) for m in (1, 2, 3)]
    [1, 2, 3]
    """
    weights = StaleWeights(method, m, method.order + 1, rule)
    return next(p for p in range(method.order + 1) if any(weights.conditions(p + 1)))


def cycle(q: int, m: int) -> sp.Rational:
    """The mean over q equal steps, i since the last refresh, of prod_{k < m} (i + k q): -h^m g_f f^(m)/m! times this is
    what stale features add to the local error over h.
    """
    return sp.Rational(sum(sp.Mul(*(i + k * q for k in range(m))) for i in range(q)), q)
