"""`samplerproof verify`: which formula a sampler is, and of which order, with the sampler in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from threading import Event
from typing import TYPE_CHECKING

from ..catalogue import resolve
from ..errors import InputError
from ..limits import LIMITS
from ..progress import Progress, silent
from .answers import Failure, Finding, Verdict
from .launch import RESOLVE, Job, launched
from .target import split

if TYPE_CHECKING:
    from ..readback import Trace
    from .isolation import Answer, Outcome

# Multiples of the steps asked for: in float64 orders are read from them, as shipped the growth of roundoff. Of 20 steps
# all of them divide a thousand timesteps; where the number does not, some grids are uneven and others do not chain.
REFINEMENTS, LONGER = (2, 5, 10), (5, 25)


def verify(
    target: str,
    against: str | None = None,
    steps: int = 20,
    timeout: float = 60.0,
    sweep: bool = False,
    progress: Progress = silent,
    resolver: str = RESOLVE,
    stop: Event | None = None,
) -> Verdict:
    """The verdict on a target; the run in float64 and the finer ones are for it what the shipped one is measured by.

    sweep: whether it is run on 5 to 60 steps, too, and so with every option at its other values.
    resolver: "module:function", which makes a Target of its name.  stop: set from another thread to give it up.
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
    jobs = [Job(steps, False), Job(steps, True)]
    jobs += [Job(steps * k, True, again=False) for k in REFINEMENTS]
    jobs += [Job(steps * k, False, again=False) for k in LONGER]
    with launched(target, jobs, resolver, sweep, stop) as child:
        from .isolation import answer  # loads torch, while the child does so too

        found = answer(child, timeout, progress)
        verdict = _with_state(judged(found, target, steps, against), found, steps)
        return replace(_with_sweep(verdict, found), versions=versions(target))


def judged(answer: Answer, target: str, steps: int, against: str | None) -> Verdict:
    """The verdict on what a child has to say; see judge."""
    from .verdict import judge

    if answer.about is None:
        failure = answer.outcomes[0].failure
        assert failure is not None
        if failure.kind == "no-table":
            return Verdict(target, "not-linear", findings=[Finding("not-linear", None, failure.message)])
        return Verdict(target, "error", findings=[Finding("exception", None, failure.message)])
    runs = {(o.job.steps, o.job.wide): _run(o) for o in answer.outcomes}
    return judge(answer.about, runs, steps, against)


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
