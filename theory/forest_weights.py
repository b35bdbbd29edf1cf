"""The weights of forests in E f: after the steps of a sampler, and when the last one is exact.

A sampler's weight of a forest is the sum over all ways to put the nodes v on rows s(v), the root on the last one, of

    prod_v h A[s(parent), s(v)] (c_{s(v)} h)^{q_v}  prod over lianas vw of C[s(v), s(w)],

and the exact one the integral

    integral over u_child < u_parent < h of  prod_v u_v^{q_v}  prod over lianas vw of V(min(u_v, u_w)).

Split by the order in time in which its nodes come, the integral loses its min and is done from the earliest node to
the latest, on polynomials: no iterated stochastic integral is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import combinations, permutations
from typing import Any

from . import series
from .forests import ROOT, Forest
from .multi_step_rows import Steps
from .notation import s
from .series import Series

# A node without a row yet: its parent, its legs, and the earlier vertices (or itself) that share lianas with it.
# Vertices are numbers: first those with known rows, then the nodes in their order.
Unplaced = tuple[int, int, tuple[int, ...]]
# A node inside the exact step: its parent (or the root) and its legs.
Timed = tuple[int, int]


class Weights:
    """The weights of forests in the given steps; parts that forests share are computed once."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self._on_rows: dict[tuple[tuple[int, ...], tuple[Unplaced, ...]], Series] = {}
        self._over_times: dict[tuple[tuple[Timed, ...], tuple[tuple[int, int], ...]], Series] = {}

    def residual(self, forest: Forest) -> Series:
        """The error of the sampler's weight of a forest."""
        return series.add(self.numerical(forest), series.scale(self.exact(forest), -1))

    def numerical(self, forest: Forest) -> Series:
        """The weight of a forest in E f at the last row."""
        end = len(self.steps.places) - 1
        return self._placed(forest, tuple(forest.nodes), forest.lianas, {ROOT: end})

    def exact(self, forest: Forest) -> Series:
        """The weight of a forest in E f when the last step is exact.

        Nodes inside that step, whose parents are there too, have times of their own. All others lie on earlier rows;
        later nodes share their noise, and depend on their outputs, in the way of the row where the step starts.
        """
        total = self.steps.zero
        # Every choice of nodes inside the last step that has all parents of its nodes.
        for size in range(len(forest.nodes) + 1):
            for inside in combinations(forest.nodes, size):
                if any(forest.parent(v) not in (ROOT, *inside) for v in inside):
                    continue
                # The nodes outside and all lianas that end there, on rows; the others, integrated over their times.
                outside = tuple(v for v in forest.nodes if v not in inside)
                within = [pair for pair in forest.lianas if not set(pair) & set(outside)]
                others = [pair for pair in forest.lianas if set(pair) & set(outside)]
                share = self._placed(forest, outside, others, dict.fromkeys((ROOT, *inside), self.steps.last))
                if any(share):
                    number = {v: k for k, v in enumerate((ROOT, *inside))}
                    nodes = tuple((number[forest.parent(v)], forest.legs[v - 1]) for v in inside)
                    lianas = tuple((number[a], number[b]) for a, b in within)
                    total = series.add(total, series.multiply(share, self._timed(nodes, lianas)))
        return total

    def _placed(
        self, forest: Forest, nodes: tuple[int, ...], lianas: Iterable[tuple[int, int]], at: dict[int, int]
    ) -> Series:
        """The factors of those nodes and lianas, summed over the rows of the nodes; the others lie `at` theirs."""
        number = {v: k for k, v in enumerate((*at, *nodes))}
        met: dict[int, list[int]] = {v: [] for v in number}
        for pair in lianas:
            first, second = sorted(pair, key=number.__getitem__)
            met[second].append(number[first])
        unplaced = tuple((number[forest.parent(v)], forest.legs[v - 1], tuple(met[v])) for v in nodes)
        rows = tuple(at.values())
        total = self.sum_over_rows(rows, unplaced)
        for vertex, row in at.items():
            for other in met[vertex]:
                total = series.multiply(total, self.steps.covariances[rows[other]][row])
        return total

    def sum_over_rows(self, rows: tuple[int, ...], nodes: tuple[Unplaced, ...]) -> Series:
        """The factors of nodes and of their lianas, summed over all ways to put them on rows.

        rows: where the vertices lie that the nodes hang on or meet. The sum depends on nothing else.
        """
        if not nodes:
            return self.steps.one
        if (known := self._on_rows.get((rows, nodes))) is not None:
            return known
        (parent, legs, met), *later = nodes
        here = len(rows)
        kept = sorted({v for up, _, links in later for v in (up, *links) if v <= here})
        number = {v: k for k, v in enumerate((*kept, *range(here + 1, here + len(nodes))))}
        rest = tuple((number[up], q, tuple(number[v] for v in links)) for up, q, links in later)
        summands = [self.steps.zero]
        for row, factor in enumerate(self.steps.drift[rows[parent]]):
            if any(factor):
                places = (*rows, row)
                own = series.powers(self.steps.time(self.steps.places[row]), legs)
                for other in met:
                    own = series.multiply(own, self.steps.covariances[places[other]][row])
                others = self.sum_over_rows(tuple(places[v] for v in kept), rest)
                summands.append(series.multiply(series.multiply(factor, own), others))
        self._on_rows[rows, nodes] = series.add(*summands)
        return self._on_rows[rows, nodes]

    @cached_property
    def _time(self) -> Series:
        """The time of a node inside the last step, at s."""
        return self.steps.time(self.steps.places[self.steps.last] + s)

    @cached_property
    def _variance(self) -> Series:
        """The variance of the noise there."""
        last = self.steps.last
        grown = series.add(
            self.steps.variance(self.steps.places[last] + s),
            series.scale(self.steps.variance(self.steps.places[last]), -1),
        )
        return series.add(self.steps.covariances[last][last], grown)

    def _timed(self, nodes: tuple[Timed, ...], lianas: tuple[tuple[int, int], ...]) -> Series:
        """The integral over the times of the nodes 1, 2, … inside the last step, each earlier than its parent."""
        if (known := self._over_times.get((nodes, lianas))) is not None:
            return known
        total = self.steps.zero
        for earliest_first in permutations(range(1, len(nodes) + 1)):
            when = {v: k for k, v in enumerate((*earliest_first, ROOT))}
            if any(when[v] > when[parent] for v, (parent, _) in enumerate(nodes, start=1)):
                continue
            first_ends = [min(pair, key=when.__getitem__) for pair in lianas]
            part = self.steps.one
            for v in earliest_first:
                part = series.multiply(part, series.powers(self._time, nodes[v - 1][1]))
                part = series.multiply(part, series.powers(self._variance, first_ends.count(v)))
                part = series.shift(tuple(integral(a) for a in part), 1)
            at_end = series.powers(self._variance, first_ends.count(ROOT))
            total = series.add(total, tuple(at_one(a) for a in series.multiply(part, at_end)))
        self._over_times[nodes, lianas] = total
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
