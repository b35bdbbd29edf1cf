"""The law of a run at one of its vectors, and its transport over a row.

It is the law of a vector v on an equidistant grid, joint with the carried numbers q, as the measures
mu_j(v) = integral of p(v, q) l_j(q) dq with the Lagrange polynomials l_j of Chebyshev nodes q_j, which give
E[g(q) | v] p(v) = sum_j g(q_j) mu_j(v) for polynomials g of their degree.  For v' = f(v) + b q + c z with z fresh

    phi'(k) = exp(-c^2 k^2 / 2) integral of sum_j exp(-i k (f(v) + b q_j)) mu_j(v) dv

is the characteristic function of v', and with l'_i(q'(v)) in the integrand that of mu'_i.  The trapezoid rule is
accurate to rounding, because p is analytic and decays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from string import ascii_uppercase
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import SamplingError
from .chebyshev import Array, chebyshev, importance, lagrange, nodes
from .elimination import Symbol, Terms
from .forms import Form, Range, span, total

Complex = npt.NDArray[np.complex128]
REACH = 9.5  # standard deviations: a normal law has mass 2e-21 beyond
NEGLIGIBLE = 1e-15  # a density, relative to its largest value
LAST = 4  # modes from which the size of the truncated ones is estimated
LARGEST = 1 << 23  # numbers in one array
OPERATIONS = 24  # for each number of the largest array, in one move


class Carried(NamedTuple):
    """A carried number: its range, its nodes, and the importance of each Chebyshev moment for later moves."""

    low: float
    high: float
    nodes: Array
    importance: Array


class Mesh(NamedTuple):
    """The resolution of a law: modes up to the wavenumber `cutoff`, and the number of grid points per mode."""

    cutoff: float
    points: int


class Misses(NamedTuple):
    """Estimated errors of a move, as mass: modes beyond the cutoff, quadrature, ends of the grid."""

    tail: float
    rule: float
    ends: float


@dataclass
class State:
    """weights [n, m_1, m_2, …]: mu times the grid's spacing, an axis for each carried number; grid [n].

    misses: the errors of the move to this vector.  ripple: their share in one weight.
    forms: the known numbers as functions of the grid and the carried numbers.
    """

    grid: Array
    weights: Array
    carried: dict[Symbol, Carried]
    misses: Misses
    ripple: float
    forms: dict[Symbol, Form] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for symbol in self.carried:
            self.forms[symbol] = Form(np.zeros_like(self.grid), {symbol: 1.0})

    def trimmed(self) -> State:
        """The law without the ends of the grid where its density is negligible, so that later grids stay narrow."""
        density = np.abs(self.weights.reshape(len(self.grid), -1).sum(axis=1))
        inside = np.flatnonzero(
            density > float(density.max()) * min(max(NEGLIGIBLE, self.ripple / float(density.max())), 1e-3)
        )
        part = slice(int(inside[0]), int(inside[-1]) + 1)
        misses = self.misses._replace(ends=float(density.sum() - density[part].sum()))
        return State(self.grid[part], self.weights[part], self.carried, misses, self.ripple)

    def total(self, terms: Terms) -> Form:
        """The sum of known numbers."""
        return total(terms, self.forms)

    def span(self, form: Form) -> Range:
        """A range of the values of a known number."""
        return span(form, {symbol: (number.low, number.high) for symbol, number in self.carried.items()})

    def moved(self, to: Form, noise: float, carry: dict[Symbol, tuple[Form, float]], mesh: Mesh) -> State:
        """The law at to + noise * z, joint with the numbers to carry.

        carry: their forms, each with the sum of |coefficient| * wavenumber over later uses, from which the number of
        its nodes follows.  Raises SamplingError where that takes too much memory.
        """
        # The new grid and its modes; the carried numbers and their nodes.
        low, high = self.span(to)
        low, high = low - REACH * abs(noise), high + REACH * abs(noise)
        modes = max(math.ceil(mesh.cutoff * (high - low) / (2 * math.pi)), 2 * LAST)
        carried = {symbol: _carried(self.span(form), reach) for symbol, (form, reach) in carry.items()}
        points = mesh.points * modes
        new = math.prod(len(number.nodes) for number in carried.values())
        _check(points * new)
        _check(modes * len(self.grid) * max(self.weights[0].size, new) / OPERATIONS)
        polynomials = [self._polynomials(form, carried[symbol]) for symbol, (form, _) in carry.items()]

        # The characteristic function of the new vector, in blocks of modes.
        k = 2 * math.pi / (high - low)
        phases = [("x", k * (to.values - low))]
        phases += [(self._axis(s), k * share * self.carried[s].nodes) for s, share in to.shares.items()]
        block = max(LARGEST // 4 // (len(self.grid) * max(self.weights[0].size, new)), LAST)
        found = np.concatenate(
            [
                self._sum(range(first, min(first + block, modes + 1)), phases, polynomials)
                for first in range(0, modes + 1, block)
            ]
        )
        # Errors, from the last modes: the sum over every second point, whose error is the root of that of all points
        # (the trapezoid rule converges like exp(-c n) in the number of points); and what is left after damping by z.
        last = range(modes + 1 - LAST, modes + 1)
        coarse = self._sum(last, phases, polynomials, every=2)
        damping = np.exp(-((noise * k * np.arange(modes + 1)) ** 2) / 2).reshape(-1, *[1] * len(carry))
        rule = _size(damping[-LAST:] * (coarse - found[-LAST:]), carried.values()) ** 2
        found *= damping
        tail = _size(found[-LAST:], carried.values())
        # Back to the grid.
        weights = np.fft.irfft(found, points, axis=0)
        grid: Array = np.linspace(low, high, points, endpoint=False, dtype=np.float64)
        return State(grid, weights, carried, Misses(tail, rule, 0.0), (rule + tail) / modes)

    def _axis(self, symbol: Symbol) -> str:
        return ascii_uppercase[list(self.carried).index(symbol)]

    def _polynomials(self, form: Form, into: Carried) -> tuple[str, Array]:
        """l_i at a known number, with an axis for the grid and each carried number that it depends on."""
        axes, at = "x", form.values
        _check(len(into.nodes) * len(at) * math.prod(len(self.carried[s].nodes) for s in form.shares))
        for s, share in form.shares.items():
            axes, at = axes + self._axis(s), np.add.outer(at, share * self.carried[s].nodes)
        return axes, lagrange(into.low, into.high, len(into.nodes), at)

    def _sum(
        self,
        modes: range,
        phases: list[tuple[str, Array]],
        polynomials: list[tuple[str, Array]],
        every: int = 1,
    ) -> Complex:
        """The sum over the grid, or every n-th of its points, and the carried numbers: [modes, m'_1, m'_2, …]."""
        part, new = slice(None, None, every), ascii_uppercase[::-1][: len(polynomials)]
        inputs = ["x" + ascii_uppercase[: len(self.carried)]]
        operands: list[npt.NDArray[Any]] = [every * self.weights[part]]
        for axis, phase in phases:
            inputs.append("k" + axis)
            operands.append(_waves(phase[part] if axis == "x" else phase, modes))
        for letter, (axes, values) in zip(new, polynomials, strict=True):
            inputs.append(letter + axes)
            operands.append(values[:, part])
        subscripts = ",".join(inputs) + "->k" + new
        answer: Complex = np.einsum(subscripts, *operands, optimize=_order(subscripts))
        return answer


def _carried(span: tuple[float, float], reach: float) -> Carried:
    phase = reach * (span[1] - span[0]) / 2
    _check(phase**2)
    bounds = importance(phase)
    return Carried(*span, nodes(*span, len(bounds)), bounds)


def _size(modes: Complex, carried: Iterable[Carried]) -> float:
    """The size of these modes: the sum of all their moments, weighted by importance."""
    for number in carried:
        modes = np.tensordot(modes, number.importance[:, None] * chebyshev(len(number.nodes)), axes=(1, 1))
    return float(np.abs(modes).sum())


def _check(size: float) -> None:
    if size > LARGEST:
        raise SamplingError("the density of the sample is too rough, or joint with too much, to be carried")


def _waves(phase: Array, modes: range) -> Complex:
    """exp(-i m phase) for consecutive m, by doubling: [len(modes), n]."""
    waves = np.empty((len(modes), len(phase)), dtype=np.complex128)
    waves[0] = np.exp(-1j * modes[0] * phase)
    done = 1
    while done < len(modes):
        more = min(done, len(modes) - done)
        np.multiply(waves[:more], np.exp(-1j * done * phase), out=waves[done : done + more])
        done += more
    return waves


@cache
def _order(subscripts: str) -> list[str | tuple[int, ...]]:
    """The best order of summation of a product, found once for typical sizes."""
    sizes = {"k": 50, "x": 150}
    operands = [np.broadcast_to(0.0, [sizes.get(s, 15) for s in axes]) for axes in subscripts.split("->")[0].split(",")]
    path: list[str | tuple[int, ...]] = np.einsum_path(subscripts, *operands, optimize=("optimal", 1 << 40))[0]
    return path
