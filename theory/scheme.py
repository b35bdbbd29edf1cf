"""Schemes: tableaux that anyone may bring, explicit or implicit, with the order that trees decide.

A scheme advances x' = L x + N(x, u) by stages and an update,

    x_i     = e^{c_i hL} x_n + h sum_j a_ij(hL) N(x_j, c_j) + h sum_k u_ik(hL) N_{n-k}
    x_{n+1} = sum_k s_k x_{n-k} + h sum_j b_j(hL) N(x_j, c_j) + h sum_k v_k(hL) N_{n-k}

with L = 0, or where it is exponential with one number L, as in diffusion (-1 in the data frame); s_0 x_n is carried by
e^{hL}. An implicit scheme is decided at its converged stages: the weight of a tree at a stage asks for smaller trees at
all stages, so the recursion of order.py ends as it does for explicit ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import sympy as sp

from .frames import NOISE, VELOCITY, Frame
from .notation import h
from .notation import r as ratios
from .order import Defect, OrderProof, decide
from .rows import Node, grid_position, past, stage
from .series import Expansion
from .trees import Tree

BY_TREES = 9  # the highest order that trees decide: those of order 10 without legs are 719
Line = tuple[sp.Expr, ...]


@dataclass(frozen=True)
class SchemeRow:
    """One vector of a step: where it is, in units of h, the outputs it takes, and what it carries of x_n, x_{n-1}, …"""

    end: sp.Expr
    nodes: tuple[Node, ...]
    states: Line = (sp.S.One,)


@dataclass(frozen=True)
class Scheme:
    """A tableau: c [s], a [s][s], b [s], u [s][K] and v [K] of K outputs made before, states s_k.

    exponential: entries are functions of `h`, which stands for h L, in phi atoms; else they are numbers, which may
    depend on step ratios where there are past outputs.
    tolerance: below it a residual counts as zero; 0 for exact entries.
    """

    name: str
    c: Line
    a: tuple[Line, ...]
    b: Line
    u: tuple[Line, ...] = ()
    v: Line = ()
    states: Line = (sp.S.One,)
    exponential: bool = False
    tolerance: sp.Rational = sp.S.Zero

    @property
    def stages(self) -> int:
        return len(self.c)

    @property
    def entries(self) -> list[sp.Expr]:
        """All entries but the places."""
        return [*self.states, *self.b, *self.v, *(e for line in (*self.a, *self.u) for e in line)]

    @property
    def kind(self) -> str:
        """explicit, diagonally implicit or fully implicit, in the order of the stages."""
        above = any(self.a[i][j] for i in range(self.stages) for j in range(i + 1, self.stages))
        if above:
            return "fully implicit"
        return "diagonally implicit" if any(self.a[i][i] for i in range(self.stages)) else "explicit"

    # --- what trees ask

    @property
    def corrects(self) -> bool:
        return False

    @property
    def frame(self) -> Frame:
        """A frame with the growth e^{-kappa h} = e^{hL}, at L = 1, or none."""
        return NOISE if self.exponential else VELOCITY

    @cached_property
    def rows(self) -> tuple[SchemeRow, ...]:
        lines = [
            (c, self._nodes(line, before), (sp.S.One,)) for c, line, before in zip(self.c, self.a, self._u, strict=True)
        ]
        lines.append((sp.S.One, self._nodes(self.b, self.v), self.states))
        return tuple(SchemeRow(*line) for line in lines)

    @property
    def _u(self) -> tuple[Line, ...]:
        return self.u or ((),) * self.stages

    @staticmethod
    def _nodes(line: Line, before: Line) -> tuple[Node, ...]:
        stages = [stage(j + 1) for j, weight in enumerate(line) if weight]
        return (*stages, *(past(k + 1) for k, weight in enumerate(before) if weight))

    @cached_property
    def weights(self) -> tuple[Line, ...]:
        lines = zip((*self.a, self.b), (*self._u, self.v), strict=True)
        return tuple(tuple(h * weight for weight in (*line, *before) if weight) for line, before in lines)

    def position(self, node: Node) -> sp.Expr:
        """Position of a node, in units of h from u_n."""
        return self.c[node.stage - 1] if node.stage else grid_position(-node.back)

    @property
    def history(self) -> int:
        return max((len(self.v), len(self.states) - 1, *map(len, self.u)))

    @cached_property
    def ratios(self) -> tuple[sp.Symbol, ...]:
        """The step ratios on which entries depend; where none does, past outputs are taken at equal steps."""
        found = set().union(*(e.free_symbols for e in self.entries)) & set(ratios)
        return tuple(r for r in ratios[: self.history] if found) if found else ()

    def expansion(self, free: bool = False) -> Expansion:
        """Series in h for its entries; free: the steps before may have any length, though no entry depends on them."""
        symbols = ratios[: self.history] if free else self.ratios
        return Expansion(symbols, equal=not symbols, surds=self._surds, tolerance=self.tolerance)

    @cached_property
    def _surds(self) -> Line:
        powers = set().union(*(e.atoms(sp.Pow) for e in (*self.c, *self.entries)))
        return tuple(sorted((p for p in powers if p.is_number and not p.is_Rational), key=str))

    # --- its numbers at h = 0

    def at_zero(self, line: Iterable[sp.Expr]) -> tuple[sp.Expr, ...]:
        """Entries at h = 0, as numbers or rational functions of step ratios."""
        series = self.expansion()
        return tuple(series.expression(series.of(entry, 1)[0]) for entry in line)

    @cached_property
    def limit(self) -> Scheme:
        """The scheme at h = 0: a Butcher tableau, where there are no past outputs."""
        if not self.exponential:
            return self
        a, u = (tuple(map(self.at_zero, lines)) for lines in (self.a, self.u))
        b, v = self.at_zero(self.b), self.at_zero(self.v)
        return replace(self, a=a, b=b, u=u, v=v, exponential=False)

    @cached_property
    def sums(self) -> Line:
        """sum_j a_ij + sum_k u_ik of every stage, at h = 0, and sum_j b_j + sum_k v_k behind them."""
        series = self.expansion()
        lines = zip((*self.limit.a, self.limit.b), (*self.limit._u, self.limit.v), strict=True)
        return tuple(
            series.expression(sum((series.element(e) for e in (*line, *before)), start=series.field.zero))
            for line, before in lines
        )

    @property
    def autonomous(self) -> bool:
        """Whether a leg weighs what the child [] does, so that trees without legs are enough: sums are c and L = 0."""
        series = self.expansion()
        off = (series.element(a) - series.element(c) for a, c in zip(self.sums, self.c, strict=False))
        return not self.exponential and len(self.states) == 1 and not any(map(series.counts, off))

    def swept(self, sweeps: int, in_turn: bool = False) -> Scheme:
        """The explicit scheme of that number m of sweeps: stages start as e^{c_i hL} x_n, and are made m times.

        Picard: sweep k takes the outputs at the stages of sweep k - 1, so that those of a sweep are made in parallel.
        in_turn: Gauss-Seidel, a stage takes those of its own sweep where they are made before it.
        """
        s, zero = self.stages, sp.S.Zero
        lines: list[Line] = [(zero,) * (sweeps + 1) * s] * s
        for k in range(sweeps):
            for i, line in enumerate(self.a):
                new = i if in_turn else 0
                old, made = (zero,) * new + line[new:], line[:new] + (zero,) * (s - new)
                lines.append((zero,) * k * s + old + made + (zero,) * (sweeps - k - 1) * s)
        b = (zero,) * sweeps * s + self.b
        return replace(self, name=f"{self.name}, {sweeps} sweeps", c=self.c * (sweeps + 1), a=tuple(lines), b=b)


def prove_scheme(scheme: Scheme, free: bool = False) -> OrderProof:
    """The exact order, by trees; beyond order BY_TREES by Butcher's simplifying assumptions.

    With past outputs at equal steps, or for all step ratios where entries depend on them or `free` is asked.
    Raises ValueError on an order above BY_TREES that the assumptions do not decide.
    """
    series, legs = scheme.expansion(free), not scheme.autonomous

    def words(order: int) -> str:
        steps = "equal steps" if series.equal and scheme.history else "all step ratios"
        linear = ", x' = L x + N(x) with a number L" if scheme.exponential else ""
        to = f", to a tolerance of {float(scheme.tolerance):g}" if scheme.tolerance else ""
        if order < 0:
            return f"{scheme.name} is not consistent: a constant state is not kept, {steps}{to}"
        return f"{scheme.name} is exactly of order {order} for a smooth model in any dimension{linear}, {steps}{to}"

    bound = _quadrature_order(scheme) if scheme.states == (sp.S.One,) else BY_TREES
    if bound > BY_TREES:
        p, q, r = assumptions(scheme)
        if 0 < p <= min(q + r + 1, 2 * q + 2):
            return _assumed(scheme, p, q, r)
    for terms in range(2 if scheme.history else min(bound, BY_TREES) + 1, BY_TREES + 2):
        if proof := decide(scheme, words, terms, series, legs):
            return proof
    raise ValueError(f"{scheme.name}: its order is above {BY_TREES}, beyond what trees decide in reasonable time")


def _quadrature_order(scheme: Scheme) -> int:
    """B(p) at h = 0, past outputs included: no order is higher."""
    series, limit = scheme.expansion(), scheme.limit
    weights = [series.element(w) for w in (*limit.b, *limit.v)]
    before = [scheme.position(past(k + 1)) for k in range(len(scheme.v))]
    places = [series.of(place, 1)[0] for place in (*scheme.c, *before)]
    powers = [series.field.one] * len(places)
    for k in range(1, 4 * len(places) + 2):
        moment = sum((w * p for w, p in zip(weights, powers, strict=True)), start=series.field.zero)
        if series.counts(moment - series.field.one / k):
            return k - 1
        powers = [p * c for p, c in zip(powers, places, strict=True)]
    raise AssertionError("a quadrature formula is exact to a degree below twice its nodes")


def assumptions(scheme: Scheme) -> tuple[int, int, int]:
    """The largest p, q, r of B(p), C(q), D(r) (Butcher 1964); -1 each where there are past outputs or L is not 0.

    B: sum_i b_i c_i^{k-1} = 1/k. C: sum_j a_ij c_j^{k-1} = c_i^k/k. D: sum_i b_i c_i^{k-1} a_ij = b_j (1 - c_j^k)/k.
    The order is at least min(p, q + r + 1, 2 q + 2), and at most p.
    """
    if scheme.exponential or scheme.history:
        return -1, -1, -1
    series = scheme.expansion()
    a = [[series.element(e) for e in line] for line in scheme.a]
    b, c = ([series.element(e) for e in line] for line in (scheme.b, scheme.c))
    every, one = range(scheme.stages), series.field.one

    def holds(condition: str, k: int) -> bool:
        def total(terms: Iterable[sp.Expr]) -> sp.Expr:
            return sum(terms, start=series.field.zero)

        if condition == "C":
            off = [total(a[i][j] * c[j] ** (k - 1) for j in every) - c[i] ** k / k for i in every]
        else:
            off = [total(b[i] * c[i] ** (k - 1) * a[i][j] for i in every) - b[j] * (one - c[j] ** k) / k for j in every]
        return not any(map(series.counts, off))

    found = [next(k for k in range(1, scheme.stages + 2) if not holds(condition, k)) - 1 for condition in "CD"]
    return _quadrature_order(scheme), found[0], found[1]


def _assumed(scheme: Scheme, p: int, q: int, r: int) -> OrderProof:
    """The proof by B(p), C(q), D(r): what fails next is the tree of order p + 1 whose root has p leaves."""
    series = scheme.expansion()
    moment = sum(
        (series.element(w) * series.element(c) ** p for w, c in zip(scheme.b, scheme.c, strict=True)),
        start=series.field.zero,
    )
    off = series.expression(moment - series.field.one / (p + 1))
    words = f"{scheme.name} is exactly of order {p}, by B({p}), C({q}), D({r}) (Butcher 1964)"
    return OrderProof(scheme.name, words, p, p + (q + r) * scheme.stages, (Defect(Tree(0, (Tree(),) * p), 0, off),))
