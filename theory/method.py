"""What a sampler is: a frame, and rows of nodes with a rule (derived) or with weights (published)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import sympy as sp

from .exponential import Rule, exact, weights
from .frames import Frame
from .notation import a1
from .notation import r as ratios


@dataclass(frozen=True)
class Node:
    """Where an output was made: `back` grid points ago, or (stage > 0) at the given stage of this step."""

    back: int = 0
    stage: int = 0


NOW = Node()


def past(k: int) -> Node:
    """The output at the grid point k steps ago."""
    return Node(back=k)


def stage(k: int) -> Node:
    """The output at the result of this step's row k (counted from 1)."""
    return Node(stage=k)


Place: TypeAlias = "int | sp.Rational"  # a grid point n + offset, offset <= 1; or a fraction of the step


def grid_position(place: Place) -> sp.Expr:
    """Position s of a place, in units of h from u_n."""
    if not isinstance(place, int):
        return place
    return sp.S.One if place == 1 else -sum(ratios[:-place], start=sp.S.Zero)


@dataclass(frozen=True)
class Row:
    """One new vector: z(to) = z_n + sum_j W_j F(node_j).

    to: +1 for the next grid point, -k for the grid point k steps back, a Rational for that fraction of the step.
    rule: the weights follow from the nodes; or published: the weights as given, in the frame.
    evaluated: whether the model is asked at the new vector; a corrector's result is a state without an output.
    """

    nodes: tuple[Node, ...]
    rule: Rule | None = None
    to: Place = 1
    published: tuple[sp.Expr, ...] | None = None
    evaluated: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.to, int) and not 0 < self.to < 1:
            raise ValueError(f"to: {self.to}; a fraction of the step lies between 0 and 1")
        if (self.rule is None) == (self.published is None):
            raise ValueError("row: give either rule or published")
        if self.published is not None and len(self.published) != len(self.nodes):
            raise ValueError(f"published: {len(self.published)} weights for {len(self.nodes)} nodes")
        for w in self.published or ():
            if sp.sympify(w).atoms(sp.Float):
                raise ValueError(f"published: {w} contains a float; weights are exact")


@dataclass(frozen=True)
class Method:
    """A sampler, declared once.

    order: a claim; the proofs and the measurements must confirm and bound it.
    start: the method that takes a step for which this one lacks history (it may have a start of its own).
    equal_steps: the weights assume equal steps: the order is claimed for step ratios r = 1 + O(h).
    provenance: "derived", or for published weights where they were read.
    """

    name: str
    family: str
    frame: Frame
    rows: tuple[Row, ...]
    order: int
    cite: str
    summary: str
    aliases: tuple[str, ...] = ()
    start: Method | None = None
    provenance: str = "derived"
    equal_steps: bool = False

    def __post_init__(self) -> None:
        if not self.rows or self.rows[-1].to != 1:
            raise ValueError(f"{self.name}: rows: the last row must end at the next grid point")
        if (self.history > 0) != (self.start is not None):
            raise ValueError(f"{self.name}: start: needed exactly when the method has history")
        if self.start is not None and self.start.history >= self.history:
            raise ValueError(f"{self.name}: start: {self.start.name} must have less history")
        # The numeric side takes a start in another frame by the one-node rule of this method's own frame.
        if self.start is not None and self.start.frame is not self.frame and self.start.rows != (Row((NOW,), exact),):
            raise ValueError(f"{self.name}: start: {self.start.name} in another frame must be the one-node rule")
        if not all(row.evaluated for row in self.rows[:-1]):
            raise ValueError(f"{self.name}: rows: only the last row can go without an evaluation")
        if self.corrects and (len(self.rows) != 2 or self.rows[0].to != 1):
            raise ValueError(f"{self.name}: rows: a corrector follows one predictor of the next grid point")

    @property
    def corrects(self) -> bool:
        """Predictor-corrector with one evaluation a step: outputs at predicted points, states corrected."""
        return bool(self.rows) and not self.rows[-1].evaluated

    @property
    def nfe_per_step(self) -> int:
        return sum(row.evaluated for row in self.rows)

    def position(self, node: Node) -> sp.Expr:
        """Position s of a node, in units of h from u_n."""
        return grid_position(self.rows[node.stage - 1].to) if node.stage else grid_position(-node.back)

    @cached_property
    def weights(self) -> tuple[tuple[sp.Expr, ...], ...]:
        """The weights W_j of every row, in terms of h, the step ratios and phi atoms."""
        return tuple(map(self._row_weights, self.rows))

    def _row_weights(self, row: Row) -> tuple[sp.Expr, ...]:
        if row.rule is None:
            assert row.published is not None
            return row.published
        nodes = [self.position(node) for node in row.nodes]
        return weights(nodes, row.rule, self.frame.kappa, grid_position(row.to))

    @property
    def history(self) -> int:
        """How many earlier grid points a step needs, for their outputs or for their place."""
        backs = [n.back for row in self.rows for n in row.nodes]
        return max(*backs, *(-row.to for row in self.rows if isinstance(row.to, int)))

    @property
    def order_asymptotic(self) -> int:
        """Global order with the method's own start-up: one first step of order q leaves an error O(h^{q+1})."""
        order, start = self.order, self.start
        while start is not None:
            order, start = min(order, start.order + 1), start.start
        return order

    @property
    def kind(self) -> str:
        """one-step, multistep, multistage, predictor-corrector, or general-linear (past places and stages)."""
        if self.corrects:
            return "predictor-corrector"
        if len(self.rows) == 1:
            return "multistep" if self.history else "one-step"
        return "general-linear" if self.history else "multistage"

    def arguments(self, row: int) -> tuple[str, ...]:
        """Names of the numbers that row's weights depend on, h first."""
        free = {symbol.name for w in self.weights[row] for symbol in sp.sympify(w).free_symbols}
        known = ["h", *(symbol.name for symbol in ratios), a1.name]
        if free - set(known):
            raise ValueError(f"{self.name}: weights: unknown symbols {sorted(free - set(known))}")
        return tuple(name for name in known if name in free)
