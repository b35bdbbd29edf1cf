"""Means of test functions at the end of a run, by backward recursion: no samples, no density.

A run is rewritten as moves (laws/elimination.py): v' = f(v) + sum_s b_s q_s + c z with fresh noise z, jointly with the
numbers q'_1, q'_2, … that later moves need, each a function of v plus a sum of earlier numbers q. So

    u(v, q_1, q_2, …) = E_z u'(v', q'_1, q'_2, …),        u' = f at the end,

and the result is the mean of u over the start law. u is stored on a regular grid in v and on Chebyshev nodes in each
q: enough of them to interpolate the wave exp(-i k v) for the largest k, as a function of q.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from string import ascii_lowercase
from typing import NamedTuple

import numpy as np
import torch

from ..errors import InputError, SamplingError
from ..metrics import Law
from ..points import Point
from ..tableau import Tableau
from ..targets.mixture import GaussianMixture
from .chebyshev import Array, importance, lagrange, nodes
from .elimination import Symbol, moves, reaches
from .forms import Form, Range, span, total
from .regular_grid import blurred, reading

TestFunction = Callable[[Array], Array]
REACH = 6.0  # standard deviations around every component that a grid covers: all but 2e-9 of the mass
LEFT = 1e-4  # largest probability outside of the grids; the error of the means is a few tenths of it
LARGEST = 1 << 20  # numbers in one array


class Resolution(NamedTuple):
    """Resolution of u.

    spacing: of the grids, in units of the narrowest width of the target at the point.  wave: the largest wavenumber, in
    units of the inverse of that width.  tolerance: for a Chebyshev moment of that wave.
    """

    spacing: float = 0.15
    wave: float = 3.0
    tolerance: float = 1e-5


DEFAULT = Resolution()


class Carried(NamedTuple):
    """A carried number: its form before the move that starts to carry it, its range and its number of nodes."""

    form: Form
    range: Range
    size: int

    @property
    def nodes(self) -> Array:
        return nodes(*self.range, self.size)


class Link(NamedTuple):
    """A move as forms on its first grid: v' = to + noise * z on the grid `on`, and the numbers carried there."""

    to: Form
    noise: float
    on: Array
    carried: dict[Symbol, Carried]


def means(
    tableau: Tableau,
    mixture: GaussianMixture,
    start: Law,
    functions: Sequence[TestFunction],
    resolution: Resolution = DEFAULT,
) -> list[float]:
    """E f(v) of the last vector v of a run, for every f: to about 1e-7 for f of size 1, to 1e-5 for few steps.

    A step takes 2-10 ms for samplers that carry up to two numbers, 10-150 ms for three.
    Raises InputError for more than one dimension or start vector, and for noises that fresh ones cannot replace
    (laws/elimination.py); SamplingError where the carried numbers need too many nodes, and where the law of the run is
    much wider than the target, as for too few steps.
    """
    if mixture.dim != 1:
        raise InputError("mixture", f"d = {mixture.dim}", "a mixture in one dimension")
    x, links = _links(tableau, mixture, resolution)
    end = links[-1].on
    u = np.stack([*(f(end) for f in functions), np.zeros_like(end)], axis=-1)
    while links:
        link = links.pop()
        u[[0, -1], -1] = 1  # the last function becomes the probability of reaching the end of a grid
        u = _earlier(u, link, links[-1].carried if links else {})
    density = start[0].log_density(torch.from_numpy(x)[:, None], start[1]).exp().numpy() * (x[1] - x[0])
    found: list[float] = (density @ u).tolist()
    left = abs(found.pop()) + abs(1 - float(density.sum()))
    if left > LEFT:
        raise SamplingError(f"{tableau.method}: {left:.0e} of the law leaves the grids, which cover the target's")
    return found


def _links(tableau: Tableau, mixture: GaussianMixture, resolution: Resolution) -> tuple[Array, list[Link]]:
    """The grid where the run starts, and the moves of the law, in order."""
    todo, found = moves(tableau), list[Link]()
    carried: dict[Symbol, Carried] = {}
    x = start = _grid(mixture, tableau.points[0], resolution.spacing)
    forms = _known(tableau, mixture, 0, x)
    cutoffs = [resolution.wave / _width(mixture, point) for point in tableau.points]
    for move, reach in zip(todo, reaches(todo, cutoffs), strict=True):
        to = total(move.terms, forms)
        if not move.remade:
            forms |= _known(tableau, mixture, move.vector, to.values)
            continue
        ranges = {symbol: number.range for symbol, number in carried.items()}
        carried = {}
        for symbol, terms in move.carried.items():
            form = total(terms, forms)
            low, high = span(form, ranges)
            needed = importance(reach[symbol] * (high - low) / 2) > resolution.tolerance
            carried[symbol] = Carried(form, (low, high), int(needed.sum()) + 1)
        x = _grid(mixture, tableau.points[move.vector], resolution.spacing)
        found.append(Link(to, move.noise, x, carried))
        forms = {symbol: Form(np.zeros_like(x), {symbol: 1.0}) for symbol in carried}
        forms |= _known(tableau, mixture, move.vector, x)
    return start, found


def _width(mixture: GaussianMixture, at: Point) -> float:
    """The narrowest standard deviation of a component."""
    return math.sqrt(at.alpha**2 * float(mixture.variances.min()) + at.sigma**2)


def _grid(mixture: GaussianMixture, at: Point, spacing: float) -> Array:
    """Multiples of spacing * width that cover the law of the target."""
    law, step = mixture.marginal(at), spacing * _width(mixture, at)
    reach = REACH * law.variance.sqrt()
    low, high = float((law.high - reach).min()), float((law.high + reach).max())
    grid: Array = step * np.arange(math.floor(low / step), math.ceil(high / step) + 1, dtype=np.float64)
    return grid


def _known(tableau: Tableau, mixture: GaussianMixture, vector: int, values: Array) -> dict[Symbol, Form]:
    """The forms of a vector with these values on the grid, and of its output."""
    found = {Symbol("v", vector): Form(values, {})}
    if tableau.evaluated[vector]:
        output = mixture(torch.from_numpy(values)[:, None], tableau.points[vector], tableau.prediction_at(vector))
        found[Symbol("d", vector)] = Form(output[:, 0].numpy(), {})
    return found


def _earlier(u: Array, link: Link, before: dict[Symbol, Carried]) -> Array:
    """u before a move [grid, functions, q_1, q_2, …] from u' after it [grid', functions, q'_1, q'_2, …]."""
    smooth = blurred(u, link.noise / (link.on[1] - link.on[0]))
    at_once = LARGEST // (u[0].size * math.prod(number.size for s, number in before.items() if s in link.to.shares))
    if at_once == 0:
        raise SamplingError("means by backward recursion: the carried numbers need too many nodes")
    firsts = range(0, len(link.to.values), at_once)
    return np.concatenate([_block(smooth, link, before, slice(first, first + at_once)) for first in firsts])


def _block(smooth: Array, link: Link, before: dict[Symbol, Carried], block: slice) -> Array:
    """u before a move at a block of the grid points: E_z u' at v', as a polynomial in every q' at its value."""
    # E_z u' at v', on the nodes of the numbers carried after the move.
    axes, places = _spread(link.to, before, block)
    read = reading(places.ravel(), link.on) @ smooth.reshape(len(smooth), -1)
    found = torch.from_numpy(read).reshape(*places.shape, *smooth.shape[1:])
    new = ascii_lowercase[::-1][: len(link.carried)]
    axes += "F" + new
    # Every q' as a function of v and the numbers carried before; the last one depends on the fewest.
    for letter, number in reversed([*zip(new, link.carried.values(), strict=True)]):
        own, values = _spread(number.form, before, block)
        polynomials = torch.from_numpy(lagrange(*number.range, number.size, values))
        left = "".join(dict.fromkeys(axes + own)).replace(letter, "")
        found, axes = torch.einsum(f"{axes},{letter}{own}->{left}", found, polynomials), left
    answer: Array = torch.einsum(f"{axes}->XF{ascii_lowercase[: len(before)]}", found).numpy()
    return answer


def _spread(form: Form, before: dict[Symbol, Carried], block: slice) -> tuple[str, Array]:
    """The letters of the axes of a form (grid, carried numbers), and its values on a block of the grid."""
    axes, values = "X", form.values[block]
    for letter, (symbol, number) in zip(ascii_lowercase, before.items(), strict=False):
        if symbol in form.shares:
            axes, values = axes + letter, np.add.outer(values, form.shares[symbol] * number.nodes)
    return axes, values
