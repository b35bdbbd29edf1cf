"""A run that does not take its last step, as of a loop that ends one level too soon."""

from __future__ import annotations

from ..report import Finding
from ..step_ends import up_to_last
from . import differences
from .case import Case


def missing_last_step(case: Case) -> tuple[str, Finding] | None:
    """(the record in words, a finding) where the run is a record on all levels but the last; None elsewhere."""
    runs = [up_to_last(run, case.info.process) for run in (case.shipped, case.in_float64)]
    if runs[0] is None or runs[1] is None:
        return None
    steps = case.steps
    for pair in differences.pairs(runs[0], runs[1], case.info.process, case.base.reference):
        if pair.conforms:
            detail = f"it takes {steps - 1} steps, and none to the last level: noise is left"
            return f"{pair.reference.name} on steps 1 to {steps - 1}", Finding("grid", steps, detail, "error")
    return None
