"""Observed orders: the exponent a in error ~ N^-a, the window it was fitted on, and whether it may be read as an order.

A curve of errors has one status, by the first rule that applies, with local orders as slopes between neighbours:

    diverged   the run on the most steps is not finite, or its error is the largest and still grows
    undefined  fewer than three usable errors: finite, above their floor, with an interval above zero
    floor      the error on the most steps is not usable, or no longer falls
    undefined  the intervals of the last errors leave the distance of the local order from its limit uncertain by more
               than TOLERANCE; the exponent is then known within its own interval only
    settled    the local orders in the window agree within TOLERANCE; or within SPREAD, and the last is within TOLERANCE
               of its limit, if they approach it like 1/N or as slowly as the last two differences show
    turning    otherwise
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from scipy.special import stdtrit

from .errors import InputError

TOLERANCE = 0.05  # of a settled local order
SPREAD = 0.25  # largest of the local orders in the window of a settled curve
SLOWEST = 0.25  # power of 1/N in the approach of local orders to their limit
ROUNDING = 1e-11  # values below are rounding
WINDOW = 4  # usable errors, those on the most steps, to which an exponent is fitted
SETTLED, TURNING, FLOOR, DIVERGED, UNDEFINED = "settled", "turning", "floor", "diverged", "undefined"
UNSTEADY, NO_VALUE = "the local orders still move", "no value"
FEW = "fewer than three numbers of steps"


class CurvePoint(NamedTuple):
    """An error measured on N = `steps` steps, and an interval [low, high] that contains the exact one.

    value: None where there is none, for this reason.  floor: values up to it may be noise, bias or rounding.
    finite: whether the run stayed finite.  samples: behind an estimate, and needed: about how many would bring it above
    its floor; 0 for other values.  groups: of an estimate the contributions of groups of samples to its relative error,
    with the same samples in the groups of all errors of a curve.
    """

    steps: int
    value: float | None
    low: float = math.nan
    high: float = math.nan
    floor: float = 0.0
    reason: str = ""
    finite: bool = True
    samples: int = 0
    needed: int = 0
    groups: tuple[float, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the error may be fitted."""
        if self.value is None or not math.isfinite(self.value):
            return False
        return self.value > max(self.floor, ROUNDING) and not self.low <= 0

    @property
    def spread(self) -> tuple[float, float]:
        """How far the logarithm of the exact error may lie below and above that of the value; zero if not known."""
        assert self.value is not None
        below = math.log(self.value / self.low) if 0 < self.low <= self.value else 0.0
        return below, math.log(self.high / self.value) if self.high >= self.value else 0.0


class Judgement(NamedTuple):
    """The status of a curve, why it is not settled, and the local orders in its window, each up to its N."""

    status: str
    reason: str | None
    local_orders: list[float]
    local_steps: list[int]


class Fit(NamedTuple):
    """error ~ N^-exponent, least squares in log-log; stderr of the exponent; window [first N, last N] of the fit."""

    exponent: float
    stderr: float
    window: tuple[int, int]


def fit(
    steps: Sequence[int],
    errors: Sequence[float],
    window: tuple[int, int] | None = None,
    log_power: float = 0.0,
) -> Fit | None:
    """The slope of log(error / log(N+1)^log_power) on log N, for N in the window; None below three points.

    log_power: the power of log T, T = N + 1 noise levels, that is divided out before the fit.
    Errors that are zero or not finite are left out.  stderr = sqrt(RSS / (n - 2) / sum (log N - mean)^2).
    """
    points = [(n, e) for n, e in _usable(steps, errors) if window is None or window[0] <= n <= window[1]]
    if len({n for n, _ in points}) < 3:
        return None
    x = [math.log(n) for n, _ in points]
    y = [math.log(e) - log_power * math.log(math.log(n + 1)) for n, e in points]
    middle, height = math.fsum(x) / len(x), math.fsum(y) / len(y)
    spread = math.fsum((u - middle) ** 2 for u in x)
    slope = math.fsum((u - middle) * (v - height) for u, v in zip(x, y, strict=True)) / spread
    residuals = (v - height - slope * (u - middle) for u, v in zip(x, y, strict=True))
    stderr = math.sqrt(math.fsum(r * r for r in residuals) / (len(x) - 2) / spread)
    return Fit(-slope, stderr, (points[0][0], points[-1][0]))


def local_exponents(steps: Sequence[int], errors: Sequence[float]) -> list[float]:
    """-log(e_2 / e_1) / log(N_2 / N_1) between neighbours in N, over the usable errors."""
    points = _usable(steps, errors)
    return [math.log(e / later) / math.log(m / n) for (n, e), (m, later) in pairwise(points) if m > n]


def window(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """The usable errors on the most steps, at most WINDOW of them."""
    return sorted((p for p in points if p.usable), key=lambda p: p.steps)[-WINDOW:]


def exponent_interval(points: Sequence[CurvePoint], exponent: float) -> tuple[float, float]:
    """An interval of the exponent fitted to the exact errors, from the intervals of these.

    The exponent is a sum of c_i log e_i; see combined.
    """
    x = [math.log(p.steps) for p in points]
    middle = math.fsum(x) / len(x)
    total = math.fsum((u - middle) ** 2 for u in x)
    below, above = combined([((middle - u) / total, p) for u, p in zip(x, points, strict=True)])
    return exponent - below, exponent + above


def combined(terms: Sequence[tuple[float, CurvePoint]]) -> tuple[float, float]:
    """How far sum c_i log e_i of the exact errors may lie below and above that of the values.

    Where all errors have groups, by the scatter of the groups of the sum, at 95 %: errors from common samples cancel.
    Else at most the sum of the terms' own deviations, however the errors depend on each other.
    """
    groups = [p.groups for _, p in terms]
    if all(groups):
        count = len(groups[0])
        sums = [math.fsum(c * p.groups[g] for c, p in terms) for g in range(count)]
        half = float(stdtrit(count - 1, 0.975)) * math.sqrt(math.fsum(s * s for s in sums) * count / (count - 1))
        return half, half
    below = above = 0.0
    for c, p in terms:
        down, up = p.spread
        below += c * down if c > 0 else -c * up
        above += c * up if c > 0 else -c * down
    return below, above


def judge(points: Sequence[CurvePoint], log_power: float = 0.0) -> Judgement:
    """The status of a curve by the rules above, with its power of log(N + 1) divided out."""
    used = window(points)
    slopes = [_local(a, b, log_power) for a, b in pairwise(used)]
    status, reason = _status(sorted(points, key=lambda p: p.steps), used, slopes)
    return Judgement(status, reason, [order for order, _ in slopes], [p.steps for p in used[1:]])


def _status(
    curve: Sequence[CurvePoint], used: Sequence[CurvePoint], slopes: Sequence[tuple[float, float]]
) -> tuple[str, str | None]:
    """The status of a curve in the order of N, and why it is not settled."""
    if curve and not curve[-1].finite:
        return DIVERGED, f"on {curve[-1].steps} steps: {curve[-1].reason}"
    values = [p.value for p in curve if p.value is not None]
    if slopes and used[-1].value == max(values) and sum(slopes[-1]) < -TOLERANCE:
        return DIVERGED, f"the error grows, to {max(values):.3g} on {used[-1].steps} steps"
    if len({p.steps for p in used}) < 3:
        return UNDEFINED, _too_few(curve)
    if curve[-1].value is not None and not curve[-1].usable:
        return FLOOR, f"{_at_floor(curve[-1:])} on {curve[-1].steps} steps"
    last = slopes[-1][0]
    if abs(last) <= TOLERANCE:
        if max(values) > 2 * values[-1]:
            return FLOOR, f"the error no longer falls: {values[-1]:.3g} on {used[-1].steps} steps"
        return TURNING, "the error does not fall yet"
    # The distance of the last local order from its limit, and how uncertain the intervals leave it.
    away, unsure = _distance(used, slopes)
    if unsure > TOLERANCE and away - unsure <= TOLERANCE:
        more = f"; about {_samples(used[-1].samples * (unsure / TOLERANCE) ** 2)} samples" if used[-1].samples else ""
        return UNDEFINED, f"the intervals leave the limit of the local orders uncertain by {unsure:.2g}{more}"
    orders = [order for order, _ in slopes]
    spread = max(orders) - min(orders)
    if spread > TOLERANCE and (away > TOLERANCE or spread > SPREAD):
        return TURNING, f"{UNSTEADY}: " + ", ".join(f"{order:.2f}" for order, _ in slopes)
    return SETTLED, None


def _local(one: CurvePoint, other: CurvePoint, log_power: float) -> tuple[float, float]:
    """The local order between two errors, and how far it may be off by their intervals."""
    assert one.value is not None
    assert other.value is not None
    length = math.log(other.steps / one.steps)
    logarithms = math.log(math.log(other.steps + 1) / math.log(one.steps + 1))
    fall = math.log(one.value / other.value) + log_power * logarithms
    return fall / length, max(combined([(1 / length, one), (-1 / length, other)]))


def _distance(points: Sequence[CurvePoint], slopes: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The distance of the last local order from the limit p of p + c/m^q, and how uncertain it is.

    Each local order belongs to the geometric mean m of its two N.  q = 1, or where the last two differences of local
    orders have one sign and are not within their intervals of zero the slower q that they show, but at least SLOWEST.
    Where the signs differ, the earlier difference counts as well, with q = 2.
    """
    m = [math.log(a.steps * b.steps) / 2 for a, b in pairwise(points)]
    s = [order for order, _ in slopes]
    drifts = [(b - a) / (v - u) for (u, a), (v, b) in pairwise(zip(m, s, strict=True))]  # dp/dlog m
    last, gap = abs(drifts[-1]), m[-1] - m[-2]
    unsure = max(combined(_change(points))) / gap  # of the last difference
    q, before = 1.0, 0.0
    if len(drifts) > 1:
        if drifts[-2] * drifts[-1] > 0 and last > unsure:
            q = 2 * math.log(drifts[-2] / drifts[-1]) / (m[-1] - m[-3])
            q = min(max(q, SLOWEST), 1.0)
        elif drifts[-2] * drifts[-1] <= 0:
            before = abs(drifts[-2]) * math.exp(-2 * (m[-1] - (m[-2] + m[-3]) / 2))
    factor = math.exp(-q * gap / 2) / q
    return max(last * factor, before), unsure * factor


def _change(points: Sequence[CurvePoint]) -> list[tuple[float, CurvePoint]]:
    """The difference of the last two local orders as a sum of c log e over the last three errors."""
    one, two, three = points[-3:]
    first, second = 1 / math.log(two.steps / one.steps), 1 / math.log(three.steps / two.steps)
    return [(-first, one), (first + second, two), (-second, three)]


def _too_few(curve: Sequence[CurvePoint]) -> str:
    """Why fewer than three errors are usable."""
    if len(curve) < 3:
        return FEW
    missing = [p for p in curve if p.value is None]
    low = [p for p in curve if p.value is not None and not p.usable]
    parts = [f"{_at_floor(low)} on {len(low)} of {len(curve)} numbers of steps"] if low else []
    parts += [f"{NO_VALUE} on {len(missing)} of {len(curve)} numbers of steps: {missing[-1].reason}"] if missing else []
    return "; ".join(parts)


def _at_floor(points: Sequence[CurvePoint]) -> str:
    """What the values at their floor may be, and about how many samples bring them above it."""
    if needed := max((p.needed for p in points), default=0):
        return f"noise, which takes {_samples(needed)} samples or more to exceed,"
    return "the value is within the error of its computation" if len(points) == 1 else "values within their errors"


def _samples(count: float) -> str:
    """A number of samples in two digits."""
    return f"{float(f'{count:.1e}'):,.0f}"


LEADING = 0.1  # largest share of later terms up to which a leading error leads


def trend(ratios: Sequence[tuple[int, float]]) -> float | None:
    """The distance of measured over leading error from its limit, from its last two values; None below two.

    ratios: (N, measured error / leading error).  The ratio is b + a/N + …, with b = 1 if the leading error is right.
    The result, a/N at the last N, does not depend on b: a wrong leading error is not read as one that leads later.
    """
    if len(ratios) < 2:
        return None
    (few, before), (many, last) = ratios[-2:]
    return abs(before - last) * few / (many - few)


def leads(missing: float | None) -> bool | None:
    """Whether a leading error leads, given the share of later terms."""
    return None if missing is None else missing <= LEADING


def _usable(steps: Sequence[int], errors: Sequence[float]) -> list[tuple[int, float]]:
    """Pairs (N, error) in the order of N, without errors that are zero, negative or not finite."""
    if len(steps) != len(errors):
        raise InputError("errors", len(errors), f"one for each of the {len(steps)} step counts")
    if any(n < 1 for n in steps):
        raise InputError("run.steps", list(steps), "at least 1")
    return sorted((n, e) for n, e in zip(steps, errors, strict=True) if math.isfinite(e) and e > 0)
