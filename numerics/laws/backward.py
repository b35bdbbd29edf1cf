"""Means of test functions at the end of a run, by backward recursion: no samples, no density.

A run is rewritten as moves (laws/moves.py): v' = f(v) + sum_s b_s q_s + c z with fresh noise z, joint with the numbers
q'_1, q'_2, … that later moves need, each a function of v and a sum of the numbers q carried before. So

    u(v, q_1, q_2, …) = E_z u'(v', q'_1, q'_2, …),        u' = f at the end,

and the mean is that of u over the start law. u is held on an even grid in v and on Chebyshev nodes in each q: as many
as the wave exp(-i k v) needs for the finest k, with the v that q leads to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from string import ascii_lowercase
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..errors import InputError, SamplingError
from ..metrics import Law
from ..points import Point
from ..tableau import Tableau
from ..targets.mixture import GaussianMixture
from .even import blurred, reading
from .forms import Form, Range, span, total
from .gaussian import moments
from .moves import Symbol, moves, reaches
from .nodes import Array, importance, lagrange, nodes

TestFunction = Callable[[Array], Array]
REACH = 8.0  # standard deviations of the widest marginal that the grid spans
UNLIKELY = -15.0  # a log density; numbers are carried as if they did not leave their range where it is higher
LARGEST = 1 << 27  # numbers in one array


class Resolution(NamedTuple):
    """How finely u is held.

    spacing: of the grid, and 1/wave that of the finest wave, both in units of the target's narrowest width.
    tolerance: of a Chebyshev moment of that wave.
    """

    spacing: float = 0.1
    wave: float = 3.0
    tolerance: float = 1e-5


DEFAULT = Resolution()


class Carried(NamedTuple):
    """A carried number: as a form before the move that first carries it so, its range and its number of nodes."""

    form: Form
    range: Range
    size: int

    @property
    def nodes(self) -> Array:
        return nodes(*self.range, self.size)


class Link(NamedTuple):
    """A move, as forms on the grid: v' = to + noise * z, and what is carried from there."""

    to: Form
    noise: float
    carried: dict[Symbol, Carried]


def means(
    tableau: Tableau,
    mixture: GaussianMixture,
    start: Law,
    functions: Sequence[TestFunction],
    resolution: Resolution = DEFAULT,
) -> list[float]:
    """E f(v) of the last vector v of a run, for every f; about 1e-6 for f of size 1.

    A step of a sampler that carries up to two numbers takes 10 ms, one of three 50 ms.
    Raises InputError for more than one dimension or start vector and for noises that rows use in a way that fresh ones
    cannot replace (laws/moves.py); SamplingError where the carried numbers need too many nodes.
    """
    if mixture.dim != 1:
        raise InputError("mixture", f"d = {mixture.dim}", "a mixture in one dimension")
    widths = [_width(mixture, point) for point in tableau.points]
    x = _grid(tableau, mixture, resolution.spacing * min(widths))
    links = _links(tableau, mixture, x, [resolution.wave / width for width in widths], resolution.tolerance)
    u = np.stack([f(x) for f in functions], axis=-1)
    while links:
        link = links.pop()
        u = _earlier(u, link, links[-1].carried if links else {}, x)
    density = start[0].log_density(torch.from_numpy(x)[:, None], start[1]).exp().numpy()
    at_start: list[float] = ((x[1] - x[0]) * density @ u).tolist()
    return at_start


def _width(mixture: GaussianMixture, at: Point) -> float:
    """The narrowest standard deviation of a component."""
    return math.sqrt(at.alpha**2 * float(mixture.variances.min()) + at.sigma**2)


def _grid(tableau: Tableau, mixture: GaussianMixture, spacing: float) -> Array:
    laws = [moments(mixture, point) for point in tableau.points]
    widest = max(math.sqrt(float(law.covariance) + float(law.mean) ** 2) for law in laws)
    cells = math.ceil(REACH * widest / spacing)
    return spacing * np.arange(-cells, cells + 1, dtype=np.float64)


def _links(tableau: Tableau, mixture: GaussianMixture, x: Array, waves: list[float], tolerance: float) -> list[Link]:
    """The moves that the law is moved by, in order; waves: the finest at every vector."""
    todo, found = moves(tableau), list[Link]()
    carried: dict[Symbol, Carried] = {}
    forms = _known(tableau, mixture, 0, x)
    likely = _likely(tableau, mixture, 0, x)
    for move, reach in zip(todo, reaches(todo, waves), strict=True):
        to = total(move.terms, forms)
        if not move.remade:
            forms |= _known(tableau, mixture, move.vector, to.values)
            continue
        ranges = {symbol: number.range for symbol, number in carried.items()}
        carried = {}
        for symbol, terms in move.kept.items():
            form = total(terms, forms)
            low, high = span(Form(form.values[likely], form.shares), ranges)
            needed = importance(reach[symbol] * (high - low) / 2) > tolerance
            carried[symbol] = Carried(form, (low, high), int(needed.sum()) + 1)
        found.append(Link(to, move.noise, carried))
        forms = {symbol: Form(np.zeros_like(x), {symbol: 1.0}) for symbol in carried}
        forms |= _known(tableau, mixture, move.vector, x)
        likely = _likely(tableau, mixture, move.vector, x)
    return found


def _known(tableau: Tableau, mixture: GaussianMixture, vector: int, values: Array) -> dict[Symbol, Form]:
    """A vector that has these values on the grid, and the output made there."""
    found = {Symbol("v", vector): Form(values, {})}
    if tableau.evaluated[vector]:
        output = mixture(torch.from_numpy(values)[:, None], tableau.points[vector], tableau.prediction)
        found[Symbol("d", vector)] = Form(output[:, 0].numpy(), {})
    return found


def _likely(tableau: Tableau, mixture: GaussianMixture, vector: int, x: Array) -> npt.NDArray[np.bool_]:
    """Where on the grid the vector may well be: [grid] of truth values."""
    inside: npt.NDArray[np.bool_] = (
        mixture.log_density(torch.from_numpy(x)[:, None], tableau.points[vector]).numpy() > UNLIKELY
    )
    return inside


def _earlier(u: Array, link: Link, before: dict[Symbol, Carried], x: Array) -> Array:
    """u before a move [grid, functions, q_1, q_2, …] from u' after it [grid, functions, q'_1, q'_2, …].

    First E_z u' is read at v', then the polynomial in every q' at its value.
    """
    axes, places = _spread(link.to, before)
    if places.size * u[0].size > LARGEST:
        raise SamplingError("means by backward recursion: more numbers are carried, or further, than nodes suffice for")
    smooth = blurred(u, link.noise / (x[1] - x[0]))
    read = (reading(places.ravel(), x) @ smooth.reshape(len(x), -1)).reshape(*places.shape, *u.shape[1:])
    new = ascii_lowercase[::-1][: len(link.carried)]
    subscripts, operands = [axes + "F" + new], [read]
    # The last number leads furthest on and depends on the fewest before it: its axis goes first.
    for letter, number in reversed([*zip(new, link.carried.values(), strict=True)]):
        axes, values = _spread(number.form, before)
        subscripts.append(letter + axes)
        operands.append(lagrange(*number.range, number.size, np.clip(values, *number.range)))
    answer = "XF" + ascii_lowercase[: len(before)]
    found: Array = torch.einsum(",".join(subscripts) + "->" + answer, *map(torch.from_numpy, operands)).numpy()
    return found


def _spread(form: Form, before: dict[Symbol, Carried]) -> tuple[str, Array]:
    """A form on the grid and the nodes of the numbers it depends on, and the letters of these axes."""
    axes, values = "X", form.values
    for letter, (symbol, number) in zip(ascii_lowercase, before.items(), strict=False):
        if symbol in form.shares:
            axes, values = axes + letter, np.add.outer(values, form.shares[symbol] * number.nodes)
    return axes, values
