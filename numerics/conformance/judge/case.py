"""The evidence for a verdict: the runs of a target, and the references compared with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import torch

from ...catalogue import METHODS
from ...errors import InputError
from ...readback import Trace
from ..forward_processes import goes_backward, grid_of
from ..report import ANEW, STEPS_ANEW, Departure, Failure, Finding, Step, TargetInfo, Verdict
from . import differences, grid_checks
from .differences import Pair
from .observed_orders import local_orders, observed_errors, slope
from .output_channels import guidance
from .rescaled import rescaled, same_on_every_process
from .rounding_bound import Comparison
from .zero_length_step import without_zero_length_step

LEAST = 4  # steps with which an order can be observed: two to start, two to end
COMPARED = 2  # times the steps: the longest runs whose rows are compared in float64 too
LONGEST = 5  # times the steps, so far rows are compared: beyond, grids of whole timesteps have steps of one

Key = TypeVar("Key")
Runs = Mapping[tuple[int, bool], Trace | Failure]


@dataclass(frozen=True)
class Variations:
    """Results on other grids and inputs.

    grids: runs on other grids, {(name, in float64): trace or failure}.  zero: the name of the one with a 0 appended.
    departures: differences on other inputs.  inputs: which inputs were tried, a line each.
    """

    grids: Mapping[tuple[str, bool], Trace | Failure] = field(default_factory=dict)
    zero: str | None = None
    departures: tuple[Departure, ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def to_zero(self) -> Trace | Failure | None:
        """The run as shipped on the grid with a 0 appended."""
        return self.grids.get((self.zero or "", False))


@dataclass(frozen=True)
class Case:
    """The evidence for a verdict; each quantity is computed once.

    runs: {(N, in float64): trace or failure}.  steps: the N asked for.  base: the verdict's fields known in advance.
    on_one: the case of alpha = 1 from which this one was made on another process; see on_process.
    """

    info: TargetInfo
    runs: Runs
    steps: int
    variations: Variations
    base: Verdict
    on_one: Case | None = None

    def on_process(self, process: str) -> Case:
        """A case of alpha = 1 on another process; without the step to sigma = 0."""

        def there(run: Trace) -> Trace:
            return rescaled(run, process)

        positive = {job: run for job, run in self.variations.grids.items() if job[0] != self.variations.zero}
        variations = replace(self.variations, grids=each_trace(positive, there), zero=None)
        info = replace(self.info, process=process)
        return replace(self, info=info, runs=each_trace(self.runs, there), variations=variations, on_one=self)

    def each(self, change: Callable[[Trace], Trace]) -> Case:
        """The case with every trace changed."""
        variations = replace(self.variations, grids=each_trace(self.variations.grids, change))
        return replace(self, runs=each_trace(self.runs, change), variations=variations)

    def trace(self, in_float64: bool) -> Trace:
        """The run on the steps asked for."""
        run = self.runs[self.steps, in_float64]
        assert isinstance(run, Trace)
        return run

    @cached_property
    def traces(self) -> dict[tuple[int, bool], Trace]:
        """Every trace without a final step of length zero."""
        return {job: without_zero_length_step(run) for job, run in self.runs.items() if isinstance(run, Trace)}

    @property
    def has_float64(self) -> bool:
        """Whether there is a run in float64: of a recorded run in another dtype there is none."""
        return self.trace(True).dtype is torch.float64

    @property
    def backward(self) -> bool:
        """Whether it runs from data to noise."""
        return goes_backward(self.trace(False).grid)

    @property
    def needs_zero(self) -> bool:
        """Whether it must take a last step to sigma = 0: on alpha = 1, where everyone runs it so."""
        return self.info.process == "ve" and not self.backward

    @property
    def shipped(self) -> Trace:
        return self.traces[self.steps, False]

    @property
    def in_float64(self) -> Trace:
        return self.traces[self.steps, True]

    @property
    def longest(self) -> Trace | None:
        """The run in float64 on the most steps, if there is one on more steps than asked for."""
        more = [n for n, in_float64 in self.traces if in_float64 and n > self.steps]
        return self.traces[max(more), True] if more else None

    @cached_property
    def notes(self) -> list[Finding]:
        """Findings of every verdict: tensors of the caller that it writes into, remarks, inputs that it cannot take."""
        message = "it writes into {}, which belongs to its caller"
        written = [Finding("state", None, message.format(what), "error") for what in self.trace(False).mutated[:3]]
        remarks = [Finding(r.kind, None, r.text, r.severity) for r in self.trace(False).remarks]
        return [*written, *remarks, *(replace(f, severity="note") for f in self.departures("note"))]

    def departures(self, verdict: str, kind: str | None = None) -> list[Finding]:
        """The departures on other inputs that lead to a verdict, as findings."""
        seen = [d for d in self.variations.departures if d.verdict == verdict and kind in (None, d.kind)]
        return [Finding(d.kind, None, d.detail, "error") for d in dict.fromkeys(seen)]

    @cached_property
    def pairs(self) -> list[Pair]:
        """The references compared with the two runs; none where the runs have no grid."""
        named, far = self.base.reference, self.on_one.far if self.on_one else frozenset()
        try:
            return differences.pairs(self.shipped, self.in_float64, self.info.process, named, far)
        except InputError:
            return []

    @cached_property
    def far(self) -> frozenset[str]:
        """The records that have other rows than the run on every process; none where a record is named, or is the run.

        They are the same in lambda on every process, and far on this one.
        """
        if self.base.reference or self.conforms:
            return frozenset()
        near = {p.reference.record.name.partition("?")[0] for p in self.pairs if p.error_float64 < differences.NEAR}
        same = {name for name, record in METHODS.items() if same_on_every_process(record)}
        return frozenset(same - near)

    @cached_property
    def grid(self) -> list[Finding]:
        """The notes, and the findings about the grid."""
        found = [*self.notes, *grid_checks.findings(self.trace(True), self.info.process)]
        try:
            grid_of(self.info.process, self.in_float64.grid)
        except InputError as fault:
            found.append(Finding("grid", None, f"no reference on this grid: {fault}", "error"))
        return found

    @property
    def matches(self) -> list[Pair]:
        return [p for p in self.pairs if p.conforms]

    @cached_property
    def best(self) -> Pair | None:
        """The nearest variant of the named record; where none is named, the nearest one that has most of the rows.

        Records that are one table on the levels asked for may differ on others: then the one that is the run on most.
        Of those that are the run on as many it is one of the highest order, since that order is proved of the run.
        """
        named = self.base.reference
        own = [p for p in self.pairs if p.reference.record.name == named or (not named and p.shared)]
        several = len({p.reference.record.name for p in own if p.conforms}) > 1
        alike = [(self._misses(p), -p.reference.record.order) if several and p.conforms else (0, 0) for p in own]
        ranks = [(not p.conforms, *rank, p.error_float64) for p, rank in zip(own, alike, strict=True)]
        least = min(ranks, default=None)
        first = [p for p, rank in zip(own, ranks, strict=True) if rank == least]
        return first[0] if len(first) == 1 else min(first, key=lambda p: p.error, default=None)

    def _misses(self, pair: Pair) -> int:
        """On how many other grids, in float64, the run is not the record of a pair that conforms."""
        missed = 0
        for name in {name for name, _ in self.variations.grids} if pair.conforms else ():
            if (run := self._exact_on(name)) is not None:
                with suppress(InputError):
                    record = pair.reference.record.name
                    found = differences.nearest_variant(run, self.info.process, record, None, pair.reference.ending)
                    missed += found is None or bool(found.off)
        return missed

    @property
    def conforms(self) -> bool:
        """Whether its runs on the steps asked for are those of a record."""
        return self.best is not None and self.best.conforms

    @cached_property
    def rows(self) -> list[Step]:
        return differences.rows(self.best, self.pairs) if self.best else []

    @property
    def other_steps(self) -> list[tuple[int, bool]]:
        """The runs on other numbers of steps whose rows are compared: as shipped, and in float64 where both exist."""
        linear = [job for job, run in self.traces.items() if job[0] != self.steps and not depends(run)]
        return [
            (n, in_float64)
            for n, in_float64 in linear
            if not in_float64 or ((n, False) in linear and n <= COMPARED * self.steps)
        ]

    @cached_property
    def nearest(self) -> dict[tuple[int, bool], Comparison | None]:
        """The nearest variant of the record for each of them, None where it evaluates elsewhere; without runs that have
        no grid.
        """
        result = {}
        for job in self.other_steps:
            with suppress(InputError):
                result[job] = self._nearest(self.traces[job], self.traces.get((job[0], True)))
        return result

    @cached_property
    def guidance(self) -> tuple[str | None, list[str]]:
        """How the run reads two outputs, and what is wrong with it."""
        return guidance(self)

    @property
    def near(self) -> Iterator[tuple[str, Trace, Comparison]]:
        """Where else the run is compared with a variant of the record, in words: other steps and grids, as shipped."""
        assert self.best is not None
        yield "as shipped", self.shipped, self.best.shipped
        for (n, in_float64), comparison in self.nearest.items():
            if comparison is not None and n <= (COMPARED if in_float64 else LONGEST) * self.steps:
                yield f"on {n} steps", self.traces[n, in_float64], comparison
        for (name, _), run in self.variations.grids.items():
            if isinstance(run, Trace) and name != self.variations.zero and not depends(run):
                trimmed = without_zero_length_step(run)
                with suppress(InputError):
                    if (found := self._nearest(trimmed, self._exact_on(name))) is not None:
                        yield f"on {name}", trimmed, found

    def _exact_on(self, grid: str) -> Trace | None:
        """The run in float64 on another grid."""
        run = self.variations.grids.get((grid, True))
        return without_zero_length_step(run) if isinstance(run, Trace) and not depends(run) else None

    def _nearest(self, run: Trace, exact: Trace | None = None) -> Comparison | None:
        """The nearest variant of the record.  exact: the run in float64 on the same levels, a witness of what it loses
        there, which is asked where the runs on the steps asked for do not explain the run.
        """
        assert self.best is not None
        best = self.best.reference
        if run.dtype is torch.float64:
            return differences.nearest_variant(run, self.info.process, best.record.name, None, best.ending)
        witness = self.best.witness
        found = differences.nearest_variant(run, self.info.process, best.record.name, witness, best.ending)
        if found is None or not found.off or exact is None or (there := self._nearest(exact)) is None:
            return found
        witness = witness._replace(shares=there.shares)
        return differences.nearest_variant(run, self.info.process, best.record.name, witness, found.reference.ending)

    def difference(self, run: Trace, near: Comparison | None, where: str) -> list[Finding]:
        """How a run differs from the record; empty if it does not."""
        assert self.best is not None
        finding = differences.difference(run, near, self.info.process, self.best.reference.record.name, where)
        return [finding] if finding else []

    def difference_on(self, grid: str, run: Trace | Failure) -> list[Finding]:
        """How a run on another grid differs from the record; empty where the record does not exist on it."""
        if isinstance(run, Failure) or depends(run):
            return []
        trimmed = without_zero_length_step(run)
        levels = [p.rho for p in run.grid]
        where = f"on levels {', '.join(f'{s:.6g}' for s in levels)}" if grid.startswith(ANEW) else f"on {grid}"
        where = f"on {len(levels) - 1} steps" if grid == STEPS_ANEW else where
        try:
            return self.difference(trimmed, self._nearest(trimmed, self._exact_on(grid)), where)
        except InputError:
            return []

    @cached_property
    def differences_at_zero(self) -> list[Finding]:
        """How the run in float64 with a last step to 0 differs from the record, by more than cancellation explains: at
        low noise alpha = 1 may be computed by way of 1 - alpha^2.
        """
        run = self.variations.grids.get((self.variations.zero or "", True))
        if not isinstance(run, Trace) or depends(run) or self.best is None:
            return []
        trimmed = without_zero_length_step(run)
        try:
            near = self._nearest(trimmed)
        except InputError:
            return []
        if near is not None and near.error <= differences.CANCELLED:
            return []
        return self.difference(trimmed, near, f"on {self.variations.zero}")

    @cached_property
    def measured(self) -> Verdict:
        """The base with the results of the comparison and the observed orders."""
        result = replace(
            self.base, matches=[p.reference.name for p in self.matches], findings=self.grid, steps=self.rows
        )
        if self.best is not None:
            both = self.best.error, self.best.error_float64
            result = replace(result, max_relative_error=both[0], max_relative_error_float64=both[1])
        return _with_orders(result, self)


def each_trace(runs: Mapping[Key, Trace | Failure], change: Callable[[Trace], Trace]) -> dict[Key, Trace | Failure]:
    """The runs with every trace changed."""
    return {key: change(run) if isinstance(run, Trace) else run for key, run in runs.items()}


def depends(run: Trace | Failure) -> bool:
    """Whether the evaluations of a run depend on the values: then its vectors are no image."""
    return isinstance(run, Trace) and min(run.superposition) == math.inf


def _with_orders(result: Verdict, case: Case) -> Verdict:
    traces = {
        n: run
        for (n, in_float64), run in case.traces.items()
        if in_float64 and n >= LEAST and not n % case.steps and not depends(run)
    }
    if len(traces) < 3 or not all(bool(run.vectors.isfinite().all()) for run in traces.values()):
        return result
    if len({len(run.grid) for run in traces.values()}) < len(traces):
        few = len(min(traces.items())[1].grid) - 1
        same = f"it takes {few} steps, or equally many for different requests: no order can be observed"
        return replace(result, findings=[*result.findings, Finding("grid", None, same)])
    fewest = sorted(traces)[:4]
    used = {n: traces[n] for n in fewest}
    try:
        errors = observed_errors(used)
        local = local_orders(used, case.info.process) if case.steps in used else []
        return replace(result, local_orders=local, observed_order=slope(errors), errors=errors)
    except InputError as fault:
        return replace(result, findings=[*result.findings, Finding("grid", None, f"no order can be observed: {fault}")])
