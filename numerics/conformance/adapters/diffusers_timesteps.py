"""What a timestep of diffusers means: the level that a model was trained on under it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ...points import Told


class Clock(NamedTuple):
    """lam(t): lambda at a timestep.  half: by how much a timestep may be rounded, 1/2 where models know whole ones.

    cleanest: lambda of the level with the least noise in training, infinite where that is not known.
    """

    lam: Callable[[float], float]
    half: float
    cleanest: float


def whole(scheduler: Any) -> Clock:
    """Whole timesteps, alpha^2 in `alphas_cumprod`; between them log(sigma/alpha) is linear, as in `_sigma_to_t`."""
    if scheduler.config.get("use_flow_sigmas"):
        return flowing(scheduler)._replace(half=0.5)
    lams = [_of_product(float(a)) for a in scheduler.alphas_cumprod]
    if scheduler.config.get("timestep_type") == "continuous":
        return quarter(scheduler)._replace(cleanest=lams[0])

    def lam(t: float) -> float:
        if math.isnan(t):
            return t
        t = min(max(t, 0.0), len(lams) - 1.0)
        n = min(int(t), len(lams) - 2)
        w = t - n
        return lams[n] if w == 0 else lams[n + 1] if w == 1 else (1 - w) * lams[n] + w * lams[n + 1]

    return Clock(lam, 0.5, lams[0])


def flowing(scheduler: Any) -> Clock:
    """sigma times the number of timesteps in training, on the flow."""
    most = float(scheduler.config.num_train_timesteps)
    return Clock(lambda t: _of_ratio(t / (most - t)) if t < most else -math.inf, 0.0, math.log(most - 1))


def upwards(scheduler: Any) -> Clock:
    """1 - sigma, on the flow."""
    return Clock(lambda t: _of_ratio((1 - t) / t) if t > 0 else -math.inf, 0.0, math.inf)


def quarter(scheduler: Any) -> Clock:
    """log(sigma)/4 (Karras et al. 2022, table 1)."""
    return Clock(lambda t: -4 * t, 0.0, _least(scheduler))


def thousand(scheduler: Any) -> Clock:
    """1000 log(sigma)/4."""
    return Clock(lambda t: -t / 250, 0.0, _least(scheduler))


def angle(scheduler: Any) -> Clock:
    """The angle of (alpha, sigma) over a right one."""
    return Clock(lambda t: _of_ratio(math.tan(t * math.pi / 2)), 0.0, _least(scheduler))


def tell(clock: Clock, timesteps: Sequence[Any]) -> Told:
    """What these timesteps mean."""
    times = tuple(float(t) for t in timesteps)
    lams = tuple(clock.lam(t) for t in times)
    sides = [(clock.lam(t - clock.half), clock.lam(t + clock.half)) for t in times]
    within = [[abs(side - lam) for side in pair if side != lam] for lam, pair in zip(lams, sides, strict=True)]
    return Told(times, lams, tuple(max(moved, default=0.0) for moved in within), clock.cleanest)


def _of_product(product: float) -> float:
    return _of_ratio(math.sqrt((1 - product) / product)) if product > 0 else -math.inf


def _of_ratio(ratio: float) -> float:
    """-log(sigma/alpha)."""
    return -math.log(ratio) if ratio > 0 else math.inf


def _least(scheduler: Any) -> float:
    sigma = scheduler.config.get("sigma_min")
    return -math.log(sigma) if sigma else math.inf
