"""What a verdict is made from: the runs of a target, and the references beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import torch

from ...errors import InputError
from ...readback import Trace
from ..adapters.rescaled import viewed
from ..process.probes import Departure
from ..processes import grid_of
from ..report import Failure, Finding, Step, Subject, Verdict
from . import differences, grid_checks
from .differences import Pair
from .observed_orders import local_orders, observed_errors, slope
from .rounding_bound import Beside
from .zero_length_step import moving

SHORT = 2  # times the steps: so far rows are compared in float64 too

Key = TypeVar("Key")
Runs = Mapping[tuple[int, bool], Trace | Failure]


@dataclass(frozen=True)
class Beyond:
    """What was seen beside the runs on the grids that orders need.

    grids: runs on other grids, {(name, in float64): trace or failure}.  zero: the name of the one that has a 0
    appended.  departures: what other inputs showed.
    """

    grids: Mapping[tuple[str, bool], Trace | Failure] = field(default_factory=dict)
    zero: str | None = None
    departures: tuple[Departure, ...] = ()


@dataclass(frozen=True)
class Case:
    """What a verdict is made from; each step of the way once."""

    subject: Subject
    runs: Runs
    steps: int
    beyond: Beyond
    base: Verdict

    def seen_on(self, process: str) -> Case:
        """A case of alpha = 1 as it is on another process; there, no step to sigma = 0 is asked for."""

        def there(run: Trace) -> Trace:
            return viewed(run, process)

        down = {job: run for job, run in self.beyond.grids.items() if job[0] != self.beyond.zero}
        beyond = replace(self.beyond, grids=changed(down, there), zero=None)
        subject = replace(self.subject, process=process)
        return replace(self, subject=subject, runs=changed(self.runs, there), beyond=beyond)

    def trace(self, wide: bool) -> Trace:
        run = self.runs[self.steps, wide]
        assert isinstance(run, Trace)
        return run

    @cached_property
    def moving(self) -> dict[tuple[int, bool], Trace]:
        """Every trace without a last step that changes nothing."""
        return {job: moving(run) for job, run in self.runs.items() if isinstance(run, Trace)}

    @property
    def shipped(self) -> Trace:
        return self.moving[self.steps, False]

    @property
    def wide(self) -> Trace:
        return self.moving[self.steps, True]

    @cached_property
    def noted(self) -> list[Finding]:
        """What stands in every verdict: whose tensors it writes into, and what it cannot take."""
        said = "it writes into {}, which belongs to its caller"
        written = [Finding("state", None, said.format(what), "error") for what in self.trace(False).mutated[:3]]
        remarks = [Finding(kind, None, text) for kind, text in self.trace(False).remarks]
        return [*written, *remarks, *(replace(f, severity="note") for f in self.departed("note"))]

    def departed(self, verdict: str, kind: str | None = None) -> list[Finding]:
        """What other inputs showed that leads to a verdict, as findings."""
        seen = [d for d in self.beyond.departures if d.verdict == verdict and kind in (None, d.kind)]
        return [Finding(d.kind, None, d.detail, "error") for d in dict.fromkeys(seen)]

    @cached_property
    def pairs(self) -> list[Pair]:
        try:
            return differences.pairs(self.shipped, self.wide, self.subject.process, self.base.reference)
        except InputError:
            return []

    @cached_property
    def grid(self) -> list[Finding]:
        """What is odd about the grid."""
        found = [*self.noted, *grid_checks.findings(self.trace(True), self.subject.process)]
        try:
            grid_of(self.subject.process, self.wide.grid)
        except InputError as fault:
            found.append(Finding("grid", None, f"no reference on this grid: {fault}", "error"))
        return found

    @property
    def matches(self) -> list[Pair]:
        return [p for p in self.pairs if p.conforms]

    @cached_property
    def best(self) -> Pair | None:
        named = self.base.reference
        own = [p for p in self.pairs if p.reference.record.name == named or (not named and p.shared)]
        return min(own, key=lambda p: (not p.conforms, p.error_float64, p.error), default=None)

    @cached_property
    def rows(self) -> list[Step]:
        return differences.rows(self.best, self.pairs) if self.best else []

    @property
    def elsewhere(self) -> list[tuple[int, bool]]:
        """The runs on other numbers of steps that a record is beside: as shipped, and in float64 where both are."""
        linear = [job for job, run in self.moving.items() if job[0] != self.steps and not depends(run)]
        return [(n, wide) for n, wide in linear if not wide or ((n, False) in linear and n <= SHORT * self.steps)]

    @cached_property
    def near(self) -> dict[tuple[int, bool], Beside | None]:
        """The record beside each of them, None where it asks elsewhere; those whose grid is none are left out."""
        result = {}
        for job in self.elsewhere:
            with suppress(InputError):
                result[job] = self._nearest(self.moving[job])
        return result

    def _nearest(self, run: Trace) -> Beside | None:
        assert self.best is not None
        witnesses = self.best.lost if run.dtype is not torch.float64 else None
        return differences.nearest_variant(run, self.subject.process, self.best.reference.record.name, witnesses)

    def departs(self, run: Trace, near: Beside | None, where: str) -> list[Finding]:
        assert self.best is not None
        finding = differences.departs(run, near, self.subject.process, self.best.reference.record.name, where)
        return [finding] if finding else []

    def departs_on(self, grid: str, run: Trace | Failure) -> list[Finding]:
        """How a run on another grid is not the record; nothing where there is none on it."""
        if isinstance(run, Failure) or depends(run):
            return []
        still = moving(run)
        try:
            return self.departs(still, self._nearest(still), f"on {grid}")
        except InputError:
            return []

    @cached_property
    def measured(self) -> Verdict:
        """What a comparison found, and the orders."""
        result = replace(
            self.base, matches=[p.reference.name for p in self.matches], findings=self.grid, steps=self.rows
        )
        if self.best is not None:
            both = self.best.error, self.best.error_float64
            result = replace(result, max_relative_error=both[0], max_relative_error_float64=both[1])
        return _with_orders(result, self)


def changed(runs: Mapping[Key, Trace | Failure], change: Callable[[Trace], Trace]) -> dict[Key, Trace | Failure]:
    """The runs with every trace changed."""
    return {key: change(run) if isinstance(run, Trace) else run for key, run in runs.items()}


def depends(run: Trace | Failure) -> bool:
    """Whether it is no image, as the run asks otherwise on other values."""
    return isinstance(run, Trace) and min(run.superposition) == math.inf


def _with_orders(result: Verdict, case: Case) -> Verdict:
    traces = {n: run for (n, wide), run in case.moving.items() if wide and not n % case.steps and not depends(run)}
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
            result, local_orders=local_orders(used, case.subject.process), observed_order=slope(errors), errors=errors
        )
    except InputError as fault:
        return replace(result, findings=[*result.findings, Finding("grid", None, f"no order can be observed: {fault}")])
