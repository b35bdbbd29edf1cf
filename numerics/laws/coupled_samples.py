"""Exact samples of the target that stay near those of a sampler: the same start and the same noise.

Between points of a grid the exact sample is moved by steps that keep its law exact for any length: the flow of
the probability-flow ODE, and noise up to a noisier level.  In z = x / alpha and rho = sigma / alpha, with w standard
normal,

    z at rho  ->  its flow to (rho_s^2 - delta)^{1/2}  ->  z + delta^{1/2} w at rho_s,

which is the DDIM step with noise (Song, Meng and Ermon 2021, eq. 12) with the flow in place of its drift; where a
sampler adds its noise before it evaluates the model, as the churn of Karras et al. (2022), noise to
(rho^2 + delta)^{1/2} comes first and the flow to rho_s second.  With w the noise of the sampler's own step, and
delta^{1/2} its size, both approximate one SDE with one Brownian path; without noise both follow one flow.  So means of
differences over these pairs have a variance that vanishes with the error.  The choice of delta and w determines only
that variance: the law of the exact sample is the target's for every choice.

Where the target has separate modes, a share O(1/N) of the pairs of a stochastic sampler ends in different modes; these
pairs dominate the variance, which then falls like 1/N rather than 1/N^2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..denoisers import Denoiser, parts
from ..errors import SamplingError
from ..noise import NoiseSource
from ..points import Point
from ..tableau import Tableau
from ..targets.mixture import GaussianMixture
from ..targets.reference import reference_flow

RTOL = 1e-8  # of the flow between noises, far below the errors that samples show
DIGITS = 9  # of delta and of the shares: samplers with the same noise have the same exact samples
LARGEST = 0.999  # of rho_s^2, for delta
END = 1e-10  # alpha and sigma that stand for 0, in units of the largest and the smallest deviation of the target


class StepNoise(NamedTuple):
    """The noise of one step: w = sum shares z over its draws, counted from 0 in the run, and delta.

    before: whether the noise is added before the flow.
    """

    draws: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()
    delta: float = 0.0
    before: bool = False


def noise_of_steps(tableau: Tableau, points: Sequence[Point], mixture: GaussianMixture) -> tuple[StepNoise, ...]:
    """The noise of each step between the points of a grid; empty for a deterministic sampler.

    The size of the noise of a step with stages is the one on a Gaussian with the mean variance of the components.
    """
    if not any(tableau.drawn):
        return ()
    number = {vector: k for k, vector in enumerate(_order(tableau))}
    variance = float(mixture.weights @ mixture.variances.mean(dim=1))
    rows: dict[int, list[int]] = {}
    for i in range(tableau.given, len(tableau.points)):
        rows.setdefault(tableau.step[i], []).append(i)
    found = []
    for n, to in enumerate(points[1:], start=1):
        own = rows.get(n, [])
        before = bool(own) and _only_noise(tableau, own[0])
        gains, at = _gains(tableau, own[:1] if before else own, variance), tableau.points[own[0]] if before else to
        found.append(_matched({number[v]: gain for v, gain in gains.items() if gain != 0}, at, before))
    return tuple(found)


def exact_samples(
    mixture: GaussianMixture, x: Tensor, points: Sequence[Point], noises: Sequence[StepNoise], source: NoiseSource
) -> Tensor:
    """Samples [n, d] of the target at the last point, from samples x [n, d] of the target at the first.

    noises: of every step, from noise_of_steps.  source: a source that returns the noise of the sampler's run again.
    Raises SamplingError as reference_flow.
    """
    at, drawn, count = points[0], dict[int, Tensor](), 0
    for step, here, to in zip(noises, points, points[1:], strict=False):
        if step.delta == 0:
            continue
        # The noise of the step.
        while count <= max(step.draws):
            drawn[count] = source(x, count)
            count += 1
        w = torch.zeros_like(x)
        for k, share in zip(step.draws, step.shares, strict=True):
            w.add_(drawn.pop(k), alpha=share)
        # Its exact step.
        if step.before:
            x, rho = _moved(mixture, x, at, here), here.rho
            x, at = x / here.alpha + math.sqrt(step.delta) * w, Point(1.0, math.hypot(rho, math.sqrt(step.delta)), 0.0)
        else:
            rho = to.rho
            x = _moved(mixture, x, at, Point(1.0, math.sqrt(rho**2 - step.delta), to.t))
            x, at = (x + math.sqrt(step.delta) * w) * to.alpha, to
    return _moved(mixture, x, at, points[-1])


def exact_start(mixture: GaussianMixture, noise: Tensor, at: Point, generator: torch.Generator) -> Tensor:
    """Samples [n, d] of the target's law at a point from standard normal noise [n, d], with components drawn anew."""
    which = torch.multinomial(mixture.weights, len(noise), replacement=True, generator=generator)
    deviation = (at.alpha**2 * mixture.variances + at.sigma**2).sqrt().expand(-1, mixture.dim)
    x = torch.empty_like(noise)
    for k in range(mixture.components):
        z = noise[which == k]
        axes = torch.eye(mixture.dim, dtype=torch.float64) if mixture.axes is None else mixture.axes[k]
        x[which == k] = at.alpha * mixture.means[k] + ((z @ axes) * deviation[k]) @ axes.T
    return x


def flow_to(
    mixture: GaussianMixture,
    x: Tensor,
    at: Point,
    to: Sequence[Point],
    rtol: float = 1e-12,
    denoise: Denoiser | None = None,
) -> list[Tensor]:
    """The flow of x [n, d] to each of some points; a point near by stands for alpha = 0 or sigma = 0.

    denoise: that of the mixture with more, such as Jacobians.  Raises InputError and SamplingError as reference_flow.
    """
    spread = float(mixture.variances.max().sqrt() + mixture.means.abs().max())
    least = float(mixture.variances.min().sqrt())
    if least == 0 and any(point.sigma == 0 for point in to):
        raise SamplingError("no flow to sigma = 0 where a component of the target has no spread")
    first = at if at.alpha > 0 else at._replace(alpha=END * at.sigma / spread)
    last = [point if point.sigma > 0 else point._replace(sigma=END * point.alpha * least) for point in to]
    return reference_flow(denoise or mixture, x, first, last, rtol)


def _moved(mixture: GaussianMixture, x: Tensor, at: Point, to: Point) -> Tensor:
    """The flow between noises."""
    return x if (at.alpha, at.sigma) == (to.alpha, to.sigma) else flow_to(mixture, x, at, [to], RTOL)[0]


def _order(tableau: Tableau) -> list[int]:
    """The vectors whose noise is drawn, in the order in which `sample` draws it."""
    order: list[int] = []
    for row, line in enumerate(tableau.noises.tolist()):
        for lag, c in reversed(list(enumerate(line))):
            vector = tableau.given + row - lag
            if c != 0 and vector not in order[-len(line) :]:
                order.append(vector)
    return order


def _only_noise(tableau: Tableau, i: int) -> bool:
    """Whether vector i is the one before it with noise, at which the model is evaluated."""
    row = i - tableau.given
    return tableau.evaluated[i] and not bool(tableau.outputs[row].any()) and bool(tableau.noises[row].any())


def _gains(tableau: Tableau, rows: Sequence[int], variance: float) -> dict[int, float]:
    """The derivatives of the last of some vectors of a step by the noises drawn with them, on N(0, variance)."""
    gains: dict[int, dict[int, float]] = {}
    for i in rows:
        row, line = i - tableau.given, dict[int, float]()
        factors = [(i - 1 - k, c) for k, c in enumerate(tableau.states[row].tolist())]
        for j, c in enumerate(tableau.outputs[row].tolist()):
            if c != 0 and i - 1 - j in gains:
                factors.append((i - 1 - j, c * _slope(tableau, i - 1 - j, variance)))
        for vector, factor in factors:
            for draw, gain in gains.get(vector, {}).items():
                line[draw] = line.get(draw, 0.0) + factor * gain
        for lag, c in enumerate(tableau.noises[row].tolist()):
            if c != 0 and i - lag >= rows[0]:
                line[i - lag] = line.get(i - lag, 0.0) + c
        gains[i] = line
    return gains[rows[-1]] if rows else {}


def _slope(tableau: Tableau, i: int, variance: float) -> float:
    """The derivative of the prediction at vector i on N(0, variance)."""
    at = tableau.points[i]
    data, noise = parts(tableau.prediction_at(i), at)
    return (data * at.alpha * variance + noise * at.sigma) / (at.alpha**2 * variance + at.sigma**2)


def _matched(gains: dict[int, float], at: Point, before: bool) -> StepNoise:
    size = math.sqrt(math.fsum(gain**2 for gain in gains.values()))
    if size == 0 or at.sigma == 0:
        return StepNoise()
    delta = min((size / at.alpha) ** 2, math.inf if before else LARGEST * at.rho**2)
    shares = tuple(_rounded(gain / size) for gain in gains.values())
    unit = math.sqrt(math.fsum(share**2 for share in shares))
    return StepNoise(tuple(gains), tuple(share / unit for share in shares), _rounded(delta), before)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
