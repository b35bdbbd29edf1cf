"""Restoration and degradation (Chen et al. 2023): a step back by l with the score, and forward again by l - h."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .errors import InputError, whole
from .targets.tilted_process import TiltedProcess

POINTS = 64  # of the path on which the leading error is summed


def restored(
    process: TiltedProcess, x: Tensor, t_max: float, t_min: float, steps: int, look_back: float, *, frozen: bool = False
) -> Tensor:
    """Restoration-Degradation from t_max to t_min in N equal steps h, with the look-back l: points [n, 1] -> [n, 1].

        y = x - l f(x),  y' = y + l s(y, t - l),  z = (x - y' - l f(y'))/sqrt(l),
        x_{t-h} = y' + (l - h) f(y') + sqrt(l - h) z

    frozen: f and s are those at (x, t) throughout, which makes l (1 - sqrt(1 - h/l)) s - h f of the step.
    look_back: l >= h; the score is asked at t - l, or at 0 where that is below 0.
    Raises InputError on times out of order, N < 1 and l < h.
    Chen et al. 2023 (arXiv 2303.03384); the step is our reading of its introduction.
    """
    h = _length(t_max, t_min, steps)
    if not h <= look_back < math.inf:
        raise InputError("look_back", look_back, f"at least the step {h:.6g}")
    back, rest = look_back, math.sqrt(max(look_back - h, 0.0))
    for n in range(steps):
        t = t_max - n * h
        drift = process.drift(x)
        if frozen:
            x = x - h * drift + back * (1 - math.sqrt(max(1 - h / back, 0.0))) * process.score(x, t)
            continue
        y = x - back * drift
        clean = y + back * process.score(y, max(t - back, 0.0))
        drift = process.drift(clean)
        z = (x - clean - back * drift) / math.sqrt(back)
        x = clean + (back - h) * drift + rest * z
    return x


def euler(process: TiltedProcess, x: Tensor, t_max: float, t_min: float, steps: int) -> Tensor:
    """Euler's method for the probability-flow ODE dx/dt = f - s/2, from t_max to t_min in equal steps."""
    h = _length(t_max, t_min, steps)
    for n in range(steps):
        x = x - h * (process.drift(x) - process.score(x, t_max - n * h) / 2)
    return x


def leading_parts(process: TiltedProcess, x: Tensor, t_max: float, t_min: float) -> tuple[Tensor, Tensor]:
    """A and B [n, 1] of the error A h/l + B l + O(h) at the end, for points [n, 1] at t_max.

        A = integral of J s/8,  B = integral of J (-(s_t + s_x f)/2 - f' (s - f)/2)

    over the exact flow, where J carries a displacement to the end: p_t(x_t)/p_end(x_end). By Gauss-Legendre points.
    """
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    span, middle = (t_max - t_min) / 2, (t_max + t_min) / 2
    _, whole_slope = process.flow(x, t_max, t_min)
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        t = middle + span * node
        here, slope = process.flow(x, t_max, t)
        carry = span * weight * whole_slope / slope
        score, drift = process.score(here, t), process.drift(here)
        in_time, in_space = process.score_rates(here, t)
        first += carry * score / 8
        second += carry * (-(in_time + in_space * drift) - process.drift_slope(here) * (score - drift)) / 2
    return first, second


def _length(t_max: float, t_min: float, steps: int) -> float:
    """The length of N equal steps from t_max to t_min."""
    if whole("steps", steps) < 1:
        raise InputError("steps", steps, "at least 1")
    if not 0 <= t_min < t_max < math.inf:
        raise InputError("t_min", t_min, f"from 0 to below t_max = {t_max}")
    return (t_max - t_min) / steps
