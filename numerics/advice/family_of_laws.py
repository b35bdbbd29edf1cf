"""A recording as one of a family: the same trajectories of laws that are the recorded one times a factor.

The law of c x0 has the data prediction c D(x/c, sigma/c), so that its trajectories are the recorded ones times c, with
lambda moved by log c. The errors of a table on them, over c, are those of the table with its points moved along the
recorded trajectory, and cost no evaluation of the model. On a single trajectory an error may be small because it
changes its sign nearby; over the family it is not. Where samples agree, as those of many numbers do, such a change of
sign is a fact about the law, which the family would hide: what the recorded law has beside the mean over the family
counts by the share of it that is not chance.

Beyond the recorded ends the data prediction is held: little changes it where there is nearly noise, or data, alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..points import Point
from .carry import Jacobian
from .question import PICTURE
from .recording import Recording

SHIFTS = (-0.45, -0.3, -0.15, 0.0, 0.15, 0.3, 0.45)  # log c
OWN = SHIFTS.index(0.0)  # of the recorded law itself
LEADING = 100  # tables by which chance is estimated


def family(recording: Recording, points: Sequence[Point]) -> tuple[Tensor, Tensor]:
    """The states and data predictions, over c, at the points of a table: [points, SHIFTS x R, d] each."""
    low, high = recording.begin.lam, recording.end.lam
    moved = _moved(points)
    inside = [min(max(lam, low), high) for lam in moved]
    # States over alpha: those of a schedule whose alpha is 1.
    y, data = (part.flatten(2) for part in recording.at([_of_scale_1(lam) for lam in inside]))
    beyond = torch.tensor([math.exp(a - b) for a, b in zip(inside, moved, strict=True)], dtype=torch.float64)
    alpha = torch.tensor([at.alpha for at in points for _ in SHIFTS], dtype=torch.float64)
    states = alpha[:, None, None] * (data + beyond[:, None, None] * (y - data))
    shape = (len(points), -1, data.shape[2])
    return states.reshape(shape), data.reshape(shape)


def of_family(jacobian: Jacobian, points: Sequence[Point]) -> list[Callable[[Tensor], Tensor]]:
    """The derivatives of the data predictions along the family: of each point, of errors [..., SHIFTS x R, d]."""
    found, count = jacobian([_of_scale_1(lam) for lam in _moved(points)]), len(SHIFTS)
    return [_of_members(found[k * count : (k + 1) * count], at.alpha) for k, at in enumerate(points)]


def _moved(points: Sequence[Point]) -> list[float]:
    """lambda of every point on every member."""
    return [at.lam + shift for at in points for shift in SHIFTS]


def _of_scale_1(lam: float) -> Point:
    return Point(1.0, math.exp(-lam))


def _of_members(derivatives: Sequence[Callable[[Tensor], Tensor]], alpha: float) -> Callable[[Tensor], Tensor]:
    """Each on the errors of its own member; the derivatives are by x / alpha."""

    def apply(errors: Tensor) -> Tensor:
        parts = errors.chunk(len(derivatives), dim=-2)
        return torch.cat([of(part) for of, part in zip(derivatives, parts, strict=True)], dim=-2) / alpha

    return apply


def over_family(sizes: Tensor, numbers: int) -> Tensor:
    """The typical error of every table, [tables], from those on all members and trajectories, [tables, SHIFTS, R].

    A mean of logarithms over the family, and the share of the recorded law's deviation from it that is not chance, as
    the spread over trajectories has it for the LEADING tables.  numbers: of a sample, which decide for R = 1.
    """
    logs = sizes.log()
    beside = logs[:, OWN] - logs.mean(dim=1)
    mean, off = logs.mean(dim=(1, 2)), beside.mean(dim=1)
    if sizes.shape[2] == 1:
        share = float(numbers >= PICTURE)
    else:
        leading = torch.minimum(mean, mean + off).argsort()[:LEADING]
        chance = beside[leading].var(dim=1).mean() / sizes.shape[2]
        share = float((1 - chance / off[leading].square().mean().clamp(min=1e-300)).clamp(min=0))
    return (mean + share * off).exp()
