"""How far a sampler's law is from the target's: exactly in one dimension, by trajectories in any.

A deterministic sampler is a map Y of the start sample.  Given Y and dY/dx on nodes of the start law, its density is
p_Y(Y(x)) = p_start(x) / Y'(x), and total variation, Kullback-Leibler and W2 are integrals over the start law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .errors import InputError
from .points import Point
from .targets.flow import exact_flow, log_tails, quantile
from .targets.mixture import GaussianMixture

Law = tuple[GaussianMixture, Point]
REACH = math.log(1e-30)  # nodes run between the quantiles with this tail mass, some 11.5 standard deviations:
# a sampler may make its law half as wide as the target's before the KL misses 1e-7
CARRIES = math.log(1e-14)  # beyond this tail mass a fold of the map is invisible


def nodes(start: Law, points: int) -> Tensor:
    """[points, 1] equidistant nodes over all but 2e-30 of the start law: ascending, float64.

    On a smooth law the trapezoid rule over them converges faster than any power.  The spacing must resolve the
    start law and the map: a few nodes for each standard deviation, and across each gap that the map tears open.
    """
    if points < 3:
        raise InputError("run.points", points, "at least 3 nodes")
    small, large = torch.full((1, 1), REACH, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    mixture, at = start
    low, high = quantile(mixture, small, large, at), quantile(mixture, large, small, at)
    return torch.linspace(float(low), float(high), points, dtype=torch.float64)[:, None]


@dataclass(frozen=True, eq=False)
class Pushforward:
    """A sampler as a map of one variable: y = Y(nodes) and dydx = Y'(nodes), all [n, 1] float64, nodes ascending.

    start: the law of the start sample; target: the law the sampler aims at.
    """

    nodes: Tensor
    start: Law
    y: Tensor
    dydx: Tensor
    target: Law

    def __post_init__(self) -> None:
        shape = self.nodes.shape
        for name in ("nodes", "y", "dydx"):
            values = getattr(self, name)
            if values.shape != shape or values.ndim != 2 or values.shape[1] != 1 or len(values) < 3:
                raise InputError(name, list(values.shape), "three equal shapes [n, 1], n at least 3")
        if not bool((self.nodes.diff(dim=0) > 0).all()):
            raise InputError("nodes", "not ascending", "strictly ascending nodes")

    def coarser(self) -> Pushforward:
        """The same map on every second node: how far a metric moves tells whether the nodes resolve the map."""
        return Pushforward(self.nodes[::2], self.start, self.y[::2], self.dydx[::2], self.target)

    @cached_property
    def log_start(self) -> Tensor:
        """log p_start at the nodes [n]."""
        return self.start[0].log_density(self.nodes, self.start[1])

    @cached_property
    def start_tails(self) -> tuple[Tensor, Tensor]:
        """(log F, log(1 - F)) of the start law at the nodes, [n, 1] each."""
        return log_tails(self.start[0], self.nodes, self.start[1])

    @cached_property
    def kept(self) -> Tensor | None:
        """Which nodes to integrate over: all, or those inside of a fold in the far tails; None if Y folds before."""
        rising = _rising(self.y, self.dydx)
        every = torch.ones(len(self.y), dtype=torch.bool)
        if bool(rising.all()):
            return every
        lower, upper = self.start_tails
        inside = torch.minimum(lower, upper)[:, 0] > CARRIES
        return inside if bool(inside.any()) and bool(_rising(self.y[inside], self.dydx[inside]).all()) else None


def tv(p: Pushforward) -> float:
    """Total variation, half the integral of |p_Y - p_target|; nan if Y is not increasing.

    D = F_Y - F_target, as a function of x, has D' = p_start - p_target(Y) Y'.  TV is half the total variation of D,
    that is of its values at the roots of D'; there D is read off its cubic Hermite interpolant: fourth order.
    """
    keep = p.kept
    if keep is None:
        return math.nan
    x, y, slope = p.nodes[keep], p.y[keep], p.dydx[keep, 0]
    below, above = (tail[keep, 0].exp() for tail in p.start_tails)
    goal_below, goal_above = (tail[:, 0].exp() for tail in log_tails(p.target[0], y, p.target[1]))
    gap = torch.where(below < above, below - goal_below, goal_above - above)
    rate = p.log_start[keep].exp() - p.target[0].log_density(y, p.target[1]).exp() * slope
    rises = rate >= 0
    turning = torch.nonzero(rises[:-1] != rises[1:])[:, 0]
    ends = gap.new_zeros(1)
    values = hermite_extremes(gap, rate, x[:, 0].diff(), turning)
    return float(torch.cat([ends, values, ends]).diff().abs().sum()) / 2


def kl(p: Pushforward) -> float:
    """KL(target || sampler) = integral of p_target log(p_target / p_Y); nan if Y is not increasing.

    With l = log p_target - log p_Y it is the integral of p_target (exp(-l) - 1 + l) dy, whose integrand is never
    negative, so that a small value does not drown in the cancellation of large ones.
    """
    keep = p.kept
    if keep is None:
        return math.nan
    log_goal = p.target[0].log_density(p.y[keep], p.target[1]) + p.dydx[keep, 0].log()
    log_start = p.log_start[keep]
    ratio = log_goal - log_start
    near = log_goal.exp() * exp_remainder(-ratio.clamp(min=-1))
    low = ratio.clamp(max=-1)  # the same integrand by p_start, for where exp(-l) could overflow
    far = log_start.exp() * (1 + (low - 1) * low.exp())
    return _integral(torch.where(ratio > -1, near, far), p.nodes[keep])


def w2(p: Pushforward) -> float:
    """W2, the root of the integral of (Y(x) - F_target^{-1}(F_start(x)))^2 p_start; nan if Y is not increasing."""
    if p.kept is None:
        return math.nan
    goal = quantile(p.target[0], *p.start_tails, p.target[1])
    return _root_mean_square(p, goal)


def trajectory_1d(p: Pushforward, source: Point | None = None) -> float:
    """Root mean square of Y(x) - Phi(x) over the start law, Phi the exact flow from `source` to the target's point.

    source: where the process starts; the start law's own point unless it is another law than the process's.
    """
    mixture, to = p.target
    flow, _ = exact_flow(mixture, p.nodes, p.start[1] if source is None else source, to)
    return _root_mean_square(p, flow)


def trajectory(y: Tensor, reference: Tensor, weights: Tensor | None = None) -> float:
    """Root mean square over points of the Euclidean distance |y - reference|; y [n, d], weights [n] sum to 1."""
    if y.shape != reference.shape:
        raise InputError("reference", list(reference.shape), f"the shape {list(y.shape)} of the samples")
    square = (y.double() - reference.double()).square().flatten(1).sum(dim=1)
    return math.sqrt(float(square.mean() if weights is None else square @ weights))


def _root_mean_square(p: Pushforward, goal: Tensor) -> float:
    return math.sqrt(_integral((p.y - goal)[:, 0].square() * p.log_start.exp(), p.nodes))


def _integral(values: Tensor, x: Tensor) -> float:
    return float(torch.trapezoid(values, x[:, 0]))


def _rising(y: Tensor, slope: Tensor) -> Tensor:
    """Where Y increases, with a finite value, to its node and from it [n]."""
    rises = torch.isfinite(y[:, 0]) & torch.isfinite(slope[:, 0]) & (slope[:, 0] > 0)
    rises[1:] &= y[:, 0].diff() > 0
    return rises


def hermite_extremes(value: Tensor, rate: Tensor, step: Tensor, at: Tensor) -> Tensor:
    """Extreme values of the cubic Hermite interpolants on the intervals `at`, where the rate changes its sign.

    The interpolant's rate at s in [0, 1] is a + bend s + curve s^2; its one root there, without cancellation.
    """
    h, a, b = step[at], rate[at], rate[at + 1]
    bend = 6 * (value[at + 1] - value[at]) / h - 4 * a - 2 * b
    curve = b - a - bend
    root = (bend * bend - 4 * curve * a).clamp(min=0).sqrt()
    q = -(bend + torch.where(bend < 0, -root, root)) / 2
    s = a / q
    s = torch.where((s >= 0) & (s <= 1), s, q / curve).nan_to_num().clamp(0, 1)
    return value[at] + h * s * (a + s * (bend / 2 + s * curve / 3))


def exp_remainder(z: Tensor) -> Tensor:
    """exp(z) - 1 - z without cancellation: z^2/2 (1 + z/3 (1 + z/4 (...))) for |z| < 1/2."""
    series = torch.ones_like(z)
    for k in range(15, 2, -1):
        series = 1 + series * z / k
    return torch.where(z.abs() < 0.5, z * z / 2 * series, torch.expm1(z) - z)
