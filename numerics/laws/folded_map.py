"""The law of a map Y of the line that folds: its density is a sum over branches, its CDF a sum over crossings.

Between turning points Y is monotone. A level y is crossed at most once in each of these branches, at x_c, and

    p_Y(y) = sum_c p(x_c) / |Y'(x_c)|,        F_Y(y) = sum_c +- F(x_c)  (+ 1 if Y falls at its right end),

with + where Y rises. Between nodes Y is its cubic Hermite interpolant.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import SamplingError
from ..points import Point
from ..targets.flow import log_tails
from ..targets.mixture import GaussianMixture
from .hermite import turns

MOST_TURNS = 60
INSIDE = 1e-9  # least distance of a turning point from both nodes, in units of their distance
NEWTON = 60  # iterations; a step that would leave the bracket bisects it instead


class FoldedLaw(NamedTuple):
    """y at the nodes and then at the turning points, with log p_Y, log F_Y and log(1 - F_Y): [n + turns] each."""

    y: Tensor
    log_density: Tensor
    log_lower: Tensor
    log_upper: Tensor


class _Branch(NamedTuple):
    """The nodes and ends of a branch: x ascending, y monotone, slopes; rises: +1 or -1; first, last: of its nodes."""

    x: Tensor
    y: Tensor
    slope: Tensor
    rises: float
    first: int
    last: int


def folded_law(x: Tensor, y: Tensor, slope: Tensor, start: tuple[GaussianMixture, Point]) -> FoldedLaw:
    """The law of Y from its nodes: x ascending, y and slope, [n] each.

    Raises SamplingError for a map that turns more than 60 times: it is rounding.
    """
    turns_back = int(((slope[1:] > 0) != (slope[:-1] > 0)).sum())
    if turns_back > MOST_TURNS:
        raise SamplingError(f"the sampler's map turns back {turns_back} times: it is lost in rounding")
    # The levels: values at the nodes, then at the turning points. F starts at 1 if the rightmost branch falls.
    branches = _branches(x, y, slope)
    levels = torch.cat([y, *(b.y[-1:] for b in branches[:-1])])
    own = torch.arange(len(levels))
    below = torch.full_like(levels, float(branches[-1].rises < 0))
    above = torch.full_like(levels, float(branches[0].rises < 0))
    log_density, crossings = torch.full_like(levels, -math.inf), torch.zeros_like(levels)
    single_lower, single_upper = torch.zeros_like(levels), torch.zeros_like(levels)
    # Add the crossings of every branch; at the own node of a level x and slope are known exactly.
    for n, branch in enumerate(branches):
        crossed, at, steepness = _crossings(branch, levels, n == 0, n == len(branches) - 1)
        mine = (own >= branch.first) & (own <= branch.last)
        at, steepness = at.clone(), steepness.clamp(min=1e-300)
        where = torch.nonzero(crossed)[:, 0]
        exact = mine[where]
        at[exact], steepness[exact] = x[own[where[exact]]], slope[own[where[exact]]].abs().clamp(min=1e-300)
        lower, upper = (tail[:, 0] for tail in log_tails(start[0], at[:, None], start[1]))
        below[where] += branch.rises * lower.exp()
        above[where] += branch.rises * upper.exp()
        single_lower[where], single_upper[where] = lower, upper
        log_density[where] = torch.logaddexp(
            log_density[where], start[0].log_density(at[:, None], start[1]) - steepness.log()
        )
        crossings[where] += 1
    # A level that is crossed once has the tails of its start sample, to all digits.
    single = (crossings == 1) & (branches[0].rises > 0) & (branches[-1].rises > 0)
    log_lower, log_upper = (v.clamp(1e-300, 1.0).log() for v in (below, above))
    log_lower, log_upper = torch.where(single, single_lower, log_lower), torch.where(single, single_upper, log_upper)
    return FoldedLaw(levels, log_density, log_lower, log_upper)


def _branches(x: Tensor, y: Tensor, slope: Tensor) -> list[_Branch]:
    """The monotone branches of Y, cut at its turning points."""
    up = slope > 0
    found: list[_Branch] = []
    head: tuple[Tensor, Tensor] | None = None
    first = 0
    for turn in [*torch.nonzero(up[1:] != up[:-1])[:, 0].tolist(), len(x) - 1]:
        parts = [(x[first : turn + 1], y[first : turn + 1], slope[first : turn + 1])]
        if head is not None:
            parts.insert(0, (*head, torch.zeros(1, dtype=x.dtype)))
        if turn < len(x) - 1:
            two = slice(turn, turn + 2)
            s, value = turns(y[two], slope[two], x[two].diff(), torch.tensor([0]))
            head = x[turn] + s.clamp(INSIDE, 1 - INSIDE) * (x[turn + 1] - x[turn]), value
            parts.append((*head, torch.zeros(1, dtype=x.dtype)))
        at, value, rate = (torch.cat(column) for column in zip(*parts, strict=True))
        found.append(_Branch(at, value, rate, 1.0 if bool(up[first]) else -1.0, first, turn))
        first = turn + 1
    return found


def _crossings(branch: _Branch, levels: Tensor, leftmost: bool, rightmost: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Mask of the levels crossed, and their x_c and |Y'(x_c)|; outer branches extend beyond their last node."""
    # The levels within the range of the branch.
    rising = (branch.rises * branch.y).cummax(dim=0).values
    goal = branch.rises * levels
    crossed = torch.ones_like(goal, dtype=torch.bool)
    if not leftmost:
        crossed &= goal >= rising[0]
    if not rightmost:
        crossed &= goal <= rising[-1]
    goal = goal[crossed]
    if len(rising) == 1:
        return crossed, branch.x.expand_as(goal), branch.slope.abs().expand_as(goal)
    # The interval of each level, and the cubic of Y there.
    left = (torch.searchsorted(rising, goal, right=True) - 1).clamp(0, len(rising) - 2)
    h = branch.x[left + 1] - branch.x[left]
    a, b = (branch.rises * branch.slope[left + k] * h for k in (0, 1))
    value = branch.rises * branch.y[left]
    bend = 6 * (branch.rises * branch.y[left + 1] - value) - 4 * a - 2 * b
    curve = b - a - bend
    # Newton's method within a bracket.
    low, high = torch.zeros_like(goal), torch.ones_like(goal)
    s = torch.full_like(goal, 0.5)
    for _ in range(NEWTON):
        missing = goal - (value + s * (a + s * (bend / 2 + s * curve / 3)))
        rate = a + s * (bend + s * curve)
        low, high = torch.where(missing > 0, s, low), torch.where(missing > 0, high, s)
        step = s + missing / rate
        new = torch.where((step >= low) & (step <= high), step, (low + high) / 2)
        moved, s = (new - s).abs(), new
        if bool((moved <= 1e-15).all()):
            break
    steepness = (a + s * (bend + s * curve)).abs() / h
    return crossed, branch.x[left] + s * h, steepness.clamp(min=math.ulp(0.0))
