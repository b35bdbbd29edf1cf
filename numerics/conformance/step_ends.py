"""Where the steps of a run lead: steps that do not chain, and a run that does not take its last one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..denoisers import parts
from ..generated.prediction_functions import PREDICTIONS
from ..points import Point
from ..readback import Trace

NEAR = 1e-4  # in lambda, from single precision
FLOAT32 = 1e-5  # a gap in lambda below it is from single precision


@dataclass(frozen=True)
class Gap:
    """Step `step` leads to another point than the start of the next one."""

    step: int
    leads_to: Point
    starts_at: Point


def gaps(found: Trace, process: str) -> list[Gap]:
    """Steps that do not chain: their first row leads to a point of the process that is not the grid's."""
    result: dict[int, Gap] = {}
    for i, (alpha, sigma) in enumerate(led_to(found), start=1):
        at = found.points[i]
        to = _on_process(process, alpha, sigma)
        if to is None or at.alpha <= 0 or abs(to.lam - at.lam) <= FLOAT32:
            continue
        step = max(found.step[i], 1)  # a second evaluation at the start belongs to the first step
        result.setdefault(step, Gap(step, to, at))
    return list(result.values())


def up_to_last(run: Trace, process: str) -> Trace | None:
    """The run on the levels without the last, if that is where it leads."""
    last = len(run.grid) - 1
    if last < 3 or run.step[-2] >= last - 1:
        return None
    ends = [gap.leads_to for gap in gaps(run, process) if gap.step == last]
    if not ends or abs(ends[0].lam - run.grid[-2].lam) > NEAR:
        return None
    return replace(run, points=(*run.points[:-1], run.grid[-2]), step=(*run.step[:-1], last - 1), grid=run.grid[:-1])


def led_to(found: Trace) -> list[tuple[float, float]]:
    """(alpha, sigma) to which every row leads: its image of the paths x = alpha and x = sigma, on which the data and
    the noise prediction are constant. A row of order 1 follows both exactly; sigma is nan where noise is added.
    """
    tableau, result = found.table, []
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


def consistent_with(run: Trace) -> list[str]:
    """The other predictions with which every row would lead to its point; [] where it does with that of the run."""
    if _leads_everywhere(run):
        return []
    return [name for name in PREDICTIONS if name != run.prediction and _leads_everywhere(replace(run, prediction=name))]


def _leads_everywhere(run: Trace) -> bool:
    """Whether data and noise that are constant are followed exactly; where noise is added, only data."""
    ends = zip(led_to(run), run.points[1:], strict=True)
    return all(
        abs(alpha - at.alpha) <= FLOAT32 and (math.isnan(sigma) or abs(sigma - at.sigma) <= FLOAT32 * (1 + at.sigma))
        for (alpha, sigma), at in ends
    )


def _constant(prediction: str, at: Point, clean: bool) -> float:
    """The prediction where x0hat = 1 and epshat = 0 (clean), or x0hat = 0 and epshat = 1."""
    return parts(prediction, at)[0 if clean else 1]


def _on_process(process: str, alpha: float, sigma: float) -> Point | None:
    """The point (alpha, sigma) if it belongs to the process, else None; with sigma unknown, the point at alpha."""
    if process == "ve":
        return Point(1.0, sigma) if abs(alpha - 1) < FLOAT32 and sigma > FLOAT32 else None
    if math.isnan(sigma):
        sigma = math.sqrt(max(1 - alpha**2, 0)) if process == "vp" else 1 - alpha
    on = math.hypot(alpha, sigma) if process == "vp" else alpha + sigma
    return Point(alpha, sigma) if abs(on - 1) < FLOAT32 and alpha > 0 and sigma > FLOAT32 else None
