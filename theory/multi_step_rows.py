"""The steps of a method with noise as rows from one common start: places, weights and covariances, as series in h."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from . import series
from .method import Method
from .notation import h
from .notation import r as ratios
from .series import Expansion, Series


@dataclass(frozen=True)
class Steps:
    """Row i makes y_0 + sum_j h A_ij F_j + N_i at the place c_i; row 0 is the start, without noise.

    last: the row where the last step starts; that step's result is the last row.
    places: c_i, in units of the last step h.  drift: h A_ij, zero for j >= i.  covariances: Cov(N_i, N_j).
    """

    method: Method
    expand: Expansion
    terms: int
    last: int
    places: tuple[sp.Expr, ...]
    drift: tuple[tuple[Series, ...], ...]
    covariances: tuple[tuple[Series, ...], ...]

    @property
    def one(self) -> Series:
        return self.expand.constant(1, self.terms)

    @property
    def zero(self) -> Series:
        return self.expand.constant(0, self.terms)

    def time(self, place: sp.Expr) -> Series:
        """place * h"""
        return series.shift(self.expand.of(place, self.terms), 1)

    def variance(self, place: sp.Expr) -> Series:
        """V(place * h) of the exact path."""
        return self.expand.of(self.method.step_noise.variance(place), self.terms)


def take(method: Method, before: int, expand: Expansion, terms: int) -> Steps:
    """The rows of `before` steps and a last one; steps that lack history are taken by the method's start.

    The output at a grid point is that of its last evaluated row: in a predictor-corrector, of the predicted point.
    """
    noise = method.step_noise
    sizes = [sp.S.One, *ratios[:before]]  # of the step k grid points ago, in units of h
    zero = expand.constant(0, terms)
    places: list[sp.Expr] = [sp.S.Zero]
    drift: list[dict[int, Series]] = [{}]
    grid, outputs = [0], [0]  # the rows that are grid points, and those where the outputs there were made
    for back in reversed(range(before + 1)):
        # The method of this step, and its own step and ratios in units of the last step.
        taken = method
        while taken.start is not None and taken.history > before - back:
            taken = taken.start
        own = {h: sizes[back] * h, **{r: q / sizes[back] for r, q in zip(ratios, sizes[back + 1 :], strict=False)}}
        begin, first = grid[-1], len(places)
        for row, row_weights in zip(taken.rows, taken.weights, strict=True):
            end = places[begin] + sizes[back] * row.end
            # z at the row's end: what z at the start of the step holds, and the row's outputs.
            line = dict(drift[begin])
            for node, weight in zip(row.nodes, row_weights, strict=True):
                j = first + node.stage - 1 if node.stage else outputs[-1 - node.back]
                grown = series.exp(expand.of(noise.frame.rate * (end - places[j]) * h, terms))
                value = series.multiply(expand.of(weight.subs(own, simultaneous=True), terms), grown)
                line[j] = series.add(line.get(j, zero), value)
            places.append(end)
            drift.append(line)
        grid.append(len(places) - 1)
        outputs.append(grid[-1] - taken.corrects)

    def covariance(i: int, j: int) -> Series:
        earlier, later = sorted((i, j))
        if earlier == 0:
            return zero
        on_path = noise.model.rows is None
        return expand.of(
            noise.variance(places[earlier]) if on_path else noise.covariance(earlier - 1, later - 1), terms
        )

    every = range(len(places))
    return Steps(
        method,
        expand,
        terms,
        grid[-2],
        tuple(places),
        tuple(tuple(line.get(j, zero) for j in every) for line in drift),
        tuple(tuple(covariance(i, j) for j in every) for i in every),
    )
