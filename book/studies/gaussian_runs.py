"""Samplers in the time t on Gaussian data, as Pierret and Galerne (2405.14250) run them: their W2, without sampling.

The process is x' = -b x + sqrt(2b) w', b(t) = 0.05 + 9.95 t, which is VP-linear; coordinates are independent, and a run
is a sequence of tables of one step each, which are linear in each coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise, zip_longest
from typing import NamedTuple

import sympy as sp
import torch
from torch import Tensor

from ...numerics.errors import InputError
from ...numerics.points import Point
from ...numerics.schedules import schedule
from ...numerics.tableau import Tableau
from ...theory.scheme import Scheme
from ..scheme_tables import by_lag

LOW, HIGH = 0.1, 20.0
PROCESS = schedule("vp-linear", beta_min=LOW, beta_max=HIGH)
FIRST, SLOPE = LOW / 2, (HIGH - LOW) / 2  # of b(t) = FIRST + SLOPE t

Line = dict[int, float]


def rate(t: float) -> float:
    """b(t)."""
    return FIRST + SLOPE * t


def _runge_kutta(scheme: Scheme) -> Callable[[float, float], Tableau]:
    """The step of an explicit scheme on the flow x' = -b (x + score), in t."""
    nodes = [float(c) for c in scheme.c]
    lines = [[float(a) for a in line] for line in (*scheme.a[1:], scheme.b)]

    def step(start: float, end: float) -> Tableau:
        times = [start + (end - start) * c for c in nodes]
        slopes = [(start - end) * rate(t) for t in times]
        states: list[Line] = []
        outputs: list[Line] = []
        for line in lines:
            outputs.append({j: a * slopes[j] for j, a in enumerate(line) if a})
            states.append({**outputs[-1], 0: 1.0 + outputs[-1].get(0, 0.0)})
        return _table([*times, end], states, outputs, [])

    return step


def _noisy(numbers: Callable[[float, float], tuple[float, float, float]]) -> Callable[[float, float], Tableau]:
    """The step a x + c score + s z, from (a, c, s) of its times."""

    def step(start: float, end: float) -> Tableau:
        kept, weight, spread = numbers(start, end)
        return _table([start, end], [{0: kept}], [{0: weight}], [spread])

    return step


def _table(times: Sequence[float], states: list[Line], outputs: list[Line], noise: list[float]) -> Tableau:
    read = {source for line in outputs for source in line}
    none = torch.zeros(len(states), 0, dtype=torch.float64)
    return Tableau(
        method="a step in t",
        prediction="score",
        points=tuple(map(_point, times)),
        step=(0, *([1] * (len(times) - 1))),
        evaluated=tuple(i in read for i in range(len(times))),
        given=1,
        states=by_lag(states),
        outputs=by_lag(outputs),
        noises=torch.tensor([noise], dtype=torch.float64) if noise else none,
    )


@lru_cache(maxsize=8192)
def _point(t: float) -> Point:
    return PROCESS.point(t) if t > 0 else Point(1.0, 0.0, 0.0)


def _euler_maruyama(start: float, end: float) -> tuple[float, float, float]:
    slope = (start - end) * rate(start)
    return 1 + slope, 2 * slope, math.sqrt(2 * slope)


def _exponential(start: float, end: float) -> tuple[float, float, float]:
    growth = _point(end).alpha / _point(start).alpha
    return growth, 2 * (growth - 1), math.sqrt(growth**2 - 1)


def _ddpm(start: float, end: float) -> tuple[float, float, float]:
    beta = 2 * (start - end) * rate(start)
    return 1 / math.sqrt(1 - beta), beta / math.sqrt(1 - beta), math.sqrt(beta)


ZERO, ONE, HALF, SIXTH = sp.S.Zero, sp.S.One, sp.Rational(1, 2), sp.Rational(1, 6)
EULER = Scheme("Euler", (ZERO,), ((ZERO,),), (ONE,))
HEUN = Scheme("Heun", (ZERO, ONE), ((ZERO, ZERO), (ONE, ZERO)), (HALF, HALF))
RK4 = Scheme(
    "RK4",
    (ZERO, HALF, HALF, ONE),
    ((ZERO,) * 4, (HALF, ZERO, ZERO, ZERO), (ZERO, HALF, ZERO, ZERO), (ZERO, ZERO, ONE, ZERO)),
    (SIXTH, 2 * SIXTH, 2 * SIXTH, SIXTH),
)

SCHEMES: dict[str, Callable[[float, float], Tableau]] = {
    "EM": _noisy(_euler_maruyama),
    "EI": _noisy(_exponential),
    "DDPM": _noisy(_ddpm),
    **{scheme.name: _runge_kutta(scheme) for scheme in (EULER, HEUN, RK4)},
}
STOCHASTIC = ("EM", "EI", "DDPM")


class Carried(NamedTuple):
    """What a run makes of each coordinate: variances v at the start become gain^2 v + added."""

    gain: Tensor
    added: Tensor

    def of(self, start: Tensor) -> Tensor:
        return self.gain.square() * start + self.added


def levels(points: int, last: float) -> list[float]:
    """That many equidistant times from 1 down to the last."""
    return [1 - (1 - last) * k / (points - 1) for k in range(points - 1)] + [last]


def run(scheme: str, times: Sequence[float], variances: Tensor) -> Carried:
    """A run over decreasing times on N(0, diag(variances)), variances [d] >= 0, float64.

    Raises InputError where the score is wanted of a law without density.
    """
    gain, added = torch.ones_like(variances), torch.zeros_like(variances)
    for start, end in pairwise(times):
        step = SCHEMES[scheme](start, end)
        factor = applied(step, variances)
        gain, added = gain * factor, added * factor.square() + float(step.noises.square().sum())
    return Carried(gain, added)


def applied(table: Tableau, variances: Tensor) -> Tensor:
    """What a table of one given vector multiplies it by, coordinate by coordinate [d]: the score is -x/v at each."""
    vectors, scores = [torch.ones_like(variances)], []
    for row, (states, outputs) in enumerate(zip(table.states.tolist(), table.outputs.tolist(), strict=True)):
        scores.append(-vectors[-1] / _with_density(table.points[row], variances) if table.evaluated[row] else None)
        made = torch.zeros_like(variances)
        for lag, (of_vector, of_score) in enumerate(zip_longest(states, outputs, fillvalue=0.0)):
            if of_vector:
                made = made + of_vector * vectors[row - lag]
            score = scores[row - lag] if of_score else None
            if score is not None:
                made = made + of_score * score
        vectors.append(made)
    return vectors[-1]


def _with_density(at: Point, variances: Tensor) -> Tensor:
    found = at.alpha**2 * variances + at.sigma**2
    if not bool((found > 0).all()):
        raise InputError("variances", 0.0, f"above 0 where the score is wanted at sigma = {at.sigma:g}")
    return found


def exact(stochastic: bool, last: float, variances: Tensor) -> Carried:
    """The reverse SDE, or the flow, without steps: the SDE forgets its start, the flow does not."""
    first, end = (_marginal(t, variances) for t in (1.0, last))
    if not stochastic:
        return Carried((end / first).sqrt(), torch.zeros_like(end))
    gain = _point(1.0).alpha / _point(last).alpha * end / first
    return Carried(gain, end - gain.square() * first)


def _marginal(t: float, variances: Tensor) -> Tensor:
    at = _point(t)
    return at.alpha**2 * variances + at.sigma**2


def distance(found: Carried, exact_start: bool, variances: Tensor, counts: Tensor) -> float:
    """W2 to the data, from the exact law at t = 1 or from N(0, I); counts [d]: how often a coordinate occurs."""
    start = _marginal(1.0, variances) if exact_start else torch.ones_like(variances)
    return math.sqrt(float((counts * (found.of(start).sqrt() - variances.sqrt()).square()).sum()))


def row(scheme: str, last: float, points: Sequence[int], variances: Tensor, counts: Tensor) -> list[float | None]:
    """A row of their tables: W2 without steps, then with that many points, each from both starts.

    None where the scheme asks for the score of a law without density, and where W2 is not finite.
    """
    found: list[float | None] = []
    for count in (0, *points):
        try:
            carried = run(scheme, levels(count, last), variances) if count else None
        except InputError:
            found += [None, None]
            continue
        carried = carried or exact(scheme in STOCHASTIC, last, variances)
        both = (distance(carried, start, variances, counts) for start in (True, False))
        found += [value if math.isfinite(value) else None for value in both]
    return found
