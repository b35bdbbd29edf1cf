"""TV and KL between two laws p and q from log p/q at samples of q, with intervals.

With r = p/q, TV = E_q |r - 1| / 2 and KL(p || q) = E_q [r log r - r + 1].  E_q[r - 1] = 0 is known, so that a multiple
of its mean over the samples is subtracted as a control variate, by least squares.  Least squares finds the factor 1/2
for TV where r has a heavy tail: |r - 1|/2 - (r - 1)/2 = (1 - r)_+ is bounded.  Both estimates are consistent, with a
bias of O(1/n) from the fitted factor (Owen, Monte Carlo theory, methods and examples, section 8.9).

The 95 % intervals are Johnson's (1978): Student's, with the skewness of the residuals corrected for.
"""

from __future__ import annotations

import math

import torch
from scipy.stats import t as student
from torch import Tensor

from ..errors import SamplingError
from ..metrics import divergence
from .estimators import TAIL, Estimate, in_groups, relative

FEWEST_EFFECTIVE = 100.0  # samples
SURE = 6.0  # standard deviations beyond which the mean of r is not 1 by chance


def tv(log_ratio: Tensor) -> Estimate:
    """TV of p and q from log p/q [n] at samples of q.  Raises SamplingError as `kl`, except for uneven weights."""
    off = _off(log_ratio)
    if effective(log_ratio) < FEWEST_EFFECTIVE:
        return _mean((-off).clamp(min=0.0), torch.zeros_like(off))
    return _mean(off.abs() / 2, off)


def kl(log_ratio: Tensor) -> Estimate:
    """KL(p || q) from log p/q [n] at samples of q.

    Raises SamplingError where the mean of p/q is not 1, and where its weights are so uneven that fewer than 100
    samples are effective.
    """
    off, count = _off(log_ratio), effective(log_ratio)
    if count < FEWEST_EFFECTIVE:
        raise SamplingError(
            f"p/q is too uneven over the samples: {count:.0f} of {len(log_ratio)} are effective, "
            f"at least {FEWEST_EFFECTIVE:.0f} are needed; take more steps or samples"
        )
    return _mean(divergence(torch.zeros_like(log_ratio), log_ratio), off)


def effective(log_ratio: Tensor) -> float:
    """The effective number of samples, (sum r)^2 / sum r^2 (Kish 1965)."""
    return float((2 * torch.logsumexp(log_ratio, 0) - torch.logsumexp(2 * log_ratio, 0)).exp())


def _off(log_ratio: Tensor) -> Tensor:
    """r - 1; SamplingError where its mean exceeds 0 by more than chance: samples of q are not those of one branch."""
    off = torch.expm1(log_ratio)
    mean, deviation = float(off.mean()), float(off.std()) / math.sqrt(len(off))
    if mean > SURE * deviation:
        raise SamplingError(f"the mean of p/q over the samples is {1 + mean:.4g}, not 1: the map is not injective")
    return off


def _mean(values: Tensor, control: Tensor) -> Estimate:
    """The mean of values [n], with a control [n] of mean zero, and Johnson's interval."""
    n, around = len(values), control - control.mean()
    square = float(around @ around)
    factor = float(around @ values) / square if square > 0 else 0.0
    residual = values - factor * control
    mean, centred = float(residual.mean()), residual - residual.mean()
    variance = float(centred.square().sum()) / (n - 2)
    if variance == 0:
        return Estimate(mean, mean, mean)
    third = float(centred.pow(3).mean())
    half = float(student.ppf(1 - TAIL, n - 2)) * math.sqrt(variance / n)
    shift = third / (6 * variance * n) * (1 + 2 * half**2 * n / variance)
    groups = relative(in_groups(centred / n), mean)
    return Estimate(mean, min(mean + shift - half, mean), max(mean + shift + half, mean), None, groups)
