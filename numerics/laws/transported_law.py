"""The law of a run in mid-flight, and how it moves over one row.

It stands at one vector v, on an equidistant grid, joint with the numbers q that are carried: the measures
mu_j(v) = integral of p(v, q) l_j(q) dq with the Lagrange polynomials l_j of Chebyshev nodes q_j, which give
E[g(q) | v] p(v) = sum_j g(q_j) mu_j(v) for every polynomial g of their degree.  For v' = f(v) + b q + c z with z fresh

    phi'(k) = exp(-c^2 k^2 / 2) integral of sum_j exp(-i k (f(v) + b q_j)) mu_j(v) dv

is the characteristic function of v', and with l'_i(q'(v)) in the integrand that of mu'_i.  The trapezoid rule finds
it to rounding, because p is analytic and decays.
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
REACH = 9.5  # standard deviations that all but nothing of a normal law lies within
NOTHING = 1e-15  # a density beside its largest value
LAST = 4  # modes by which it is judged whether those beyond are small
LARGEST = 1 << 23  # numbers in one array
OPERATIONS = 24  # for each of so many numbers, at most, in one move


class Carried(NamedTuple):
    """A carried number: its range, its nodes in it, and the importance of each Chebyshev moment in what comes later."""

    low: float
    high: float
    nodes: Array
    importance: Array


class Mesh(NamedTuple):
    """How finely a law is held: its modes up to the wavenumber `cutoff`, on so many points for each of them."""

    cutoff: float
    points: int


class Misses(NamedTuple):
    """What a move missed, estimated, as mass: modes beyond the cutoff, the quadrature's error, ends of the grid."""

    tail: float
    rule: float
    ends: float


@dataclass
class State:
    """weights [n, m_1, m_2, …]: mu times the grid's spacing, an axis for each carried number; grid [n].

    misses, ripple: what the move to here missed, and how much of it one weight may have.
    forms: everything known, as functions of the grid and the carried numbers.
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
        """Without the ends of the grid where there is nothing, so that they do not widen what comes next."""
        density = np.abs(self.weights.reshape(len(self.grid), -1).sum(axis=1))
        inside = np.flatnonzero(
            density > float(density.max()) * min(max(NOTHING, self.ripple / float(density.max())), 1e-3)
        )
        part = slice(int(inside[0]), int(inside[-1]) + 1)
        misses = self.misses._replace(ends=float(density.sum() - density[part].sum()))
        return State(self.grid[part], self.weights[part], self.carried, misses, self.ripple)

    def total(self, terms: Terms) -> Form:
        """The sum of known numbers."""
        return total(terms, self.forms)

    def span(self, form: Form) -> Range:
        """A range that a known number does not leave."""
        return span(form, {symbol: (number.low, number.high) for symbol, number in self.carried.items()})

    def moved(self, to: Form, noise: float, keep: dict[Symbol, tuple[Form, float]], mesh: Mesh) -> State:
        """The law at to + noise * z, joint with the numbers to keep.

        keep: each with the sum of |coefficient| * wavenumber over its later uses, which says how many nodes it needs.
        Raises SamplingError where that takes too much memory.
        """
        low, high = self.span(to)
        low, high = low - REACH * abs(noise), high + REACH * abs(noise)
        modes = max(math.ceil(mesh.cutoff * (high - low) / (2 * math.pi)), 2 * LAST)
        carried = {symbol: _carried(self.span(form), reach) for symbol, (form, reach) in keep.items()}
        points = mesh.points * modes
        new = math.prod(len(number.nodes) for number in carried.values())
        _check(points * new)
        _check(modes * len(self.grid) * max(self.weights[0].size, new) / OPERATIONS)
        polynomials = [self._polynomials(form, carried[symbol]) for symbol, (form, _) in keep.items()]

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
        last = range(modes + 1 - LAST, modes + 1)
        coarse = self._sum(last, phases, polynomials, every=2)
        damping = np.exp(-((noise * k * np.arange(modes + 1)) ** 2) / 2).reshape(-1, *[1] * len(keep))
        # The rule on all points is as good as the square of what it is on every second point.
        rule = _size(damping[-LAST:] * (coarse - found[-LAST:]), carried.values()) ** 2
        found *= damping
        tail = _size(found[-LAST:], carried.values())
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
        """The sum over the grid, or some of its points, and the carried numbers: [modes, m'_1, m'_2, …]."""
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
    """What these modes amount to: the sum of all their moments, each by its importance."""
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
    """In which order a product is best summed, judged once at typical sizes."""
    sizes = {"k": 50, "x": 150}
    operands = [np.broadcast_to(0.0, [sizes.get(s, 15) for s in axes]) for axes in subscripts.split("->")[0].split(",")]
    path: list[str | tuple[int, ...]] = np.einsum_path(subscripts, *operands, optimize=("optimal", 1 << 40))[0]
    return path
