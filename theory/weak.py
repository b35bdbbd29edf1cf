"""Weak orders of stochastic samplers, decided exactly, in any dimension.

In its frame a sampler takes a step of dz = G(z, u) du + dM. E f(z) after the step is a sum over forests (forests.py) of
a weight times an elementary differential. The exact weight is

    integral over u_child < u_parent < h of  prod_v u_v^{q_v}  prod over lianas vw of V(min(u_v, u_w)),

and a sampler's the sum over all ways to put the nodes v on rows s(v), the root on the last one, of

    prod_v h A[s(parent), s(v)] (c_{s(v)} h)^{q_v}  prod over lianas vw of C[s(v), s(w)].

Split by the order in time in which its nodes come, the integral loses its min and is done from the earliest node to
the latest, on polynomials: no iterated stochastic integral is met. The sampler has weak order p iff both weights agree
through h^p for every forest of one piece of order at most p, and exactly p iff one of them fails at h^{p+1}: both are
decided. What is free, the strength of the noise, step ratios or places, stays as a symbol in the coefficients.

A sampler with history meets values off the exact path. It takes some steps before its last one, and that one is
compared with an exact step from the same place, both joint with what went before: nodes may also lie on rows there.
p times its history, in steps, are enough for the leading residuals too; with more of them they stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations, product
from typing import Any

import sympy as sp

from . import series
from .forests import ROOT, Forest, forests
from .notation import r as ratios
from .notation import s
from .series import Expansion, Series
from .steps import Steps, take
from .stochastic import Sampler


@dataclass(frozen=True)
class Residual:
    """A condition that fails: the sampler's weight of `forest` is off by coefficient * h^power."""

    forest: Forest
    power: int
    coefficient: sp.Expr


@dataclass(frozen=True)
class WeakProof:
    """The weak order of a sampler for every smooth G in any dimension; without noise it may be higher.

    conditions: how many coefficients were proved to vanish.  leading_residuals: what fails at h^{p+1}, so that the
    error of E f in one step is h^{p+1} times the sum of coefficient D(forest)/symmetry.
    """

    sampler: str
    order: int
    conditions: int
    leading_residuals: tuple[Residual, ...]


def on_rows(
    forest: Forest, nodes: Iterable[int], lianas: Iterable[tuple[int, int]], at: dict[int, int], steps: Steps
) -> Series:
    """The factors of those nodes and lianas, for vertices that lie at the given rows."""
    result = steps.one
    for node in nodes:
        factor = steps.drift[at[forest.parent(node)]][at[node]]
        if not any(factor):
            return steps.zero
        legs = series.powers(steps.time(steps.places[at[node]]), forest.legs[node - 1])
        result = series.multiply(series.multiply(result, factor), legs)
    for a, b in lianas:
        result = series.multiply(result, steps.covariances[at[a]][at[b]])
    return result


def numerical_weight(forest: Forest, steps: Steps) -> Series:
    """The weight of a forest in E f at the last row."""
    total, end = steps.zero, len(steps.places) - 1
    for rows in product(range(end), repeat=len(forest.nodes)):
        at = {ROOT: end, **dict(zip(forest.nodes, rows, strict=True))}
        total = series.add(total, on_rows(forest, forest.nodes, forest.lianas, at, steps))
    return total


def exact_weight(forest: Forest, steps: Steps) -> Series:
    """The weight of a forest in E f when the last step is exact.

    Nodes inside that step, whose parents are there too, come at times of their own. All others lie on earlier rows;
    what comes later meets their noise, and depends on their outputs, as the row does where the step starts.
    """
    total = steps.zero
    for size in range(len(forest.nodes) + 1):
        for inside in combinations(forest.nodes, size):
            if any(forest.parent(v) not in (ROOT, *inside) for v in inside):
                continue
            outside = tuple(v for v in forest.nodes if v not in inside)
            within = [pair for pair in forest.lianas if not set(pair) & set(outside)]
            others = [pair for pair in forest.lianas if set(pair) & set(outside)]
            share = steps.zero
            for rows in product(range(steps.last), repeat=len(outside)):
                at = dict.fromkeys((ROOT, *inside), steps.last) | dict(zip(outside, rows, strict=True))
                share = series.add(share, on_rows(forest, outside, others, at, steps))
            if any(share):
                total = series.add(total, series.multiply(share, over_times(forest, inside, within, steps)))
    return total


def over_times(forest: Forest, inside: tuple[int, ...], lianas: list[tuple[int, int]], steps: Steps) -> Series:
    """The integral over the times of the nodes inside the last step, each earlier than its parent."""
    here = steps.places[steps.last]
    time, variance = steps.time(here + s), steps.variance(here + s)
    total = steps.zero
    for earliest_first in permutations(inside):
        when = {v: k for k, v in enumerate((*earliest_first, ROOT))}
        if any(when[v] > when[forest.parent(v)] for v in inside):
            continue
        first_ends = [min(pair, key=when.__getitem__) for pair in lianas]
        part = steps.one
        for v in earliest_first:
            part = series.multiply(part, series.powers(time, forest.legs[v - 1]))
            part = series.multiply(part, series.powers(variance, first_ends.count(v)))
            part = series.shift(tuple(integral(a) for a in part), 1)
        part = tuple(at_one(a) for a in part)
        at_end = series.powers(steps.variance(here + 1), first_ends.count(ROOT))
        total = series.add(total, series.multiply(part, at_end))
    return total


def integral(a: Any) -> Any:
    """The integral of a polynomial in s from 0 to s, its coefficients in the other symbols."""
    ring = a.numer.ring
    place = ring.symbols.index(s)
    if any(powers[place] for powers in a.denom.monoms()):
        raise ValueError("integral: s in a denominator")
    terms = {
        (*powers[:place], powers[place] + 1, *powers[place + 1 :]): c / (powers[place] + 1)
        for powers, c in a.numer.terms()
    }
    return a.field.new(ring.from_dict(terms), a.denom)


def at_one(a: Any) -> Any:
    """A polynomial in s at s = 1."""
    return a.field.new(a.numer.subs(a.numer.ring(s), 1), a.denom)


@cache
def prove_weak_order(sampler: Sampler, before: int | None = None) -> WeakProof:
    """The exact weak order, with what was checked and what fails next.

    before: how many steps go before the last one, where it is not as many as the claimed order needs.
    """
    steps_before = sampler.order * (sampler.history + sampler.corrects) if before is None else before
    expand = Expansion(tuple({*sampler.symbols, *ratios[:steps_before], s}))
    terms = sampler.order + 2  # enough to prove the claim and to refute the next order
    while (proof := _prove(sampler, take(sampler, steps_before, expand, terms))) is None:
        terms += 1
    return proof


def _prove(sampler: Sampler, steps: Steps) -> WeakProof | None:
    """The proof, if so many terms of the series decide it."""
    residuals: dict[Forest, Series] = {}
    conditions = 0
    for power in range(1, steps.terms):
        for forest in forests(power):
            exact = series.scale(exact_weight(forest, steps), -1)
            residuals[forest] = series.add(numerical_weight(forest, steps), exact)
        failing = tuple(
            Residual(forest, power, steps.expand.expression(residual[power]))
            for forest, residual in residuals.items()
            if residual[power]
        )
        if failing:
            return WeakProof(sampler.name, power - 1, conditions, failing)
        conditions += len(residuals)
    return None
