"""What is said of a reference beside a run: rows that differ and whose they are, promises, rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...readback import Trace, table
from ..report import Finding, Step, Subject
from . import grid_checks
from .compare import deviations, same_shape
from .noise_strengths import strengths
from .references import STARTED, Reference, asked_elsewhere, candidates, similar
from .rounding_bound import GUARD, IDENTICAL, Beside, beside, guarded, unexplained

CANCELLED = 1e-8  # of a row in float64: what 1 - alpha^2 loses at the levels of images
NEAR = 1e-4  # a row as near as this may be that of a record


@dataclass(frozen=True)
class Pair:
    """A reference beside the run as shipped and the one in float64."""

    reference: Reference
    shipped: Beside
    wide: Beside

    @property
    def error(self) -> float:
        return self.shipped.error

    @property
    def error_float64(self) -> float:
        return self.wide.error

    @property
    def shared(self) -> bool:
        """Whether most rows are the same."""
        return 2 * sum(d.error <= IDENTICAL for d in self.wide.rows) > len(self.wide.rows)

    @property
    def lost(self) -> list[float]:
        """The shares of cancellation that rows of both runs show."""
        return [*self.shipped.lost.values(), *self.wide.lost.values()]

    @property
    def conforms(self) -> bool:
        """Whether rounding explains every row of both runs."""
        return not self.shipped.off and not self.wide.off


def pairs(shipped: Trace, wide: Trace, process: str, named: str | None) -> list[Pair]:
    """The named record beside the two runs, in every variant; unless it is near in float64, the whole catalogue too.

    Raises InputError where the grid of a run is none.
    """
    own = _beside(shipped, wide, process, [named]) if named else []
    if any(not p.wide.off or p.error_float64 < CANCELLED for p in own):
        return own
    return own + _beside(shipped, wide, process, [name for name in similar(wide) if name != named])


def _beside(shipped: Trace, wide: Trace, process: str, names: list[str]) -> list[Pair]:
    """These records where they ask their model in the same steps, and have a row that is near in float64 or are alone:
    the others differ anyway.
    """
    found, exact = table(shipped), table(wide)
    near = {}
    for reference in candidates(wide, process, names):
        if same_shape(exact, reference.table):
            errors = deviations(exact, reference.table)
            if len(names) == 1 or min(d.error for d in errors) < NEAR:
                near[reference.name] = reference
    result = []
    for twin in candidates(shipped, process, [*dict.fromkeys(reference.record.name for reference in near.values())]):
        if twin.name in near and same_shape(found, twin.table):
            reference = near[twin.name]
            in_float64 = beside(wide, reference, process)
            result.append(Pair(reference, beside(shipped, twin, process, [*in_float64.lost.values()]), in_float64))
    return result


def nearest_variant(run: Trace, process: str, name: str, witnesses: Sequence[float] | None = None) -> Beside | None:
    """Of the variants of a record that ask as the run does, the one with the fewest rows off; None if there is none.

    witnesses: as of beside.

    Raises InputError where the grid of the run is none.
    """
    mine = table(run)
    variants = [r for r in candidates(run, process, (name,)) if same_shape(mine, r.table)]
    besides = [beside(run, variant, process, witnesses) for variant in variants]
    return min(besides, key=lambda b: (len(b.off), b.error), default=None)


def rows(best: Pair, others: Sequence[Pair]) -> list[Step]:
    """Row by row, and for a row that differs in float64 the records whose row it is."""
    result, whole = [], [p for p in others if STARTED not in p.reference.ending]
    for i, (shipped, wide) in enumerate(zip(best.shipped.rows, best.wide.rows, strict=True)):
        most, most_wide = best.shipped.bounds[i], best.wide.bounds[i]
        equals: tuple[str, ...] = ()
        if unexplained(wide, most_wide):
            same = (p.reference.record.name for p in whole if not unexplained(p.wide.rows[i], p.wide.bounds[i]))
            equals = tuple(dict.fromkeys(same))
        shown = shipped if unexplained(shipped, most) and not unexplained(wide, most_wide) else wide
        errors = shipped.error, wide.error
        result.append(Step(wide.step, *errors, shown.entry, shown.found, shown.expected, most, most_wide, equals))
    return result


def differences(best: Pair, steps: Sequence[Step], matches: Sequence[Pair]) -> list[Finding]:
    """The first three rows that differ, and how many do."""
    name = best.reference.name
    off = [steps[i] for i in sorted({*best.shipped.off, *best.wide.off})]
    findings = []
    for row in off[:3]:
        whose = f"; its row is that of {', '.join(row.equals[:3])}" if row.equals else ""
        by = f"{row.error_float64:.1e} in float64"
        if row.error_float64 <= row.bound_float64:
            by = f"{row.error:.1e} as shipped, where rounding explains {row.bound:.0e}, and by {by}"
        findings.append(
            _differs(
                row.step,
                f"step {row.step}: {row.entry} is {row.found:.9g}, {name} has {row.expected:.9g}; the row is off by "
                f"{by}{whose}",
            )
        )
    if len(off) > 3:
        findings.append(_differs(None, f"{len(off)} of {len(steps)} rows differ from {name}"))
    if matches:
        findings.append(Finding("formula", None, f"the whole run is {matches[0].reference.name}"))
    return findings


def _differs(step: int | None, detail: str) -> Finding:
    return Finding("formula", step, detail, "error")


def no_match(run: Trace, process: str, reference: str | None, found: Sequence[Pair]) -> tuple[str, Finding]:
    """The verdict where no record asks its model as the run does, and why. It is an error where there is nothing to
    compare it with: the record does not exist on its grid, or it is of a family whose parameter changes with the step.
    """
    if reference is None:
        family = strengths(run)
        if family is None:
            missing = "the catalogue has no record of this name, and none of its records has these rows"
            return "different-formula", _differs(None, missing)
        eta, off = family
        spread = f"{eta[0]:.6g}, {eta[1]:.6g}, …" if max(eta) - min(eta) > NEAR else f"{eta[0]:.6g} in all of them"
        said = f"every step is one of ddim-eta, within {off:.0e}, with eta = {spread}"
        return "error", _differs(None, f"{said}; no record is named that says so")
    step, where = asked_elsewhere(run, process, reference)
    if step is None and not grid_checks.zero_length(run.grid) and not grid_checks.backward(run.grid):
        return "error", _differs(None, f"{where}: it cannot be compared")
    equal = "".join(f"; the run is {p.reference.name}" for p in found if p.conforms)
    return "different-formula", _differs(step, f"{where}{equal}")


def departs(run: Trace, near: Beside | None, process: str, name: str, where: str) -> Finding | None:
    """How a run is not the record, whose nearest variant is beside it; None if it is."""
    if near is None:
        step, said = asked_elsewhere(run, process, name)
        return _differs(step, f"{where}: {said}")
    if not near.off:
        return None
    row = near.rows[near.off[0]]
    more = f"; {len(near.off)} of {len(near.rows)} rows differ" if len(near.off) > 1 else ""
    dtype = str(run.dtype)[6:]
    return _differs(
        row.step,
        f"{where}: step {row.step}: {row.entry} is {row.found:.9g}, {near.reference.name} has {row.expected:.9g}; "
        f"the row is off by {row.error:.1e} in {dtype}{more}",
    )


def promise(reference: Reference, subject: Subject) -> list[Finding]:
    """That its name speaks of a higher order than that of the record it equals.

    What a stochastic sampler's name or option calls its order is that of its flow, and with noise no record has a weak
    order above 2; its law then counts where the score is exact.
    """
    record, promised = reference.record, subject.promises
    noisy = bool(reference.table.noises.any())
    order = record.order_in_law(gaussian=False) if noisy else record.order
    if promised is None or (min(promised, 2) if noisy else promised) <= order:
        return []
    return [
        Finding(
            "order",
            None,
            f"its name or option speaks of order {promised}; it equals {record.name}, whose {'weak ' * noisy}order is "
            f"proved to be {order} and no higher: samplerproof prove {record.name}",
            "error",
        )
    ]


def roundoff(best: Pair, run: Trace) -> Finding:
    """The largest deviation as shipped."""
    eps = torch.finfo(run.dtype).eps
    worst = max(best.shipped.rows, key=lambda d: d.error)
    return Finding(
        "roundoff",
        worst.step,
        f"{worst.error:.1e} as shipped ({worst.error / eps:.0f} ulp of {str(run.dtype)[6:]}, step {worst.step}, "
        f"{worst.entry}), {best.error_float64:.1e} in float64",
    )


def guards(best: Pair) -> list[Finding]:
    """The first entry that a least variance or the like leaves where the record has nothing."""
    left = [d for d in best.wide.rows if guarded(d) and d.error > IDENTICAL]
    said = f"where {best.reference.name} has nothing: below {GUARD:g} it counts as rounding"
    return [Finding("roundoff", d.step, f"step {d.step}: {d.entry} is {d.found:.1e} {said}") for d in left[:1]]
