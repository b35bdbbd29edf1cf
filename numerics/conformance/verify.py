"""`samplerproof verify`: identify the formula and order of a sampler, which runs in a process of its own."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from zlib import crc32

from ..catalogue import resolve
from ..errors import InputError, whole
from ..support.limits import LIMITS
from ..support.progress import Progress, silent
from .adapters.target import split
from .placement import Placement
from .process.launch import RESOLVE, Job, Outcome, launched
from .process.warm_parent import warm_parent
from .report import AT_ZERO, DRAWN_ANEW, Failure, Finding, Verdict
from .verify_file import is_file, verify_file

if TYPE_CHECKING:
    from ..readback import Trace
    from .judge.case import Variations
    from .process.collect import ChildResults, JobResult

# Multiples of the steps asked for: orders are observed in float64, the growth of roundoff as shipped. For 20 steps all
# of them divide a thousand timesteps; where a number does not, some grids are uneven and others do not chain.
REFINEMENTS, LONGER = (2, 5, 10), (5, 25)
WHOLE = (4, 5, 10, 20, 25, 50, 100, 125, 250, 500)  # numbers of steps whose steps are whole timesteps of 1000
LEAST = 4  # steps with which an order can be observed: two to start, two to end
DRAWN = 6, 2  # other grids have from 6 steps to twice those asked for
FEW = range(6, 13)  # numbers of steps on levels drawn anew, few so that a finding can list them
OTHERS = 2  # other grids of a target, besides that with a 0 appended and that which is drawn anew
OWN = Placement()  # everything as the sampler has it


def verify(
    target: str,
    against: str | None = None,
    steps: int = 20,
    timeout: float = 60.0,
    sweep: bool = False,
    progress: Progress = silent,
    resolver: str = RESOLVE,
    stop: Event | None = None,
    zero: bool = True,
    where: Placement = OWN,
    path: str | None = None,
) -> Verdict:
    """The verdict on a target; the float64 and refined runs serve as the yardstick for the run as shipped.

    target: as split reads it, or a file with a table or a recorded run, which has its own steps; see verify_file.
    sweep: whether it is also run on 5 to 60 steps, and with every option at its other values.
    resolver: "module:function", from a target to an ExternalSampler.  stop: set from another thread to cancel.
    zero: whether a function is also run on levels that end at 0.  where: its process, grid and beginning.
    path: the folder with the library of the target.
    Raises InputError for an invalid target, record, number of steps or time limit.
    """
    if is_file(target):
        return replace(verify_file(target, against), versions=versions(target))
    split(target)
    if path is not None and not Path(path).exists():
        raise InputError("path", path, "the folder with the library of the target; there is none of this name")
    if against is not None:
        resolve(against, "against")
    where = on_steps(where, steps)
    longest = LIMITS["verification.timeout"].high
    if not 0 < timeout <= longest:
        raise InputError("timeout", timeout, f"a number of seconds > 0, at most {longest:g}")
    stop = stop or Event()
    with (
        warm_parent() as warm,
        launched(target, jobs(target, steps, zero), resolver, sweep, stop, where, path) as child,
    ):
        asked = (child.outcome(timeout, progress), target, steps, against)
        verdict = None if warm is None else warm.call(_verdict, *asked, stop=stop)  # this process need not load torch
        return replace(verdict or _verdict(*asked), versions=versions(target))


def _verdict(outcome: Outcome, target: str, steps: int, against: str | None) -> Verdict:
    """The verdict on what a child has left."""
    from .process.collect import results_of

    results = results_of(outcome)
    return _with_sweep(_with_state(judged(results, target, steps, against), results, steps), results)


def on_steps(where: Placement, steps: int) -> Placement:
    """The placement of a run on that many steps.

    Raises InputError on a number of steps that no verdict can be given on, that its levels do not have, or that are
    over where it begins.
    """
    whole("steps", steps)
    most = LIMITS["verification.steps"].high
    if not 1 <= steps <= most:
        raise InputError("steps", steps, f"a number from 1 to {most:g}")
    if where.steps not in (None, steps):
        raise InputError("steps", steps, f"{where.steps}, as the levels given are {where.steps + 1}")
    if where.begin >= steps:
        raise InputError("begin", where.begin, f"below the number of steps, {steps}")
    return replace(where, of=steps)


def refined(steps: int) -> list[int]:
    """The numbers of steps on which an order is observed: multiples of the steps asked for, from the first that has two
    steps to start and two to end.
    """
    first = steps * -(-LEAST // steps)
    return [first, *(first * k for k in REFINEMENTS)]


def jobs(target: str, steps: int, zero: bool = True) -> list[Job]:
    """The runs for a verdict: on the steps asked for, on fewer and more, on other grids; one number is random."""
    runs = [Job(steps, False), Job(steps, True)]
    for n in others(steps):
        runs += [Job(n, False, other_inputs=False), Job(n, True, other_inputs=False)]
    drawn_from = range(DRAWN[0], max(DRAWN[0], DRAWN[1] * steps) + 1)
    for k in range(OTHERS):
        drawn = drawn_from[crc32(f"{target} {steps} {k}".encode()) % len(drawn_from)]  # the same for the same question
        runs += [Job(drawn, in_float64, other_inputs=False, grid=k) for in_float64 in (False, True)]
    runs += [Job(steps, in_float64, other_inputs=False, grid=AT_ZERO) for in_float64 in (False, True)] if zero else []
    anew = secrets.choice([n for n in FEW if n not in {job.steps for job in runs}])  # which no sampler can know
    runs += [Job(anew, in_float64, other_inputs=False, grid=DRAWN_ANEW) for in_float64 in (False, True)]
    runs += [Job(n, True, other_inputs=False) for n in refined(steps) if n != steps]
    return [*runs, *(Job(steps * k, False, other_inputs=False) for k in LONGER)]


def others(steps: int) -> list[int]:
    """The nearest numbers of steps in WHOLE, below and above."""
    return [n for n in WHOLE if n < steps][-1:] + [n for n in WHOLE if n > steps][:1]


def judged(results: ChildResults, target: str, steps: int, against: str | None) -> Verdict:
    """The verdict on the results of a child; see judge."""
    from .judge.verdict import judge

    if results.info is None:
        failure = results.jobs[0].failure
        assert failure is not None
        if failure.kind in ("no-table", "no-steps"):
            return Verdict(target, "not-linear", findings=[Finding("not-linear", None, failure.message)])
        return Verdict(target, "error", findings=[Finding("exception", None, failure.message)])
    runs = {(r.job.steps, r.job.float64): _run(r) for r in results.jobs if r.job.grid is None}
    return judge(results.info, runs, steps, against, _variations(results))


def _variations(results: ChildResults) -> Variations:
    """The results on other grids and inputs."""
    from .judge.case import Variations
    from .process.probes import covered

    info = results.info
    assert info is not None
    return Variations(
        grids={(info.grid(r.job.grid) or "", r.job.float64): _run(r) for r in results.jobs if r.job.grid is not None},
        zero=info.zero,
        departures=tuple(d for r in results.jobs for d in r.departures),
        inputs=covered(info, _run(results.jobs[0])),
    )


def _run(result: JobResult) -> Trace | Failure:
    run = result.trace or result.failure
    assert run is not None
    return run


def _with_state(verdict: Verdict, results: ChildResults, steps: int) -> Verdict:
    """The verdict with findings on changes of global state and of the folder."""
    lines = dict.fromkeys(line for r in results.jobs if r.job.steps == steps for line in r.state)
    lines |= dict.fromkeys(results.folder_changes)
    return replace(verdict, findings=[*verdict.findings, *(Finding("state", None, line) for line in lines)])


def _with_sweep(verdict: Verdict, results: ChildResults) -> Verdict:
    """The verdict with the settings of the sweep, and findings on their troubles."""
    findings = [
        Finding(trouble.kind, None, f"{setting.target} on N = {ranges(trouble.steps)}: {trouble.what}")
        for setting in results.sweep
        for trouble in setting.troubles
    ]
    return replace(verdict, sweep=list(results.sweep), findings=[*verdict.findings, *findings])


def versions(target: str) -> dict[str, str]:
    """The versions of this package, torch and the library of the target, as far as they are installed."""
    library = "" if is_file(target) else split(target)[0].partition(".")[0]
    found = {}
    for name in ("samplerproof", "torch", library):
        with suppress(PackageNotFoundError, ValueError):  # a name that no library can have
            found[name] = version(name)
    return found


def ranges(numbers: Sequence[int]) -> str:
    """Numbers as ranges: 5..9, 11 for 5, 6, 7, 8, 9, 11."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(f"{run[0]}..{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
