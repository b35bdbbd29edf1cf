"""Points of the forward process."""

from __future__ import annotations

import math
from typing import NamedTuple

NAN = float("nan")
SAME_LEVEL = 1e-9  # of two lambda: as far apart is one level, computed in two ways


class Point(NamedTuple):
    """A point of the forward process x = alpha x0 + sigma eps, all float64.

    alpha, sigma: scale of the data and of the noise.  t: the time of the schedule, which a network receives.
    dalpha, dsigma: derivatives in t; only the velocity alpha' x0 + sigma' eps reads them.
    """

    alpha: float
    sigma: float
    t: float = NAN
    dalpha: float = NAN
    dsigma: float = NAN

    @property
    def lam(self) -> float:
        """log(alpha/sigma), infinite where alpha or sigma is 0, or negative by rounding."""
        if self.sigma <= 0 or self.alpha <= 0:
            return math.inf if self.sigma <= 0 else -math.inf
        return math.log(self.alpha) - math.log(self.sigma)

    @property
    def rho(self) -> float:
        """sigma/alpha, infinite where alpha is 0, or negative by rounding."""
        return self.sigma / self.alpha if self.alpha > 0 else math.inf


def same_level(one: float, other: float) -> bool:
    """Whether two lambda are one level."""
    return one == other or abs(one - other) <= SAME_LEVEL


def within_levels(lam: float, noisiest: float, cleanest: float) -> bool:
    """Whether lambda is between two levels, or one of them."""
    return noisiest - SAME_LEVEL <= lam <= cleanest + SAME_LEVEL
