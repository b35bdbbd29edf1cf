"""Points of the forward process."""

from __future__ import annotations

import math
from typing import NamedTuple

NAN = float("nan")


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
