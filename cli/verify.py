"""`samplerproof verify`: which formula a sampler is, and of which order, with the sampler in a process of its own."""

from __future__ import annotations

import math
from dataclasses import replace

from ..numerics.catalogue import resolve
from ..numerics.conformance.isolation import Answer, Job, Outcome, probe
from ..numerics.conformance.target import split
from ..numerics.conformance.verdict import Failure, Finding, Subject, Verdict, judge
from ..numerics.errors import InputError
from ..numerics.readback import Trace

REFINEMENTS = 1, 2, 4, 8  # of the steps asked for: what orders and the growth of roundoff are read from


def verify(target: str, against: str | None, steps: int, timeout: float) -> Verdict:
    """The verdict on a target; the run in float64 and the finer ones are for it what the shipped one is measured by.

    Raises InputError on a target, record, number of steps or time limit that cannot be meant.
    """
    split(target)
    if against is not None:
        resolve(against, "against")
    if steps < 4:
        raise InputError("steps", steps, "at least 4: two to start, two to end")
    if not 0 < timeout < math.inf:
        raise InputError("timeout", timeout, "a number of seconds > 0")
    jobs = [Job(steps * factor, wide) for factor in REFINEMENTS for wide in (False, True)]
    answer = probe(target, jobs, timeout)
    if answer.about is None:
        failure = answer.outcomes[0].failure
        assert failure is not None
        if failure.kind == "no-table":
            return Verdict(target, "not-linear", findings=[Finding("not-linear", None, failure.message)])
        return Verdict(target, "error", findings=[Finding("exception", None, failure.message)])
    about = answer.about
    subject = Subject(about.name, about.process, about.reference, about.promises, about.nonlinear)
    runs = {(o.job.steps, o.job.wide): _run(o) for o in answer.outcomes}
    return _with_state(judge(subject, runs, steps, against), answer, steps)


def _run(outcome: Outcome) -> Trace | Failure:
    if outcome.trace is not None:
        return outcome.trace
    failure = outcome.failure
    assert failure is not None
    return Failure("exception", failure.message, failure.step)


def _with_state(verdict: Verdict, answer: Answer, steps: int) -> Verdict:
    """The verdict with what the target did beside its work."""
    said = dict.fromkeys(line for o in answer.outcomes if o.job.steps == steps for line in o.state)
    return replace(verdict, findings=[*verdict.findings, *(Finding("state", None, line) for line in said)])
