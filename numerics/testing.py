"""Assertions for the tests of a library of samplers: that a sampler is a given method, and that it has a given order.

    import samplerproof as sp

    def test_it_is_2m():
        sp.testing.assert_conforms("diffusers:DPMSolverMultistepScheduler", "dpm-solver++-2m")

    def test_it_is_of_order_two():
        sp.testing.assert_order("diffusers:DPMSolverMultistepScheduler", 2)

A sampler is a target as in `samplerproof verify`, or an object: a function (denoise, x, sigmas, noise) -> x, a
scheduler of diffusers or one derived from it, class or instance, an `sp.Adapter`, or an object with `tabulate(grid)`.
It runs in this process, whose global state is restored.

>>> import samplerproof as sp
>>> def euler(denoise, x, sigmas):
...     for s, t in zip(sigmas, sigmas[1:]):
...         x = x + (t - s) / s * (x - denoise(x, s))
...     return x
>>> sp.testing.assert_order(euler, 1, steps=10, zero=False).matches[0]
'ddim'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from .conformance.adapters.external_sampler import ExternalSampler
from .conformance.adapters.in_float64 import Precision, with_precision
from .conformance.adapters.placed import placed
from .conformance.adapters.resolve import resolve
from .conformance.adapters.target import NoTable
from .conformance.judge.case import Variations
from .conformance.judge.verdict import judge
from .conformance.placement import Placement
from .conformance.process.fault_origin import with_origin
from .conformance.process.global_state import guarded
from .conformance.process.launch import Job
from .conformance.process.probes import COVERED, departures
from .conformance.report import Departure, Failure, Finding, Verdict
from .conformance.verify import LONGER, OWN, REFINEMENTS, jobs, on_steps, refined
from .errors import InputError, NonFiniteError, SamplingError, of_type, whole
from .readback import Trace, trace

Sampler = Any  # a target, or an object as conformance.adapters.objects.KINDS lists them
TOLERANCE = 0.35  # of an observed order: one grid, and steps that may be rounded to whole timesteps


def assert_conforms(
    sampler: Sampler, name: str, steps: int = 20, options: Mapping[str, Any] | None = None, zero: bool = True
) -> Verdict:
    """Assert that every row of the sampler's table on `steps` steps is that of the record `name`, up to roundoff; and
    likewise on other steps, grids and inputs: the coverage of the verdict lists what was varied.

    options: of a class or function, as after the `?` of a target.  zero: whether a function is also run on levels that
    end at 0, where it must be finite.  Returns the verdict.
    Raises AssertionError with the steps, entries and values that differ, the records with those rows, and all other
    errors except an advertised order that is too high; InputError for an invalid sampler or name.
    """
    external = _external(sampler, options)
    verdict = verdict_of(external, steps, name, zero)
    wrong = [f for f in verdict.findings if f.severity == "error" and f.kind != "order"]
    if verdict.verdict not in ("identical", "roundoff") or wrong:
        raise AssertionError(_message(f"{external.info.name} is not {name}: {verdict.verdict}", verdict.findings))
    return verdict


def assert_order(
    sampler: Sampler, order: int, steps: int = 20, options: Mapping[str, Any] | None = None, zero: bool = True
) -> Verdict:
    """Assert that the error on a mixture with an exact model falls like N^-order or faster.

    N goes up to 10 * steps. Of a sampler that draws noise it is the error of the variance on a Gaussian.
    Returns the verdict.
    Raises AssertionError with the observed order and the local orders; InputError as assert_conforms.
    """
    whole("order", order)
    external = _external(sampler, options)
    verdict = _judged(external, steps, None, zero, _refined(steps))
    name, seen = external.info.name, verdict.observed_order
    if seen is None:
        raise AssertionError(_message(f"{name}: no order can be observed: {verdict.verdict}", verdict.findings))
    if seen < order - TOLERANCE:
        local = sorted({value for value in verdict.local_orders if value is not None})
        spread = f"; of its steps {local[0]} to {local[-1]}" if local else ""
        equals = f"; it equals {verdict.matches[0]}, whose order is {verdict.nominal_order}" if verdict.matches else ""
        raise AssertionError(f"{name}: order {seen:.2f} observed, {order} expected{spread}{equals}")
    return verdict


def verdict_here(
    sampler: Sampler,
    against: str | None = None,
    steps: int = 20,
    options: Mapping[str, Any] | None = None,
    zero: bool = True,
    where: Placement = OWN,
) -> Verdict:
    """The verdict on a sampler that runs in this process, orders included.

    against: the record to compare with; None: the one of its name, or any.  where: how it is placed.
    Raises InputError as assert_conforms, and on a number of steps that cannot be judged.
    """
    external = placed(_external(sampler, options), on_steps(where, steps))
    return _judged(external, steps, against, zero, _refined(steps))


def verdict_of(external: ExternalSampler, steps: int, against: str | None = None, zero: bool = True) -> Verdict:
    """The verdict without orders, in this process."""
    return _judged(external, steps, against, zero, [])


def _judged(external: ExternalSampler, steps: int, against: str | None, zero: bool, more: list[Job]) -> Verdict:
    """The verdict from the runs of `samplerproof verify` without its refinements, and from those given."""
    on_steps(OWN, steps)
    info, multiples = external.info, {steps * k for k in (*REFINEMENTS, *LONGER)} | {*refined(steps)} - {steps}
    few = [job for job in jobs(info.name, steps, zero) if job.steps not in multiples]
    runs: dict[tuple[int, bool], Trace | Failure] = {}
    grids: dict[tuple[str, bool], Trace | Failure] = {}
    departed: list[Departure] = []
    for job in [*few, *more]:
        if job.grid is None:
            runs[job.steps, job.float64], seen = _run(external, job, None)
            departed += seen
        elif job.grid < len(info.grids):
            name = info.grids[job.grid]
            grids[name, job.float64], _ = _run(external, job, name)
    return judge(info, runs, steps, against, Variations(grids, info.zero, tuple(departed), COVERED))


def _refined(steps: int) -> list[Job]:
    return [Job(n, True, other_inputs=False) for n in refined(steps) if n != steps]


def _external(sampler: Sampler, options: Mapping[str, Any] | None) -> ExternalSampler:
    if options is not None:
        of_type("options", options, Mapping, "a dict of options by name")
    if isinstance(sampler, str):
        if options:
            raise InputError("options", dict(options), "none beside a target, which has them after its `?`")
        return resolve(sampler)
    from .conformance.adapters.objects import of_object

    return of_object(sampler, dict(options or {}))


def _run(external: ExternalSampler, job: Job, grid: str | None) -> tuple[Trace | Failure, tuple[Departure, ...]]:
    """The trace and the departures on other inputs; an exception of the sampler becomes a failure."""
    try:
        dtype = torch.float64 if job.float64 else torch.float32
        with external.float64() if job.float64 else Precision(dtype) as precision, guarded():
            run = external.on(job.steps, grid)
            found = with_precision(trace(run, external.prediction, dtype), precision)
            return found, departures(run, found) if job.other_inputs else ()
    except NoTable as fault:
        return Failure("no-table", fault.allowed), ()
    except NonFiniteError as fault:
        return Failure("non-finite", str(fault)), ()
    except SamplingError as fault:
        return Failure("error", str(fault)), ()
    except SystemExit as fault:
        return Failure("error", f"it ends the process: SystemExit({fault})"), ()
    except Exception as fault:
        return Failure("error", with_origin(fault, str(fault))), ()


def _message(head: str, findings: list[Finding]) -> str:
    return "\n  ".join([head, *(f"{finding.kind}: {finding.detail}" for finding in findings)])
