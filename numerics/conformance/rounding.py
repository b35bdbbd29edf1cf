"""How far rounding may take the rows of a sampler: a bound from sums of absolute terms, and the rows beyond it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch

from ..points import Point
from ..readback import Trace, table
from ..tableau import Tableau
from .compare import Deviation, deviations, sizes
from .path import lam_of
from .references import Reference

IDENTICAL = 1e-14
ROUNDINGS = 4.0  # that a coefficient is made with, in units of eps of the largest term
GUARD = 1e-9  # what is left by a least variance or the like where a record has nothing at all


@dataclass(frozen=True)
class Beside:
    """A reference beside a run, row by row.  bounds: what rounding in the dtype of the run explains of every row."""

    reference: Reference
    rows: list[Deviation]
    bounds: list[float]

    @property
    def error(self) -> float:
        return max(d.error for d in self.rows)

    @property
    def off(self) -> list[int]:
        """The rows that rounding does not explain."""
        return [i for i, (d, most) in enumerate(zip(self.rows, self.bounds, strict=True)) if unexplained(d, most)]


def beside(run: Trace, reference: Reference, process: str) -> Beside:
    """The reference, whose table asks in the same steps as the run, beside it."""
    rows = deviations(table(run), reference.table)
    divided = max(1, reference.record.history, reference.record.nfe_per_step - 1)
    return Beside(reference, rows, bounds(reference.table, process, divided, torch.finfo(run.dtype).eps))


def unexplained(row: Deviation, most: float) -> bool:
    return row.error > most and not guarded(row)


def guarded(row: Deviation) -> bool:
    """Whether it is a trifle where the record has nothing."""
    return row.expected == 0 and abs(row.found) <= GUARD


def bounds(expected: Tableau, process: str, divided: int, eps: float) -> list[float]:
    """For every row what rounding explains of its deviation, at least 1e-14: eps * 4 * S * L / h^q.

    S: the sum of the absolute contributions to the row, over the largest. L: the largest absolute sum of terms that
    lambda and the levels are made from, at the points that the row uses; see terms. h: the shortest distance of two of
    them in lambda, at most 1: coefficients are made from such differences, whose absolute error is eps L. q = divided:
    by as many of them a difference of outputs is divided, one after another.
    """
    lam = [lam_of(p) for p in expected.points]
    known = [terms(p, process) for p in expected.points]
    contributions = sizes(expected)
    spread = (contributions.sum(dim=1) / contributions.amax(dim=1).clamp(min=1e-300)).tolist()
    states, outputs = expected.states != 0, expected.outputs != 0
    result = []
    for i, s in enumerate(spread):
        at = {i + 1, *(i - k for k in states[i].nonzero()[:, 0].tolist())}
        made = [i - k for k in outputs[i].nonzero()[:, 0].tolist()]
        ends = sorted({lam[j] for j in (*at, *made) if math.isfinite(lam[j])})
        h = min([1.0, *(b - a for a, b in pairwise(ends))])
        most = max(known[j] for j in (*at, *made))
        result.append(max(IDENTICAL, ROUNDINGS * eps * s * most / h**divided))
    return result


def terms(at: Point, process: str) -> float:
    """The absolute terms behind a level, over what they leave: 1 + |lambda|; where variance is preserved, levels are
    made from alpha^2 too, and 1 - alpha^2 adds (alpha/sigma)^2, 1 - beta of a step up to sigma/alpha; on the flow
    1 - alpha and 1 - sigma add alpha/sigma and sigma/alpha.
    """
    lam = lam_of(at)
    if not math.isfinite(lam):
        return 1.0
    ratio = at.alpha / at.sigma
    return 1 + abs(lam) + {"vp": ratio**2 + 1 / ratio, "flow": ratio + 1 / ratio}.get(process, 0.0)
