"""The verdict on a sampler, from its traces: a list of checks, of which the first that applies decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from ...catalogue import resolve
from ...generated.frame_functions import FRAMES
from ...readback import Trace
from ...records import Record
from ...repeated_evaluations import without_repeated_evaluations
from ..report import Failure, Finding, Step, TargetInfo, Verdict
from ..step_ends import consistent_with
from . import differences
from .case import COMPARED, LONGEST, Case, Runs, Variations, each_trace
from .coverage import coverage
from .differences import CANCELLED, Pair
from .missing_last_step import missing_last_step
from .nearest import distance, nearest
from .nonlinearity import advice, not_linear
from .one_tableau import runge_kutta
from .rescaled import FACTOR
from .rounding_bound import IDENTICAL
from .stage_levels import evaluated_elsewhere, stage_at_another_level
from .unchained_steps import matches_step_by_step

SHARE = 0.5  # of the proved order: an observed one below it contradicts the proof
SHARE_ADVERTISED, STARTED = 0.7, 2  # of an advertised order, where no record is equal; a start-up may cap it at 2
CONVERGES = 0.25  # an observed order below it is none


def judge(
    info: TargetInfo, runs: Runs, steps: int, against: str | None = None, variations: Variations | None = None
) -> Verdict:
    """The verdict on a target on `steps` steps, from its traces {(N, in float64): trace or failure}.

    At least the two on `steps` steps; those on more give orders and the growth of roundoff, and all must be the record.
    A run on alpha = 1 that is not the record there is judged on other processes too; see _on_other_processes.
    Raises InputError on an unknown `against`.
    """
    named = against or info.reference
    variations = variations or Variations()
    base = Verdict(
        info.name,
        "error",
        reference=resolve(named, "against").name if named else None,
        advertised_order=info.advertised_order,
        coverage=coverage(runs, variations),
    )
    variations = replace(variations, grids=each_trace(variations.grids, without_repeated_evaluations))
    case = Case(info, each_trace(runs, without_repeated_evaluations), steps, variations, base)
    exact = case.each(lambda run: run if run.inside is None else replace(run, inside=None))
    return _in_the_precision_inside(case, _on_other_processes(exact, _first(exact)))


def _in_the_precision_inside(case: Case, first: Verdict) -> Verdict:
    """The verdict on runs whose code computes in a narrower dtype, where that explains why `first` is not the record's.

    A deviation of an entry in one direction in all rows, beyond two roundings, is no rounding. Computing in a half is a
    fault of a sampler whose states are wider.
    """
    inside = {run.dtype: run.inside for run in case.traces.values() if run.inside is not None}
    if not inside or first.verdict not in ("different-formula", "not-linear"):
        return first
    halves = [d for d in inside.values() if torch.finfo(d).eps > torch.finfo(torch.float32).eps]
    if halves:
        half = Finding("roundoff", None, f"it computes in {str(halves[0])[6:]} inside", "error")
        return replace(first, findings=[*first.findings, half])
    found = _on_other_processes(case, _first(case))
    if found.verdict not in ("identical", "roundoff"):
        return first
    left = case.in_float64.inside
    if left is not None and _regular(found.steps, 2 * torch.finfo(left).eps):
        return first
    lines = []
    for dtype, narrow in inside.items():
        off = found.max_relative_error_float64 if dtype is torch.float64 else found.max_relative_error
        run = "the run in float64" if dtype is torch.float64 else "the run as shipped"
        lines.append(Finding("roundoff", None, _INSIDE.format(str(narrow)[6:], run, off or 0.0)))
    return replace(found, verdict="roundoff", findings=[*found.findings, *lines])


_INSIDE = (
    "it computes in {} inside: {} deviates by {:.1e}, which rounding there explains; a smaller fault would not show"
)


def _regular(rows: Sequence[Step], rounding: float) -> bool:
    """Whether one entry is off in one direction, by more than rounding, in all rows where it is the worst."""
    signed: dict[str, list[float]] = {}
    for row in rows:
        if row.error_float64 > IDENTICAL:
            signed.setdefault(row.entry, []).append(math.copysign(row.error_float64, row.found - row.expected))
    return any(
        len(values) >= 4 and len({v > 0 for v in values}) == 1 and sorted(map(abs, values))[len(values) // 2] > rounding
        for values in signed.values()
    )


def _first(case: Case) -> Verdict:
    """The verdict of the first check that applies."""
    return next(verdict for check in CHECKS if (verdict := check(case)) is not None)


def _on_other_processes(case: Case, first: Verdict) -> Verdict:
    """The verdict on a case of alpha = 1, where `first` is the verdict there.

    It is judged on the flow too where its record is in velocities, which depend on the process; and on vp where the
    difference may be rounding: 1 - alpha^2 loses digits there that sigma does not. On both where no record is named.
    """
    named = case.base.reference
    velocity = named is not None and _in_velocities(resolve(named))
    at_zero = first.verdict == "non-finite" and (velocity or named is None)  # a step that only alpha = 1 takes
    if case.info.process != "ve" or not (first.verdict == "different-formula" or at_zero):
        return first
    if any(isinstance(run, Trace) and run.prediction != "data" for run in case.runs.values()):
        return first
    if case.conforms and (at_zero or case.differences_at_zero):
        return first
    if first.verdict == "different-formula" and case.in_float64.apart and case.matches:
        return first  # it is a record, where its outputs are equal
    near = first.max_relative_error_float64 is not None and first.max_relative_error_float64 < CANCELLED
    for process in (["flow"] if velocity or named is None else []) + (["vp"] if near or named is None else []):
        there = case.on_process(process)
        if named is None and not case.departures("different-formula", "memory") and not there.conforms:
            continue  # the verdict there would be the same
        found = _first(there)
        if not case.has_float64 and there.best is not None and not _in_velocities(there.best.reference.record):
            continue  # its float32 would explain a fault there by losses that the recorded process does not have
        if found.verdict != "different-formula" or (there.conforms and not case.conforms):
            remark = Finding("formula", None, f"it is judged on {process}, its states times {FACTOR[process]}")
            lost = [replace(f, severity="note") for f in first.findings if at_zero and f.kind == "non-finite"]
            return replace(found, findings=[*found.findings, remark, *lost])
        first = found if velocity else first
    return first


def _in_velocities(record: Record) -> bool:
    return FRAMES[record.frame].prediction == "velocity"


def _failed(case: Case) -> Verdict | None:
    """A run on the steps asked for has no trace."""
    for in_float64 in (False, True):
        run = case.runs[case.steps, in_float64]
        if isinstance(run, Failure):
            lost = run.kind == "non-finite"
            detail = f"on {case.steps} steps: {run.message}"
            finding = Finding("non-finite" if lost else "exception", run.step, detail, "error")
            return replace(case.base, verdict="non-finite" if lost else "error", findings=[finding])
    return None


def _raises(case: Case) -> Verdict | None:
    """It raises on other inputs, or on a grid that ends at 0."""
    found = case.departures("error")
    end = case.variations.to_zero
    if isinstance(end, Failure) and end.kind != "non-finite" and case.needs_zero:
        found.append(Finding("exception", end.step, f"on {case.variations.zero}: {end.message}", "error"))
    return replace(case.base, findings=[*found, *case.notes]) if found else None


def _remembers(case: Case) -> Verdict | None:
    """A run depends on the run before. Precedes linearity: such a run is not an image of its inputs."""
    found = case.departures("different-formula", "memory")
    notes = [*advice(case), *case.notes]
    return replace(case.base, verdict="different-formula", findings=[*found, *notes]) if found else None


def _non_finite(case: Case) -> Verdict | None:
    """A value is not finite, on the steps asked for or in a last step to sigma = 0."""
    if lost := _lost(case.trace(False), ""):
        return replace(case.base, verdict="non-finite", findings=[lost, *case.grid])
    if not case.needs_zero or not (lost := _lost_at_zero(case)):
        return None
    above = _different_formula(case) or replace(case.measured, matches=[], steps=[])
    near = f"{case.best.reference.name} down to the level before" if case.best and case.conforms else above.nearest
    return replace(above, verdict="non-finite", nearest=near, findings=[lost, *above.findings])


def _lost_at_zero(case: Case) -> Finding | None:
    """A value that is not finite in a last step to sigma = 0."""
    end = case.variations.to_zero
    if isinstance(end, Trace):
        return _lost(end, f", the last to sigma = 0, on {case.variations.zero}")
    where = f"in the last step to sigma = 0, on {case.variations.zero}"
    return Finding("non-finite", end.step, f"{where}: {end.message}", "error") if end else None


def _lost(run: Trace, where: str) -> Finding | None:
    bad = (~run.vectors.isfinite()).any(dim=1).nonzero()
    if not len(bad):
        return None
    step = run.step[int(bad[0])]
    lost = [str(k) for k, t in enumerate(run.timesteps.t if run.timesteps else (), 1) if math.isnan(t)]
    times = f"; timestep {', '.join(lost[:5])}{', …' if len(lost) > 5 else ''} is not a number" if lost else ""
    detail = f"step {step} of {len(run.grid) - 1}{where} is not finite on finite inputs{times}"
    return Finding("non-finite", step, detail, "error")


def _different_formula(case: Case) -> Verdict | None:
    """Its rows are not those of the reference, on the steps asked for."""
    best, process, result = case.best, case.info.process, replace(case.measured, verdict="different-formula")
    if best is None:
        verdict, missing = differences.no_match(case.in_float64, process, case.base.reference, case.pairs)
        near, means = nearest(case.pairs, case.base.reference), _diverging(case, result)
        family = None if case.base.reference else differences.law_of_strengths(case.in_float64, case.longest)
        if family is not None:
            near, means = family[0], [family[1]]
        elif near is None and (short_of := missing_last_step(case)):
            near, means = short_of[0], [*means, short_of[1]]
        means += runge_kutta(case.in_float64, process)
        short = [*differences.repeated_noise(case.in_float64), *_below_its_name(result, case.in_float64)]
        stage = _stage(case, min(case.pairs, key=distance, default=None))
        all_of_them = [*stage, *result.findings, missing, *means, *short]
        return replace(result, verdict=verdict, nearest=near, findings=all_of_them)
    if best.conforms:
        stage = _stage(case, best) if evaluated_elsewhere(case.in_float64, best.reference.table) else []
        rows = Finding("formula", None, f"its rows are those of {best.reference.name}")
        return replace(result, matches=[], findings=[*stage, *result.findings, rows]) if stage else None
    found = differences.differences(best, case.rows, case.matches)
    name = best.reference.record.name
    if matches_step_by_step(case.in_float64, process, best.reference.record):
        each = f"every step is {name} from where it starts to where it leads; they do not chain"
        found = [Finding("formula", None, each), *found]
    near = nearest(case.pairs, case.base.reference)
    words, faults = case.guidance
    found += [Finding("formula", None, fault, "error") for fault in faults]
    found += differences.repeated_noise(case.in_float64) if best.reference.record.stochastic else []
    findings = [*_stage(case, best), *result.findings, *found, *_diverging(case, result)]
    return replace(result, nearest=near, guidance=words, findings=findings)


def _stage(case: Case, pair: Pair | None) -> list[Finding]:
    """The stage that the run evaluates at another level than a record, if there is one."""
    if pair is None:
        return []
    found = stage_at_another_level(case.in_float64, case.info.process, pair.reference.record)
    return [] if found is None else [found]


def _diverging(case: Case, result: Verdict) -> list[Finding]:
    """A note where the error does not fall, and what a model would have to return for it to."""
    seen = result.observed_order
    if seen is None or seen > CONVERGES:
        return []
    found = [Finding("order", None, f"it does not converge: with more steps N its error goes like N^{-seen:.2f}")]
    if case.info.called and (others := consistent_with(case.in_float64)):
        why = f"it is consistent where its model returns {' or '.join(others)}, not {case.in_float64.prediction}"
        on_flow = case.info.process == "ve" and "velocity" in others
        also = ", or, where that is a flow's, with --process flow --prediction velocity" if on_flow else ""
        found.append(Finding("formula", None, f"{why}: verify it with --prediction {others[0]}{also}"))
    return found


def _below_its_name(result: Verdict, run: Trace) -> list[Finding]:
    """A finding where the order observed is far below the one that the name or the options promise.

    A method with history has the order of its start-up, which may be 2.
    """
    seen, advertised = result.observed_order, result.advertised_order
    if seen is None or advertised is None:
        return []
    least = SHARE_ADVERTISED * (min(advertised, STARTED) if _has_history(run) else advertised)
    detail = f"order {seen:.2f} is observed, where its name or options promise {advertised}"
    return [Finding("order", None, detail, "error")] if seen < least else []


def _has_history(run: Trace) -> bool:
    """Whether a row has an output from before the start of its step, by more than rounding: a sampler that takes its
    outputs from differences of states leaves some of the old ones behind.
    """
    table, least = run.table, math.sqrt(torch.finfo(run.precision).eps)
    starts = {step: i for i, step in enumerate(table.step)}  # the last vector of a step starts the next one
    used = table.outputs.abs() > least * table.outputs.abs().amax(dim=1, keepdim=True)
    rows = enumerate(used, start=table.given)
    return any(
        i - 1 - lag < starts.get(table.step[i] - 1, 0) for i, row in rows for lag in row.nonzero().flatten().tolist()
    )


def _different_elsewhere(case: Case) -> Verdict | None:
    """It is the record there; on other steps, grids or inputs it is not, or its order contradicts the proof."""
    assert case.best is not None
    record, found = case.best.reference.record, case.departures("different-formula")
    for (n, in_float64), near in case.nearest.items():
        if n <= (COMPARED if in_float64 else LONGEST) * case.steps:
            found += case.difference(case.traces[n, in_float64], near, f"on {n} steps")
    for (name, _), run in case.variations.grids.items():
        if name != case.variations.zero:
            found += case.difference_on(name, run)
    found += case.differences_at_zero if case.needs_zero else []
    least = SHARE * min(record.order, record.order_asymptotic)
    seen = case.measured.observed_order
    if seen is not None and seen < least:
        detail = f"order {seen:.2f} is observed, where {record.order} is proved for {record.name}"
        found.append(Finding("order", None, detail, "error"))
    if not found:
        return None
    here = Finding("formula", None, f"on the {case.steps} steps asked for it is {case.best.reference.name}")
    findings = [*case.measured.findings, *found, here]
    return replace(case.measured, verdict="different-formula", matches=[], findings=findings)


def _different_outputs(case: Case) -> Verdict | None:
    """It is the record where the outputs of its model are equal, and reads them wrongly where they differ."""
    words, faults = case.guidance
    if not faults or case.best is None:
        return None
    found = [Finding("formula", None, fault, "error") for fault in faults]
    equal = Finding("formula", None, f"where its outputs are equal it is {case.best.reference.name}")
    findings = [*case.measured.findings, *found, equal]
    near = case.best.reference.name
    return replace(
        case.measured, verdict="different-formula", matches=[], nearest=near, guidance=words, findings=findings
    )


def _conforms(case: Case) -> Verdict:
    """It is the record, exactly or up to rounding."""
    best = case.best
    assert best is not None
    identical = best.error <= IDENTICAL
    variant = [Finding("formula", None, f"it is {best.reference.name}")] if best.reference.ending else []
    return replace(
        case.measured,
        verdict="identical" if identical else "roundoff",
        nominal_order=best.reference.record.order,
        nearest=best.reference.name,
        guidance=case.guidance[0],
        growth=_growth(case, best),
        findings=[
            *case.measured.findings,
            *variant,
            *differences.missing_order(best.reference, case.info),
            *([] if identical else [differences.roundoff(best, case.shipped)]),
            *differences.negligible_entries(best),
            *_difference_at_zero(case),
        ],
    )


# The order is the contract: the first check that applies decides.
CHECKS: tuple[Callable[[Case], Verdict | None], ...] = (
    _failed,
    _raises,
    _remembers,
    not_linear,
    _non_finite,
    _different_formula,
    _different_elsewhere,
    _different_outputs,
    _conforms,
)


def _difference_at_zero(case: Case) -> list[Finding]:
    """Notes on a last step to 0, where none is needed, that is not finite, or finite but not the record's."""
    if case.backward or case.needs_zero:
        return []
    lost = _lost_at_zero(case) if case.variations.to_zero else None
    return [replace(f, severity="note") for f in ([lost] if lost else case.differences_at_zero)]


def _growth(case: Case, best: Pair) -> dict[int, float]:
    """The largest error as shipped against the same record, by N."""
    longer = {n: near.error for (n, in_float64), near in case.nearest.items() if near and not in_float64}
    return dict(sorted({case.steps: best.error, **longer}.items()))
