"""Assertions for the tests of a library of samplers: which method a sampler is, of which order, and on which levels.

    import samplerproof as sp

    def test_it_is_2m():
        sp.testing.assert_conforms("diffusers:DPMSolverMultistepScheduler", "dpm-solver++-2m")

    def test_it_is_of_order_two():
        sp.testing.assert_order("diffusers:DPMSolverMultistepScheduler", 2)

    def test_it_takes_the_levels_of_karras():
        sp.testing.assert_grid("diffusers:DPMSolverMultistepScheduler?use_karras_sigmas=true", "karras")

The markers and fixtures of the pytest plugin, samplerproof/pytest_plugin.py, call the same functions.
A sampler is a target as in `samplerproof verify`, or an object: a function (denoise, x, sigmas, noise) -> x, a
scheduler of diffusers or one derived from it, class or instance, an `sp.Adapter`, or an object with `tabulate(grid)`.
`assert_conforms` also takes FILE.json, the table or a recorded run of a port, on the steps that it has.
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

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .conformance.adapters.external_sampler import ExternalSampler
from .conformance.adapters.in_float64 import Precision, with_precision
from .conformance.adapters.placed import placed
from .conformance.adapters.resolve import resolve
from .conformance.adapters.target import NoTable
from .conformance.judge import grid_checks
from .conformance.judge.case import Variations
from .conformance.judge.verdict import judge
from .conformance.placement import Placement
from .conformance.process.fault_origin import with_origin
from .conformance.process.global_state import guarded
from .conformance.process.launch import Job
from .conformance.process.probes import covered, departures
from .conformance.process.replaced_code import Code, replaced_message
from .conformance.report import Departure, Failure, Finding, Verdict
from .conformance.verify import LONGER, OWN, REFINEMENTS, jobs, on_steps, refined
from .conformance.verify_file import is_file, verify_file
from .errors import InputError, NonFiniteError, SamplingError, of_type, whole
from .grid_assertion import difference, only_flow
from .grid_kinds.falling import check_falling
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
    __tracebackhide__ = True
    if isinstance(sampler, str) and is_file(sampler):
        verdict = verify_file(sampler, name)
    else:
        verdict = verdict_of(_external(sampler, options), steps, name, zero)
    wrong = [f for f in verdict.findings if f.severity == "error" and f.kind != "order"]
    if verdict.verdict not in ("identical", "roundoff") or wrong:
        raise AssertionError(_message(f"{verdict.target} is not {name}: {verdict.verdict}", verdict.findings))
    return verdict


def assert_order(
    sampler: Sampler, order: int, steps: int = 20, options: Mapping[str, Any] | None = None, zero: bool = True
) -> Verdict:
    """Assert that the error on a mixture with an exact model falls like N^-order or faster.

    N goes up to 10 * steps. Of a sampler that draws noise it is the error of the variance on a Gaussian.
    Returns the verdict.
    Raises AssertionError with the observed order and the local orders; InputError as assert_conforms.
    """
    __tracebackhide__ = True
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


def assert_grid(
    sampler: Sampler,
    grid: str | None = None,
    steps: int = 20,
    options: Mapping[str, Any] | None = None,
) -> tuple[float, ...]:
    """Assert that the levels of a sampler on `steps` steps have no fault, and are those of a grid.

    sampler: as for assert_conforms, or the levels themselves, from noisy to clean: sigma of x = x0 + sigma eps, for a
    kind of grid that only a flow has sigma of x = (1 - sigma) x0 + sigma eps.
    grid: KIND or KIND?parameter=value&… of `samplerproof grids`; ends that are not given are those of the levels, which
    agree to 1e-5 in lambda = log(alpha/sigma).  Returns the levels as sigma/alpha.
    Raises AssertionError with the faults, such as a last step of length zero, and with the first level that differs and
    what it should be, and for levels that do not fall; InputError for an invalid sampler or grid.
    """
    __tracebackhide__ = True
    if isinstance(sampler, str) or not isinstance(sampler, Sequence | torch.Tensor):
        on_steps(OWN, steps)
        external = _external(sampler, options)
        name, flow = external.info.name, external.info.process == "flow"
        run, _ = _run(external, Job(steps, False, other_inputs=False), None)
        if isinstance(run, Failure):
            raise AssertionError(f"{name}: no levels can be read: {run.message}")
        wrong = [f for f in grid_checks.findings(run, external.info.process) if f.severity == "error"]
        levels = tuple(p.rho for p in run.grid)
    else:
        name, flow, wrong = "the levels", grid is not None and only_flow(grid), []
        try:
            given = check_falling("levels", list(sampler))
        except InputError as fault:
            raise AssertionError(str(fault)) from None
        levels = tuple((s / (1 - s) if s < 1 else math.inf) if flow else s for s in given)
    found = difference(levels, grid, flow) if grid is not None else ""
    lines = [*(f"{f.kind}: {f.detail}" for f in wrong), *([found] if found else [])]
    if lines:
        raise AssertionError("\n  ".join([f"{name}: not the levels of {grid or 'a sound grid'}", *lines]))
    return levels


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
    replaced = Code().replaced  # held here: it may be replaced itself
    for job in [*few, *more]:
        if job.grid is None:
            runs[job.steps, job.float64], seen = _run(external, job, None)
            departed += seen
        elif name := info.grid(job.grid):
            grids[name, job.float64], _ = _run(external, job, name)
        if changed := replaced():
            runs[steps, False] = Failure("error", replaced_message(changed))
            break
    varied = Variations(grids, info.zero, tuple(departed), covered(info, runs[steps, False]))
    return judge(info, runs, steps, against, varied)


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
            return found, departures(run, found, external.direct) if job.other_inputs else ()
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
