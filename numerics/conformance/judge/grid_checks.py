"""Grid checks of a run: its levels (level_checks.py), the timesteps of its model, and whether its steps chain."""

from __future__ import annotations

import math
from itertools import pairwise

from ...external_run import Timesteps
from ...level_checks import MOST, SAME_LEVEL, Trained, Written, beyond, first, repeated, rising, rounded, shifted_twice
from ...points import Point
from ...readback import Trace
from ..forward_processes import goes_backward
from ..report import Finding
from ..step_ends import gaps


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
