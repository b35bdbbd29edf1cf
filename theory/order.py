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

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, reduce
from math import prod
from typing import Any

import sympy as sp

from . import series
from .method import Method, Node, grid_position, past
from .notation import h
from .notation import r as ratios
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

    conditions: how many coefficients were proved to vanish.  leading_defects: what fails at order p + 1, so that
    the local error is h^{p+1} sum coefficient D(t)/sigma(t).
    """

    method: str
    statement: str
    order: int
    conditions: int
    leading_defects: tuple[Defect, ...]


def weight_series(method: Method, terms: int, expand: Expansion) -> Callable[[Tree], Series]:
    """The map from a tree to its weight in the update, a series in h with that many terms."""

    @cache
    def series_of(expression: sp.Expr, more: int = 0) -> Series:
        return expand.of(expression, terms + more)

    def growth(end: sp.Expr, position: sp.Expr) -> Series:
        """What turns W_j into a_j."""
        if method.frame.rate is not None:  # W_j holds the weight at u_n and what it has grown by since
            return series.inverse(expand.weight(position, terms + 1))
        return series.exp(series_of(method.frame.kappa * (end - position) * h, 1))

    @cache
    def coefficients(row: int) -> tuple[Series, ...]:
        """a_j(h)/h of a row."""
        end, result = grid_position(method.rows[row].to), []
        for node, weight in zip(method.rows[row].nodes, method.weights[row], strict=True):
            grown = growth(end, method.position(node))
            result.append(series.shift(series.multiply(series_of(weight, 1), grown), -1)[:terms])
        return tuple(result)

    @cache
    def place_power(node: Node, exponent: int) -> Series:
        return series.powers(series_of(method.position(node)), exponent)

    @cache
    def on_path(row: int, exponent: int) -> Series:
        """sum_j a_j c_j^exponent over the outputs made at grid points, as if these were on the exact path."""
        total = expand.constant(0, terms)
        for node, a in zip(method.rows[row].nodes, coefficients(row), strict=True):
            if not node.stage:
                total = series.add(total, series.multiply(a, place_power(node, exponent)))
        return total

    @cache
    def at_row(row: int, tree: Tree) -> Series:
        """Weight of the tree in the vector that a row makes."""
        if tree == EMPTY:
            return reduce(series.add, (series_of(c, 1) for c in method.rows[row].states))
        # c^legs times the subtrees' c^|t|/gamma(t): outputs on the path see a tree by its order alone, up to a factor.
        keep = terms - tree.order + 1  # a tree of this order is asked for h^(terms - |t|) at most
        densities = expand.field(prod(child.gamma for child in tree.children))
        total = series.scale(on_path(row, tree.order - 1)[:keep], 1 / densities)
        for back, c in enumerate(method.rows[row].states[1:], start=1):
            there = series.multiply(series_of(c), place_power(past(back), tree.order))[:keep]
            total = series.add(total, series.scale(there, expand.field(1) / tree.gamma))
        for node, a in zip(method.rows[row].nodes, coefficients(row), strict=True):
            if node.stage:
                total = series.add(total, series.multiply(a[:keep], at_stage(node, tree)))
            elif method.corrects and not tree.legs and len(tree.children) == 1:
                total = series.add(total, series.scale(off_path(node, tree.children[0])[:keep], a[0]))
        return total

    @cache
    def at_stage(node: Node, tree: Tree) -> Series:
        """Weight of the tree in G at a stage: c^legs times the weights of the subtrees in the stage's vector."""
        keep = terms - tree.order + 1
        product = place_power(node, tree.legs)[:keep]
        for child in tree.children:
            product = series.multiply(product, at_row(node.stage - 1, child)[:keep])
        return product

    def off_path(node: Node, child: Tree) -> Series:
        """How far off the path an earlier predicted point was, in the direction of a tree: its leading defect.

        With the order q of the predictor it is h^{q+1}, and reaches the update as h^{q+2} G_z(D(child)); all that is
        left out comes an order later, behind the leading defects of a corrected order q + 1.
        """
        defect = earlier_defects(node.back).get(child, expand.field.zero)
        power = prove_order(predictor(method)).order + 1 - child.order
        return series.shift(expand.constant(defect, terms), power) if defect else expand.constant(0, terms)

    @cache
    def earlier_defects(back: int) -> dict[Tree, Any]:
        """The predictor's leading defects in the step that ended `back` grid points ago, in units of this step."""
        proof, size = prove_order(predictor(method)), ratios[back]
        earlier = {r: ratios[k + back + 1] / size for k, r in enumerate(ratios[: len(ratios) - back - 1])}
        seen = {
            d.tree: d.coefficient.subs(earlier, simultaneous=True) * size ** (proof.order + 1)
            for d in proof.leading_defects
        }
        return {tree: expand.of(coefficient, 1)[0] for tree, coefficient in seen.items()}

    return lambda tree: at_row(len(method.rows) - 1, tree)


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
    """The order for equal steps alone, and the defects there: in numbers, where free ratios make functions of them."""
    return _proof(method, Expansion(tuple(s for s in method.symbols if s not in ratios), equal=True))


def _proof(method: Method, expand: Expansion) -> OrderProof:
    terms = method.order + 1  # enough to prove the claim and to refute the next order
    while (proof := _prove(method, terms, expand)) is None:
        terms += 2
    return proof


def _prove(method: Method, terms: int, expand: Expansion) -> OrderProof | None:
    """The proof, if so many terms of the series decide it."""
    weight = weight_series(method, terms, expand)
    residuals: dict[Tree, Series] = {}
    conditions = 0
    for total in range(terms + 1):
        for tree in trees(total):
            found = weight(tree)
            residuals[tree] = (found[0] - expand.field(1) / tree.gamma, *found[1:])
        failing = tuple(
            Defect(tree, total - tree.order, expand.expression(residual[total - tree.order]))
            for tree, residual in residuals.items()
            if residual[total - tree.order]
        )
        if failing:
            return OrderProof(method.name, statement(method, total - 1, expand), total - 1, conditions, failing)
        conditions += len(residuals)
    return None


def statement(method: Method, order: int, expand: Expansion) -> str:
    """What was proved, in words."""
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
        ratios_are += f"; its second root is {method.second_root}"
    return f"{method.name} is exactly of order {order} for a smooth G in any dimension, {ratios_are}"
