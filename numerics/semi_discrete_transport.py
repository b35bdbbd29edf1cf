"""Semi-discrete optimal transport in one dimension, and sampling that starts from n stored points, as in DPM-OT.

The map from a law to n atoms y_i of masses nu_i that costs least is x -> y_argmax(x y_i + h_i). Its cells are the
intervals between the quantiles of the cumulated masses, so that its heights h are known in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .errors import InputError, of_type
from .points import Point
from .targets.flow import quantile
from .targets.mixture import GaussianMixture

Distribution = Callable[[Tensor], Tensor]


def heights(atoms: Tensor, masses: Tensor, inverse: Distribution) -> Tensor:
    """The heights [n] of the map to atoms y_i with masses nu_i: h_{i+1} - h_i = -b_i (y_{i+1} - y_i), with mean 0.

    b_i = inverse(nu_1 + … + nu_i) are the boundaries of the cells; inverse: the quantile function of the source.
    atoms [n]: ascending.  Raises InputError on atoms out of order, and masses that are not positive or whose sum
    is not 1 to 1e-12, or to 8 roundings of a narrower dtype of theirs.
    Li et al. 2023 (arXiv 2307.11308) find h by Adam on the gradient w(h) - nu of the convex energy.
    """
    _check(atoms, masses)
    boundaries = inverse(masses.cumsum(0)[:-1])
    steps = torch.cat([torch.zeros(1, dtype=torch.float64), (-boundaries * atoms.diff()).cumsum(0)])
    return steps - steps.mean()


def transported(x: Tensor, atoms: Tensor, height: Tensor) -> Tensor:
    """T(x) = y_argmax(x y_i + h_i) for points [m]: [m]."""
    return atoms[(x[:, None] * atoms + height).argmax(dim=1)]


def cell_masses(atoms: Tensor, height: Tensor, distribution: Distribution) -> Tensor:
    """w(h) [n]: the mass of the source in the cell of every atom, zero where a cell is empty.

    distribution: F of the source.  w(h) - nu is the gradient of E max_i(x y_i + h_i) - nu . h, which is convex.
    """
    below = torch.full_like(atoms, -torch.inf)
    above = torch.full_like(atoms, torch.inf)
    for i in range(len(atoms)):
        crossing = (height - height[i]) / (atoms[i] - atoms)  # where the lines i and j meet
        if i:
            below[i] = crossing[:i].max()
        if i + 1 < len(atoms):
            above[i] = crossing[i + 1 :].min()
    return (distribution(above) - distribution(below)).clamp(min=0)


def wasserstein_to_atoms(mixture: GaussianMixture, at: Point, values: Tensor, nodes: int = 64) -> float:
    """W2 between n equal masses at `values` [n] and the law of a mixture at a point, in one dimension.

    The quantile of the law at `nodes` midpoints of each of the n intervals of levels, against the sorted values.
    """
    of_type("mixture", mixture, GaussianMixture, "a GaussianMixture")
    ordered = values.flatten().sort().values
    count = len(ordered)
    level = (torch.arange(count * nodes, dtype=torch.float64)[:, None] + 0.5) / (count * nodes)
    exact = quantile(mixture, level.log(), torch.log1p(-level), at)[:, 0]
    return float((exact - ordered.repeat_interleave(nodes)).square().mean().sqrt())


def w1_to_atoms(mixture: GaussianMixture, at: Point, values: Tensor) -> float:
    """W1 between n equal masses at `values` [n] and the law of a mixture at a point, in one dimension: float64.

    It is the integral of |F - F_n|, exact up to rounding: between two values F_n is constant, F crosses it once, at a
    quantile, and the integral of F is that of normal distributions, z Phi(z) + phi(z) in units of a deviation.
    """
    of_type("mixture", mixture, GaussianMixture, "a GaussianMixture")
    law = mixture.marginal(at)
    mean, deviation = (law.high + law.low)[:, 0, 0], law.variance[:, 0, 0].sqrt()
    ordered = values.flatten().double().sort().values
    level = torch.arange(1, len(ordered), dtype=torch.float64) / len(ordered)

    def below(x: Tensor) -> Tensor:
        """The integral of F up to x."""
        z = (x[:, None] - mean) / deviation
        density = (-z * z / 2).exp() / math.sqrt(2 * math.pi)
        found: Tensor = (deviation * (z * torch.special.ndtr(z) + density)) @ mixture.weights
        return found

    crossing = quantile(mixture, level.log()[:, None], torch.log1p(-level)[:, None], at)[:, 0]
    low, high = ordered[:-1], ordered[1:]
    middle = crossing.clamp(low, high)
    before = level * (middle - low) - (below(middle) - below(low))
    after = (below(high) - below(middle)) - level * (high - middle)
    # Outside all values: F up to the first, and 1 - F from the last.
    tails = below(ordered[:1]) + below(ordered[-1:]) - ordered[-1] + mean @ mixture.weights
    return float((before + after).sum() + tails)


def _check(atoms: Tensor, masses: Tensor) -> None:
    if atoms.ndim != 1 or len(atoms) < 2 or not bool((atoms.diff() > 0).all()):
        raise InputError("atoms", atoms.tolist(), "at least two numbers, strictly ascending")
    within = max(1e-12, 8 * torch.finfo(masses.dtype).eps)
    if masses.shape != atoms.shape or not bool((masses > 0).all()) or abs(float(masses.double().sum()) - 1) > within:
        raise InputError("masses", masses.tolist(), "a positive mass for every atom, with the sum 1")
