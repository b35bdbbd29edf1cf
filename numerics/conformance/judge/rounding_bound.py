"""How far rounding may take the rows of a sampler: a bound from sums of absolute terms, and the rows beyond it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch

from ...points import Point
from ...readback import Trace, table
from ...tableau import Tableau
from ..processes import lam_of
from .compare import Deviation, deviations, sizes
from .references import Reference

IDENTICAL = 1e-14
ROUNDINGS = 4.0  # that a coefficient is made with, in units of eps of the largest term
TYPICAL = 1 / 16  # of the bound for roundings: what they take in fact, at most, as samplers show
VISIBLE = 16.0  # times the bound for roundings: cancellation that can explain so much is seen if there is any
SHOWN = 4.0  # times the most that other rows have lost to cancellation, a row may lose
WITNESSES = 3  # rows that must have been able to show it, before one is held to what they show
GUARD = 1e-9  # what is left by a least variance or the like where a record has nothing at all


@dataclass(frozen=True)
class Beside:
    """A reference beside a run, row by row.  bounds: what rounding in the dtype of the run explains of every row.

    lost: of the rows that can show it, the share of what cancellation explains that they are off by.
    """

    reference: Reference
    rows: list[Deviation]
    bounds: list[float]
    lost: Mapping[int, float]

    @property
    def error(self) -> float:
        return max(d.error for d in self.rows)

    @property
    def off(self) -> list[int]:
        """The rows that rounding does not explain."""
        return [i for i, (d, most) in enumerate(zip(self.rows, self.bounds, strict=True)) if unexplained(d, most)]


def beside(run: Trace, reference: Reference, process: str, witnesses: Sequence[float] | None = None) -> Beside:
    """The reference, whose table asks in the same steps as the run, beside it.

    witnesses: the shares that rows of other runs of the sampler have lost to cancellation. With them a row may lose
    what they and the other rows show: a sampler that makes its levels without any cancellation has none to explain a
    fault with. None allows all of it, as is right in float64, where it hides nothing; so does a run whose levels come
    from a table of alpha^2 for timesteps: there the digits are lost in whichever rows subtract it from one.
    """
    rows = deviations(table(run), reference.table)
    divided = max(1, reference.record.history, reference.record.nfe_per_step - 1)
    most = bounds(reference.table, process, divided, torch.finfo(run.dtype).eps)
    lost = {
        i: max(0.0, row.error - TYPICAL * bound.rounded) / bound.cancelled
        for i, (row, bound) in enumerate(zip(rows, most, strict=True))
        if bound.cancelled > VISIBLE * bound.rounded
    }
    allowed = []
    for i, bound in enumerate(most):
        seen = [*(witnesses or ()), *(share for j, share in lost.items() if j != i)]
        held = witnesses is not None and run.told is None and len(seen) >= WITNESSES
        share = min(1.0, SHOWN * max(seen)) if held else 1.0
        allowed.append(max(IDENTICAL, bound.rounded + share * bound.cancelled))
    return Beside(reference, rows, allowed, lost)


def unexplained(row: Deviation, most: float) -> bool:
    return row.error > most and not guarded(row)


def guarded(row: Deviation) -> bool:
    """Whether it is a trifle where the record has nothing."""
    return row.expected == 0 and abs(row.found) <= GUARD


class Bound(NamedTuple):
    """What explains the deviation of a row: roundings of lambda and of levels, and the cancellation at low noise, which
    a sampler need not have.
    """

    rounded: float
    cancelled: float


def bounds(expected: Tableau, process: str, divided: int, eps: float) -> list[Bound]:
    """For every row what rounding explains of its deviation: eps * 4 * S * L / h^q, in two parts.

    S: the sum of the absolute contributions to the row, over the largest. L: the largest absolute sum of terms that
    lambda and the levels are made from, at the points that the row uses: 1 + |lambda|, and see cancellation. h: the
    shortest distance of two of them in lambda, at most 1: coefficients are made from such differences, whose absolute
    error is eps L. q = divided: by as many of them a difference of outputs is divided, one after another.
    """
    lam = [lam_of(p) for p in expected.points]
    contributions = sizes(expected)
    spread = (contributions.sum(dim=1) / contributions.amax(dim=1).clamp(min=1e-300)).tolist()
    states, outputs = expected.states != 0, expected.outputs != 0
    result = []
    for i, s in enumerate(spread):
        at = {i + 1, *(i - k for k in states[i].nonzero()[:, 0].tolist())}
        made = [i - k for k in outputs[i].nonzero()[:, 0].tolist()]
        used = [expected.points[j] for j in (*at, *made) if math.isfinite(lam[j])]
        ends = sorted({lam_of(p) for p in used})
        h = min([1.0, *(b - a for a, b in pairwise(ends))])
        each = ROUNDINGS * eps * s / h**divided
        high, low = (max((cancellation(p, process)[k] for p in used), default=0.0) for k in (0, 1))
        result.append(Bound(each * (1 + max((abs(x) for x in ends), default=0.0) + high), each * low))
    return result


def cancellation(at: Point, process: str) -> tuple[float, float]:
    """What the differences behind a level, over what they leave, add to 1 + |lambda|: at high noise, at low noise.

    Where variance is preserved, 1 - beta of a step adds up to sigma/alpha; 1 - alpha^2 leaves sigma^2, whose root
    halves the error: (alpha/sigma)^2 / 4, as alpha^2 takes no more than two roundings. On the flow 1 - sigma and
    1 - alpha add sigma/alpha and alpha/sigma.
    """
    ratio = at.alpha / at.sigma
    return {"vp": (1 / ratio, ratio**2 / 4), "flow": (1 / ratio, ratio)}.get(process, (0.0, 0.0))
