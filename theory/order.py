"""Orders, decided exactly.

In its frame a method is an explicit general linear method for dz/du = G(z, u): W_j F_j = a_j(h) G_j with
a_j = W_j e^{kappa (end - s_j) h}, a power series in h whose coefficients are rational in the step ratios. A vertex
with q legs contributes c^q times the product of its subtrees' weights at the point where its output was made; an
output at an earlier grid point carries the series of the exact path there, c^|t| / gamma(t), and a stage that of its
own row. The method has order p iff for every tree with |t| <= p the update's weight minus 1/gamma(t) vanishes through
h^(p - |t|); it has exactly order p iff a tree fails at total order p + 1. Both are computed.

For all records of one carried state (z_{n+1} = z_n + …) the root condition holds: the only root is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import sympy as sp

from . import series
from .method import Method, Node, grid_position
from .series import FIELD, Series
from .trees import Tree, trees


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
    """The order of a method for every smooth G in any dimension and all step ratios.

    conditions: how many coefficients were proved to vanish.  leading_defects: what fails at order p + 1, so that
    the local error is h^{p+1} sum coefficient D(t)/sigma(t).
    """

    method: str
    order: int
    conditions: int
    leading_defects: tuple[Defect, ...]


def weight_series(method: Method, terms: int) -> Callable[[Tree], Series]:
    """The map from a tree to its weight in the update, a series in h with that many terms."""
    kappa = method.frame.kappa

    @cache
    def coefficients(row: int) -> tuple[Series, ...]:
        """a_j(h)/h of a row."""
        end = grid_position(method.rows[row].to)
        result = []
        for node, weight in zip(method.rows[row].nodes, method.weights[row], strict=True):
            growth = series.exponential(FIELD.from_expr(kappa * (end - method.position(node))), terms + 1)
            result.append(series.shift(series.multiply(series.of(weight, terms + 1), growth), -1)[:terms])
        return tuple(result)

    @cache
    def on_path(row: int, power: int) -> Series:
        """sum_j a_j c_j^power over the outputs made on the exact path."""
        total = series.constant(0, terms)
        for node, a in zip(method.rows[row].nodes, coefficients(row), strict=True):
            if not node.stage:
                place = FIELD.from_expr(method.position(node))
                total = series.add(total, series.scale(a, series.power(place, power)))
        return total

    @cache
    def at_row(row: int, tree: Tree) -> Series:
        """Weight of the tree in the vector that a row makes."""
        # c^legs times the subtrees' c^|t|/gamma(t): outputs on the path see a tree by its order alone, up to a factor.
        densities = FIELD(prod(child.gamma for child in tree.children))
        total = series.scale(on_path(row, tree.order - 1), 1 / densities)
        for node, a in zip(method.rows[row].nodes, coefficients(row), strict=True):
            if node.stage:
                total = series.add(total, series.multiply(a, at_stage(node, tree)))
        return total

    @cache
    def at_stage(node: Node, tree: Tree) -> Series:
        """Weight of the tree in G at a stage: c^legs times the weights of the subtrees in the stage's vector."""
        place = FIELD.from_expr(method.position(node))
        product = series.constant(series.power(place, tree.legs), terms)
        for child in tree.children:
            product = series.multiply(product, at_row(node.stage - 1, child))
        return product

    return lambda tree: at_row(len(method.rows) - 1, tree)


def prove_order(method: Method) -> OrderProof:
    """The exact order of a method, with what was checked and what fails next."""
    terms = method.order + 2  # enough to prove the claim and to refute the next order
    while (proof := _prove(method, terms)) is None:
        terms += 2
    return proof


def _prove(method: Method, terms: int) -> OrderProof | None:
    """The proof, if so many terms of the series decide it."""
    weight = weight_series(method, terms)
    residuals: dict[Tree, Series] = {}
    conditions = 0
    for total in range(1, terms + 1):
        for tree in trees(total):
            residuals[tree] = series.add(weight(tree), series.constant(-FIELD(1) / tree.gamma, terms))
        failing = tuple(
            Defect(tree, total - tree.order, sp.factor(residual[total - tree.order].as_expr()))
            for tree, residual in residuals.items()
            if residual[total - tree.order]
        )
        if failing:
            return OrderProof(method.name, total - 1, conditions, failing)
        conditions += len(residuals)
    return None


def local_error(proof: OrderProof) -> sp.Expr:
    """h^{p+1} sum of coefficient D(t)/sigma(t), with one symbol an elementary differential."""
    terms: list[Any] = [
        defect.coefficient / defect.tree.sigma * sp.Symbol(defect.tree.latex) for defect in proof.leading_defects
    ]
    return sp.Add(*terms)
