"""Orders, decided exactly.

In its frame a method is an explicit general linear method for dz/du = G(z, u): W_j F_j = a_j(h) G_j with
a_j = W_j w(end)/w(s_j) (for a weight e^{kappa u}: W_j e^{kappa (end - s_j) h}), a power series in h whose coefficients
are rational in the step ratios, the parameters and, where the weight is any smooth function, its Taylor symbols. A
vertex with q legs contributes c^q times the product of its subtrees' weights at the point where its output was made;
an output or a state at an earlier grid point carries the series of the exact path there, c^|t| / gamma(t), and a stage
that of its own row. The earlier outputs of a predictor-corrector were made at predicted points, off the path by the
predictor's leading defect. The method has order p iff for every tree with |t| <= p, the empty one included, the
update's weight minus 1/gamma(t) vanishes through h^(p - |t|); it has exactly order p iff a tree fails at total order
p + 1. Both are computed.

That errors do not grow is the root condition: where one state is carried the only root is 1; where two are, the second
root is -c_1, and Method refuses it outside the unit circle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, reduce
from math import prod
from typing import Any, Protocol

import sympy as sp

from . import series
from .frames import Frame
from .method import Method
from .notation import h
from .notation import r as ratios
from .rows import Node, past
from .series import Expansion, Series
from .trees import EMPTY, Tree, trees


@dataclass(frozen=True)
class Defect:
    """A condition that fails: the update's weight of `tree` is off by coefficient * h^power."""

    tree: Tree
    power: int
    coefficient: sp.Expr

    @property
    def total_order(self) -> int:
        return self.tree.order + self.power


@dataclass(frozen=True)
class OrderProof:
    """The order of a method for every smooth G in any dimension, all step ratios and every value of its parameters.

    conditions: the number of coefficients proved to vanish.  leading_defects: those that fail at order p + 1;
    the local error is h^{p+1} sum coefficient D(t)/sigma(t).  largest_residual: of the conditions that hold to a
    tolerance only; 0 where all hold exactly.
    """

    method: str
    statement: str
    order: int
    conditions: int
    leading_defects: tuple[Defect, ...]
    largest_residual: sp.Expr = sp.S.Zero


class StepRow(Protocol):
    """A vector that a step makes: its place, the nodes whose outputs it takes and the states that it carries."""

    @property
    def end(self) -> sp.Expr: ...
    @property
    def nodes(self) -> tuple[Node, ...]: ...
    @property
    def states(self) -> tuple[sp.Expr, ...]: ...


class Decidable(Protocol):
    """What trees ask of a method, or of a scheme (scheme.py)."""

    @property
    def name(self) -> str: ...
    @property
    def frame(self) -> Frame: ...
    @property
    def rows(self) -> Sequence[StepRow]: ...
    @property
    def weights(self) -> Sequence[Sequence[sp.Expr]]: ...
    @property
    def corrects(self) -> bool: ...
    @property
    def history(self) -> int: ...
    def position(self, node: Node) -> sp.Expr: ...


class TreeWeights:
    """The weights of trees in the update of a method, as series in h; parts that trees share are computed once."""

    def __init__(self, method: Decidable, terms: int, expand: Expansion) -> None:
        self.method, self.terms, self.expand = method, terms, expand
        self._series: dict[tuple[sp.Expr, int], Series] = {}
        self._in_rows: dict[tuple[int, Tree], Series] = {}
        self._at_stages: dict[tuple[int, Tree], Series] = {}
        self._on_path: dict[tuple[int, int], Series] = {}
        self._powers: dict[tuple[Node, int], Series] = {}

    def update(self, tree: Tree) -> Series:
        """The weight of a tree in z_{n+1}."""
        return self.in_row(len(self.method.rows) - 1, tree)

    def in_row(self, row: int, tree: Tree) -> Series:
        """The weight of a tree in the vector that a row makes."""
        if (row, tree) not in self._in_rows:
            self._in_rows[row, tree] = self._sum_over_nodes(row, tree)
        return self._in_rows[row, tree]

    def _sum_over_nodes(self, row: int, tree: Tree) -> Series:
        method, made = self.method, self.method.rows[row]
        if tree == EMPTY:
            return reduce(series.add, (self._of(c, 1) for c in made.states))
        # Outputs on the path: c^legs times the subtrees' c^|t|/gamma(t) depends on the tree by its order alone, up to
        # a factor.
        keep = self._enough(tree)
        densities = self.expand.field(prod(child.gamma for child in tree.children))
        total = series.scale(self._sum_on_path(row, tree.order - 1)[:keep], self.expand.field(1) / densities)
        # The states before z_n, on the path as well.
        for back, c in enumerate(made.states[1:], start=1):
            there = series.multiply(self._of(c), self._power(past(back), tree.order))[:keep]
            total = series.add(total, series.scale(there, self.expand.field(1) / tree.gamma))
        # Outputs at stages, and how far off the path earlier predicted points were.
        for node, a in zip(made.nodes, self.coefficients[row], strict=True):
            if node.stage:
                total = series.add(total, series.multiply(a[:keep], self._at_stage(node.stage, tree)))
            elif method.corrects and not tree.legs and len(tree.children) == 1:
                total = series.add(total, series.scale(self._off_path(node, tree.children[0])[:keep], a[0]))
        return total

    def _at_stage(self, stage: int, tree: Tree) -> Series:
        """The weight of a tree in G at a stage: c^legs times the weights of the subtrees in the stage's vector."""
        if (stage, tree) not in self._at_stages:
            keep = self._enough(tree)
            product = self._power(Node(stage=stage), tree.legs)[:keep]
            for child in tree.children:
                product = series.multiply(product, self.in_row(stage - 1, child)[:keep])
            self._at_stages[stage, tree] = product
        return self._at_stages[stage, tree]

    def _sum_on_path(self, row: int, exponent: int) -> Series:
        """sum_j a_j c_j^exponent over the outputs made at grid points, as if these were on the exact path."""
        if (row, exponent) not in self._on_path:
            total = self.expand.constant(0, self.terms)
            for node, a in zip(self.method.rows[row].nodes, self.coefficients[row], strict=True):
                if not node.stage:
                    total = series.add(total, series.multiply(a, self._power(node, exponent)))
            self._on_path[row, exponent] = total
        return self._on_path[row, exponent]

    def _off_path(self, node: Node, child: Tree) -> Series:
        """How far off the path an earlier predicted point was, in the direction of a tree: its leading defect.

        With the order q of the predictor it is h^{q+1}, and reaches the update as h^{q+2} G_z(D(child)); all that is
        left out comes an order later, behind the leading defects of a corrected order q + 1.
        """
        power, defects = self._earlier_defects[node.back]
        if not (defect := defects.get(child)):
            return self.expand.constant(0, self.terms)
        return series.shift(self.expand.constant(defect, self.terms), power - child.order)

    @cached_property
    def _earlier_defects(self) -> dict[int, tuple[int, dict[Tree, Any]]]:
        """By `back`: the predictor's leading defects in the step that ended there, and their power of this step's h."""
        assert isinstance(self.method, Method)  # only a method of the catalogue corrects
        proof, found = prove_order(predictor(self.method)), {}
        for back in range(self.method.history + 1):
            size = ratios[back]
            earlier = {r: ratios[k + back + 1] / size for k, r in enumerate(ratios[: len(ratios) - back - 1])}
            seen = {
                d.tree: d.coefficient.subs(earlier, simultaneous=True) * size ** (proof.order + 1)
                for d in proof.leading_defects
            }
            found[back] = proof.order + 1, {tree: self.expand.of(c, 1)[0] for tree, c in seen.items()}
        return found

    @cached_property
    def coefficients(self) -> list[list[Series]]:
        """a_j(h)/h of every row."""
        return [
            [self._coefficient(row.end, node, w) for node, w in zip(row.nodes, weights, strict=True)]
            for row, weights in zip(self.method.rows, self.method.weights, strict=True)
        ]

    def _coefficient(self, end: sp.Expr, node: Node, weight: sp.Expr) -> Series:
        """a_j(h)/h = W_j w(end)/(w(s_j) h)."""
        position, frame = self.method.position(node), self.method.frame
        if frame.rate is None:
            growth = series.exp(self._of(frame.kappa * (end - position) * h, 1))
        else:  # W_j holds the weight at u_n and what it has grown by since
            growth = series.inverse(self.expand.weight(position, self.terms + 1))
        return series.shift(series.multiply(self._of(weight, 1), growth), -1)[: self.terms]

    def _power(self, node: Node, exponent: int) -> Series:
        """c^exponent for the position c of a node."""
        if (node, exponent) not in self._powers:
            self._powers[node, exponent] = series.powers(self._of(self.method.position(node)), exponent)
        return self._powers[node, exponent]

    def _of(self, expression: sp.Expr, more: int = 0) -> Series:
        """The series of an expression, with that many terms more."""
        if (expression, more) not in self._series:
            self._series[expression, more] = self.expand.of(expression, self.terms + more)
        return self._series[expression, more]

    def _enough(self, tree: Tree) -> int:
        """Terms that a tree needs: it is asked for h^(terms - |t|) at most."""
        return self.terms - tree.order + 1


@cache
def predictor(method: Method) -> Method:
    """The predictor of a predictor-corrector as a method of its own."""
    return replace(method, name=f"{method.name}-predictor", aliases=(), rows=method.rows[:1], order=method.order - 1)


@cache
def prove_order(method: Method, free: bool = False) -> OrderProof:
    """The exact order of a method, with what was checked and what fails next.

    For all step ratios, or, where the weights assume equal steps and `free` is not asked, for r = 1 + O(h); the
    defects then hold (r_k - 1)/h by the name of r_k.
    """
    return _proof(method, method.expansion(smooth=method.equal_steps and not free))


@cache
def equal_steps_proof(method: Method) -> OrderProof:
    """The order and the defects for equal steps: numbers, where for free ratios they are functions."""
    return _proof(method, Expansion(tuple(s for s in method.symbols if s not in ratios), equal=True))


def _proof(method: Method, expand: Expansion) -> OrderProof:
    """The proof; methods that differ in their names and start-ups only share what is decided."""

    def words(order: int) -> str:
        return statement(method, order, expand)

    asked = (method.frame, method.rows, method.weights, method.parameters, method.order)
    alike = (*asked, expand.smooth, expand.equal)
    if alike not in _DECIDED:
        terms = method.order + 1  # enough to prove the claim and to refute the next order
        while (found := decide(method, words, terms, expand)) is None:
            terms += 2
        _DECIDED[alike] = found
    proof = _DECIDED[alike]
    return replace(proof, method=method.name, statement=words(proof.order))


_DECIDED: dict[tuple[object, ...], OrderProof] = {}  # by all that trees ask of a method


def decide(
    method: Decidable, words: Callable[[int], str], terms: int, expand: Expansion, legs: bool = True
) -> OrderProof | None:
    """The proof, or None where the series have too few terms to decide it.

    words: the theorem of an order.  legs: whether trees with legs are conditions of their own.
    """
    weights = TreeWeights(method, terms, expand)
    residuals: dict[Tree, Series] = {}
    conditions, largest = 0, sp.S.Zero
    for total in range(terms + 1):
        for tree in trees(total, legs):
            found = weights.update(tree)
            residuals[tree] = (found[0] - expand.field(1) / tree.gamma, *found[1:])
        at_order = [(tree, residual[total - tree.order]) for tree, residual in residuals.items()]
        failing = tuple(
            Defect(tree, total - tree.order, expand.expression(residual))
            for tree, residual in at_order
            if expand.counts(residual)
        )
        if failing:
            return OrderProof(method.name, words(total - 1), total - 1, conditions, failing, largest)
        conditions += len(residuals)
        if expand.tolerance:
            largest = max(largest, *(abs(expand.expression(residual)) for _, residual in at_order))
    return None


def statement(method: Method, order: int, expand: Expansion) -> str:
    """The theorem in words."""
    ratios_are = "all step ratios"
    if expand.equal:
        ratios_are = "equal steps"
    elif expand.smooth:
        ratios_are = "step ratios 1 + O(h)"
    for p in method.parameters:
        ratios_are += f", every {p.name}" + "".join(f" but {value}" for value, _ in p.orders)
    if method.frame.rate is not None:
        ratios_are += ", any smooth weight"
    if method.second_root is not None:
        ratios_are += f"; its second root is {method.shown(method.second_root)}"
    return f"{method.name} is exactly of order {order} for a smooth G in any dimension, {ratios_are}"
