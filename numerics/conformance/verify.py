"""`samplerproof verify`: which formula a sampler is, and of which order, with the sampler in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from threading import Event
from typing import TYPE_CHECKING
from zlib import crc32

from ..catalogue import resolve
from ..errors import InputError
from ..support.limits import LIMITS
from ..support.progress import Progress, silent
from .adapters.target import split
from .process.launch import RESOLVE, Job, launched
from .report import Failure, Finding, Verdict

if TYPE_CHECKING:
    from ..readback import Trace
    from .judge.case import Beyond
    from .process.collect import Answer, Outcome

# Multiples of the steps asked for: in float64 orders are read from them, as shipped the growth of roundoff. Of 20 steps
# all of them divide a thousand timesteps; where the number does not, some grids are uneven and others do not chain.
REFINEMENTS, LONGER = (2, 5, 10), (5, 25)
WHOLE = (4, 5, 10, 20, 25, 50, 100, 125, 250, 500)  # steps of which one, and half of one, is a whole timestep of 1000
DRAWN = range(6, 41)  # numbers of steps on other grids
OTHERS = 2  # of the grids of a target that are not its own; behind them is the one with a 0 appended


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
) -> Verdict:
    """The verdict on a target; the run in float64 and the finer ones are for it what the shipped one is measured by.

    sweep: whether it is run on 5 to 60 steps, too, and so with every option at its other values.
    resolver: "module:function", which makes a Target of its name.  stop: set from another thread to give it up.
    zero: whether a function is run on levels that end at 0, too.
    Raises InputError on a target, record, number of steps or time limit that cannot be meant.
    """
    split(target)
    if against is not None:
        resolve(against, "against")
    most = LIMITS["verification.steps"].high
    if not 4 <= steps <= most:
        raise InputError("steps", steps, f"at least 4: two to start, two to end; at most {most:g}")
    longest = LIMITS["verification.timeout"].high
    if not 0 < timeout <= longest:
        raise InputError("timeout", timeout, f"a number of seconds > 0, at most {longest:g}")
    with launched(target, jobs(target, steps, zero), resolver, sweep, stop) as child:
        from .process.collect import answer  # loads torch, while the child does so too

        found = answer(child, timeout, progress)
        verdict = _with_state(judged(found, target, steps, against), found, steps)
        return replace(_with_sweep(verdict, found), versions=versions(target))


def jobs(target: str, steps: int, zero: bool = True) -> list[Job]:
    """The runs that a verdict is made from: as asked for, on fewer and more steps, on other grids."""
    runs = [Job(steps, False), Job(steps, True)]
    for n in others(steps):
        runs += [Job(n, False, again=False), Job(n, True, again=False)]
    for k in range(OTHERS):
        drawn = DRAWN[crc32(f"{target} {steps} {k}".encode()) % len(DRAWN)]  # the same for the same question
        runs += [Job(drawn, False, again=False, grid=k), Job(drawn, True, again=False, grid=k)]
    runs += [Job(steps, False, again=False, grid=OTHERS)] if zero else []
    runs += [Job(steps * k, True, again=False) for k in REFINEMENTS]
    return [*runs, *(Job(steps * k, False, again=False) for k in LONGER)]


def others(steps: int) -> list[int]:
    """The nearest numbers of steps, below and above."""
    return [n for n in WHOLE if n < steps][-1:] + [n for n in WHOLE if n > steps][:1]


def judged(answer: Answer, target: str, steps: int, against: str | None) -> Verdict:
    """The verdict on what a child has to say; see judge."""
    from .judge.verdict import judge

    if answer.about is None:
        failure = answer.outcomes[0].failure
        assert failure is not None
        if failure.kind == "no-table":
            return Verdict(target, "not-linear", findings=[Finding("not-linear", None, failure.message)])
        return Verdict(target, "error", findings=[Finding("exception", None, failure.message)])
    runs = {(o.job.steps, o.job.wide): _run(o) for o in answer.outcomes if o.job.grid is None}
    return judge(answer.about, runs, steps, against, _beyond(answer))


def _beyond(answer: Answer) -> Beyond:
    """What was seen on other grids and inputs."""
    from .judge.case import Beyond

    assert answer.about is not None
    names = answer.about.grids
    return Beyond(
        grids={(names[o.job.grid], o.job.wide): _run(o) for o in answer.outcomes if o.job.grid is not None},
        zero=answer.about.zero,
        departures=tuple(d for o in answer.outcomes for d in o.departures),
    )


def _run(outcome: Outcome) -> Trace | Failure:
    run = outcome.trace or outcome.failure
    assert run is not None
    return run


def _with_state(verdict: Verdict, answer: Answer, steps: int) -> Verdict:
    """The verdict with what the target did beside its work."""
    said = dict.fromkeys(line for o in answer.outcomes if o.job.steps == steps for line in o.state)
    said |= dict.fromkeys(answer.around)
    return replace(verdict, findings=[*verdict.findings, *(Finding("state", None, line) for line in said)])


def _with_sweep(verdict: Verdict, answer: Answer) -> Verdict:
    """The verdict with the settings that were run, and what failed in them."""
    findings = [
        Finding(trouble.kind, None, f"{setting.target} on N = {ranges(trouble.steps)}: {trouble.what}")
        for setting in answer.sweep
        for trouble in setting.troubles
    ]
    return replace(verdict, sweep=list(answer.sweep), findings=[*verdict.findings, *findings])


def versions(target: str) -> dict[str, str]:
    """Of what it was run with: the library of the target, torch and this package, as far as they are installed."""
    library = split(target)[0].partition(".")[0]
    found = {}
    for name in ("samplerproof", "torch", library):
        with suppress(PackageNotFoundError, ValueError):  # a name that no library can have
            found[name] = version(name)
    return found


def ranges(numbers: Sequence[int]) -> str:
    """5..9, 11 of 5, 6, 7, 8, 9, 11."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(f"{run[0]}..{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
