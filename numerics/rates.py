"""Observed orders: the exponent a in error ~ N^-a, with its uncertainty and the window it was fitted on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from .errors import InputError


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
