"""Grid checks of a run: its levels (level_checks.py), the timesteps of its model, and whether its steps chain."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

from ...denoisers import parts
from ...external_run import Timesteps
from ...level_checks import MOST, SAME_LEVEL, Trained, Written, beyond, first, repeated, rising, rounded, shifted_twice
from ...points import Point
from ...readback import Trace
from ..forward_processes import goes_backward
from ..report import Finding

NEAR = 1e-4  # in lambda, from single precision
FLOAT32 = 1e-5  # a gap in lambda below it is from single precision


@dataclass(frozen=True)
class Gap:
    """Step `step` leads to another point than the start of the next one."""

    step: int
    leads_to: Point
    starts_at: Point


def findings(run: Trace, process: str) -> list[Finding]:
    """Findings about the grid; a last step of length zero and noise left at the end are errors."""
    written = Written(process)
    found = repeated(run.grid, written)
    if not goes_backward(run.grid):
        found = [*found, *rising(run.grid, written)]
    if run.grid[0].alpha <= 0 and process != "flow":  # there a velocity does
        found.append(Finding("grid", 0, "it starts at alpha = 0, where no noise prediction gives the data"))
    unchained = gaps(run, process)
    for gap in unchained[:3]:
        ends, starts = gap.leads_to.lam, gap.starts_at.lam
        goes = "the grid ends" if gap.step == len(run.grid) - 1 else "the next starts"
        detail = f"step {gap.step} leads to lambda = {ends:.6g}; {goes} at {starts:.6g}"
        found.append(Finding("grid", gap.step, detail))
    if len(unchained) > 3:
        found.append(Finding("grid", None, f"{len(unchained)} of {len(run.grid) - 1} steps do not chain"))
    found += _rounded(run, written)
    if run.timesteps is None:
        return found
    received = run.timesteps
    trained = Trained(received.noisiest, received.cleanest)
    if goes_backward(run.grid):  # its ends are the other way round
        return [*found, *beyond(run.grid, trained, written), *_timesteps(run, received)]
    found += first(run.grid, trained, written, received.rounding[0])
    found += beyond(run.grid, trained, written)
    found += shifted_twice(written.of(run.grid) if process == "flow" else [], received.shift)
    return [*found, *_timesteps(run, received), *_ending(run, received)]


def _rounded(run: Trace, written: Written) -> list[Finding]:
    """Levels at which a step evaluates that are roundings of those of the grid, or of what these were before."""
    starts: dict[int, Point] = {}
    evaluated = [point for point, at in zip(run.points, run.evaluated, strict=True) if at]
    for step, point in zip(steps_of(run), evaluated, strict=True):
        starts.setdefault(step, point)
    grid = [run.grid[step - 1] for step in starts]
    found = rounded(written.of(starts.values()), written, exact=written.of(grid))
    return found or rounded(written.of(run.grid), written)


def _timesteps(run: Trace, timesteps: Timesteps) -> list[Finding]:
    """Timesteps of another level than the step's, beyond rounding, and equal timesteps of different levels."""
    points = [run.points[i] for i, evaluated in enumerate(run.evaluated) if evaluated]
    lams, steps = [p.lam for p in points], steps_of(run)
    off = [abs(_limited(a) - _limited(b)) for a, b in zip(timesteps.lam, lams, strict=True)]
    bad = [k for k, gap in enumerate(off) if gap > timesteps.rounding[k] + SAME_LEVEL]
    found = []
    if bad:
        k = bad[0]
        means = f"step {steps[k]}: timestep {timesteps.t[k]:.6g} means lambda = {timesteps.lam[k]:.6g}"
        most = max(off[k] for k in bad)
        rest = f"; so in {len(bad)} of {len(off)} evaluations, by up to {most:.2g}, beyond the rounding of a timestep"
        ends = [run.grid[step].lam for step in steps]
        if all(abs(timesteps.lam[k] - ends[k]) <= timesteps.rounding[k] + SAME_LEVEL for k in bad):
            rest = f"{rest}: it is the timestep of the level to which the step leads"
        found.append(Finding("grid", steps[k], f"{means}, the step has {lams[k]:.6g}{rest}"))
    repeated = [k for k, (a, b) in enumerate(pairwise(timesteps.t), 1) if a == b]
    twice = [k for k in repeated if abs(lams[k] - lams[k - 1]) > SAME_LEVEL]
    for k in twice[:3]:
        at = f"at lambda = {lams[k - 1]:.6g} and {lams[k]:.6g}"
        found.append(Finding("grid", steps[k], f"step {steps[k]}: timestep {timesteps.t[k]:.6g} as before, {at}"))
    if len(twice) > 3:
        found.append(Finding("grid", None, f"{len(twice)} evaluations have the timestep of the one before"))
    return found


def _limited(lam: float) -> float:
    return min(max(lam, -MOST), MOST)


def _ending(run: Trace, timesteps: Timesteps) -> list[Finding]:
    """Noise that is left at the end, or removed in one jump."""
    steps = len(run.grid) - 1
    first, before, last = (run.grid[n].lam for n in (0, -2, -1))
    if last < timesteps.cleanest - SAME_LEVEL and timesteps.cleanest < math.inf:
        left = f"it ends at lambda = {last:.6g}, with noise left: the model is trained up to {timesteps.cleanest:.6g}"
        return [Finding("grid", steps, left, "error")]
    end = min(last, timesteps.cleanest)
    if math.isfinite(end) and end - before > before - first:
        jump = f"step {steps} goes more than half of the way in lambda, from {before:.6g}"
        return [Finding("grid", steps, jump)]
    return []


def steps_of(run: Trace) -> list[int]:
    """The step of every evaluation: the last one at a grid point starts the step from there."""
    made = [to for to, evaluated in zip(run.step, run.evaluated, strict=True) if evaluated]
    starts = {to: k for k, to in enumerate(made)}
    return [min(to + (starts[to] == k), len(run.grid) - 1) for k, to in enumerate(made)]


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
