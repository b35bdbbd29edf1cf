"""Distances of a density from a target law: total variation, Kullback-Leibler, W2, and expectations.

On a grid so fine that cubic interpolation and the trapezoid rule are exact to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..metrics import Law, exp_remainder
from ..targets.flow import log_tails, quantile
from .density import Density
from .hermite import turns

FINER = 8
FLOOR = 1e-13  # smaller tails and densities (relative to the largest) are rounding


def tv(density: Density, target: Law, finer: int = FINER) -> float:
    """Half the integral of |p - p_target|, to 1e-12 plus the error of the density.

    F - F_target turns where p = p_target: TV is half its total variation, read off its extremes and the ends.
    """
    p = density.finer(finer)
    x = p.grid
    below, _ = _tails(target, x)
    gap = cdf(p) - below
    rate = p.values - _goal(target, x)
    rises = rate >= 0
    turning = torch.nonzero(rises[:-1] != rises[1:])[:, 0]
    _, extremes = turns(gap, rate, x.diff(), turning)
    nothing = gap.new_zeros(1)
    return float(torch.cat([nothing, gap[:1], extremes, gap[-1:], nothing]).diff().abs().sum()) / 2


def kl(density: Density, target: Law, finer: int = FINER, floor: float = FLOOR) -> float:
    """KL(target || sampler) = integral of p_target (exp(-l) - 1 + l), l = log(p_target / p).

    Densities below the floor, relative to the largest, are replaced by it: accurate to 1e-13 while the tails of the
    sampler are not much thinner than those of the target, and a lower bound otherwise.
    """
    p = density.finer(finer)
    goal = _goal(target, p.grid)
    floor = floor * float(goal.max())
    goal = goal.clamp(min=floor)
    ratio = (goal / p.values.clamp(min=floor)).log()
    return expectation(Density(p.low, p.high, goal, 0.0), lambda x: exp_remainder(-ratio))


def w2(density: Density, target: Law, finer: int = FINER) -> float:
    """W2, the root of the integral of (x - F_target^{-1}(F(x)))^2 p, without the tails below 1e-13."""
    p = density.finer(finer)
    below = cdf(p)
    above = p.mass - below
    inside = torch.minimum(below, above) > FLOOR
    goal = quantile(target[0], below[inside, None].log(), above[inside, None].log(), target[1])[:, 0]
    square = torch.zeros_like(p.values)
    square[inside] = (p.grid[inside] - goal).square()
    return math.sqrt(max(expectation(p, lambda x: square), 0.0))


def expectation(density: Density, f: Callable[[Tensor], Tensor]) -> float:
    """The integral of f p by the trapezoid rule on the density's grid, exact to rounding for a smooth f [n] -> [n]."""
    return float((f(density.grid) * density.values).mean()) * (density.high - density.low)


def cdf(density: Density) -> Tensor:
    """The integral of p from `low` to each point of the grid [n], term by term."""
    n, width = len(density.values), density.high - density.low
    modes = torch.fft.rfft(density.values)
    k = 2 * math.pi / width * torch.arange(1, len(modes), dtype=torch.float64)
    waves = torch.zeros_like(modes)
    waves[1:] = modes[1:] / (1j * k)
    waving = torch.fft.irfft(waves, n)
    answer: Tensor = waving - waving[0] + density.values.mean() * (density.grid - density.low)
    return answer


def _goal(target: Law, x: Tensor) -> Tensor:
    return target[0].log_density(x[:, None], target[1]).exp()


def _tails(target: Law, x: Tensor) -> tuple[Tensor, Tensor]:
    lower, upper = log_tails(target[0], x[:, None], target[1])
    return lower[:, 0].exp(), upper[:, 0].exp()
