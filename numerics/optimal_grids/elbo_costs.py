"""The variational bound of an ancestral sampler as a sum over its steps, on a law whose posterior is known."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import InputError, of_type
from ..grids import Grid
from ..targets.mixture import GaussianMixture
from .posterior_spread import Spread, posterior_spread

VARIANCES = ("small", "large")


def elbo_costs(mixture: GaussianMixture, levels: Grid, variance: str = "small") -> Tensor:
    """The terms of the variational bound, in nats: float64 [L + 1, L + 1], the step from level i to the cleaner j > i.

        small   (SNR_j - SNR_i) mmse_i / 2                    the model's variance is the posterior's, v' below
        large   d (log v/v' + v'/v - 1)/2 + c^2 mmse_i/(2 v)  it is that of the forward step,
                v = sigma_i^2 - (alpha_i/alpha_j)^2 sigma_j^2, v' = v sigma_j^2/sigma_i^2, c = alpha_j v/sigma_i^2

    with SNR = alpha^2/sigma^2, mmse = E |x0 - E[x0 | x]|^2 and the exact denoiser as the model. A step to sigma = 0 is
    the decoder N(x0hat, mmse_i/d), our own choice: d log(2 pi e mmse_i/d)/2.
    Raises InputError on another variance.
    Kingma et al. 2021 (arXiv 2107.00630) for `small`, Ho et al. 2020 for `large`.
    """
    of_type("mixture", mixture, GaussianMixture, "a GaussianMixture")
    of_type("levels", levels, Grid, "a grid of candidates, as sp.grid makes it")
    if variance not in VARIANCES:
        raise InputError("variance", variance, f"one of {', '.join(VARIANCES)}")
    spread = posterior_spread(mixture, levels)
    return costs_of(spread, levels, variance, mixture.dim)


def costs_of(spread: Spread, levels: Grid, variance: str, dim: int) -> Tensor:
    """The same from the spread at the levels, so that both variances take it once."""
    count = len(spread.mmse)
    alpha, sigma = levels.columns.alpha, levels.columns.sigma
    here_alpha, here_sigma, mmse = alpha[:count, None], sigma[:count, None], spread.mmse[:, None]
    if variance == "small":
        snr = (alpha / sigma).square()
        found = (snr[None, :count] - snr[:count, None]) * mmse / 2
    else:
        next_alpha, next_sigma = alpha[None, :count], sigma[None, :count]
        step = here_sigma.square() - (here_alpha / next_alpha * next_sigma).square()
        share = (next_sigma / here_sigma).square()  # of the posterior's variance in that of the step
        signal = next_alpha / here_sigma.square()  # c / v
        found = (share - share.log() - 1) * dim / 2 + signal.square() * step * mmse / 2
    costs = torch.full((len(alpha), len(alpha)), math.nan, dtype=torch.float64)
    costs[:count, :count] = found
    if count < len(alpha):
        costs[:count, -1] = dim / 2 * (2 * math.pi * math.e * spread.mmse / dim).log()
    return costs


def prior_cost(mixture: GaussianMixture, levels: Grid) -> float:
    """E KL(N(alpha x0, sigma^2) || N(0, s^2)) at the first level, with s^2 = alpha^2 + sigma^2 of unit data; nats.

    Where variance is preserved, s = 1. It belongs to the bound and is the same for all grids with that first level.
    """
    alpha2, sigma2 = (float(column[0]) ** 2 for column in (levels.columns.alpha, levels.columns.sigma))
    power = float(mixture.weights @ mixture.means.square().sum(dim=1))
    power += float(mixture.weights @ mixture.variances.sum(dim=1)) * (mixture.dim / mixture.variances.shape[1])
    total, dim = alpha2 + sigma2, mixture.dim
    return ((alpha2 * power + dim * sigma2) / total - dim - dim * math.log(sigma2 / total)) / 2


def excess_constant(mixture: GaussianMixture, levels: Grid) -> float:
    """C in the least excess C/N + o(1/N) of the small-variance bound over its limit, between the ends of the levels.

        C = I^2/2,  I = integral of sqrt(E ||Cov(x0 | x)||^2 / 2) d SNR,

    by the trapezoid rule in log SNR over the levels with noise: they must resolve it.
    """
    spread = posterior_spread(mixture, levels)
    lam = levels.columns.lam[: len(spread.mmse)]
    integrand = (spread.square / 2).sqrt() * (2 * lam).exp()
    return float(torch.trapezoid(integrand, 2 * lam)) ** 2 / 2
