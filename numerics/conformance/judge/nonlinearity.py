"""A sampler that is not linear: how far it is from superposition, and what it does to its inputs if that is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from ...readback import LINEAR, Trace
from ..report import Finding, TargetInfo, Verdict
from .case import Case, depends

ROUNDING = {"float32": 1e-6, "float16": 1e-3, "bfloat16": 1e-2}  # deviations from a few roundings inside
WILD = 0.1  # a deviation from superposition that random numbers make


def not_linear(case: Case) -> Verdict | None:
    """It deviates from superposition, on the inputs of its trace or on others."""
    known = case.departures("not-linear")
    bent = _bent(case.trace(False), case.info, known) or _bent(case.trace(True), case.info, known)
    found = [*([bent] if bent else []), *known]
    wild = max((x for x in case.trace(True).superposition if not math.isnan(x)), default=0.0) > WILD
    added = not known or any(finding.kind == "not-linear" for finding in known)
    notes = [*(advice(case) if wild and added else []), *case.notes]
    return replace(case.base, verdict="not-linear", findings=[*found, *notes]) if found else None


def advice(case: Case) -> list[Finding]:
    """What to do about noise that is not seen."""
    if not case.info.may_draw:
        return []
    drawn = (
        "if it draws noise by itself, let it take the noise from a parameter `noise`: noise(x) is standard normal and "
    )
    detail = f"{drawn}shaped like x, noise(x, sigma_from, sigma_to) the increment of one path over that interval"
    return [Finding("not-linear", None, detail)]


def _bent(run: Trace, info: TargetInfo, known: Sequence[Finding]) -> Finding | None:
    """How far a run is from superposition.  known: what it does to its inputs."""
    worst = max((x for x in run.superposition if not math.isnan(x)), default=0.0)
    limit = LINEAR[run.precision]
    if worst <= limit:
        return None
    if depends(run):
        detail = "the number of its evaluations or draws of noise depends on the values"
        return Finding("not-linear", None, detail, "error")
    first = next(i for i, x in enumerate(run.superposition) if x > limit)
    why = f"; {', '.join(info.nonlinear)} does that: switch it off" if info.nonlinear else ""
    if run.dtype is torch.float64 and not known:
        why += next(
            (f"; rounding to {name} inside would do so" for name, most in ROUNDING.items() if worst <= most), ""
        )
    return Finding(
        "not-linear",
        run.step[first],
        f"random inputs of standard deviation 3 deviate from superposition by {worst:.1e} of the largest value, from "
        f"step {run.step[first]} on{why}",
        "error",
    )
