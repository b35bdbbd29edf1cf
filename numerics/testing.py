"""Assertions for the tests of a library of samplers: that a sampler is a given method, and that it has a given order.

    import samplerproof as sp

    def test_it_is_2m():
        sp.testing.assert_conforms("diffusers:DPMSolverMultistepScheduler", "dpm-solver++-2m")

    def test_it_is_of_order_two():
        sp.testing.assert_order("diffusers:DPMSolverMultistepScheduler", 2)

A sampler is a target as `samplerproof verify` takes it, a scheduler class made from one of diffusers', or a function
(denoise, x, sigmas, noise) -> x. It runs in this process, whose global state is restored.

>>> import samplerproof as sp
>>> def euler(denoise, x, sigmas):
...     for s, t in zip(sigmas, sigmas[1:]):
...         x = x + (t - s) / s * (x - denoise(x, s))
...     return x
>>> sp.testing.assert_order(euler, 1, steps=10, zero=False).matches[0]
'ddim'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch

from .conformance.adapters.resolve import resolve
from .conformance.adapters.target import NoTable, Target
from .conformance.judge.case import Beyond
from .conformance.judge.verdict import judge
from .conformance.process.fault_origin import blamed
from .conformance.process.global_state import guarded
from .conformance.process.launch import Job
from .conformance.process.probes import Departure, departures
from .conformance.report import Failure, Finding, Subject, Verdict
from .conformance.verify import LONGER, REFINEMENTS, jobs
from .errors import InputError, NonFiniteError, SamplingError
from .readback import Stranger, Trace, trace

Sampler = str | type | Callable[..., Any]
TOLERANCE = 0.35  # of an observed order: one grid, and steps that may lie on whole timesteps


def assert_conforms(
    sampler: Sampler, name: str, steps: int = 20, options: Mapping[str, Any] | None = None, zero: bool = True
) -> Verdict:
    """That every row of the sampler's table on `steps` steps is that of the record `name`, but for roundoff; and so on
    other steps, grids and inputs: what was varied stands in the verdict's coverage.

    options: of a class or function, as behind the `?` of a target.  zero: whether a function is run on levels that end
    at 0, too, where it must be finite.  The verdict is returned.
    Raises AssertionError that names the steps, entries and values that differ, and whose they are instead, or what else
    is wrong with it, but for an order that its name promises; InputError on a sampler or name that cannot be meant.
    """
    target = _target(sampler, options)
    verdict = verdict_of(target, steps, name, zero)
    wrong = [f for f in verdict.findings if f.severity == "error" and f.kind != "order"]
    if verdict.verdict not in ("identical", "roundoff") or wrong:
        raise AssertionError(_told(f"{target.name} is not {name}: {verdict.verdict}", verdict.findings))
    return verdict


def assert_order(
    sampler: Sampler, order: int, steps: int = 20, options: Mapping[str, Any] | None = None, zero: bool = True
) -> Verdict:
    """That the error on a mixture with exact model falls like N^-order or faster, on up to 10 times `steps` steps.

    For a sampler that draws noise: the error of the variance on a Gaussian. The verdict is returned.
    Raises AssertionError that says what was observed, and the local orders; InputError as assert_conforms.
    """
    target = _target(sampler, options)
    verdict = _judged(target, steps, None, zero, [Job(steps * k, True, again=False) for k in REFINEMENTS])
    seen = verdict.observed_order
    if seen is None:
        raise AssertionError(_told(f"{target.name}: no order can be observed: {verdict.verdict}", verdict.findings))
    if seen < order - TOLERANCE:
        local = sorted({value for value in verdict.local_orders if value is not None})
        spread = f"; of its steps {local[0]} to {local[-1]}" if local else ""
        equals = f"; it equals {verdict.matches[0]}, whose order is {verdict.nominal_order}" if verdict.matches else ""
        raise AssertionError(f"{target.name}: order {seen:.2f} observed, {order} expected{spread}{equals}")
    return verdict


def verdict_here(
    sampler: Sampler,
    against: str | None = None,
    steps: int = 20,
    options: Mapping[str, Any] | None = None,
    zero: bool = True,
) -> Verdict:
    """The verdict on a sampler that runs in this process, orders included.

    against: the record that it is held against; None: that of its name, or any.  Raises InputError as assert_conforms.
    """
    target = _target(sampler, options)
    return _judged(target, steps, against, zero, [Job(steps * k, True, again=False) for k in REFINEMENTS])


def verdict_of(target: Target, steps: int, against: str | None = None, zero: bool = True) -> Verdict:
    """The verdict without orders, in this process."""
    return _judged(target, steps, against, zero, [])


def _judged(target: Target, steps: int, against: str | None, zero: bool, more: list[Job]) -> Verdict:
    """The verdict from the runs of `samplerproof verify` on steps that are not many times more, and from those."""
    few = [
        job for job in jobs(target.name, steps, zero) if job.steps not in {steps * k for k in (*REFINEMENTS, *LONGER)}
    ]
    runs: dict[tuple[int, bool], Trace | Failure] = {}
    grids: dict[tuple[str, bool], Trace | Failure] = {}
    departed: list[Departure] = []
    names = list(target.grids)
    for job in [*few, *more]:
        if job.grid is None:
            runs[job.steps, job.wide], seen = _run(target.on, target, job)
            departed += seen
        elif job.grid < len(names):
            grids[names[job.grid], job.wide], _ = _run(target.grids[names[job.grid]], target, job)
    return judge(_subject(target), runs, steps, against, Beyond(grids, target.zero, tuple(departed)))


def _target(sampler: Sampler, options: Mapping[str, Any] | None) -> Target:
    if isinstance(sampler, str):
        if options:
            raise InputError("options", dict(options), "none beside a target, which has them behind its `?`")
        return resolve(sampler)
    if isinstance(sampler, type):
        from .conformance.adapters.diffusers import of_class

        return of_class(sampler, dict(options or {}))
    from .conformance.adapters.callables import function

    return function(sampler, dict(options or {}))


def _subject(target: Target) -> Subject:
    return Subject(target.name, target.process, target.reference, target.promises, target.nonlinear)


def _run(on: Callable[[int], Stranger], target: Target, job: Job) -> tuple[Trace | Failure, tuple[Departure, ...]]:
    """The trace, and what other inputs show; what the sampler raises is part of the answer."""
    try:
        with target.wide() if job.wide else nullcontext(), guarded():
            stranger = on(job.steps)
            found = trace(stranger, torch.float64 if job.wide else torch.float32)
            return found, departures(stranger, found) if job.again else ()
    except NoTable as fault:
        return Failure("no-table", fault.allowed), ()
    except NonFiniteError as fault:
        return Failure("non-finite", str(fault)), ()
    except SamplingError as fault:
        return Failure("error", str(fault)), ()
    except Exception as fault:
        return Failure("error", blamed(fault, str(fault))), ()


def _told(head: str, findings: list[Finding]) -> str:
    return "\n  ".join([head, *(f"{finding.kind}: {finding.detail}" for finding in findings)])
