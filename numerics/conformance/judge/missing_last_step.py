"""A run that does not take its last step, as of a loop that ends one level too soon."""

from __future__ import annotations

from dataclasses import replace

from ...readback import Trace
from ..report import Finding
from . import differences
from .case import Case
from .grid_checks import gaps

NEAR = 1e-4  # in lambda, from single precision


def missing_last_step(case: Case) -> tuple[str, Finding] | None:
    """(the record in words, a finding) where the run is a record on all levels but the last; None elsewhere."""
    runs = [_up_to_last(run, case.info.process) for run in (case.shipped, case.in_float64)]
    if runs[0] is None or runs[1] is None:
        return None
    steps = case.steps
    for pair in differences.pairs(runs[0], runs[1], case.info.process, case.base.reference):
        if pair.conforms:
            detail = f"it takes {steps - 1} steps, and none to the last level: noise is left"
            return f"{pair.reference.name} on steps 1 to {steps - 1}", Finding("grid", steps, detail, "error")
    return None


def _up_to_last(run: Trace, process: str) -> Trace | None:
    """The run on the levels without the last, if that is where it leads."""
    last = len(run.grid) - 1
    if last < 3 or run.step[-2] >= last - 1:
        return None
    ends = [gap.leads_to for gap in gaps(run, process) if gap.step == last]
    if not ends or abs(ends[0].lam - run.grid[-2].lam) > NEAR:
        return None
    return replace(run, points=(*run.points[:-1], run.grid[-2]), step=(*run.step[:-1], last - 1), grid=run.grid[:-1])
