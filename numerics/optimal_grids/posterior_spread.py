"""How uncertain x0 is given x: the mean squared error of the best denoiser, and the rate at which it falls."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..grids import Grid
from ..metrics import node_weights
from ..points import Point
from ..targets.mixture import GaussianMixture

NODES = 1001  # of the law of x, in one dimension
SAMPLES = 4000  # in more
REACH = 9.0  # standard deviations: 1e-19 of the mass lies outside


class Spread(NamedTuple):
    """At every level, noisiest first [L]: mmse = E tr Cov(x0 | x), and square = E ||Cov(x0 | x)||^2 = -d mmse/d SNR."""

    mmse: Tensor
    square: Tensor


def posterior_spread(mixture: GaussianMixture, levels: Grid, count: int | None = None, seed: int = 0) -> Spread:
    """mmse(SNR) and -d mmse/d SNR at the levels with noise: float64 [L], without a last level at sigma = 0.

    In one dimension by `count` equidistant nodes, to roundoff; in more over `count` samples.
    """
    noisy = [at for at in levels.points if at.sigma > 0]
    parts = [_at(mixture, at, count, seed) for at in noisy]
    return Spread(*(torch.stack(column) for column in zip(*parts, strict=True)))


def _at(mixture: GaussianMixture, at: Point, count: int | None, seed: int) -> tuple[Tensor, Tensor]:
    if mixture.dim == 1:
        x = _line(mixture, at, count or NODES)
        variance = _variance(mixture, x, at)
        share = node_weights((mixture, at), x)
        return (share * variance).sum(), (share * variance.square()).sum()
    x = mixture.sample(count or SAMPLES, at, torch.Generator().manual_seed(seed))
    covariance = mixture.posterior(x, at)[1]
    return covariance.diagonal(dim1=1, dim2=2).sum(dim=1).mean(), covariance.square().sum(dim=(1, 2)).mean()


def _line(mixture: GaussianMixture, at: Point, count: int) -> Tensor:
    """Equidistant points [count, 1] over REACH standard deviations of every component."""
    middle, reach = at.alpha * mixture.means, REACH * (at.alpha**2 * mixture.variances + at.sigma**2).sqrt()
    return torch.linspace(float((middle - reach).min()), float((middle + reach).max()), count, dtype=torch.float64)[
        :, None
    ]


def _variance(mixture: GaussianMixture, x: Tensor, at: Point) -> Tensor:
    """Var(x0 | x) = sigma^2/alpha d E[x0 | x]/dx of points [n, 1]: [n]."""
    if at.alpha == 0:
        return mixture.posterior(x, at)[1][:, 0, 0]
    return at.sigma**2 / at.alpha * mixture.with_derivative(x, torch.ones_like(x), at, "data")[1, :, 0]
