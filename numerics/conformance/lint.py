"""What a table says of its grid: where its steps really lead, and whether that is where the next one starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..points import Point
from ..readback import Trace, table
from .path import lam_of

FLOAT32 = 1e-5  # a gap in lambda below it is that of single precision


@dataclass(frozen=True)
class Gap:
    """Step `step` leads to another point than the next one starts from."""

    step: int
    leads_to: Point
    starts_at: Point


def zero_length(grid: Sequence[Point]) -> list[int]:
    """The steps that end where they start."""
    return [n for n, (a, b) in enumerate(pairwise(grid), start=1) if a[:2] == b[:2]]


def backward(grid: Sequence[Point]) -> list[int]:
    """The steps on which noise does not decrease."""
    return [n for n, (a, b) in enumerate(pairwise(grid), start=1) if lam_of(b) < lam_of(a) or math.isnan(lam_of(b))]


def led_to(found: Trace) -> list[tuple[float, float]]:
    """(alpha, sigma) to which every row leads: its image of the paths x = alpha and x = sigma, on which the data and
    the noise prediction are constant. A row of order 1 moves along both exactly; sigma is nan where noise is added.
    """
    tableau, result = table(found), []
    for i in range(1, len(found.points)):
        ends = []
        for clean in (True, False):
            total = 0.0
            for j, c in enumerate(reversed(tableau.states[i - 1, :i].tolist()), start=i - len(tableau.states[0, :i])):
                total += c * (found.points[j].alpha if clean else found.points[j].sigma)
            for j, c in enumerate(reversed(tableau.outputs[i - 1, :i].tolist()), start=i - len(tableau.outputs[0, :i])):
                total += c * _constant(found.prediction, found.points[j], clean) if c else 0.0
            ends.append(total)
        noisy = bool(tableau.noises.shape[1] and tableau.noises[i - 1].any())
        result.append((ends[0], math.nan if noisy else ends[1]))
    return result


def gaps(found: Trace, process: str) -> list[Gap]:
    """Steps that do not chain: they lead to a point of the process, but not to that of the grid."""
    result = []
    for i, (alpha, sigma) in enumerate(led_to(found), start=1):
        at = found.points[i]
        to = _on_process(process, alpha, sigma)
        if to is None or not math.isfinite(lam_of(at)) or abs(lam_of(to) - lam_of(at)) <= FLOAT32:
            continue
        result.append(Gap(found.step[i], to, at))
    return result


def _constant(prediction: str, at: Point, clean: bool) -> float:
    """The prediction where x0hat = 1, epshat = 0, or the other way round."""
    data, noise = (1.0, 0.0) if clean else (0.0, 1.0)
    return {"data": data, "noise": noise, "velocity": at.dalpha * data + at.dsigma * noise}[prediction]


def _on_process(process: str, alpha: float, sigma: float) -> Point | None:
    """The point (alpha, sigma) if it is one of the process; with sigma unknown, the one at alpha."""
    if process == "ve":
        return Point(1.0, sigma) if abs(alpha - 1) < FLOAT32 and sigma > 0 else None
    if math.isnan(sigma):
        sigma = math.sqrt(max(1 - alpha**2, 0)) if process == "vp" else 1 - alpha
    on = math.hypot(alpha, sigma) if process == "vp" else alpha + sigma
    return Point(alpha, sigma) if abs(on - 1) < FLOAT32 and alpha > 0 and sigma > 0 else None
