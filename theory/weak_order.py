"""Weak orders of methods with noise, decided exactly, in any dimension.

In its frame a sampler takes a step of dz = G(z, u) du + dM. E f(z) after the step is a sum over forests (forests.py) of
a weight (forest_weights.py) times an elementary differential. The sampler has weak order p iff its weights and the
exact ones agree through h^p for every forest of one piece of order at most p, and exactly p iff one of them fails at
h^{p+1}: both are decided. The strength of the noise, step ratios and places stay free, as symbols.

A sampler with history uses values off the exact path. It takes some steps before its last one, and that one is
compared with an exact step from the same place, both joint with the steps before: nodes may also lie on rows there. Its
leading residual depends on the outputs of the history, these on the outputs before them, and so on, with a power of h
each time: history + p - 1 steps before the last are enough, and one more where outputs are made at predicted points;
more steps change no residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy as sp

from .forest_weights import Weights
from .forests import ROOT, Forest, forests
from .method import Method
from .multi_step_rows import take
from .notation import r as ratios
from .notation import s
from .series import Expansion, Series

OUTPUT, NOISE_PAIR = Forest((ROOT,), (0,)), Forest(lianas=((ROOT, ROOT),))


@dataclass(frozen=True)
class Residual:
    """A condition that fails: the sampler's weight of `forest` is off by coefficient * h^power."""

    forest: Forest
    power: int
    coefficient: sp.Expr


@dataclass(frozen=True)
class WeakProof:
    """The weak order of a sampler for every smooth G in any dimension; without noise it may be higher.

    conditions: the number of coefficients proved to vanish.  leading_residuals: those that fail at h^{p+1}; the
    error of E f in one step is h^{p+1} times the sum of coefficient D(forest)/symmetry.
    """

    method: str
    statement: str
    order: int
    conditions: int
    leading_residuals: tuple[Residual, ...]


@cache
def prove_weak_order(method: Method, before: int | None = None) -> WeakProof:
    """The exact weak order, with what was checked and what fails next.

    before: the number of steps before the last one, if not the one that the claimed order needs.
    """
    none = _prove_none(method) if method.order == 0 else None
    if none is not None:
        return none
    enough = method.history + method.order - 1 if method.history else 0
    steps_before = enough + method.corrects if before is None else before
    terms = method.order + 2  # enough to prove the claim and to refute the next order
    while (proof := _prove(method, weights_of(method, steps_before, terms))) is None:
        terms += 1
    return proof


def _prove_none(method: Method) -> WeakProof | None:
    """That a step is off even as h -> 0, where c z + W F + N, the row that it ends with, is not z.

    Of W and of the variance of N the limits are residuals of the two forests of order 1.  None where the step tends to
    the identity: the order is decided by the conditions of order 1 then.
    """
    expand, last = Expansion(method.symbols), len(method.rows) - 1
    noise = method.step_noise.covariance(last, last)
    limits = [expand.of(e, 1)[0] for e in (method.carried(last)[0], sum(method.weights[last]), noise)]
    carried, *rest = map(expand.expression, limits)
    failing = tuple(Residual(f, 0, e) for f, e in zip((OUTPUT, NOISE_PAIR), rest, strict=True) if e != 0)
    if carried == 1 and not failing:
        return None
    every = "".join(f", every {p.name}" + "".join(f" but {v}" for v, _ in p.orders) for p in method.parameters)
    words = f"{method.name} is of no weak order{every}: a step is off by a number as h -> 0"
    return WeakProof(method.name, words, 0, len(limits), failing)


def weights_of(method: Method, before: int, terms: int) -> Weights:
    """The weights after `before` steps and a last one, as series with that many terms."""
    symbols = {*method.symbols, *ratios[:before], s}
    expand = Expansion(tuple(sorted(symbols, key=lambda symbol: symbol.name)))
    return Weights(take(method, before, expand, terms))


def _prove(method: Method, weights: Weights) -> WeakProof | None:
    """The proof, or None where the series have too few terms to decide it."""
    steps = weights.steps
    residuals: dict[Forest, Series] = {}
    conditions = 0
    for power in range(1, steps.terms):
        residuals |= {forest: weights.residual(forest) for forest in forests(power)}
        failing = tuple(
            Residual(forest, power, steps.expand.expression(residual[power]))
            for forest, residual in residuals.items()
            if residual[power]
        )
        if failing:
            return WeakProof(method.name, statement(method, power - 1), power - 1, conditions, failing)
        conditions += len(residuals)
    return None


def statement(method: Method, order: int) -> str:
    """The theorem in words: with history a leading residual may vanish at some ratios, but not at equal steps."""
    every = "".join(f", every {p.name}" + "".join(f" but {value}" for value, _ in p.orders) for p in method.parameters)
    general = "for a smooth G in any dimension"
    if not method.history and not method.corrects:
        return f"{method.name} is exactly of weak order {order} {general}, every step{every}"
    return f"{method.name} is of weak order {order} {general}, all step ratios{every}; of no higher one at equal steps"
