"""What a method is: a frame, rows of nodes with a rule (derived) or with weights (published), and perhaps noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import sympy as sp

from ..names.lookup import with_values
from .exponential import exact, weights
from .frames import Frame
from .noise_model import NOISY, Amplitude, NoiseModel, StepNoise
from .notation import (
    ALPHA_RATIO,
    ALPHA_TAYLOR,
    MIDDLE,
    NOISED_PLACE,
    TWO_STEP_ALPHA_RATIO,
    WEIGHT_TAYLOR,
    a1,
    churn,
    h,
    moments,
    next_rho,
    rho,
)
from .notation import r as ratios
from .parameter import Parameter, as_fraction
from .phi_functions import moment as exponential_moment
from .phi_functions import rate_moment
from .rows import NOW, Node, Row, node_position
from .series import Expansion

RATE_MOMENT = sp.Symbol("rate_moment")
# What weights may depend on besides parameters, in the order of arguments.
NUMBERS = (
    *(h, *ratios, a1, rho, next_rho, TWO_STEP_ALPHA_RATIO, ALPHA_RATIO, MIDDLE, NOISED_PLACE),
    *(*moments, RATE_MOMENT),
)
FIRST = "0.1.0"  # the first version: most samplers are as old as the project


def named(weight: sp.Expr) -> sp.Expr:
    """A weight as its generated code has it: the moment rate_moment(b) is a number named `rate_moment`."""
    return weight.replace(rate_moment, lambda _: RATE_MOMENT)


@dataclass(frozen=True)
class Method:
    """A sampler of the catalogue, declared once.

    order: a claim; the proofs and the measurements must confirm and bound it. With noise it is the weak order for any
    smooth F. 0: it does not converge, since a step is off even as h -> 0.
    start: the method that takes a step for which this one lacks history (it may have a start of its own).
    equal_steps: the weights assume equal steps: the order is claimed for step ratios r = 1 + O(h).
    provenance: "derived", or for published weights where they were read.
    parameters: its free numbers; they stand as symbols in rows and proofs.
    since: the version of this project that first had it.
    label: the name as people write it, in figures and titles; a method of the catalogue has one of its own.
    noise: None for a method of the flow. With noise, published weights are the literature's, B of alpha' B x0hat or of
    -sigma' B epshat, and a rule gives (1 + tau^2) times the exponential weights of its nodes.
    law_order: with noise, the order in law where F is the exact prediction, if it is higher, and gaussian_order that
    where, besides, the target is a Gaussian.
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
    label: str = ""
    noise: NoiseModel | None = None
    law_order: int | None = None
    gaussian_order: int | None = None

    def __post_init__(self) -> None:
        self._check_noise()
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
        if self.order == 0:
            return
        # With noise only the last row has to: a row before it may add noise that a later row takes away.
        every = range(len(self.rows))
        for i in every if self.noise is None else every[-1:]:
            self._check_sums(i)

    def _check_noise(self) -> None:
        """Rows with noise are in a noisy frame and carry z_n alone; each has one noise, with a share of all before.

        A method of order 0 may carry a part of z_n.
        """
        if self.noise is None:
            return
        if self.frame.name not in NOISY:
            raise ValueError(f"{self.name}: frame: {self.frame.name}; one of {', '.join(NOISY)}")
        if any(len(row.states) > 1 or (self.order and row.states != (sp.S.One,)) for row in self.rows):
            raise ValueError(f"{self.name}: states: a row with noise carries z_n as the frame does")
        if self.noise.rows is None:
            return
        if len(self.noise.rows) != len(self.rows):
            raise ValueError(f"{self.name}: noises: {len(self.noise.rows)} for {len(self.rows)} rows")
        for i, noise in enumerate(self.noise.rows):
            if noise.shares is not None and len(noise.shares) != i:
                raise ValueError(f"{self.name}: noises: row {i + 1} has {len(noise.shares)} shares, not {i}")
        # Their outputs depend on the noises of earlier steps, which a proof takes from one path.
        if self.history or self.corrects:
            raise ValueError(f"{self.name}: noises: with history or a corrector they are increments of one path")

    def _check_sums(self, i: int) -> None:
        """What a row must do as h -> 0: keep a constant z, and follow z = u - u_n where F w = 1.

        For all step ratios, or for those for which the order is claimed.
        """
        series, row = self.expansion(smooth=self.equal_steps), self.rows[i]
        end, states = series.of(row.end, 1)[0], [series.of(c, 1)[0] for c in row.states]
        moved = sum((series.of(w, 2)[1] for w in self.weights[i]), start=series.field.zero)
        for back, c in enumerate(states):
            moved += c * series.of(self.position(Node(back=back)), 1)[0]
        if carried := sum(states, start=series.field(-1)):
            excess = series.expression(carried)
            raise ValueError(f"{self.name}: states: the coefficients of row {i + 1} sum to 1 + ({excess}), not 1")
        if moved - end:
            raise ValueError(f"{self.name}: weights: those of row {i + 1} do not sum to the length of their interval")
        if len(states) == 2 and not all(abs(v) <= 1 != v for v in self._extremes(-series.expression(states[1]))):
            raise ValueError(
                f"{self.name}: states: the second root {self.shown(self.second_root)} is outside the unit circle or 1"
            )

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
        places = [self.position(n) for row in self.rows for n in row.nodes] + [row.end for row in self.rows]
        found = set().union(*(sp.sympify(e).free_symbols for e in (*places, *self._numbers())))
        if found & {a1, TWO_STEP_ALPHA_RATIO}:
            found |= {ratios[0], *ALPHA_TAYLOR}
        if ALPHA_RATIO in found:
            found |= set(ALPHA_TAYLOR[:4])  # as many as the weak proofs need
        if any(len(row.states) > 1 for row in self.rows):
            found.add(ratios[0])
        if self.frame.rate is not None:
            found |= set(WEIGHT_TAYLOR)
        if self.corrects:  # the predictors of the steps that made the history have ratios of their own
            found |= set(ratios[: 2 * self.history + 1])
        expanded = {h, a1, TWO_STEP_ALPHA_RATIO, ALPHA_RATIO, next_rho, *moments}  # series in the symbols that are left
        return tuple(sorted(found - expanded, key=lambda symbol: symbol.name))

    def _numbers(self) -> Iterable[sp.Expr]:
        """All weights and coefficients, and the expressions of the noises."""
        numbers = [w for row in self.weights for w in row] + [c for row in self.rows for c in row.states]
        return numbers if self.noise is None else [*numbers, *self.step_noise.expressions()]

    def expansion(self, smooth: bool = False) -> Expansion:
        """Series in h for this method's expressions."""
        return Expansion(self.symbols, smooth)

    def at(self, values: Mapping[str, sp.Rational]) -> Self:
        """The method with values for its parameters, named NAME?name=value&…; the others keep their defaults.

        Raises ValueError on an unknown parameter, and on a value outside of its domain.
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
        if given.get(churn) == 0:
            given[NOISED_PLACE] = sp.S.Zero  # without churn nothing goes back
        return replace(
            self,
            name=f"{self.name}?{named}",
            label=with_values(self.label, values),
            aliases=(),
            order=order,
            parameters=(),
            rows=tuple(row.with_values(given) for row in self.rows),
            noise=self.noise and self.noise.with_values(given),
            start=self.start
            and self.start.at({p.name: given[p.symbol] for p in self.start.parameters if p.symbol in given}),
        )

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

    @property
    def strength(self) -> sp.Expr:
        """tau^2 of the SDE that it samples; 0 is the probability flow."""
        return sp.S.Zero if self.noise is None else self.noise.strength

    @cached_property
    def step_noise(self) -> StepNoise:
        """The noises of its rows.  ValueError for a method of the flow."""
        if self.noise is None:
            raise ValueError(f"{self.name}: noise: none; it is a method of the flow")
        return StepNoise(self.noise, NOISY[self.frame.name].at(self.strength), tuple(row.end for row in self.rows))

    @cached_property
    def weights(self) -> tuple[tuple[sp.Expr, ...], ...]:
        """The weights W_j of every row, in terms of h, the step ratios and phi atoms; with noise over 1 + tau^2."""
        return tuple(map(self._row_weights, self.rows))

    def _row_weights(self, row: Row) -> tuple[sp.Expr, ...]:
        if row.rule is None:
            return tuple(w / (1 + self.strength) for w in row.published or ())
        places = [self.position(node) for node in row.nodes]
        return weights(places, row.rule, lambda k: self.moment(k, row.end))

    def moment(self, k: int, end: sp.Expr = sp.S.One) -> sp.Expr:
        """Integral of s^k against the weight of its frame over [0, end h]."""
        return (
            self.frame.moment(k, end) if self.noise is None else exponential_moment(k, self.step_noise.frame.rate, end)
        )

    @property
    def applied(self) -> tuple[tuple[sp.Expr, ...], ...]:
        """What every row multiplies its outputs by: its weights, with noise as the literature has them."""
        return tuple(
            row.published if row.published is not None else tuple((1 + self.strength) * w for w in weights)
            for row, weights in zip(self.rows, self.weights, strict=True)
        )

    def carried(self, row: int) -> tuple[sp.Expr, ...]:
        """What a row multiplies z_n (and z_{n-1}) by."""
        states = self.rows[row].states
        return states if self.noise is None else (states[0] * self.step_noise.kept(row),)

    def amplitudes(self, row: int) -> tuple[Amplitude, ...]:
        """What a row multiplies the noises of this step's rows by, up to its own, in units of sigma at its end."""
        return () if self.noise is None else self.step_noise.amplitudes(row)

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
        """Names of the numbers that these weights or coefficients depend on, h first.

        Raises ValueError on other symbols, and where a parameter has the name of another of these numbers.
        """
        free = set().union(*(named(sp.sympify(w)).free_symbols for w in expressions))
        known = {symbol: symbol.name for symbol in NUMBERS} | self.names
        if unknown := sorted(symbol.name for symbol in free - set(known)):
            raise ValueError(f"{self.name}: weights: unknown symbols {unknown}")
        found = tuple(name for symbol, name in known.items() if symbol in free)
        if len(set(found)) < len(found):
            raise ValueError(f"{self.name}: parameters: {', '.join(found)} are not names of different numbers")
        return found

    @property
    def names(self) -> dict[sp.Symbol, str]:
        """The names of its parameters, by their symbols."""
        return {p.symbol: p.name for p in self.parameters}

    def shown(self, expression: sp.Expr) -> sp.Expr:
        """The expression with its parameters under their names, to be printed."""
        return sp.sympify(expression).xreplace({p.symbol: p.shown for p in self.parameters})


def settled(method: Method) -> Method:
    """The method at the defaults of its parameters."""
    return method.at({p.name: p.default for p in method.parameters})
