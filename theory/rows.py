"""What a step is made of: nodes, where outputs were made, and rows, each of which makes one new vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import TypeAlias

import sympy as sp

from .exponential import Rule
from .notation import r as ratios


@dataclass(frozen=True)
class Node:
    """Where an output was made: `back` grid points ago, or (stage > 0) at the given stage of this step."""

    back: int = 0
    stage: int = 0

    def __post_init__(self) -> None:
        """Any integer, one of sympy's too, is the int that it equals."""
        object.__setattr__(self, "back", index(self.back))
        object.__setattr__(self, "stage", index(self.stage))


NOW = Node()


def past(k: int) -> Node:
    """The output at the grid point k steps ago."""
    return Node(back=k)


def stage(k: int) -> Node:
    """The output at the result of this step's row k (counted from 1)."""
    return Node(stage=k)


# A grid point n + offset, offset <= 1; a fraction of the step in the clock, a number or a free parameter; or MIDDLE,
# the middle of the step in t.
Place: TypeAlias = "int | sp.Expr"


def as_place(place: Place) -> Place:
    """The place in normal form: a number equal to an integer is a grid point, of any type.  ValueError for others."""
    exact_place = sp.sympify(place)
    if exact_place.is_Integer:
        return int(exact_place)
    if exact_place.is_Float or (exact_place.is_Rational and not 0 < exact_place < 1):
        raise ValueError(f"to: {place}; a grid point, or a fraction of the step between 0 and 1, exact")
    return exact_place


def grid_position(place: Place) -> sp.Expr:
    """Position s of a place, in units of h from u_n."""
    if not isinstance(place, int):
        return place
    return sp.S.One if place == 1 else -sum(ratios[:-place], start=sp.S.Zero)


@dataclass(frozen=True)
class Row:
    """One new vector: z(to) = sum_k c_k z_{n-k} + sum_j W_j F(node_j).

    to: +1 for the next grid point, -k for the grid point k steps back, else a place inside the step.
    rule: the weights follow from the nodes; or published: the weights as given, in the frame.
    evaluated: whether the model is evaluated at the new vector; a corrector's result is a state without an output.
    states: the coefficients c_0, c_1 of z_n and, in a method that carries two states, of z_{n-1}.
    """

    nodes: tuple[Node, ...]
    rule: Rule | None = None
    to: Place = 1
    published: tuple[sp.Expr, ...] | None = None
    evaluated: bool = True
    states: tuple[sp.Expr, ...] = (sp.S.One,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "to", as_place(self.to))
        if (self.rule is None) == (self.published is None):
            raise ValueError("row: give either rule or published")
        if self.published is not None and len(self.published) != len(self.nodes):
            raise ValueError(f"published: {len(self.published)} weights for {len(self.nodes)} nodes")
        for name, numbers in (("published", self.published or ()), ("states", self.states)):
            for w in numbers:
                if sp.sympify(w).atoms(sp.Float):
                    raise ValueError(f"{name}: {w} contains a float; weights are exact")
        if not 1 <= len(self.states) <= 2:
            raise ValueError(f"states: {len(self.states)} coefficients; one, or two with that of z_{{n-1}}")

    @property
    def end(self) -> sp.Expr:
        """Position s of the row's result, in units of h from u_n."""
        return grid_position(self.to)

    def with_values(self, given: Mapping[sp.Symbol, sp.Rational]) -> Row:
        """The row with values for symbols."""
        to, *states = (sp.sympify(e).subs(given) for e in (self.to, *self.states))
        published = self.published and tuple(sp.sympify(w).subs(given) for w in self.published)
        return replace(self, to=to, published=published, states=tuple(states))


def node_position(rows: Sequence[Row], node: Node) -> sp.Expr:
    """Position s of a node of a step's rows, in units of h from u_n."""
    return rows[node.stage - 1].end if node.stage else grid_position(-node.back)
