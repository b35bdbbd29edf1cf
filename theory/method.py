"""What a sampler is: a frame, and rows of nodes with a rule (derived) or with weights (published)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from operator import index
from typing import Any, NamedTuple, Self, TypeAlias

import sympy as sp

from ..names.lookup import Domain
from .exponential import Rule, exact, weights
from .frames import Frame
from .notation import (
    ALPHA_RATIO,
    ALPHA_TAYLOR,
    CHURN_PLACE,
    MIDDLE,
    TWO_STEP_ALPHA_RATIO,
    WEIGHT_TAYLOR,
    a1,
    h,
    moments,
    next_rho,
    rho,
)
from .notation import r as ratios
from .phi_functions import damped_moment
from .series import Expansion

DAMPED_MOMENT = sp.Symbol("damped_moment")


def named(weight: sp.Expr) -> sp.Expr:
    """A weight as its generated code has it: the moment damped_moment(b) is a number by the name of `damped_moment`."""
    return weight.replace(damped_moment, lambda _: DAMPED_MOMENT)


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
    """The place that is meant: a number equal to an integer is a grid point, whatever its type."""
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
    evaluated: whether the model is asked at the new vector; a corrector's result is a state without an output.
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


def node_position(rows: Sequence[Row], node: Node) -> sp.Expr:
    """Position s of a node of a step's rows, in units of h from u_n."""
    return grid_position(rows[node.stage - 1].to if node.stage else -node.back)


@dataclass(frozen=True)
class Parameter:
    """A free number of a sampler, set by NAME?name=value; the proofs hold for every value in the domain.

    orders: values at which the order is another one.  excluded: values in the domain at which nodes coincide.
    """

    name: str
    symbol: sp.Symbol
    default: sp.Rational
    domain: sp.Interval
    orders: tuple[tuple[sp.Rational, int], ...] = ()
    excluded: tuple[sp.Rational, ...] = ()

    @property
    def bounds(self) -> Domain:
        """The domain in plain numbers."""
        low, high = (float(e) if e.is_infinite else as_fraction(e) for e in self.domain.args[:2])
        excluded = tuple(map(as_fraction, self.excluded))
        return Domain(self.name, as_fraction(self.default), low, high, not self.domain.left_open, excluded)


def as_fraction(number: sp.Rational) -> Fraction:
    return Fraction(int(number.p), int(number.q))


FIRST = "0.1.0"  # the first version: most samplers are as old as the project


class Amplitude(NamedTuple):
    """factor * sqrt(variance): kept apart, since sympy would draw numbers out of the root."""

    factor: sp.Expr
    variance: sp.Expr

    @property
    def value(self) -> sp.Expr:
        return self.factor * sp.sqrt(self.variance)


@dataclass(frozen=True)
class Method:
    """A sampler, declared once.

    order: a claim; the proofs and the measurements must confirm and bound it.
    start: the method that takes a step for which this one lacks history (it may have a start of its own).
    equal_steps: the weights assume equal steps: the order is claimed for step ratios r = 1 + O(h).
    provenance: "derived", or for published weights where they were read.
    parameters: its free numbers; they stand as symbols in rows and proofs.
    since: the version of this project that first had it.
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
    parameters: tuple[Parameter, ...] = ()
    since: str = FIRST

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
        self.arguments(self._numbers())
        for i, row in enumerate(self.rows):
            self._check_sums(i, row)

    def _check_sums(self, i: int, row: Row) -> None:
        """What every row must do as h -> 0: keep a constant z, and follow z = u - u_n where F w = 1."""
        series = self.expansion()
        end, states = series.element(grid_position(row.to)), [series.of(c, 1)[0] for c in row.states]
        moved = sum((series.of(w, 2)[1] for w in self.weights[i]), start=series.field.zero)
        for back, c in enumerate(states):
            moved += c * series.element(grid_position(-back))
        if carried := sum(states, start=series.field(-1)):
            excess = series.expression(carried)
            raise ValueError(f"{self.name}: states: the coefficients of row {i + 1} sum to 1 + ({excess}), not 1")
        if moved - end:
            raise ValueError(f"{self.name}: weights: those of row {i + 1} do not sum to the length of their interval")
        if len(states) == 2 and not all(abs(v) <= 1 != v for v in self._extremes(-series.expression(states[1]))):
            raise ValueError(f"{self.name}: states: the second root {self.second_root} is outside the unit circle or 1")

    @property
    def second_root(self) -> sp.Expr | None:
        """Of two carried states: zeta^2 - c_0 zeta - c_1 = (zeta - 1)(zeta + c_1) as h -> 0."""
        states = self.rows[-1].states
        series = self.expansion()
        return -series.expression(series.of(states[1], 1)[0]) if len(states) == 2 else None

    def _extremes(self, value: sp.Expr) -> list[sp.Expr]:
        """The values of an expression linear in one parameter at the ends of its domain."""
        ends = [value]
        for p in self.parameters:
            ends = [e.subs(p.symbol, end) for e in ends for end in (p.domain.start, p.domain.end)]
        return ends

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """The generators of the exact field of the method's proof: ratios, parameters, Taylor symbols."""
        places = [self.position(n) for row in self.rows for n in row.nodes]
        places += [grid_position(row.to) for row in self.rows]
        found = set().union(*(sp.sympify(e).free_symbols for e in (*places, *self._numbers())))
        if found & {a1, TWO_STEP_ALPHA_RATIO}:
            found |= {ratios[0], *ALPHA_TAYLOR}
        if any(len(row.states) > 1 for row in self.rows):
            found.add(ratios[0])
        if self.frame.rate is not None:
            found |= set(WEIGHT_TAYLOR)
        if self.corrects:  # what went before: the predictors of the steps that made the history
            found |= set(ratios[: 2 * self.history + 1])
        return tuple(sorted(found - {h, a1, TWO_STEP_ALPHA_RATIO, next_rho, *moments}, key=lambda symbol: symbol.name))

    def _numbers(self) -> Iterable[sp.Expr]:
        """All weights and coefficients."""
        return [w for row in self.weights for w in row] + [c for row in self.rows for c in row.states]

    def expansion(self, smooth: bool = False) -> Expansion:
        """Series in h for this method's expressions."""
        return Expansion(self.symbols, smooth)

    def at(self, values: Mapping[str, sp.Rational]) -> Self:
        """The method with values for its parameters, named NAME?name=value&…; the others keep their defaults.

        Raises ValueError on a parameter that it has not, and on a value outside of its domain.
        """
        known = {p.name: p.bounds for p in self.parameters}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"{self.name}: {name}: not a parameter; one of {', '.join(known) or 'none'}")
            if as_fraction(value) not in known[name]:
                raise ValueError(f"{self.name}: {name}: got {value}; {known[name]}")
        if not values:
            return self
        given = {p.symbol: values.get(p.name, p.default) for p in self.parameters}
        order = next((q for p in self.parameters for v, q in p.orders if given[p.symbol] == v), self.order)
        named = "&".join(f"{name}={value}" for name, value in values.items())
        return replace(self, name=f"{self.name}?{named}", aliases=(), order=order, parameters=(), **self._with(given))

    def _with(self, given: Mapping[sp.Symbol, sp.Rational]) -> dict[str, Any]:
        """The fields that hold expressions, with values for symbols."""

        def put(expressions: tuple[sp.Expr, ...]) -> tuple[sp.Expr, ...]:
            return tuple(sp.sympify(e).subs(given) for e in expressions)

        rows = tuple(
            replace(
                row,
                to=sp.sympify(row.to).subs(given),
                published=None if row.published is None else put(row.published),
                states=put(row.states),
            )
            for row in self.rows
        )
        return {"rows": rows}

    @property
    def corrects(self) -> bool:
        """Predictor-corrector with one evaluation a step: outputs at predicted points, states corrected."""
        return bool(self.rows) and not self.rows[-1].evaluated

    @property
    def nfe_per_step(self) -> int:
        """Outputs made in a step; that at a new grid point counts only if a later row asks for it."""
        asked = any(not node.stage for row in self.rows for node in row.nodes)
        return sum(row.evaluated for row in self.rows) - (not asked)

    def position(self, node: Node) -> sp.Expr:
        """Position s of a node, in units of h from u_n."""
        return node_position(self.rows, node)

    @cached_property
    def weights(self) -> tuple[tuple[sp.Expr, ...], ...]:
        """The weights W_j of every row, in terms of h, the step ratios and phi atoms."""
        return tuple(map(self._row_weights, self.rows))

    @property
    def applied(self) -> tuple[tuple[sp.Expr, ...], ...]:
        """What every row multiplies its outputs by: its weights."""
        return self.weights

    def carried(self, row: int) -> tuple[sp.Expr, ...]:
        """What a row multiplies z_n (and z_{n-1}) by."""
        return self.rows[row].states

    def amplitudes(self, row: int) -> tuple[Amplitude, ...]:
        """What a row multiplies the noises of this step's rows by, up to its own, in units of sigma at its end."""
        return ()

    def _row_weights(self, row: Row) -> tuple[sp.Expr, ...]:
        if row.rule is None:
            assert row.published is not None
            return row.published
        end = grid_position(row.to)
        return weights([self.position(node) for node in row.nodes], row.rule, lambda k: self.frame.moment(k, end))

    @property
    def history(self) -> int:
        """How many earlier grid points a step needs, for their outputs, their states or their place."""
        backs = [n.back for row in self.rows for n in row.nodes] + [len(row.states) - 1 for row in self.rows]
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

    def arguments(self, expressions: Iterable[sp.Expr]) -> tuple[str, ...]:
        """Names of the numbers that these weights or coefficients depend on, h first."""
        weights = [sp.sympify(w) for w in expressions]
        free = {symbol.name for w in weights for symbol in named(w).free_symbols}
        own = (p.symbol for p in self.parameters)
        numbers = (
            h,
            *ratios,
            a1,
            rho,
            next_rho,
            TWO_STEP_ALPHA_RATIO,
            ALPHA_RATIO,
            MIDDLE,
            CHURN_PLACE,
            *moments,
            DAMPED_MOMENT,
            *own,
        )
        known = [symbol.name for symbol in numbers]
        if free - set(known):
            raise ValueError(f"{self.name}: weights: unknown symbols {sorted(free - set(known))}")
        return tuple(name for name in known if name in free)


def settled(method: Method) -> Method:
    """The method at the defaults of its parameters."""
    return method.at({p.name: p.default for p in method.parameters})
