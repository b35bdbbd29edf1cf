"""A forward process with a non-linear drift whose marginals are Gaussian mixtures, by Doob's h-transform.

If dX = dW has the law p_t and h(x, t) > 0 solves h_t + h_xx/2 = 0, then dX = (log h)_x dt + dW, started at p_0 h/Z, has
the law p_t h/Z, with the same Z for every t. Here p_0 is a mixture, h = cosh(a x) e^{-a^2 t/2}, the drift a tanh(a x).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..errors import InputError, not_negative, of_type
from ..points import Point
from .flow import log_tails, quantile
from .mixture import GaussianMixture

CLEAN = Point(alpha=1.0, sigma=0.0)
STEP = 1e-4  # in t, for the derivative of the score


@dataclass(frozen=True)
class TiltedProcess:
    """dX = a tanh(a X) dt + dW from the law of `mixture` times cosh(a x), in one dimension.

    mixture: p_0 before it is tilted, all stds > 0.  rate: a >= 0; at 0 the process is Brownian motion.
    Raises InputError on a mixture in more dimensions, a rate below 0 or not finite.
    """

    mixture: GaussianMixture
    rate: float

    def __post_init__(self) -> None:
        of_type("mixture", self.mixture, GaussianMixture, "a GaussianMixture")
        not_negative("rate", self.rate)
        if self.mixture.dim != 1:
            raise InputError("mixture", f"d = {self.mixture.dim}", "a law in one dimension")

    def drift(self, x: Tensor) -> Tensor:
        """f(x) = a tanh(a x)."""
        return self.rate * torch.tanh(self.rate * x)

    def drift_slope(self, x: Tensor) -> Tensor:
        """f'(x) = a^2 - f(x)^2."""
        return self.rate**2 - self.drift(x).square()

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of the 2K components at t = 0: log weights, means and variances before the tilt, and the tilts -a, a."""
        weights, means, variances = self.mixture.weights, self.mixture.means[:, 0], self.mixture.variances[:, 0]
        signs = torch.tensor([-self.rate, self.rate], dtype=torch.float64).repeat_interleave(len(weights))
        twice = (column.repeat(2) for column in ((weights / 2).log(), means, variances))
        return (*twice, signs)  # type: ignore[return-value]

    def components(self, t: float) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, means and variances [2K] of the law at time t >= 0.

        w exp(+-a m + a^2 V/2 - a^2 t/2)/2, m +- a V and V = s^2 + t for every component (w, m, s) of the mixture.
        """
        not_negative("t", t, "a time >= 0")
        log_weight, mean, variance, tilt = self._parts
        spread = variance + t
        log_weight = log_weight + tilt * mean + tilt.square() * (spread - t) / 2
        return log_weight - torch.logsumexp(log_weight, 0), mean + tilt * spread, spread

    def law(self, t: float) -> GaussianMixture:
        """The law at time t."""
        log_weight, mean, variance = self.components(t)
        return GaussianMixture(log_weight.exp(), mean, stds=variance.sqrt())

    def score(self, x: Tensor, t: float) -> Tensor:
        """d log p_t/dx for points [..., 1]."""
        log_weight, mean, variance = self.components(t)
        away = mean - x
        share = torch.softmax(log_weight - away.square() / (2 * variance) - variance.log() / 2, dim=-1)
        return (share * away / variance).sum(dim=-1, keepdim=True)

    def score_rates(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """ds/dt and ds/dx at points [..., 1]: central differences of the step STEP, to about 1e-8."""
        in_time = (self.score(x, t + STEP) - self.score(x, t - STEP)) / (2 * STEP)
        return in_time, (self.score(x + STEP, t) - self.score(x - STEP, t)) / (2 * STEP)

    def flow(self, x: Tensor, source: float, to: float) -> tuple[Tensor, Tensor]:
        """The exact flow of the probability-flow ODE from one time to another, and its slope: [n, 1] each."""
        here, there = self.law(source), self.law(to)
        y = quantile(there, *log_tails(here, x, CLEAN), CLEAN)
        slope = (here.log_density(x, CLEAN) - there.log_density(y, CLEAN)).exp()
        return y, slope[:, None]
