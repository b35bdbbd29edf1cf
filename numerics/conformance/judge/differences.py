"""Differences between a run and a reference: rows that differ and the records with those rows, orders, rounding."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from ... import level_checks
from ...readback import Trace
from ...tableau import Tableau
from ..forward_processes import grid_of
from ..report import Finding, Step, TargetInfo
from .compare import deviations, mean_error, same_shape
from .fitted_parameters import fitted
from .noise_strengths import strengths
from .references import STARTED, Reference, candidates, similar, where_it_evaluates
from .rounding_bound import IDENTICAL, NEGLIGIBLE, Comparison, Witness, compared, negligible, unexplained

CANCELLED = 1e-8  # of a row in float64: the loss of 1 - alpha^2 at the levels of image models
GROWS = 0.2  # power of N with which a strength grows: to the data, then noise of all of sigma, takes 1/2
NEAR = 1e-4  # relative distance of a row below which it may be a record's
FAR = 0.5  # mean distance of all rows from which on a record is not worth naming


@dataclass(frozen=True)
class Pair:
    """A reference compared with the run in float64 and, once it is asked for, with the one as shipped."""

    reference: Reference
    in_float64: Comparison
    found: Tableau  # in float64
    run: Trace  # as shipped
    process: str

    @cached_property
    def shipped(self) -> Comparison:
        """The run as shipped, compared with the same variant on the levels in its dtype."""
        exact, own = self.in_float64, self.reference
        twins = candidates(self.run, self.process, [own.record.name], [own.ending])
        *_, twin = own, *(one for one in twins if one.name == own.name and same_shape(self.run.table, one.table))
        return compared(self.run, twin, self.process, Witness([*exact.lost.values()], exact.share, exact.shares))

    @property
    def error(self) -> float:
        return self.shipped.error

    @property
    def error_float64(self) -> float:
        return self.in_float64.error

    @property
    def shared(self) -> bool:
        """Whether most rows are equal, up to rounding."""
        return 2 * len(self.in_float64.off) < len(self.in_float64.rows)

    @property
    def witness(self) -> Witness:
        """How the sampler rounds, on the steps asked for."""
        return Witness([*self.shipped.lost.values(), *self.in_float64.lost.values()], self.in_float64.share)

    @property
    def conforms(self) -> bool:
        """Whether rounding explains every row of both runs."""
        return not self.in_float64.off and not self.shipped.off


def pairs(
    shipped: Trace, in_float64: Trace, process: str, named: str | None, without: Collection[str] = ()
) -> list[Pair]:
    """The named record compared with the two runs, in every variant; unless it is near in float64, the whole catalogue,
    and where none of it conforms, its records at other values of a parameter.

    without: records that are known to be far.  Raises InputError where the points of a run are no grid.
    """
    own = _compared(shipped, in_float64, process, [named]) if named else []
    if any(not p.in_float64.off or p.error_float64 < CANCELLED for p in own):
        return own
    others = [name for name in similar(in_float64) if name not in (named, *without)]
    own += _compared(shipped, in_float64, process, others)
    if any(p.conforms for p in own):
        return own
    return own + _compared(shipped, in_float64, process, [*fitted(in_float64, process, without)])


def _compared(shipped: Trace, in_float64: Trace, process: str, names: list[str]) -> list[Pair]:
    """Those of the records that evaluate their model in the same steps and, if there are several, have a row that is
    near in float64: the others differ in any case. Where none has, the closest one.
    """
    near: dict[str, Reference] = {}
    least, closest = FAR, None
    for reference in candidates(in_float64, process, names):
        if same_shape(in_float64.table, reference.table):
            errors = deviations(in_float64.table, reference.table)
            if len(names) == 1 or min(d.error for d in errors) < NEAR:
                near[reference.name] = reference
            elif (away := mean_error(errors)) < least:
                least, closest = away, reference
    if not near and closest is not None:
        near[closest.name] = closest
    if not near or not same_shape(shipped.table, in_float64.table):
        return []
    grid_of(process, shipped.grid, shipped.schedule)  # which may have no levels in its dtype
    exact = {name: compared(in_float64, one, process) for name, one in near.items()}
    if len(names) == 1:  # one of its variants is the run in float64, or all are looked at
        exact = {name: one for name, one in exact.items() if not one.off} or exact
    return [Pair(near[name], one, in_float64.table, shipped, process) for name, one in exact.items()]


def nearest_variant(
    run: Trace, process: str, name: str, witness: Witness | None = None, first: str | None = None
) -> Comparison | None:
    """Of the variants of a record that evaluate as the run does, the first with no row off, else the one with the
    fewest; None without any.

    witness: as in compared.  first: the ending of the variant that is tried before the others.  Raises InputError where
    the points of the run are no grid.
    """
    seen = []
    for endings in ([] if first is None else [[first]]) + [[]]:
        for variant in candidates(run, process, (name,), endings):
            if same_shape(run.table, variant.table):
                seen.append(compared(run, variant, process, witness))
                if not seen[-1].off:
                    return seen[-1]
    return min(seen, key=lambda c: (len(c.off), c.error), default=None)


def rows(best: Pair, others: Sequence[Pair]) -> list[Step]:
    """Every row; for a row that differs in float64, with the records that have it."""
    result, whole = [], [p for p in others if STARTED not in p.reference.ending]
    for i, (shipped, exact) in enumerate(zip(best.shipped.rows, best.in_float64.rows, strict=True)):
        bound, bound_exact = best.shipped.bounds[i], best.in_float64.bounds[i]
        equals: tuple[str, ...] = ()
        if unexplained(exact, bound_exact):
            same = (
                p.reference.record.name for p in whole if not unexplained(p.in_float64.rows[i], p.in_float64.bounds[i])
            )
            equals = tuple(dict.fromkeys(same))
        shown = shipped if unexplained(shipped, bound) and not unexplained(exact, bound_exact) else exact
        errors = shipped.error, exact.error
        result.append(Step(exact.step, *errors, shown.entry, shown.found, shown.expected, bound, bound_exact, equals))
    return result


def differences(best: Pair, steps: Sequence[Step], matches: Sequence[Pair]) -> list[Finding]:
    """Findings on the first three rows that differ, and on their number."""
    name = best.reference.name
    off = [steps[i] for i in sorted({*best.shipped.off, *best.in_float64.off})]
    findings: list[Finding] = []
    for row in off[:3]:
        equals = f"; its row is that of {', '.join(row.equals[:3])}" if row.equals else ""
        by = f"{row.error_float64:.1e} in {best.in_float64.dtype}"
        if row.error_float64 <= row.bound_float64:
            by = f"{row.error:.1e} as shipped, where rounding explains {row.bound:.0e}, and by {by}"
        findings.append(
            _differs(
                row.step,
                f"step {row.step}: {row.entry} is {row.found:.9g}, {name} has {row.expected:.9g}; the row is off by "
                f"{by}{equals}{'' if findings else f'; {row.entry} multiplies {in_words(row.entry)}'}",
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
    """The verdict where no record evaluates its model as the run does, and the reason.

    The verdict is an error where no comparison is possible: the record does not exist on the grid.
    """
    if reference is None:
        family = strengths(run)
        if family is None:
            missing = "the catalogue has no record of this name, and none of its records has these rows"
            return "different-formula", _differs(None, missing)
        eta, off = family
        detail = f"every step is one of ddim-eta, within {off:.0e}, with eta = {_listed(eta)}"
        return "different-formula", _differs(None, f"{detail}; the catalogue has no record with this eta")
    step, where = where_it_evaluates(run, process, reference)
    if step is None and not level_checks.zero_length(run.grid) and not level_checks.backward(run.grid):
        return "error", _differs(None, f"{where}: it cannot be compared")
    equal = "".join(f"; the run is {p.reference.name}" for p in found if p.conforms)
    return "different-formula", _differs(step, f"{where}{equal}")


def repeated_noise(run: Trace) -> list[Finding]:
    """A note on steps that add noise of earlier steps and none of their own, as of a generator that is seeded anew.

    A row that starts from an older state may have to add the noise of the steps in between, as a corrector does.
    """
    noises, older = run.table.noises != 0, (run.table.states[:, 1:] != 0).any(dim=1).tolist()
    rows = [i for i, row in enumerate(noises.tolist()) if any(row) and not row[0] and not older[i]]
    if not rows:
        return []
    first, lag = rows[0], int(noises[rows[0]].int().argmax())
    again, drawn = (run.table.step[i + run.table.given] for i in (first, first - lag))
    more = f", and {len(rows) - 1} more do so" if len(rows) > 1 else ""
    detail = f"step {again} adds the noise of step {drawn} again{more}: a generator is to be seeded once, before step 1"
    return [Finding("formula", again, detail)]


def _listed(eta: Sequence[float]) -> str:
    if max(eta) - min(eta) <= NEAR:
        return f"{eta[0]:.6g} in all of them"
    return f"{eta[0]:.6g}, {eta[1]:.6g}, … {eta[-1]:.6g}"


def law_of_strengths(run: Trace, longer: Trace | None) -> tuple[str, Finding] | None:
    """(the family, what its strengths mean for the law) of a run that is ddim-eta with its own eta in every step.

    Such a step leads from the law of a state to that of the next one where the data prediction is exact; with a learnt
    one the law of the sample converges at order 1 if eta stays bounded as the steps shrink (Song et al. 2021).
    """
    here, there = strengths(run), None if longer is None else strengths(longer)
    if here is None:
        return None
    family, most = f"ddim-eta with eta_i = {_listed(here[0])}", max(here[0])
    if there is None or longer is None or len(longer.grid) < 2 * len(run.grid) - 1:
        return family, Finding("order", None, f"{family}, by step")
    n, more, last = len(run.grid) - 1, len(longer.grid) - 1, max(there[0])
    grows = f"the largest eta is {most:.4g} on {n} steps and {last:.4g} on {more}"
    if most > 0 and last > most * (more / n) ** GROWS:
        law = f"{grows}: eta grows with N, so the law of the sample does not converge to that of the data"
    else:
        law = f"{grows}: eta is bounded, so the law of the sample converges with order 1"
    return family, Finding("order", None, law)


def difference(run: Trace, near: Comparison | None, process: str, name: str, where: str) -> Finding | None:
    """How a run differs from a record, given its nearest variant; None if it does not."""
    if near is None:
        step, detail = where_it_evaluates(run, process, name)
        return _differs(step, f"{where}: {detail}")
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


def missing_order(reference: Reference, info: TargetInfo) -> list[Finding]:
    """An error where the advertised order is higher than that of the record it equals.

    The order in the name or option of a stochastic sampler is that of its flow, and with noise no record has a weak
    order above 2; the order compared is then the one in law for an exact score.
    """
    record, advertised = reference.record, info.advertised_order
    noisy = bool(reference.table.noises.any())
    order = record.order_in_law(gaussian=False) if noisy else record.order
    if advertised is None or (min(advertised, 2) if noisy else advertised) <= order:
        return []
    return [
        Finding(
            "order",
            None,
            f"its name or option advertises order {advertised}; it equals {record.name}, whose {'weak ' * noisy}order "
            f"is proved to be {order} and no higher: samplerproof prove {record.name}",
            "error",
        )
    ]


def roundoff(best: Pair, run: Trace) -> Finding:
    """The largest deviation as shipped."""
    eps = torch.finfo(run.dtype).eps
    worst = max(best.shipped.rows, key=lambda d: d.error)
    both = f", {best.error_float64:.1e} in float64" if best.in_float64.dtype != best.shipped.dtype else ""
    return Finding(
        "roundoff",
        worst.step,
        f"{worst.error:.1e} as shipped ({worst.error / eps:.0f} ulp of {str(run.dtype)[6:]}, step {worst.step}, "
        f"{worst.entry}){both}",
    )


def negligible_entries(best: Pair) -> list[Finding]:
    """A note on the first negligible entry where the record has none, such as a least variance."""
    left = [d for d in best.in_float64.rows if negligible(d) and d.error > IDENTICAL]
    why = f"where {best.reference.name} has nothing: below {NEGLIGIBLE:g} it counts as rounding"
    return [Finding("roundoff", d.step, f"step {d.step}: {d.entry} is {d.found:.1e} {why}") for d in left[:1]]


def in_words(entry: str) -> str:
    """An entry of a row in words: states[0], outputs[1], noises[0]."""
    part, _, lag = entry.rstrip("]").partition("[")
    k = int(lag)
    if part == "states":
        return "the state before" if k == 0 else f"the state {k} rows before that"
    if part == "outputs":
        return "the newest output" if k == 0 else f"the output {'one evaluation' if k == 1 else f'{k} evaluations'} ago"
    return "its own noise" if k == 0 else f"the noise drawn {'a row' if k == 1 else f'{k} rows'} before"
