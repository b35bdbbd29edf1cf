"""The metrics of a map of the line with their quadrature errors, on nodes that are refined adaptively.

Nodes come in panels of five that share their ends. On the first, equidistant nodes the trapezoid rule converges faster
than any power where it resolves the map; its error is estimated by the rule on every second node. Elsewhere panels are
split, with Boole's rule on each and the difference of the two Simpson rules inside as its error. New nodes are pushed
through the sampler; old ones stay.

Nodes do not show what lies between them, but masses do, which are known exactly at each node: the masses of the start
law and of the target in a panel bound its part of a metric. A difference from the rule counts as error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..metrics import (
    Pushforward,
    divergence,
    exp_remainder,
    kl,
    kl_integrand,
    trajectory_1d,
    trajectory_integrand,
    tv,
    w2,
    w2_integrand,
)

Push = Callable[[Tensor], tuple[Tensor, Tensor]]  # nodes [m, 1] -> y and dy/dx [m, 1]

AIM, SHARE = 1e-3, 1e-2  # relative errors: the one refinement stops at, and the largest of an accepted value
BELOW = 5.0  # by which errors are smaller for which nodes are foreseen
FLOOR = {"tv": 1e-12, "kl": 1e-14, "w2": 1e-10, "trajectory": 1e-10}  # smaller errors are rounding
MOST = 50_001  # nodes that are added, and nodes of the second attempt
ROUNDS, PATIENCE = 60, 4
PARTS, FEW = 8, 2000  # a panel is split into PARTS while that adds at most FEW nodes, otherwise into two
WIDEST = 2.0**14  # largest range of nodes, in units of the first
BEYOND = 16  # panels on each side by which the range of nodes is doubled
FALL = 1 / 16  # share of the error whose panels are not split in a round, so that a tear is resolved first
LEAST, LARGEST = 1e-300, 1e300  # bounds that replace smaller masses and larger errors
TORN = 0.1  # share of a step of Y that slopes may miss: beyond, they do not resolve it


class Measured(NamedTuple):
    """A metric and a bound on its quadrature error, or None with the reason."""

    value: float | None
    error: float | None
    reason: str | None = None


class _Found(NamedTuple):
    """A value, its error, and the part of each panel in it, in units of the integral (w2 and trajectory: squared)."""

    value: float
    error: float
    panels: Tensor
    beyond: float = 0.0  # the part of the error outside of the range of nodes
    nodes: int = 0


WHOLE: dict[str, Callable[[Pushforward], float]] = {"tv": tv, "kl": kl, "w2": w2, "trajectory": trajectory_1d}


def measured(p: Pushforward, push: Push, wanted: Sequence[str]) -> dict[str, Measured]:
    """The metrics wanted of a map that is known on 4 k + 1 equidistant nodes, and by `push` on any others.

    Metrics that are not resolved from the nodes given are computed once more from 50,001 nodes.
    """
    found = _refined(p, push, wanted)
    missing = [m for m, f in found.items() if math.isfinite(f.value) and _answer(m, f).value is None]
    if missing and len(p.nodes) < MOST:
        x = torch.linspace(float(p.nodes[0]), float(p.nodes[-1]), MOST, dtype=p.nodes.dtype)[:, None]
        y, dydx = push(x)
        found |= _refined(replace(p, nodes=x, y=y, dydx=dydx, columns={}), push, missing)
    return {metric: _answer(metric, f) for metric, f in found.items()}


def foreseen(p: Pushforward, push: Push, wanted: Sequence[str]) -> Tensor:
    """Nodes that are probably added for maps like this one, ascending: at most as many as it has [m, 1].

    They come from a refinement to smaller errors, and depend on nothing else: pushed with the first nodes, they cost
    less than rounds of their own.
    """
    asked: list[Tensor] = []

    def noted(x: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(x)
        return push(x)

    _refined(p, noted, wanted, AIM / BELOW, len(p.nodes))
    sizes = torch.tensor([len(x) for x in asked]).cumsum(dim=0)
    asked = asked[: int((sizes <= len(p.nodes)).sum())]
    return torch.cat([p.nodes[:0], *asked]).sort(dim=0).values


def _refined(
    p: Pushforward, push: Push, wanted: Sequence[str], aim: float = AIM, added: int = MOST
) -> dict[str, _Found]:
    """The metrics after adaptive refinement of the nodes."""
    found = {metric: _found(p, metric, True) for metric in wanted}
    tries: list[tuple[int, dict[str, float]]] = []
    most, widest = len(p.nodes) + added, WIDEST * float(p.nodes[-1] - p.nodes[0])
    for _ in range(ROUNDS):
        unresolved = {m: f for m, f in found.items() if not f.error <= max(aim * abs(f.value), FLOOR[m])}
        narrow = {m: f for m, f in unresolved.items() if f.beyond > f.error / 4}
        inside = {m: f for m, f in unresolved.items() if m not in narrow}
        tries = [] if narrow else [*tries, (len(p.nodes), {m: f.error for m, f in unresolved.items()})]
        if not unresolved or len(p.nodes) >= most or _stalled(tries):
            break
        if float(p.nodes[-1] - p.nodes[0]) > widest:
            narrow = {}
        new = torch.cat([*([_wider(p)] if narrow else []), _between(p, inside, aim)]).sort(dim=0).values
        if not len(new) or not bool((torch.cat([p.nodes, new]).sort(dim=0).values.diff(dim=0) > 0).all()):
            break  # no numbers are left between the nodes
        p = p.merged(new, *push(new))
        found |= {metric: _found(p, metric, False) for metric in unresolved}
    return found


def _stalled(tries: list[tuple[int, dict[str, float]]]) -> bool:
    """Whether no error has fallen in several rounds with twice the nodes, as where Y is lost in rounding.

    A tear takes more rounds, of few nodes each, until it is resolved.
    """
    if len(tries) <= PATIENCE or tries[-1][0] < 2 * tries[-1 - PATIENCE][0]:
        return False
    before = [errors for _, errors in tries[-1 - PATIENCE : -1]]
    return not any(error < max(e[m] for e in before) / 2 for m, error in tries[-1][1].items())


def _answer(metric: str, f: _Found) -> Measured:
    if f.beyond > max(SHARE * f.value, FLOOR[metric]):
        return Measured(None, None, "not resolved: the target has mass where the sampler's law is beyond its far tails")
    return accepted(metric, f.value, f.error, f"on {f.nodes} nodes")


def accepted(metric: str, value: float, error: float, by: str) -> Measured:
    """The value if it is finite and its error at most a hundredth of it, or rounding; else None with the reason."""
    if not math.isfinite(value):
        return Measured(None, None, "infinite: the density of the sampler vanishes where the target has mass")
    if not error <= max(SHARE * abs(value), FLOOR[metric]):
        return Measured(None, None, f"not resolved {by}: {value:.3g}, error estimate {error:.1g}")
    return Measured(value, error)


def _found(p: Pushforward, metric: str, equidistant: bool) -> _Found:
    """A metric and its error.  equidistant: the trapezoid rule is tried as well, and used if its error is smaller."""
    # Boole's rule in every panel, and what the panels may hide.
    whole = WHOLE[metric]
    integrand, missed = _INSIDE[metric](p)
    panels, boole = _simpson(integrand, p.nodes[:, 0])
    beyond = 0.0
    # TV is not an integral over panels: its error is that of the values at turning points.
    if metric == "tv":
        value = tv(p)
        error = abs(value - tv(p.coarser())) + float(missed.sum())
        if p.inside is None:
            ends = p.column("target")
            out = float(ends[int(p.y.argmin()), 1].exp() + ends[int(p.y.argmax()), 2].exp())  # where Y does not lead
            error += abs(value - float(boole.sum()) - out / 2)
        return _Found(value, error, panels + missed, nodes=len(p.nodes))
    if metric == "kl":
        missed = missed + (_least_kl(p) - boole).clamp(min=0)
        beyond = _beyond(p)
    if p.inside is None:
        panels = panels + _by_model(p, metric, integrand)
    # The integral, its root for w2 and trajectory.
    total, error = float(boole.sum()), float((panels + missed).sum()) + beyond
    power = 1 if metric == "kl" else 2
    if power == 2:
        total = math.sqrt(max(total, 0.0))
        error = of_root(error, total)
    # The trapezoid rule against itself on every second node.
    if equidistant:
        fine = whole(p)
        extra = float(missed.sum()) + beyond
        moved = abs(fine - whole(p.coarser())) + (extra if power == 1 else of_root(extra, fine))
        if not moved > error:
            total, error = fine, moved
    return _Found(total, error + math.ulp(1.0) * abs(total), panels + missed, beyond, len(p.nodes))


def _by_model(p: Pushforward, metric: str, integrand: Tensor) -> Tensor:
    """The change of each panel if the law of a folding map is computed on every second node [L]."""
    coarse, x = p.coarser(), p.nodes[::2, 0]
    moved = _INSIDE[metric](coarse)[0] - integrand[::2] if coarse.inside is None else integrand[::2]
    return ((x[2::2] - x[:-2:2]) / 6 * (moved[:-2:2] + 4 * moved[1::2] + moved[2::2])).abs()


def of_root(error: float, root: float) -> float:
    """The error of a root from that of its square."""
    return math.sqrt(root * root + error) - root if error > 0 else 0.0


def _simpson(f: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """|S2 - S1| of the Simpson rules on five and on three nodes, and Boole's rule, for each panel [L]."""
    a, b, c, d, e = (f[k : len(f) - 4 + k : 4] for k in range(5))
    span = x[4::4] - x[:-4:4]
    coarse, fine = span / 6 * (a + 4 * c + e), span / 12 * (a + 4 * b + 2 * c + 4 * d + e)
    return (fine - coarse).abs(), fine + (fine - coarse) / 15


def _panel(values: Tensor) -> Tensor:
    """Sums over panels [L] of numbers between nodes [4 L]."""
    return values[: len(values) // 4 * 4].reshape(-1, 4).sum(dim=1)


def _mass(p: Pushforward, name: str) -> Tensor:
    """|difference of F| between nodes [n - 1]."""
    return _between_tails(*p.column(name)[:, 1:].T)


def _between_tails(lower: Tensor, upper: Tensor) -> Tensor:
    """|difference of F| from one value to the next, from the smaller tails."""
    left = torch.minimum(lower[1:], lower[:-1]) < torch.minimum(upper[1:], upper[:-1])
    return torch.where(left, lower.exp().diff(), -upper.exp().diff()).abs()


def _defect(p: Pushforward, value: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """The difference of the step of a function between two nodes from its slopes, and a mask of too large ones."""
    h = p.nodes[:, 0].diff()
    step, guess = value.diff(), h * (slope[1:] + slope[:-1]) / 2
    missed = (step - guess).abs()
    scale = torch.maximum(step.abs(), h * (slope[1:].abs() + slope[:-1].abs()) / 4)
    return missed, missed > TORN * scale + 1e-12 * value[1:].abs()


def _torn(p: Pushforward) -> tuple[Tensor, Tensor]:
    return _defect(p, p.y[:, 0], p.dydx[:, 0])


def _in_tv(p: Pushforward) -> tuple[Tensor, Tensor]:
    log_start, ratio = p.log_start, p.column("target")[:, 0] - p.log_law
    half = log_start.exp() / 2 * torch.where(ratio > 0, 0.0, ratio.clamp(max=0).expm1()).abs()
    half = half + torch.where(ratio > 0, ((log_start + ratio).exp() - log_start.exp()) / 2, 0.0)
    half = half.nan_to_num(0.0)  # beyond the range of floating-point numbers there is nothing
    ours, goals = _mass(p, "start"), _mass(p, "target")
    missed, torn = _torn(p)
    if p.inside is None:
        missed = torch.where(torn, ours, 0.0)  # wherever a mass goes, the total variation changes by no more
        return half, _panel(missed + _unseen(p, _tv_density, lambda ours, goals: (ours - goals).abs() / 2))
    half = torch.where(p.inside, half, 0.0)
    gap_rate = log_start.exp() * (1 - ratio.exp())
    lower, upper = p.column("start")[:, 1:].T
    goal_lower, goal_upper = p.column("target")[:, 1:].T
    gap = torch.where(lower < upper, lower.exp() - goal_lower.exp(), goal_upper.exp() - upper.exp())
    missed = (gap.diff() - p.nodes[:, 0].diff() * (gap_rate[1:] + gap_rate[:-1]) / 2).abs() - 4 * math.ulp(0.5)
    hidden = torch.minimum(missed.nan_to_num(math.inf).clamp(min=0) / 2, torch.minimum(ours, goals))
    return half, _panel(torch.where(p.inside[1:] & p.inside[:-1], hidden, 0.0))


def _in_kl(p: Pushforward) -> tuple[Tensor, Tensor]:
    f = kl_integrand(p)
    if p.inside is not None:
        return f, torch.zeros(len(f) // 4, dtype=f.dtype)
    _, torn = _torn(p)
    ratio = (p.column("target")[:, 0] - p.log_law).abs().nan_to_num(1.0)
    most = torch.maximum(ratio[1:], ratio[:-1]).clamp(1.0, 1e3)
    missed = torch.where(torn, _mass(p, "start") + most * _mass(p, "target"), 0.0)
    return f, _panel(missed + _unseen(p, _kl_density, _least))


def _tv_density(log_law: Tensor, log_goal: Tensor) -> Tensor:
    return (log_law.exp() - log_goal.exp()).abs() / 2


def _kl_density(log_law: Tensor, log_goal: Tensor) -> Tensor:
    return divergence(log_law, log_goal - log_law)


def _unseen(
    p: Pushforward, density: Callable[[Tensor, Tensor], Tensor], least: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """For a map that folds, between nodes [n - 1]: the part of a metric that masses require and its density misses.

    It counts where the density at the values there gives less than half of what the masses between them require.
    """
    levels = p.levels
    at = density(levels.law[:, 0], levels.goal[:, 0]).nan_to_num(math.inf)
    turns = torch.ones_like(at, dtype=torch.bool)
    turns[levels.rank] = False  # where Y turns its density is infinite, and shows nothing
    left, right = torch.where(turns[:-1], at[1:], at[:-1]), torch.where(turns[1:], at[:-1], at[1:])
    seen = levels.y.diff() * (left + right) / 2
    needed = least(*(_between_tails(*of[:, 1:].T) for of in (levels.law, levels.goal))) - 4 * math.ulp(0.5)
    total = torch.where(needed > 2 * seen, needed - seen, 0.0).cumsum(dim=0)
    total = torch.cat([total.new_zeros(1), total])[levels.rank]
    return total.diff().abs()


def _least_kl(p: Pushforward) -> Tensor:
    """A lower bound on KL in each panel: the sum of G log(G/F) - G + F over its masses [L]."""
    if p.inside is None:
        return torch.zeros(len(p.nodes) // 4, dtype=p.nodes.dtype)
    least = _least(_mass(p, "start"), _mass(p, "target"))
    return _panel(torch.where(p.inside[1:] & p.inside[:-1], least, 0.0)) - 1e-15


def _least(ours: Tensor, goals: Tensor) -> Tensor:
    """A lower bound on KL from masses of the law and of the target."""
    goals = torch.where(
        goals > 4 * math.ulp(0.5), goals, torch.minimum(goals, ours)
    )  # masses at the level of rounding are zero
    ratio = (goals / ours.clamp(min=LEAST)).log()
    low = ratio.clamp(max=-1)
    far = torch.where(goals > 0, ours * (1 + (low - 1) * low.exp()), ours)
    return torch.where(ratio > -1, goals * exp_remainder(-ratio.clamp(min=-1)), far)


def _beyond(p: Pushforward) -> float:
    """An estimate of KL beyond the values of Y at all nodes that count."""
    total, y = 0.0, p.y[:, 0]
    counts = torch.ones_like(y, dtype=torch.bool) if p.inside is None else p.inside
    low, high = torch.where(counts, y, math.inf), torch.where(counts, y, -math.inf)
    for end, tail in ((int(low.argmin()), 1), (int(high.argmax()), 2)):
        log_goal, log_mass = p.column("target")[end, 0], float(p.column("target")[end, tail])
        ratio = abs(float(log_goal - p.log_law[end]))
        total += math.exp(log_mass) * (1 + (ratio if math.isfinite(ratio) else 1e3))
    return total


def _in_distance(p: Pushforward, f: Tensor, goal: Tensor, slope: Tensor | None) -> tuple[Tensor, Tensor]:
    """An integrand of W2 or trajectory, and a bound on what its panels hide, from the steps that slopes miss."""
    own, torn = _torn(p)
    away = p.y[:, 0] - goal
    if slope is None:
        missed = torch.where(torn, own + goal.diff().abs(), 0.0)
    else:
        other, other_torn = _defect(p, goal, slope)
        both = torch.minimum(own, p.y[:, 0].diff().abs()) + torch.minimum(other, goal.diff().abs())
        joint, _ = _defect(p, away, p.dydx[:, 0] - slope)
        missed = torch.where(torn | other_torn, both, joint)
    most, ours = torch.maximum(away[1:].abs(), away[:-1].abs()), _mass(p, "start")
    _, seen = _simpson(p.log_start.exp(), p.nodes[:, 0])
    unseen = (_panel(ours) - seen).abs() * most[: len(most) // 4 * 4].reshape(-1, 4).amax(dim=1).square()
    return f, _panel(ours * missed * (missed + 2 * most)).nan_to_num(math.inf) + unseen


def _in_w2(p: Pushforward) -> tuple[Tensor, Tensor]:
    slope = None if p.inside is None else p.column("optimal")[:, 1]
    return _in_distance(p, w2_integrand(p), p.goal, slope)


def _in_trajectory(p: Pushforward) -> tuple[Tensor, Tensor]:
    return _in_distance(p, trajectory_integrand(p), *p.column("flow").T)


# The integrand [n] over the start sample, and what each panel may hide [L].
_INSIDE: dict[str, Callable[[Pushforward], tuple[Tensor, Tensor]]] = {
    "tv": _in_tv,
    "kl": _in_kl,
    "w2": _in_w2,
    "trajectory": _in_trajectory,
}


def _wider(p: Pushforward) -> Tensor:
    """New nodes beyond both ends: the range is doubled."""
    x = p.nodes[:, 0]
    step = (x[-1] - x[0]) / 2 / (4 * BEYOND)
    out = step * torch.arange(1, 4 * BEYOND + 1, dtype=x.dtype)
    return torch.cat([x[0] - out.flip(0), x[-1] + out])[:, None]


def _between(p: Pushforward, unresolved: dict[str, _Found], aim: float) -> Tensor:
    """New nodes in the panels of every metric that have all its error except FALL of it, or half of the error allowed.

    For TV the sum over panels may be less than the error, which then decreases with the largest of them.
    """
    x = p.nodes[:, 0]
    chosen = torch.zeros(len(x) // 4, dtype=torch.bool)
    for metric, f in unresolved.items():
        allowed = max(aim * abs(f.value), FLOOR[metric])
        if metric in ("w2", "trajectory"):
            allowed = allowed * (2 * abs(f.value) + allowed)
        order = f.panels.nan_to_num(LARGEST, posinf=LARGEST).sort()
        left = order.values.cumsum(dim=0)
        total = float(left[-1])
        chosen[order.indices[left > max(min(allowed, total) / 2, FALL * total)]] = True
    chosen &= x[4::4] - x[:-4:4] > 4096 * math.ulp(1.0) * torch.maximum(x[4::4].abs(), x[:-4:4].abs())
    where = torch.nonzero(chosen)[:, 0]
    parts = PARTS if 4 * (PARTS - 1) * len(where) <= FEW else 2
    left = (4 * where[:, None] + torch.arange(4)).reshape(-1)
    inner = torch.arange(1, parts, dtype=x.dtype) / parts
    return (x[left, None] + (x[left + 1] - x[left])[:, None] * inner).reshape(-1, 1)
