"""A bound on the rounding of every row, from sums of absolute terms, and the rows that exceed it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch

from ...points import Point
from ...readback import Trace
from ...tableau import Tableau
from .compare import Deviation, deviations, sizes
from .references import Reference

IDENTICAL = 1e-14
ROUNDINGS = 4.0  # in a coefficient, in units of eps of the largest term
TYPICAL = 1 / 16  # of the bound for roundings: the largest share observed in samplers
VISIBLE = 16.0  # times the bound for roundings: above it, cancellation is visible if there is any
SHOWN = 4.0  # times the largest loss of other rows to cancellation: the loss allowed to a row
WITNESSES = 3  # rows on which cancellation is visible that are needed before a row is held to their loss
REPEATED = 16.0  # times the share of its bound that the run in float64 takes: what the run as shipped may take
BESIDE = 2  # rows before and after one that use its levels too: those of its step and of the one next to it
NEGLIGIBLE = 1e-9  # of an entry that a least variance or the like leaves where a record has none


@dataclass(frozen=True)
class Comparison:
    """A run compared with a reference, row by row.  bounds: the error of every row that rounding explains.
    dtype: of the run.

    lost: for rows on which cancellation is visible, their error over the error that cancellation explains.
    shares: the error of every row over all that rounding and cancellation may explain.
    """

    reference: Reference
    rows: list[Deviation]
    bounds: list[float]
    lost: Mapping[int, float]
    shares: list[float]
    dtype: str

    @property
    def error(self) -> float:
        return max(d.error for d in self.rows)

    @property
    def share(self) -> float:
        """The largest of the shares."""
        return max(self.shares, default=0.0)

    @property
    def off(self) -> list[int]:
        """The rows whose error rounding does not explain."""
        return [i for i, (d, most) in enumerate(zip(self.rows, self.bounds, strict=True)) if unexplained(d, most)]


class Witness(NamedTuple):
    """Other runs of a sampler, which show how it rounds.  lost: of Comparison.  share: the largest of the run in
    float64.  shares: those of the run in float64 on the same levels, by row; empty without one.
    """

    lost: Sequence[float]
    share: float
    shares: Sequence[float] = ()


def compared(run: Trace, reference: Reference, process: str, witness: Witness | None = None) -> Comparison:
    """A run compared with a reference that evaluates in the same steps.

    With a witness a row may lose as much to cancellation as it and the other rows show: a sampler that computes its
    levels without cancellation has none to explain a fault. So with repeated divisions by h: the same code loses the
    same share of its bound in float64. What a row or one beside it loses in float64 on the same levels, it may lose as
    shipped: in few rows the others may be lucky. None allows all of it, as is right in float64, where it hides nothing;
    a run whose levels come from a table of alpha^2 for timesteps may lose all that cancellation explains: there all
    rows that subtract alpha^2 from one lose digits.
    """
    rows = deviations(run.table, reference.table)
    divided = max(1, reference.record.history, reference.record.nfe_per_step - 1)
    most = bounds(reference.table, process, divided, torch.finfo(run.precision).eps)
    lost = {
        i: max(0.0, row.error - TYPICAL * bound.rounded) / bound.cancelled
        for i, (row, bound) in enumerate(zip(rows, most, strict=True))
        if bound.cancelled > VISIBLE * bound.rounded
    }
    whole = sizes(reference.table).amax(dim=1).clamp(min=1e-300).tolist()
    allowed = []
    for i, bound in enumerate(most):
        seen = [*(witness.lost if witness else ()), *(share for j, share in lost.items() if j != i)]
        held = witness is not None and run.timesteps is None and len(seen) >= WITNESSES
        share = min(1.0, SHOWN * max(seen)) if held else 1.0
        rounded = bound.rounded
        if witness is not None:
            rounded = min(rounded, max(bound.once, REPEATED * witness.share * rounded))
        there = max(witness.shares[max(0, i - BESIDE) : i + BESIDE + 1], default=0.0) if witness else 0.0
        explained = max(rounded + share * bound.cancelled, min(1.0, REPEATED * there) * bound.whole)
        solved = run.uncertainty[i + 1] if run.uncertainty else 0.0
        cut = run.cut[i] / whole[i] if rows[i].found == 0 else 0.0  # its entry was treated as rounding
        allowed.append(max(IDENTICAL, explained) + solved + cut)
    shares = [row.error / bound.whole for row, bound in zip(rows, most, strict=True)]
    return Comparison(reference, rows, allowed, lost, shares, str(run.dtype)[6:])


def unexplained(row: Deviation, most: float) -> bool:
    """Whether rounding does not explain the error of a row."""
    return row.error > most and not negligible(row)


def negligible(row: Deviation) -> bool:
    """Whether the worst entry is negligible and the record has none."""
    return row.expected == 0 and abs(row.found) <= NEGLIGIBLE


class Bound(NamedTuple):
    """The errors of a row that two causes explain: roundings of lambda and of levels, and cancellation at low noise,
    which a sampler need not have.  once: as rounded, where one difference at most is divided by h.
    """

    rounded: float
    cancelled: float
    once: float

    @property
    def whole(self) -> float:
        """Both causes together."""
        return self.rounded + self.cancelled


def bounds(expected: Tableau, process: str, divided: int, eps: float) -> list[Bound]:
    """The error of every row that rounding explains, eps * (4 + sqrt(n - 1)) * S * L / h^q, in two parts.

    n: the number of its terms, each addition of which rounds as a step of a random walk. S: the sum of the absolute
    contributions to the row, over the largest. L: the largest sum of absolute terms in lambda and the levels, at the
    points that the row uses: 1 + |lambda|, and see cancellation. h: the shortest distance of two of them in lambda, at
    most 1: coefficients are computed from such differences, whose absolute error is eps L.
    On ve a step with noise may lead to sqrt(b^2 - u^2), of its end b and u^2 = b^2 (1 - b^2 / a^2) of its start a: that
    amplifies rounding by (a / b)^2 / 2, in the rows of its stages too.
    q = divided: the number of such divisions in a divided difference of outputs.
    """
    lam = [p.lam for p in expected.points]
    contributions = sizes(expected)
    terms = (contributions != 0).sum(dim=1).clamp(min=1).tolist()
    spread = (contributions.sum(dim=1) / contributions.amax(dim=1).clamp(min=1e-300)).tolist()
    states, outputs, step = expected.states != 0, expected.outputs != 0, expected.step[expected.given :]
    noisy = {step[i] for i in expected.noises.any(dim=1).nonzero()[:, 0].tolist()} if process == "ve" else set()
    leads_to = dict(zip(expected.step, lam, strict=True))  # the lambda of the last vector of every step
    result = []
    for i, s in enumerate(spread):
        # The points that the row uses: its end, its states, its outputs.
        at = {i + 1, *(i - k for k in states[i].nonzero()[:, 0].tolist())}
        made = [i - k for k in outputs[i].nonzero()[:, 0].tolist()]
        used = [expected.points[j] for j in (*at, *made) if math.isfinite(lam[j])]
        # h: their shortest distance.
        ends = sorted({p.lam for p in used})
        h = min([1.0, *(b - a for a, b in pairwise(ends))])
        # L: roundings at high noise, cancellation at low noise.
        each = (ROUNDINGS + (terms[i] - 1) ** 0.5) * eps * s / h**divided
        high, low = (max((cancellation(p, process)[k] for p in used), default=0.0) for k in (0, 1))
        if step[i] in noisy:
            start = max(end for of, end in leads_to.items() if of < step[i])
            low = max(low, math.exp(2 * (leads_to[step[i]] - start)) / 2)
        rounded = each * (1 + max((abs(x) for x in ends), default=0.0) + high)
        result.append(Bound(rounded, each * low, rounded * h ** (divided - 1)))
    return result


def cancellation(at: Point, process: str) -> tuple[float, float]:
    """The relative amplification of rounding by differences in a level, which adds to 1 + |lambda|: at high noise, at
    low noise.

    On vp, 1 - beta of a step adds sigma/alpha; 1 - alpha^2 leaves sigma^2, whose root halves the error:
    (alpha/sigma)^2 / 4, as alpha^2 has no more than two roundings. On the flow 1 - sigma and 1 - alpha add sigma/alpha
    and alpha/sigma.
    """
    ratio = at.alpha / at.sigma
    return {"vp": (1 / ratio, ratio**2 / 4), "flow": (1 / ratio, ratio)}.get(process, (0.0, 0.0))
