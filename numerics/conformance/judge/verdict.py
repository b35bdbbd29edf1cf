"""From traces to a verdict: which formula it is, of which order, and everything that was found on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from ...catalogue import resolve
from ...generated.frame_functions import FRAMES
from ...readback import Trace
from ..adapters.rescaled import SCALED
from ..process.probes import LINEAR
from ..process.repeated_evaluations import asked_once
from ..report import Failure, Finding, Subject, Verdict
from . import differences
from .case import SHORT, Beyond, Case, Runs, changed, depends
from .coverage import coverage
from .differences import CANCELLED, Pair
from .rounding_bound import IDENTICAL
from .unchained_steps import each_alone

ROUNDING = {"float32": 1e-6, "float16": 1e-3, "bfloat16": 1e-2}  # what a few roundings inside deviate by
SHARE = 0.5  # of the proved order: an observed one below it contradicts the proof
LONGEST = 5  # times the steps, so far rows are compared: beyond, grids of whole timesteps have steps of one


def judge(
    subject: Subject, runs: Runs, steps: int, against: str | None = None, beyond: Beyond | None = None
) -> Verdict:
    """The verdict of a target on `steps` steps, from its traces {(N, in float64): trace or failure}.

    At least the two on `steps` steps; those on more give orders and the growth of roundoff, and all must be the record.
    A run on alpha = 1 is looked at on the flow too, where its record is in velocities, which differ with the process,
    and where variance is preserved, where only rounding may be in its way: 1 - alpha^2 loses digits there that sigma
    does not. Both where no record is named.
    Raises InputError on an unknown `against`.
    """
    named = against or subject.reference
    base = Verdict(
        subject.name,
        "error",
        reference=resolve(named, "against").name if named else None,
        promised_order=subject.promises,
        coverage=coverage(runs, beyond),
    )
    beyond = beyond or Beyond()
    beyond = replace(beyond, grids=changed(beyond.grids, asked_once))
    case = Case(subject, changed(runs, asked_once), steps, beyond, base)
    first = _judged(case)
    velocity = named is not None and FRAMES[resolve(named, "against").frame].prediction == "velocity"
    at_zero = first.verdict == "non-finite" and (velocity or named is None)  # where alpha = 1 alone goes
    if subject.process != "ve" or not (first.verdict == "different-formula" or at_zero):
        return first
    if any(isinstance(run, Trace) and run.prediction != "data" for run in runs.values()):
        return first
    near = first.max_relative_error_float64 is not None and first.max_relative_error_float64 < CANCELLED
    for process in (["flow"] if velocity or named is None else []) + (["vp"] if near or named is None else []):
        seen = case.seen_on(process)
        found = _judged(seen)
        if found.verdict != "different-formula" or (seen.best is not None and seen.best.conforms):
            said = Finding("formula", None, f"it is judged on {process}, its states times {SCALED[process]}")
            lost = [replace(f, severity="note") for f in first.findings if at_zero and f.kind == "non-finite"]
            return replace(found, findings=[*found.findings, said, *lost])
        first = found if velocity else first
    return first


def _judged(case: Case) -> Verdict:
    return next(answer for check in CHECKS if (answer := check(case)) is not None)


def _failed(case: Case) -> Verdict | None:
    for wide in (False, True):
        run = case.runs[case.steps, wide]
        if isinstance(run, Failure):
            said = f"on {case.steps} steps: {run.message}"
            gone = run.kind == "non-finite"
            finding = Finding("non-finite" if gone else "exception", run.step, said, "error")
            return replace(case.base, verdict="non-finite" if gone else "error", findings=[finding])
    return None


def _raises(case: Case) -> Verdict | None:
    """On other inputs, or on a grid that ends at 0."""
    found = case.departed("error")
    end = case.beyond.grids.get((case.beyond.zero or "", False))
    if isinstance(end, Failure) and end.kind != "non-finite":
        found.append(Finding("exception", end.step, f"on {case.beyond.zero}: {end.message}", "error"))
    return replace(case.base, findings=[*found, *case.noted]) if found else None


def _remembers(case: Case) -> Verdict | None:
    """Before it is asked whether it is linear: what a run before leaves is no image of the inputs."""
    found = case.departed("different-formula", "memory")
    return replace(case.base, verdict="different-formula", findings=[*found, *case.noted]) if found else None


def _not_linear(case: Case) -> Verdict | None:
    bent = _bent(case.trace(False), case.subject) or _bent(case.trace(True), case.subject)
    found = [bent] if bent else case.departed("not-linear")
    return replace(case.base, verdict="not-linear", findings=[*found, *case.noted]) if found else None


def _bent(run: Trace, subject: Subject) -> Finding | None:
    worst = max((x for x in run.superposition if not math.isnan(x)), default=0.0)
    limit = LINEAR[run.dtype]
    if worst <= limit:
        return None
    if depends(run):
        said = "how often it asks its model, or draws noise, depends on the values"
        return Finding("not-linear", None, said, "error")
    first = next(i for i, x in enumerate(run.superposition) if x > limit)
    why = f"; {', '.join(subject.nonlinear)} does that: switch it off" if subject.nonlinear else ""
    if run.dtype is torch.float64:
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


def _non_finite(case: Case) -> Verdict | None:
    lost = _lost(case.trace(False), "")
    end = case.beyond.grids.get((case.beyond.zero or "", False))
    if lost is None and isinstance(end, Trace):
        lost = _lost(end, f", the last to sigma = 0, on {case.beyond.zero}")
    elif lost is None and isinstance(end, Failure):
        lost = Finding(
            "non-finite", end.step, f"in the last step to sigma = 0, on {case.beyond.zero}: {end.message}", "error"
        )
    return replace(case.base, verdict="non-finite", findings=[lost, *case.grid]) if lost else None


def _lost(run: Trace, where: str) -> Finding | None:
    bad = (~run.vectors.isfinite()).any(dim=1).nonzero()
    if not len(bad):
        return None
    step = run.step[int(bad[0])]
    lost = [str(k) for k, t in enumerate(run.told.timesteps if run.told else (), 1) if math.isnan(t)]
    times = f"; timestep {', '.join(lost[:5])}{', …' if len(lost) > 5 else ''} is not a number" if lost else ""
    said = f"step {step} of {len(run.grid) - 1}{where} is not finite on finite inputs{times}"
    return Finding("non-finite", step, said, "error")


def _different(case: Case) -> Verdict | None:
    """Its rows are not those of the reference, on the grid of so many steps."""
    best, process, result = case.best, case.subject.process, replace(case.measured, verdict="different-formula")
    if best is None:
        verdict, missing = differences.no_match(case.wide, process, case.base.reference, case.pairs)
        return replace(result, verdict=verdict, findings=[*result.findings, missing])
    if best.conforms:
        return None
    found = differences.differences(best, case.rows, case.matches)
    name = best.reference.record.name
    if each_alone(case.wide, process, best.reference.record):
        alone = f"every step is {name} from where it starts to where it leads; they do not chain"
        found = [Finding("formula", None, alone), *found]
    return replace(result, findings=[*result.findings, *found])


def _different_elsewhere(case: Case) -> Verdict | None:
    """On that grid it is the record; on other steps, grids or inputs it is not, or its order is not that proved."""
    assert case.best is not None
    record, found = case.best.reference.record, case.departed("different-formula")
    for (n, wide), near in case.near.items():
        if n <= (SHORT if wide else LONGEST) * case.steps:
            found += case.departs(case.moving[n, wide], near, f"on {n} steps")
    for (name, _), run in case.beyond.grids.items():
        if name != case.beyond.zero:
            found += case.departs_on(name, run)
    least = SHARE * min(record.order, record.order_asymptotic)
    seen = case.measured.observed_order
    if seen is not None and seen < least:
        said = f"order {seen:.2f} is observed, where {record.order} is proved for {record.name}"
        found.append(Finding("order", None, said, "error"))
    if not found:
        return None
    here = Finding("formula", None, f"on the {case.steps} steps asked for it is {case.best.reference.name}")
    findings = [*case.measured.findings, *found, here]
    return replace(case.measured, verdict="different-formula", matches=[], findings=findings)


def _conforms(case: Case) -> Verdict:
    best = case.best
    assert best is not None
    identical = best.error <= IDENTICAL
    noted = [Finding("formula", None, f"it is {best.reference.name}")] if best.reference.ending else []
    return replace(
        case.measured,
        verdict="identical" if identical else "roundoff",
        nominal_order=best.reference.record.order,
        growth=_growth(case, best),
        findings=[
            *case.measured.findings,
            *noted,
            *differences.promise(best.reference, case.subject),
            *([] if identical else [differences.roundoff(best, case.shipped)]),
            *differences.guards(best),
            *_at_zero(case),
        ],
    )


CHECKS: tuple[Callable[[Case], Verdict | None], ...] = (
    _failed,
    _raises,
    _remembers,
    _not_linear,
    _non_finite,
    _different,
    _different_elsewhere,
    _conforms,
)


def _at_zero(case: Case) -> list[Finding]:
    """What is noted of a last step to 0 that is finite, but not the record's."""
    run = case.beyond.grids.get((case.beyond.zero or "", False))
    return [replace(f, severity="note") for f in case.departs_on(case.beyond.zero or "", run)] if run else []


def _growth(case: Case, best: Pair) -> dict[int, float]:
    """The largest error as shipped against the same record, over N."""
    longer = {n: near.error for (n, wide), near in case.near.items() if near and not wide}
    return dict(sorted({case.steps: best.error, **longer}.items()))
