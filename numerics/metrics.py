"""Distances between a sampler's law and the target's: exact in one dimension, by trajectories in any.

A deterministic sampler is a map Y of the start sample.  Given Y and dY/dx on nodes of the start law, its density is
p_Y(Y(x)) = p_start(x) / Y'(x), and total variation, Kullback-Leibler and W2 are integrals over the start law:
`tv`, `kl` and `w2` of a `Pushforward`.  `trajectory(y, reference)` is the root mean square distance of samples.

>>> import torch
>>> import samplerproof as sp
>>> sp.metrics.trajectory(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2, 2)) == (25 / 2) ** 0.5
True
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from .errors import InputError, of_type
from .laws.folded_map import FoldedLaw, folded_law
from .laws.hermite import turns
from .points import Point
from .targets.flow import exact_flow, log_tails, quantile
from .targets.mixture import GaussianMixture

__all__ = ["Pushforward", "kl", "trajectory", "tv", "w2"]

Law = tuple[GaussianMixture, Point]
REACH = math.log(1e-30)  # tail mass beyond the nodes, at about 11.5 standard deviations:
# the law of a sampler may be half as wide as the target before KL is off by 1e-7
ROUNDING = 2.0**-40  # relative: a smaller step back of Y is rounding
NEAR = 0.05  # relative distance of slopes to steps up to which an interpolant is used
AGAINST = 1e-15  # a step of D against its slopes that is larger is a tear
OF_START = ("start", "optimal", "flow")  # columns that are the same for every sampler on the same nodes
VISIBLE = math.log(1e-14)  # a fold of the map where the tail mass is smaller does not matter


def nodes(start: Law, points: int) -> Tensor:
    """[points, 1] equidistant nodes over all but 2e-30 of the start law: ascending, float64.

    On a smooth law the trapezoid rule over them converges faster than any power.  The spacing must resolve the
    start law and the map: a few nodes per standard deviation, and across each gap that the map opens.
    """
    if points < 3:
        raise InputError("run.points", points, "at least 3 nodes")
    small, large = torch.full((1, 1), REACH, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    mixture, at = start
    low, high = quantile(mixture, small, large, at), quantile(mixture, large, small, at)
    return torch.linspace(float(low), float(high), points, dtype=torch.float64)[:, None]


def node_weights(start: Law, x: Tensor) -> Tensor:
    """Weights [n] of equidistant nodes x [n, 1] for means over the start law: its density there, with the sum 1."""
    mixture, at = start
    density = mixture.log_density(x, at).exp()
    return density / density.sum()


class Levels(NamedTuple):
    """The law of a folding map and the target at its values, ascending: those at the nodes and where it turns [m].

    law, goal: log p, log F and log(1 - F), [m, 3] each.  rank: the indices of the values at the nodes [n].
    """

    y: Tensor
    law: Tensor
    goal: Tensor
    rank: Tensor


@dataclass(frozen=True, eq=False)
class Pushforward:
    """A sampler as a map of one variable: y = Y(nodes) and dydx = Y'(nodes), all [n, 1] float64, nodes ascending.

    start: the law of the start sample; target: the exact law at the end.  source: the first point of the process, if
    it differs from the point of the start law.  columns: values at the nodes by name, [n, k] each, computed on demand.
    """

    nodes: Tensor
    start: Law
    y: Tensor
    dydx: Tensor
    target: Law
    source: Point | None = None
    columns: dict[str, Tensor] = field(default_factory=dict)
    ahead: Pushforward | None = None

    def __post_init__(self) -> None:
        shape = self.nodes.shape
        for name in ("nodes", "y", "dydx"):
            values = getattr(self, name)
            if values.shape != shape or values.ndim != 2 or values.shape[1] != 1 or len(values) < 3:
                raise InputError(name, list(values.shape), "three equal shapes [n, 1], n at least 3")
        if not bool((self.nodes.diff(dim=0) > 0).all()):
            raise InputError("nodes", "not ascending", "strictly ascending nodes")

    def coarser(self) -> Pushforward:
        """The same map on every second node; the change of a metric estimates its quadrature error."""
        every_second = {name: column[::2] for name, column in self.columns.items() if name != "folded"}
        return replace(self, nodes=self.nodes[::2], y=self.y[::2], dydx=self.dydx[::2], columns=every_second)

    def merged(self, x: Tensor, y: Tensor, dydx: Tensor) -> Pushforward:
        """The same map with more nodes [m, 1]."""
        other = replace(self, nodes=x, y=y, dydx=dydx, columns=self._ahead_at(x))
        nodes, order = torch.cat([self.nodes, x]).sort(dim=0, stable=True)
        order = order[:, 0]
        columns = {
            name: torch.cat([column, other.column(name)])[order]
            for name, column in self.columns.items()
            if name != "folded"
        }
        y, dydx = torch.cat([self.y, y])[order], torch.cat([self.dydx, dydx])[order]
        return replace(self, nodes=nodes, y=y, dydx=dydx, columns=columns)

    def _ahead_at(self, x: Tensor) -> dict[str, Tensor]:
        """The columns of the start that this map has, at nodes x [m, 1] if all of them are among those ahead."""
        if self.ahead is None:
            return {}
        place = torch.searchsorted(self.ahead.nodes[:, 0], x[:, 0]).clamp(max=len(self.ahead.nodes) - 1)
        if not torch.equal(self.ahead.nodes[place], x):
            return {}
        return {name: self.ahead.column(name)[place] for name in OF_START if name in self.columns}

    def column(self, name: str) -> Tensor:
        """A column, computed once."""
        if name not in self.columns:
            self.columns[name] = torch.stack(getattr(self, f"_{name}")(), dim=1)
        return self.columns[name]

    def _start(self) -> list[Tensor]:
        """log p, log F and log(1 - F) of the start law."""
        tails = log_tails(self.start[0], self.nodes, self.start[1])
        return [self.start[0].log_density(self.nodes, self.start[1]), *(tail[:, 0] for tail in tails)]

    def _target(self) -> list[Tensor]:
        """log p, log F and log(1 - F) of the target at y."""
        tails = log_tails(self.target[0], self.y, self.target[1])
        return [self.target[0].log_density(self.y, self.target[1]), *(tail[:, 0] for tail in tails)]

    def _optimal(self) -> list[Tensor]:
        """The increasing map from the start law to the target, and its slope."""
        log_start, lower, upper = self.column("start").T
        goal = quantile(self.target[0], lower[:, None], upper[:, None], self.target[1])
        slope = (log_start - self.target[0].log_density(goal, self.target[1])).exp()
        return [goal[:, 0], slope]

    def _flow(self) -> list[Tensor]:
        """The exact flow of the process to the point of the target, and its slope."""
        source = self.start[1] if self.source is None else self.source
        return [v[:, 0] for v in exact_flow(self.target[0], self.nodes, source, self.target[1])]

    @property
    def log_start(self) -> Tensor:
        """log p_start at the nodes [n]."""
        return self.column("start")[:, 0]

    @cached_property
    def inside(self) -> Tensor | None:
        """Mask of the nodes to integrate over: all, or those between folds in the tails; None if Y folds elsewhere."""
        rising = _rising(self.y, self.dydx)
        every = torch.ones(len(self.y), dtype=torch.bool)
        if bool(rising.all()):
            return every
        inside = self.column("start")[:, 1:].amin(dim=1) > VISIBLE
        return inside if bool(inside.any()) and bool(_rising(self.y[inside], self.dydx[inside]).all()) else None

    @cached_property
    def folded(self) -> FoldedLaw:
        """The law of Y where it folds."""
        return folded_law(self.nodes[:, 0], self.y[:, 0], self.dydx[:, 0], self.start)

    @cached_property
    def levels(self) -> Levels:
        """The values of Y where it folds, ascending, with its law and the target at them."""
        law, n = self.folded, len(self.y)
        turns_at = law.y[n:, None]
        tails = log_tails(self.target[0], turns_at, self.target[1])
        at_turns = torch.stack([self.target[0].log_density(turns_at, self.target[1]), *(t[:, 0] for t in tails)], dim=1)
        y, order = law.y.sort(stable=True)
        ours = torch.stack([law.log_density, law.log_lower, law.log_upper], dim=1)
        return Levels(y, ours[order], torch.cat([self.column("target"), at_turns])[order], order.argsort()[:n])

    @cached_property
    def log_law(self) -> Tensor:
        """log p_Y at y [n]."""
        if self.inside is None:
            return self.folded.log_density[: len(self.y)]
        return self.log_start - self.dydx[:, 0].log()

    @cached_property
    def goal(self) -> Tensor:
        """F_target^{-1}(F_Y(y)) [n], the optimal map from the law of Y to the target."""
        if self.inside is not None:
            return self.column("optimal")[:, 0]
        n = len(self.y)
        lower, upper = self.folded.log_lower[:n, None], self.folded.log_upper[:n, None]
        return quantile(self.target[0], lower, upper, self.target[1])[:, 0]


def tv(p: Pushforward) -> float:
    """Total variation, half the integral of |p_Y - p_target|.

    It is half the variation of D = F_Y - F_target, hence of its values at turning points, which are read off its cubic
    Hermite interpolant: fourth order. As a function of x, D' = p_start - p_target(Y) Y' if Y does not fold.
    """
    if p.inside is None:
        return _folded_tv(p)
    log_start, below, above = p.column("start")[p.inside].T
    log_goal, goal_below, goal_above = p.column("target")[p.inside].T
    gap = _gap(below, above, goal_below, goal_above)
    rate = log_start.exp() - log_goal.exp() * p.dydx[p.inside, 0]
    # Values of D at its turning points, in order of x.
    rises = rate >= 0
    turning = torch.nonzero(rises[:-1] != rises[1:])[:, 0]
    ends = gap.new_zeros(1)
    s, values = turns(gap, rate, p.nodes[p.inside, 0].diff(), turning)
    # And at the ends of tears, where D moves against its slopes at both nodes.
    steps = gap.diff()
    torn = torch.nonzero((rises[:-1] == rises[1:]) & (torch.where(rises[:-1], -steps, steps) > AGAINST))[:, 0]
    order = torch.cat([turning + s, torn.double(), torn + 1.0]).argsort(stable=True)
    values = torch.cat([values, gap[torn], gap[torn + 1]])[order]
    return float(torch.cat([ends, values, ends]).diff().abs().sum()) / 2


def _folded_tv(p: Pushforward) -> float:
    """TV of a map that folds: half the variation of D over the sorted values of the nodes and of the turning points.

    The interpolant of D is used only where its slopes agree with its steps: at a turning point of Y the density of Y
    is infinite, like the inverse root of the distance.
    """
    y, (log_law, below, above), (log_goal, goal_below, goal_above) = p.levels.y, p.levels.law.T, p.levels.goal.T
    gap = _gap(below, above, goal_below, goal_above)
    rate = log_law.exp() - log_goal.exp()
    moved, step, trapezoid = gap.diff().abs(), y.diff(), (rate[1:] + rate[:-1]) / 2
    smooth = (gap.diff() - step * trapezoid).abs() <= NEAR * step * (rate[1:].abs() + rate[:-1].abs())
    at = torch.nonzero(((rate[:-1] >= 0) != (rate[1:] >= 0)) & smooth & (step > 0))[:, 0]
    _, value = turns(gap, rate, step, at)
    moved[at] = (value - gap[at]).abs() + (gap[at + 1] - value).abs()
    return float(gap[0].abs() + moved.sum() + gap[-1].abs()) / 2


def kl(p: Pushforward) -> float:
    """KL(target || sampler) = integral of p_target log(p_target / p_Y).

    With l = log p_target - log p_Y it is the integral of p_target (exp(-l) - 1 + l) dy. This integrand is never
    negative, so that small values are not lost in cancellation.
    """
    return _integral(kl_integrand(p), p.nodes)


def kl_integrand(p: Pushforward) -> Tensor:
    """The integrand of kl over the start sample [n]: p_start (e^l l - e^l + 1), summed over branches if Y folds."""
    return _on(p.inside, divergence(p.log_start, p.column("target")[:, 0] - p.log_law))


def divergence(log_law: Tensor, ratio: Tensor) -> Tensor:
    """p (e^l l - e^l + 1) with l = `ratio` = log p_target - log p_Y and log p = `log_law`."""
    near = (log_law + ratio).exp() * exp_remainder(-ratio.clamp(min=-1))
    low = ratio.clamp(max=-1)  # a form without exp(-l), which could overflow here
    far = log_law.exp() * (1 + ((low - 1) * low.exp()).nan_to_num(0.0))
    return torch.where(ratio > -1, near, far)


def w2(p: Pushforward) -> float:
    """W2, the root of the integral of (Y(x) - F_target^{-1}(F_Y(Y(x))))^2 p_start."""
    return math.sqrt(_integral(w2_integrand(p), p.nodes))


def w2_integrand(p: Pushforward) -> Tensor:
    """The integrand of w2^2 [n]."""
    return (p.y[:, 0] - p.goal).square() * p.log_start.exp()


def trajectory_1d(p: Pushforward) -> float:
    """Root mean square of Y(x) - Phi(x) over the start law, Phi the exact flow from source to target."""
    return math.sqrt(_integral(trajectory_integrand(p), p.nodes))


def trajectory_integrand(p: Pushforward) -> Tensor:
    """The integrand of trajectory^2 [n]."""
    return (p.y[:, 0] - p.column("flow")[:, 0]).square() * p.log_start.exp()


def trajectory(y: Tensor, reference: Tensor, weights: Tensor | None = None) -> float:
    """Root mean square over points of the Euclidean distance |y - reference|; y [n, d], weights [n] sum to 1."""
    of_type("y", y, Tensor, "a tensor [n, d]")
    of_type("reference", reference, Tensor, "a tensor [n, d]")
    if y.shape != reference.shape:
        raise InputError("reference", list(reference.shape), f"the shape {list(y.shape)} of the samples")
    square = (y.double() - reference.double()).square().flatten(1).sum(dim=1)
    return math.sqrt(float(square.mean() if weights is None else square @ weights))


def _gap(below: Tensor, above: Tensor, goal_below: Tensor, goal_above: Tensor) -> Tensor:
    """F_Y - F_target from the logs of both tails, by the difference of the smaller tails."""
    return torch.where(below < above, below.exp() - goal_below.exp(), goal_above.exp() - above.exp())


def _on(inside: Tensor | None, values: Tensor) -> Tensor:
    return values if inside is None else torch.where(inside, values, 0.0)


def _integral(values: Tensor, x: Tensor) -> float:
    return float(torch.trapezoid(values, x[:, 0]))


def _rising(y: Tensor, slope: Tensor) -> Tensor:
    """Mask of the nodes where Y is finite and increasing [n]; a step back within rounding counts as increasing."""
    rises = torch.isfinite(y[:, 0]) & torch.isfinite(slope[:, 0]) & (slope[:, 0] > 0)
    rises[1:] &= y[:, 0].diff() > -ROUNDING * y[1:, 0].abs()
    return rises


def exp_remainder(z: Tensor) -> Tensor:
    """exp(z) - 1 - z without cancellation: z^2/2 (1 + z/3 (1 + z/4 (...))) for |z| < 1/2."""
    series = torch.ones_like(z)
    for k in range(15, 2, -1):
        series = 1 + series * z / k
    return torch.where(z.abs() < 0.5, z * z / 2 * series, torch.expm1(z) - z)
