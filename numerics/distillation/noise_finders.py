"""Noise finders of score distillation: which noise a predicted data point is noised with before the next prediction."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from ..ddim_step import ddim_step
from ..denoisers import Denoiser
from ..errors import InputError, SamplingError, whole
from ..grids import Grid
from ..noise import NoiseSource
from ..points import Point
from ..targets.mixture import GaussianMixture

# finder(y, n, cached) -> the noise for the predicted data y at grid point n; cached: the noise predicted there.
NoiseFinder = Callable[[Tensor, int, Tensor], Tensor]
ROUNDS = 200  # of Newton's method, with steps halved where needed
HALVINGS = 60


def cached_noise(y: Tensor, n: int, cached: Tensor) -> Tensor:
    """The noise that was predicted together with y: then distillation is DDIM, step for step."""
    return cached


def fresh_noise(source: NoiseSource) -> NoiseFinder:
    """Fresh Gaussian noise at every step, as in SDS (Poole et al. 2022): source(like, n), such as sp.seeded(0)."""
    return lambda y, n, cached: source(y, n)


def fixed_noise(mixture: GaussianMixture, grid: Grid) -> NoiseFinder:
    """kappa = epshat(alpha y + sigma kappa), by Newton: the noise that is predicted at the point that it makes."""
    return lambda y, n, cached: kappa(mixture, y, grid.points[n])


def inverted_noise(denoise: Denoiser, grid: Grid, steps: int) -> NoiseFinder:
    """The noise by DDIM inversion: y as a sample at the clean end, taken back to grid point n in `steps` equal times.

    Raises InputError on steps < 1 and a discrete process.
    """
    if whole("steps", steps) < 1:
        raise InputError("steps", steps, "at least 1")
    schedule, first = grid.required_schedule, grid.points[-1].t

    def find(y: Tensor, n: int, cached: Tensor) -> Tensor:
        at = grid.points[n]
        x, points = y, [schedule.point(t) for t in torch.linspace(first, at.t, steps + 1, dtype=torch.float64).tolist()]
        for here, to in pairwise(points):
            x = ddim_step(x, denoise(x, here, "noise"), here, to)
        return (x - at.alpha * y) / at.sigma

    return find


def kappa(mixture: GaussianMixture, y: Tensor, at: Point, tolerance: float = 1e-15) -> Tensor:
    """The only noise with kappa = epshat(alpha y + sigma kappa), [n, d]: x = alpha y + sigma kappa has E[x0 | x] = y.

    x -> E[x0 | x] is the gradient of a strictly convex function, with the Jacobian alpha Cov(x0 | x)/sigma^2: the
    solution is unique, and Newton's method with steps that are halved until the residual falls finds it.
    Raises SamplingError where it does not reach the tolerance, relative to 1 + |y|, times the condition of the problem.
    """
    if at.alpha == 0 or at.sigma == 0:
        raise InputError("at", (at.alpha, at.sigma), "a point with signal and noise")
    x = at.alpha * y
    scale = 1 + y.abs().amax(dim=-1)
    value, jacobian = mixture.jacobian(x, at, "data")
    size = (value - y).norm(dim=-1)
    for _ in range(ROUNDS):
        if bool((size <= tolerance * scale).all()):
            break
        move = torch.linalg.solve(jacobian, (value - y)[..., None])[..., 0]
        share = torch.ones_like(size)
        for _ in range(HALVINGS):
            trial = mixture(x - share[:, None] * move, at, "data")
            worse = (trial - y).norm(dim=-1) > size
            if not bool(worse.any()):
                break
            share = torch.where(worse, share / 2, share)
        x = x - share[:, None] * move
        value, jacobian = mixture.jacobian(x, at, "data")
        new = (value - y).norm(dim=-1)
        if bool((new >= size).all()):
            size = new
            break
        size = new
    bad = (size > 1e4 * tolerance * scale).nonzero()
    if len(bad):
        k = int(bad[0])
        raise SamplingError(f"sample {k}: kappa was not found, residual {float(size[k]):.3g} after {ROUNDS} steps")
    return (x - at.alpha * y) / at.sigma


def plain_iteration_factor(mixture: GaussianMixture, x: Tensor, at: Point) -> Tensor:
    """sigma d epshat/dx = 1 - alpha^2 Var(x0 | x)/sigma^2 at x [n, 1].

    It is the factor of the plain iteration kappa <- epshat(alpha y + sigma kappa), which converges near the solution
    iff the factor lies between -1 and 1.
    """
    return at.sigma * mixture.with_derivative(x, torch.ones_like(x), at, "noise")[1]
