"""Points of the forward process."""

from __future__ import annotations

import math
from typing import NamedTuple

NAN = float("nan")


class Point(NamedTuple):
    """A point of the forward process x = alpha x0 + sigma eps, all float64.

    alpha, sigma: the scales of data and noise.  t: the time of the schedule, which a network takes.
    dalpha, dsigma: derivatives in t, used by the velocity alpha' x0 + sigma' eps only.
    """

    alpha: float
    sigma: float
    t: float = NAN
    dalpha: float = NAN
    dsigma: float = NAN

    @property
    def lam(self) -> float:
        """log(alpha/sigma), infinite at the ends."""
        if self.sigma <= 0 or self.alpha <= 0:
            return math.inf if self.sigma <= 0 else -math.inf
        return math.log(self.alpha) - math.log(self.sigma)


class Told(NamedTuple):
    """What a model is told at its evaluations, [nfe]: a timestep; the lambda it means; how far its rounding may be off.

    cleanest: lambda of the level with the least noise that it was trained on.
    """

    timesteps: tuple[float, ...]
    lam: tuple[float, ...]
    within: tuple[float, ...]
    cleanest: float
