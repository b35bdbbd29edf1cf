"""Orders of tables that were read back: of every step by its moments, of the run on a mixture, in law on a Gaussian."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...denoisers import parts
from ...laws.affine import weak_errors
from ...points import Point
from ...readback import Trace
from ...sample import sample
from ...tableau import Tableau
from ...targets.flow import exact_flow
from ...targets.mixture import GaussianMixture
from ..forward_processes import goes_backward
from ..step_ends import gaps

HIGHEST = 6  # powers of lambda on which a step is tested
REFINED = 1.5, 3.0  # factor by which a step is longer than the one that it is compared with
EXACT = 1e-12  # a defect below it, relative to the state, is roundoff
MIXTURE = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
GAUSSIAN = GaussianMixture([1.0], [0.7], stds=[0.5])
QUANTILES = 33
NODES, WEIGHTS = np.polynomial.legendre.leggauss(32)


def local_orders(traces: Mapping[int, Trace], process: str) -> list[float | None]:
    """The order of every step of the shortest run, from the moment conditions on its row, with {N: trace}: p where data
    predictions 1, lambda, …, lambda^{p-1} are integrated with an error O(h^{p+1}), outputs on the exact path.

    The slope is between the two longest runs, at steps with the same start and number of outputs. It is an upper bound
    where a step has stages, which are off the exact path. None where noise is drawn, where a step is infinite in lambda
    or does not lead to its end, and where longer runs have no such steps. Rounded to 0.1.
    """
    fewest, *_, next_most, longest = sorted(traces)
    few, more, most = (_steps(traces[n], process) for n in (fewest, next_most, longest))
    return [None if step is None else _order(step, more, most) for step in few]


def _order(step: _Step, more: list[_Step | None], most: list[_Step | None]) -> float | None:
    one = _nearest(step, more, (1, math.inf))
    two = one and _nearest(one, most, REFINED)
    if one is None or two is None:
        return None
    if one.defect < EXACT or two.defect < EXACT:
        return float(HIGHEST)
    return round(math.log(one.defect / two.defect) / math.log(one.h / two.h) - 1, 1)


def _nearest(step: _Step, others: list[_Step | None], shorter: tuple[float, float]) -> _Step | None:
    """The step with the nearest start, of the same number of outputs, shorter by a factor within the limits."""
    low, high = shorter
    like = [s for s in others if s is not None and s.outputs == step.outputs and low < step.h / s.h < high]
    return min(like, key=lambda s: abs(s.start - step.start), default=None)


def observed_errors(traces: Mapping[int, Trace]) -> dict[int, float]:
    """The error on a 1-D mixture, from {N: trace}, where it is finite and above roundoff.

    The model and the flow map are exact; the error is at the level where the run of fewest steps has two left: up to
    there every step shrinks with N. For a stochastic sampler it is the error of the variance on a Gaussian.
    """
    coarsest = traces[min(traces)].grid
    level = coarsest[max(len(coarsest) - 3, 1)].lam
    errors = {n: _error(_until(found, level)) for n, found in sorted(traces.items())}
    return {n: error for n, error in errors.items() if 1e-13 < error < math.inf}


def slope(errors: Mapping[int, float]) -> float | None:
    """The order over the last doubling of N; None below two errors."""
    if len(errors) < 2:
        return None
    *_, before, last = sorted(errors)
    return math.log(errors[before] / errors[last]) / math.log(last / before)


def _until(found: Trace, level: float) -> Tableau:
    """The table up to the last grid point whose lambda is not beyond the level, in the direction of the run."""
    way = -1 if goes_backward(found.grid) else 1
    n = max(n for n, p in enumerate(found.grid) if way * (p.lam - level) <= EXACT)
    tableau = found.table
    keep = max(i for i, to in enumerate(found.step) if to <= n) + 1
    return replace(
        tableau,
        points=tableau.points[:keep],
        step=tableau.step[:keep],
        evaluated=(*tableau.evaluated[: keep - 1], False),
        states=tableau.states[: keep - 1],
        outputs=tableau.outputs[: keep - 1],
        noises=tableau.noises[: keep - 1],
        channels={},  # the outputs of a mixture at a state are equal
    )


def _error(tableau: Tableau) -> float:
    start, end = tableau.points[0], tableau.points[-1]
    if tableau.noises.shape[1]:
        return weak_errors(tableau, GAUSSIAN).covariance
    spread = torch.linspace(-2, 2, QUANTILES, dtype=torch.float64)[:, None]
    x = spread * math.hypot(start.alpha, start.sigma)
    truth, _ = exact_flow(MIXTURE, x, start, end)
    found = sample(MIXTURE, x, tableau)
    return float((found - truth).square().mean().sqrt())


class _Step(NamedTuple):
    """A step in lambda, with the number of outputs that its row uses.

    defect: the distance of the row from exact states, over their size, summed over the data predictions 0 (noise only)
    and (lambda - start)^k/k!: a single one may change its sign.
    """

    start: float
    h: float
    outputs: int
    defect: float


def _steps(found: Trace, process: str) -> list[_Step | None]:
    lam = [p.lam for p in found.points]
    ends = {to: i for i, to in enumerate(found.step)}  # the last vector that leads to each grid point
    loose = {gap.step for gap in gaps(found, process)}
    return [None if n in loose else _step(found, lam, n, ends.get(n)) for n in range(1, len(found.grid))]


def _step(found: Trace, lam: list[float], n: int, i: int | None) -> _Step | None:
    """Step n, whose row makes vector i; None where it has no order."""
    tableau = found.table
    first, last = found.grid[n - 1].lam, found.grid[n].lam
    if i is None or not math.isfinite(first) or not math.isfinite(last) or last == first:
        return None
    states, outputs = _over_vectors(tableau.states[i - 1], i - 1), _over_vectors(tableau.outputs[i - 1], i - 1)
    if any(not math.isfinite(lam[j]) for j in (*states, *outputs)):
        return None
    if tableau.noises.shape[1] and bool(tableau.noises[i - 1].any()):
        return None
    # The defect of the row on every exact path.
    size, defect = math.hypot(found.points[i].alpha, found.points[i].sigma), 0.0
    moments = {j: _moments(lam[j] - first) for j in (i, *states, *outputs)}
    for power in (None, *range(HIGHEST)):
        x, d = _exact(found, moments, first, power)
        computed = sum(c * x[j] for j, c in states.items()) + sum(c * d[j] for j, c in outputs.items())
        defect += abs(x[i] - computed) / size / math.factorial(power or 0)
    return _Step(first, last - first, len(outputs), defect)


def _over_vectors(row: Tensor, latest: int) -> dict[int, float]:
    return {latest - lag: c for lag, c in enumerate(row.tolist()) if c != 0}


def _exact(
    found: Trace, moments: Mapping[int, list[float]], origin: float, power: int | None
) -> tuple[dict[int, float], dict[int, float]]:
    """States and outputs on the exact path with x0hat = (lambda - origin)^power, or x = sigma where x0hat = 0.

    moments: of every vector, as in _moments.
    """
    x, d = {}, {}
    for j, integrals in moments.items():
        at, s = found.points[j], found.points[j].lam - origin
        if power is None:
            data, x[j] = 0.0, at.sigma
        else:
            data, x[j] = s**power, at.sigma * math.exp(origin) * integrals[power]
        d[j] = _prediction(found.prediction, at, x[j], data)
    return x, d


def _moments(s: float) -> list[float]:
    """The integrals of e^u u^k from 0 to s, for every power k."""
    u = s * (NODES + 1) / 2
    found: list[float] = (s / 2 * WEIGHTS * np.exp(u) @ np.vander(u, HIGHEST, increasing=True)).tolist()
    return found


def _prediction(prediction: str, at: Point, x: float, data: float) -> float:
    noise = (x - at.alpha * data) / at.sigma if at.sigma else 0.0
    p, q = parts(prediction, at)
    return p * data + q * noise
