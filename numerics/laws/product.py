"""Total variation between d-fold products of two laws on the line, from the law of one log ratio."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import InputError

FINE = 400  # bins to a standard deviation of the log ratio: their width shows at second order
CARRIES = 1e-14  # nodes of less mass are left out, in which a ratio may be anything


def product_tv(log_p: Tensor, log_q: Tensor, weights: Tensor, copies: int) -> float:
    """TV(p^d, q^d) = E_q max(1 - e^L, 0) with L = log p/q(x_1) + … + log p/q(x_d), the x_i independent draws of q.

    log_p, log_q [n]: log densities at quadrature nodes on the line; weights [n] of the nodes; copies: d >= 1.
    The law of one log ratio is laid on equal bins, each node's mass shared by two so that its mean is kept, and
    convolved with itself d times.  Accurate to 1e-5 of the result. InputError on shapes that disagree or d < 1.
    """
    if not log_p.shape == log_q.shape == weights.shape or log_p.ndim != 1:
        raise InputError("weights", list(weights.shape), f"the shape [n] of log_p, {list(log_p.shape)}")
    if copies < 1:
        raise InputError("copies", copies, "at least 1")
    mass = weights * log_q.exp()
    keep = mass > CARRIES
    mass, ratio = mass[keep] / mass[keep].sum(), (log_p - log_q)[keep]
    low, high = float(ratio.min()), float(ratio.max())
    spread = math.sqrt(float(mass @ (ratio - mass @ ratio).square()))
    if spread == 0:
        return 0.0
    width = spread / FINE
    bins = math.ceil((high - low) / width) + 2
    place = (ratio - low) / width
    first = place.floor().long()
    share = place - first
    law = torch.zeros(bins, dtype=torch.float64)
    law.index_add_(0, first, mass * (1 - share))
    law.index_add_(0, first + 1, mass * share)
    length = copies * (bins - 1) + 1
    whole = torch.fft.irfft(torch.fft.rfft(law, n=length) ** copies, n=length).clamp(min=0)
    total = copies * low + width * torch.arange(length, dtype=torch.float64)
    return float(whole @ -torch.expm1(total.clamp(max=0)))
