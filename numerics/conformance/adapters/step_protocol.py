"""The public protocol of a sampler that takes one step at a time, and its adapter."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ...errors import InputError, SamplingError
from ...external_run import Draw, Finish, Model, Remark, Run
from ...generated.prediction_functions import PREDICTIONS
from ...points import Point
from ..forward_processes import PROCESSES, on_process, point
from ..report import TargetInfo
from .callables import noise_from
from .external_sampler import ExternalSampler
from .in_float64 import in_float64
from .own_draws import drawing_from
from .process_levels import GRIDS, ZERO, karras
from .visited_levels import same

Level = tuple[float, ...]  # its first two entries are alpha and sigma
NEEDED = ("process", "prediction")
CALLED = {"levels": ("levels",), "step": ("n", "x", "model", "noise")}
MEMBERS = "process, prediction, levels(levels) and step(n, x, model, noise)"
OFF = 1e-3  # relative: how far alpha and sigma may be from the relation of the process


@runtime_checkable
class Adapter(Protocol):
    """A sampler that takes one step at a time: what `verify` and `study` need of a class of your own.

        process      "vp": alpha^2 + sigma^2 = 1, "ve": alpha = 1, "flow": alpha + sigma = 1
        prediction   what its model returns: "data", "noise", "v", "velocity" or "score"
        levels(levels) -> the levels between which it steps, noisiest first; called at the start of every run with
                     those asked for, each with `alpha` and `sigma`; it returns these, or its own pairs (alpha, sigma)
        step(n, x, model, noise) -> the state at level n + 1, from x at level n; model(x, level) -> the prediction;
                     noise(x) -> standard normal noise shaped like x

    A class is made anew for every run, with its options as keywords; an object is copied.

    >>> import samplerproof as sp
    >>> class Ddim:
    ...     process, prediction = "vp", "noise"
    ...     def levels(self, levels):
    ...         self.at = levels
    ...         return levels
    ...     def step(self, n, x, model, noise):
    ...         s, t = self.at[n], self.at[n + 1]
    ...         eps = model(x, s)
    ...         return t.alpha / s.alpha * (x - s.sigma * eps) + t.sigma * eps
    >>> sp.verify(Ddim, steps=10).matches[0]
    'ddim'
    """

    process: str
    prediction: str

    def levels(self, levels: Sequence[Any], /) -> Sequence[Any]: ...

    def step(self, n: int, x: Tensor, model: Callable[..., Tensor], noise: Callable[..., Tensor], /) -> Tensor: ...


def missing(found: Any) -> list[str]:
    """What an object lacks of an Adapter, a phrase each; [] where it has all."""
    lacks = [f"no {name}" for name in (*NEEDED, *CALLED) if not hasattr(found, name)]
    for name, parameters in CALLED.items():
        call = getattr(found, name, None)
        if call is None:
            continue
        try:
            inspect.signature(call).bind(*parameters)
        except (TypeError, ValueError):  # not callable, other parameters, or a built-in without a signature
            taken = ", ".join(inspect.signature(call).parameters) if inspect.isroutine(call) else ""
            lacks.append(f"{name}({taken})")
    return lacks


def of_adapter(make: Callable[[], Any], target: str) -> ExternalSampler:
    """An object that implements Adapter.  make() -> a new one for every run.

    Raises InputError on what it lacks, and on a process or prediction that is not known.
    """
    sampler = make()
    if lacks := missing(sampler):
        where = "a level has alpha and sigma: help(samplerproof.Adapter) shows an example"
        allowed = f"{MEMBERS}; it has {', '.join(lacks)}; {where}"
        raise InputError("target", target, allowed)
    for name, known in (("process", PROCESSES), ("prediction", PREDICTIONS)):
        if getattr(sampler, name) not in known:
            raise InputError("target", target, f"{name} = {getattr(sampler, name)!r}; one of {', '.join(known)}")
    process, namespace = sampler.process, inspect.unwrap(type(sampler).step).__globals__

    def on(steps: int, grid: str | None = None) -> Run:
        ratios = (GRIDS[grid] if grid else karras)(steps)
        return _run_on(make, target, process, [_at(process, ratio) for ratio in ratios])

    grids = tuple(name for name in GRIDS if process == "ve" or name != ZERO)
    info = TargetInfo(target, process, grids=grids, zero=ZERO if process == "ve" else None)
    return ExternalSampler(
        info,
        sampler.prediction,
        on,
        lambda: in_float64(namespace),
        lambda grid: _run_on(make, target, process, on_process(grid, process)),
    )


def maker(found: Any, options: dict[str, Any]) -> Callable[[], Any]:
    """make() of a class with its options, or of an object, which is copied."""
    return (lambda: found(**options)) if isinstance(found, type) else (lambda: copy.deepcopy(found))


def _at(process: str, ratio: float) -> Point:
    """The point of a process with that sigma / alpha."""
    alpha = {"ve": 1.0, "flow": 1 / (1 + ratio), "vp": 1 / math.hypot(1, ratio)}[process]
    return point(process, alpha, ratio * alpha)


def _run_on(make: Callable[[], Any], target: str, process: str, asked: Sequence[Point]) -> Run:
    """The run of a sampler that is asked for these levels."""

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        sampler, x = make(), start
        try:
            made = sampler.levels(tuple(asked))
        except (TypeError, AttributeError) as fault:
            raise SamplingError(
                f"levels(levels), with the levels asked for, each with alpha and sigma: {fault}"
            ) from fault
        levels = [_level(level, process) for level in made]
        if len(levels) < 2 or any(not later.lam > level.lam for level, later in pairwise(levels)):
            raise InputError("target", target, f"levels that go from noise to data, at least two, not {len(levels)}")
        noise = noise_from(draw)
        with drawing_from(draw, start):  # of the whole run, in which noise may come again
            for n, at in enumerate(levels[:-1]):
                given = x.clone()

                def evaluated(state: Tensor, level: Any, n: int = n, at: Point = at, given: Tensor = given) -> Tensor:
                    where = _level(level, process)
                    if not isinstance(state, Tensor) or state.shape != given.shape:
                        found = list(state.shape) if isinstance(state, Tensor) else type(state).__name__
                        raise SamplingError(
                            f"step {n + 1}: the model is evaluated at {found}, not at {list(given.shape)}"
                        )
                    start_of_step = where[:2] == at[:2] and torch.equal(state, given)
                    return model(state, where, n if start_of_step else n + 1)

                x = sampler.step(n, x, evaluated, noise)
                if not isinstance(x, Tensor) or x.shape != start.shape:
                    found = list(x.shape) if isinstance(x, Tensor) else type(x).__name__
                    raise SamplingError(f"step {n + 1} returns {found}; it was given {list(start.shape)}")
        return Finish(x, tuple(levels), remarks=_remarks(levels, asked))

    return run


def _remarks(levels: Sequence[Point], asked: Sequence[Point]) -> tuple[Remark, ...]:
    """Remarks on levels that are not those asked for."""
    own, given = ([level.rho for level in some] for some in (levels, asked))
    alike = all(map(same, own, given))  # as far as both go
    if alike and len(own) == len(given):
        return ()
    steps = f"asked for {len(given) - 1} steps, it takes {len(own) - 1}"
    if alike and len(own) < len(given):
        left = f"{steps}, and none to the last level: it ends at sigma / alpha = {own[-1]:.6g}, with noise left"
        return (Remark("grid", left, "error"),)
    if alike and own[-1] == 0 and len(own) == len(given) + 1:
        return (Remark("grid", f"it takes one step more, from sigma / alpha = {given[-1]:.6g} to 0"),)
    where = f"levels of its own, from sigma / alpha = {own[0]:.6g} to {own[-1]:.6g}"
    return (Remark("grid", f"{steps}, between {where}" if len(own) != len(given) else f"it has {where}"),)


def _level(level: Any, process: str) -> Point:
    """A level as a point of the process.  Raises SamplingError on what is no pair (alpha, sigma) of it."""
    if isinstance(level, Point):
        return level
    try:
        alpha, sigma = (float(value) for value in tuple(level)[:2])
    except (TypeError, ValueError):
        raise SamplingError(f"a level is {level!r}; one of those given to levels, or a pair (alpha, sigma)") from None
    size = {"vp": math.hypot(alpha, sigma), "ve": alpha, "flow": alpha + sigma}[process]
    if not (sigma >= 0 and abs(size - 1) <= OFF):
        raise SamplingError(f"a level is alpha = {alpha:g}, sigma = {sigma:g}, which are not of process {process!r}")
    return point(process, alpha, sigma)
