"""Map a timestep of diffusers to the noise level on which the model was trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ...external_run import Timesteps


class TimestepMap(NamedTuple):
    """lam(t): lambda at a timestep.  half: the largest rounding of a timestep, 1/2 where models take integers.

    cleanest, noisiest: lambda of the levels with the least and the most noise in training, infinite where that is not
    known.  shift: of the levels of the flow, 1 for none.
    """

    lam: Callable[[float], float]
    half: float
    cleanest: float
    noisiest: float = -math.inf
    shift: float = 1.0

    def __call__(self, timesteps: Sequence[Any]) -> Timesteps:
        """The timesteps with their lambda, and how far rounding may move it."""
        times = tuple(float(t) for t in timesteps)
        lams = tuple(self.lam(t) for t in times)
        sides = [(self.lam(t - self.half), self.lam(t + self.half)) for t in times]
        moved = [[abs(side - lam) for side in pair if side != lam] for lam, pair in zip(lams, sides, strict=True)]
        rounding = tuple(max(both, default=0.0) for both in moved)
        return Timesteps(times, lams, rounding, self.cleanest, self.noisiest, self.shift)


def integer(scheduler: Any) -> TimestepMap:
    """Integers, alpha^2 in `alphas_cumprod`; between them log(sigma/alpha) is linear, as in `_sigma_to_t`."""
    if scheduler.config.get("use_flow_sigmas"):
        return flow(scheduler)._replace(half=0.5)
    lams = [_of_product(a) for a in scheduler.alphas_cumprod.tolist()]
    if scheduler.config.get("timestep_type") == "continuous":
        return quarter_log_sigma(scheduler)._replace(cleanest=lams[0], noisiest=lams[-1])

    def lam(t: float) -> float:
        if math.isnan(t):
            return t
        t = min(max(t, 0.0), len(lams) - 1.0)
        n = min(int(t), len(lams) - 2)
        w = t - n
        return lams[n] if w == 0 else lams[n + 1] if w == 1 else (1 - w) * lams[n] + w * lams[n + 1]

    return TimestepMap(lam, 0.5, lams[0], lams[-1])


def flow(scheduler: Any) -> TimestepMap:
    """sigma times the number of training timesteps, on the flow; alpha times it where sigmas are inverted."""
    most = float(scheduler.config.num_train_timesteps)
    one = math.log(most - 1)  # one level from either end
    config = scheduler.config
    shift = 1.0 if config.get("use_dynamic_shifting") else config.get("shift", config.get("flow_shift")) or 1.0

    def lam(t: float) -> float:
        sigma = most - t if config.get("invert_sigmas") else t
        return _of_ratio(sigma / (most - sigma)) if sigma < most else -math.inf

    return TimestepMap(lam, 0.0, one, -one, float(shift))


def reversed_flow(scheduler: Any) -> TimestepMap:
    """1 - sigma, on the flow."""
    return TimestepMap(lambda t: _of_ratio((1 - t) / t) if t > 0 else -math.inf, 0.0, math.inf)


def quarter_log_sigma(scheduler: Any) -> TimestepMap:
    """log(sigma)/4 (Karras et al. 2022, table 1)."""
    return TimestepMap(lambda t: -4 * t, 0.0, *_ends(scheduler))


def thousand_quarter_log_sigma(scheduler: Any) -> TimestepMap:
    """1000 log(sigma)/4."""
    return TimestepMap(lambda t: -t / 250, 0.0, *_ends(scheduler))


def angle(scheduler: Any) -> TimestepMap:
    """The angle of (alpha, sigma) over pi/2."""
    return TimestepMap(lambda t: _of_ratio(math.tan(t * math.pi / 2)), 0.0, *_ends(scheduler))


def _of_product(product: float) -> float:
    return _of_ratio(math.sqrt((1 - product) / product)) if product > 0 else -math.inf


def _of_ratio(ratio: float) -> float:
    """-log(sigma/alpha)."""
    return -math.log(ratio) if ratio > 0 else math.inf


def _ends(scheduler: Any) -> tuple[float, float]:
    """Lambda of the cleanest and of the noisiest level, infinite where the scheduler does not have it."""
    low, high = (scheduler.config.get(name) for name in ("sigma_min", "sigma_max"))
    return -math.log(low) if low else math.inf, -math.log(high) if high else -math.inf
