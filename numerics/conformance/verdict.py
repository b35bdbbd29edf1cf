"""From traces to a verdict: which formula it is, of which order, and everything that was found on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from ..catalogue import resolve
from ..errors import InputError
from ..generated.frames import FRAMES
from ..readback import Trace, table
from . import lint
from .alone import each_alone
from .answers import Failure, Finding, Step, Subject, Verdict
from .compare import Deviation, deviations, same_shape
from .once import asked_once
from .orders import local_orders, observed_errors, slope
from .references import STARTED, Reference, asked_elsewhere, candidates, similar
from .still import moving
from .strengths import strengths
from .views import SCALED, viewed

IDENTICAL = 1e-14
CANCELS = (
    1e-6  # what remains in float64 of a deviation that is roundoff: closed forms that cancel lose digits there too
)
GUARD = 1e-9  # what is left by a least variance or the like where a record has nothing at all
NEAR = 1e-4  # a row as near as this may be that of a record
LINEAR = {torch.float64: 1e-7, torch.float32: 1e-2, torch.bfloat16: 0.3, torch.float16: 0.1}
ROUNDING = {"float32": 1e-6, "float16": 1e-3, "bfloat16": 1e-2}  # what a few roundings inside deviate by


Runs = Mapping[tuple[int, bool], Trace | Failure]


def judge(subject: Subject, runs: Runs, steps: int, against: str | None = None) -> Verdict:
    """The verdict of a target on `steps` steps, from its traces {(N, in float64): trace or failure}.

    At least the two on `steps` steps; those on more give orders and the growth of roundoff. A run on alpha = 1 whose
    record is not named, or is in velocities, which differ with the process, is looked at on the flow too.
    Raises InputError on an unknown `against`.
    """
    named = against or subject.reference
    first = _judged(subject, runs, steps, named)
    velocity = named is not None and FRAMES[resolve(named, "against").frame].prediction == "velocity"
    if first.verdict != "different-formula" or subject.process != "ve" or not (velocity or named is None):
        return first
    if any(isinstance(run, Trace) and run.prediction != "data" for run in runs.values()):
        return first
    there = {job: viewed(run, "flow") if isinstance(run, Trace) else run for job, run in runs.items()}
    found = _judged(replace(subject, process="flow"), there, steps, named)
    if found.verdict == "different-formula":
        return found if velocity else first
    said = Finding("formula", None, f"it is judged on the flow, its states times {SCALED['flow']}")
    return replace(found, findings=[*found.findings, said])


def _judged(subject: Subject, runs: Runs, steps: int, named: str | None) -> Verdict:
    base = Verdict(
        subject.name,
        "error",
        reference=resolve(named, "against").name if named else None,
        promised_order=subject.promises,
    )
    shipped, wide = runs[steps, False], runs[steps, True]
    for run in (shipped, wide):
        if isinstance(run, Failure):
            return replace(base, findings=[Finding("exception", run.step, f"on {steps} steps: {run.message}")])
    assert isinstance(shipped, Trace)
    assert isinstance(wide, Trace)
    runs = {job: asked_once(run) if isinstance(run, Trace) else run for job, run in runs.items()}
    shipped, wide = asked_once(shipped), asked_once(wide)
    findings = [*_mutations(shipped), *(Finding(kind, None, said) for kind, said in shipped.remarks)]
    bent = _not_linear(shipped, subject) or _not_linear(wide, subject)
    if bent is not None:
        return replace(base, verdict="not-linear", findings=[bent, *findings])
    findings += lint.findings(wide, subject.process)
    lost = _non_finite(shipped)
    if lost is not None:
        return replace(base, verdict="non-finite", findings=[lost, *findings])
    runs = {job: moving(run) if isinstance(run, Trace) else run for job, run in runs.items()}
    shipped, wide = moving(shipped), moving(wide)
    try:
        pairs = _pairs(shipped, wide, subject.process, base.reference)
    except InputError as fault:
        findings.append(Finding("grid", None, f"no reference on this grid: {fault}"))
        pairs = []
    matches = [p for p in pairs if p.conforms]
    result = replace(base, matches=[p.reference.name for p in matches], findings=findings)
    result = _orders(result, subject, runs)
    own = [p for p in pairs if p.reference.record.name == base.reference or (not base.reference and p.shared)]
    best = min(own, key=lambda p: (not p.conforms, p.error_float64, p.error), default=None)
    if best is None:
        return _unmatched(result, wide, subject.process, pairs)
    rows = _rows(best, pairs)
    result = replace(
        result,
        max_relative_error=best.error,
        max_relative_error_float64=best.error_float64,
        steps=rows,
        nominal_order=best.reference.record.order if best.conforms else None,
        growth=_growth(subject, runs, best.reference) if best.conforms else {},
    )
    if not best.conforms:
        differences = _differences(best, rows, matches)
        if each_alone(wide, subject.process, best.reference.record):
            alone = (
                f"every step is {best.reference.record.name} from where it starts to where it leads; they do not chain"
            )
            differences = [Finding("formula", None, alone), *differences]
        return replace(result, verdict="different-formula", findings=[*result.findings, *differences])
    identical = best.error <= IDENTICAL
    noted = [Finding("formula", None, f"it is {best.reference.name}")] if best.reference.ending else []
    return replace(
        result,
        verdict="identical" if identical else "roundoff",
        findings=[
            *result.findings,
            *noted,
            *_promise(best.reference, subject),
            *([] if identical else [_roundoff(best, shipped)]),
            *_guards(best),
        ],
    )


@dataclass(frozen=True)
class _Pair:
    """A reference beside the two runs."""

    reference: Reference
    shipped: list[Deviation]
    wide: list[Deviation]

    @property
    def error(self) -> float:
        return max(d.error for d in self.shipped)

    @property
    def error_float64(self) -> float:
        return max(d.error for d in self.wide)

    @property
    def shared(self) -> bool:
        """Whether most rows are the same."""
        return 2 * sum(d.error <= IDENTICAL for d in self.wide) > len(self.wide)

    @property
    def conforms(self) -> bool:
        """Whether what is off as shipped is roundoff: in float64 it is gone."""
        left = max((d.error for d in self.wide if not _guarded(d)), default=0.0)
        return self.error <= IDENTICAL or left <= _rounding(self.error)


def _rounding(shipped: float) -> float:
    """What may remain in float64 of a deviation as shipped that is roundoff."""
    return max(IDENTICAL, CANCELS * shipped)


def _guarded(wide: Deviation) -> bool:
    return wide.expected == 0 and abs(wide.found) <= GUARD


def _pairs(shipped: Trace, wide: Trace, process: str, named: str | None) -> list[_Pair]:
    """The named record beside the two runs, in every variant; unless it conforms, the whole catalogue too."""
    own = _beside(shipped, wide, process, [named]) if named else []
    if any(p.conforms for p in own):
        return own
    return own + _beside(shipped, wide, process, [name for name in similar(wide) if name != named])


def _beside(shipped: Trace, wide: Trace, process: str, names: list[str]) -> list[_Pair]:
    """These records where they ask their model in the same steps, and have a row that is near in float64 or are alone:
    the others differ anyway.
    """
    found, exact = table(shipped), table(wide)
    near = {}
    for reference in candidates(wide, process, names):
        if same_shape(exact, reference.table):
            errors = deviations(exact, reference.table)
            if len(names) == 1 or min(d.error for d in errors) < NEAR:
                near[reference.name] = reference, errors
    pairs = []
    for twin in candidates(shipped, process, [*dict.fromkeys(reference.record.name for reference, _ in near.values())]):
        if twin.name in near and same_shape(found, twin.table):
            reference, errors = near[twin.name]
            pairs.append(_Pair(reference, deviations(found, twin.table), errors))
    return pairs


def _mutations(run: Trace) -> list[Finding]:
    return [Finding("state", None, f"it writes into {what}, which belongs to its caller") for what in run.mutated[:3]]


def _not_linear(run: Trace, subject: Subject) -> Finding | None:
    worst = max((x for x in run.superposition if not math.isnan(x)), default=0.0)
    limit = LINEAR[run.dtype]
    if worst <= limit:
        return None
    if _depends(run):
        return Finding("not-linear", None, "how often it asks its model, or draws noise, depends on the values")
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
    )


def _depends(run: Trace | Failure) -> bool:
    """Whether it is no image, as the run asks otherwise on other values."""
    return isinstance(run, Trace) and min(run.superposition) == math.inf


def _non_finite(run: Trace) -> Finding | None:
    bad = (~run.vectors.isfinite()).any(dim=1).nonzero()
    if not len(bad):
        return None
    step = run.step[int(bad[0])]
    lost = [str(k) for k, t in enumerate(run.told.timesteps if run.told else (), 1) if math.isnan(t)]
    said = f"; timestep {', '.join(lost[:5])}{', …' if len(lost) > 5 else ''} is not a number" if lost else ""
    return Finding("non-finite", step, f"step {step} of {len(run.grid) - 1} is not finite on finite inputs{said}")


def _orders(result: Verdict, subject: Subject, runs: Runs) -> Verdict:
    traces = {n: run for (n, wide), run in runs.items() if wide and isinstance(run, Trace) and not _depends(run)}
    if len(traces) < 3 or not all(bool(run.vectors.isfinite().all()) for run in traces.values()):
        return result
    if len({len(run.grid) for run in traces.values()}) < len(traces):
        few = len(min(traces.items())[1].grid) - 1
        same = f"it takes {few} steps, or as many as another time, however many are asked for: no order can be observed"
        return replace(result, findings=[*result.findings, Finding("grid", None, same)])
    fewest = sorted(traces)[:4]
    used = {n: traces[n] for n in fewest}
    try:
        errors = observed_errors(used)
        return replace(
            result, local_orders=local_orders(used, subject.process), observed_order=slope(errors), errors=errors
        )
    except InputError as fault:
        return replace(result, findings=[*result.findings, Finding("grid", None, f"no order can be observed: {fault}")])


def _rows(best: _Pair, pairs: Sequence[_Pair]) -> list[Step]:
    """Row by row, and for a row that differs the records whose row it is."""
    rows, whole = [], [p for p in pairs if not p.reference.ending.startswith(STARTED)]
    for i, (shipped, wide) in enumerate(zip(best.shipped, best.wide, strict=True)):
        equals: tuple[str, ...] = ()
        if wide.error > _rounding(shipped.error):
            same = (p.reference.record.name for p in whole if p.wide[i].error <= _rounding(p.shipped[i].error))
            equals = tuple(dict.fromkeys(same))
        rows.append(Step(wide.step, shipped.error, wide.error, wide.entry, wide.found, wide.expected, equals))
    return rows


def _differences(best: _Pair, rows: Sequence[Step], matches: Sequence[_Pair]) -> list[Finding]:
    name = best.reference.name
    off = [row for row in rows if row.error_float64 > _rounding(row.error)]
    findings = []
    for row in off[:3]:
        whose = f"; its row is that of {', '.join(row.equals[:3])}" if row.equals else ""
        findings.append(
            Finding(
                "formula",
                row.step,
                f"step {row.step}: {row.entry} is {row.found:.9g}, {name} has {row.expected:.9g}; the row is off by "
                f"{row.error_float64:.1e} in float64{whose}",
            )
        )
    if len(off) > 3:
        findings.append(Finding("formula", None, f"{len(off)} of {len(rows)} rows differ from {name}"))
    if matches:
        findings.append(Finding("formula", None, f"the whole run is {matches[0].reference.name}"))
    return findings


def _unmatched(result: Verdict, run: Trace, process: str, pairs: Sequence[_Pair]) -> Verdict:
    """No record asks its model as the run does. It is an error where there is nothing to compare it with: the record
    does not exist on its grid, or it is of a family whose parameter changes from step to step.
    """
    if result.reference is None:
        eta = strengths(run)
        if eta is None:
            missing = "the catalogue has no record of this name, and none of its records has these rows"
            return _with(result, "different-formula", Finding("formula", None, missing))
        spread = f"{eta[0]:.6g}, {eta[1]:.6g}, …" if max(eta) - min(eta) > NEAR else f"{eta[0]:.6g} in all of them"
        said = f"every step is one of ddim-eta from where it starts to where it leads, with eta = {spread}"
        return _with(result, "error", Finding("formula", None, f"{said}; no record is named that says so"))
    step, where = asked_elsewhere(run, process, result.reference)
    turns = lint.zero_length(run.grid) or lint.backward(run.grid)
    if step is None and not turns:
        return _with(result, "error", Finding("formula", None, f"{where}: it cannot be compared"))
    equal = "".join(f"; the run is {p.reference.name}" for p in pairs if p.conforms)
    return _with(result, "different-formula", Finding("formula", step, f"{where}{equal}"))


def _with(result: Verdict, verdict: str, finding: Finding) -> Verdict:
    return replace(result, verdict=verdict, findings=[*result.findings, finding])


def _promise(reference: Reference, subject: Subject) -> list[Finding]:
    order = reference.record.order
    if subject.promises is None or subject.promises <= order:
        return []
    return [
        Finding(
            "order",
            None,
            f"its name or option speaks of order {subject.promises}; it equals {reference.record.name}, whose order is "
            f"proved to be {order} and no higher: samplerproof prove {reference.record.name}",
        )
    ]


def _roundoff(best: _Pair, run: Trace) -> Finding:
    eps = torch.finfo(run.dtype).eps
    worst = max(best.shipped, key=lambda d: d.error)
    return Finding(
        "roundoff",
        worst.step,
        f"{worst.error:.1e} as shipped ({worst.error / eps:.0f} ulp of {str(run.dtype)[6:]}, step {worst.step}, "
        f"{worst.entry}), {best.error_float64:.1e} in float64",
    )


def _guards(best: _Pair) -> list[Finding]:
    """The first entry that a least variance or the like leaves where the record has nothing."""
    left = [d for d in best.wide if _guarded(d) and d.error > IDENTICAL]
    said = f"where {best.reference.name} has nothing: below {GUARD:g} it counts as rounding"
    return [Finding("roundoff", d.step, f"step {d.step}: {d.entry} is {d.found:.1e} {said}") for d in left[:1]]


def _growth(subject: Subject, runs: Runs, reference: Reference) -> dict[int, float]:
    """The largest error as shipped against the same record, over N."""
    growth = {}
    for (n, wide), run in runs.items():
        if wide or not isinstance(run, Trace) or _depends(run):
            continue
        mine = table(run)
        try:
            twins = [
                r
                for r in candidates(run, subject.process, (reference.record.name,))
                if r.ending == reference.ending and same_shape(mine, r.table)
            ]
        except InputError:
            continue
        if twins:
            growth[n] = max(d.error for d in deviations(mine, twins[0].table))
    return growth
