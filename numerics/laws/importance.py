"""TV and KL between the law q of a sampler and a target p, from log p/q at samples, with intervals.

With r = p/q, TV = E_q |r - 1| / 2 and KL(p || q) = E_q [r log r - r + 1].  Samples of q alone rarely reach the tails
of p where q is narrower, and r log r is then large at few samples.  So some samples come from a wider law: with g the
density of all samples together and w = q/g (the balance heuristic of Veach and Guibas 1995), TV = E_g w |r - 1| / 2 and
so on; w is bounded, and p/g = w r is bounded where the wider law reaches further than p.

E_g[w (r - 1)] = 0 and E_g[w - 1] = 0 are known, so that multiples of these means are subtracted as control variates, by
least squares.  The estimates are consistent, with a bias of O(1/n) from the fitted factors (Owen, Monte Carlo theory,
methods and examples, section 8.9).  The 95 % intervals are Johnson's (1978): Student's, corrected for the skewness of
the residuals.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from scipy.special import stdtrit
from torch import Tensor

from ..errors import SamplingError
from ..metrics import divergence
from .estimators import TAIL, Estimate, in_groups, relative

FEWEST_EFFECTIVE = 100.0  # samples
SURE = 6.0  # standard deviations beyond which the mean of p/q is not 1 by chance


class Ratios(NamedTuple):
    """log p/q and log q/g at samples [n], the first `own` of them from q, the rest from a wider law."""

    ratio: Tensor
    weight: Tensor
    own: int


def tv(of: Ratios) -> Estimate:
    """TV of p and q.  Raises SamplingError as `kl`, except for uneven weights."""
    off = _off(of)
    if effective(of) < FEWEST_EFFECTIVE:  # (1 - r)_+ is bounded
        return _mean(of, of.weight.exp() * (-torch.expm1(of.ratio)).clamp(min=0.0), [])
    return _mean(of, off.abs() / 2, [off, torch.expm1(of.weight)])


def kl(of: Ratios) -> Estimate:
    """KL(p || q).

    Raises SamplingError where the mean of p/q over q is more than 1, and where p/g is so uneven that fewer than 100
    samples are effective.
    """
    off, count = _off(of), effective(of)
    if count < FEWEST_EFFECTIVE:
        raise SamplingError(
            f"p/q is too uneven over the samples: {count:.0f} of {len(of.ratio)} are effective, "
            f"at least {FEWEST_EFFECTIVE:.0f} are needed; take more steps or samples"
        )
    return _mean(of, divergence(of.weight, of.ratio), [off, torch.expm1(of.weight)])


def effective(of: Ratios) -> float:
    """The effective number of samples for p, (sum p/g)^2 / sum (p/g)^2 (Kish 1965)."""
    log = of.ratio + of.weight
    return float((2 * torch.logsumexp(log, 0) - torch.logsumexp(2 * log, 0)).exp())


def _off(of: Ratios) -> Tensor:
    """w (r - 1); SamplingError where its mean exceeds 0 by more than chance: q is the density of one branch of many."""
    off = of.weight.exp() * torch.expm1(of.ratio)
    mean, deviation = float(off.mean()), float(off.std()) / math.sqrt(len(off))
    if mean > SURE * deviation:
        raise SamplingError(f"the mean of p/q over the samples is {1 + mean:.4g}, not 1: the map is not injective")
    return off


def _mean(of: Ratios, values: Tensor, controls: list[Tensor]) -> Estimate:
    """The mean of values [n] with controls [n] of mean zero, and Johnson's interval, by the variance within strata."""
    n = len(values)
    known = torch.stack(controls, dim=1) if controls else values.new_zeros(n, 0)
    around = _within(of, known)
    factors = torch.linalg.pinv(around.T @ around, hermitian=True) @ (around.T @ _within(of, values))
    residual = values - known @ factors
    mean, centred = float(residual.mean()), _within(of, residual)
    variance = float(centred.square().sum()) / (n - 2 - len(controls))
    if variance == 0:
        return Estimate(mean, mean, mean)
    half = float(stdtrit(n - 2 - len(controls), 1 - TAIL)) * math.sqrt(variance / n)
    shift = float(centred.pow(3).mean()) / (6 * variance * n) * (1 + 2 * half**2 * n / variance)
    groups = relative(in_groups(centred / n), mean)
    return Estimate(mean, min(mean + shift - half, mean), max(mean + shift + half, mean), None, groups)


def _within(of: Ratios, values: Tensor) -> Tensor:
    """Values [n, ...] minus their means over each of the two laws."""
    parts = [part - part.mean(dim=0) for part in (values[: of.own], values[of.own :]) if len(part)]
    return torch.cat(parts)
