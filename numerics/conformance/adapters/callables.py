"""Samplers that are functions of a denoiser and sigmas: plain callables."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from ...errors import DependsError, InputError, NonFiniteError, SamplingError
from ...external_run import Draw, Finish, Model, Remark, Run, of_another_run
from ...grid_kinds.flow_kinds import shifted
from ...grids import Grid
from ..forward_processes import on_process
from ..report import TargetInfo
from .conditions import conditions, parameters_of, with_conditions
from .external_sampler import ExternalSampler
from .in_float64 import entered, in_float64
from .own_draws import drawing_from
from .process_levels import ZERO, at_sigma, other_levels, own_levels, ratio_of
from .target import typed
from .unobserved import WIDER, direct
from .visited_levels import COARSE, Visit, Visited, destinations, levels_of

Denoise = Callable[..., Tensor]  # (x, sigma) -> x0hat; (x, sigma, condition), see with_conditions
Solver = Callable[[Denoise, Tensor, Tensor, Draw], Tensor]  # (denoise, x, sigmas, draw) -> the sample


def on_levels(name: str, solver: Solver, levels: Sequence[float], process: str = "ve") -> Run:
    """A function of (denoise, x, sigmas, draw) as a run on these levels sigma of a process, x = alpha x0 + sigma eps.

    The first run of a dtype calls the function twice: first with outputs of 0, to find the step of each evaluation.
    The run raises SamplingError where the model is evaluated at a tensor of another shape or at more than one level,
    NoTable as levels_of and destinations do.
    """

    ratio = partial(ratio_of, process)
    # Determined once a dtype: a call on zeros before each run would hide what a run leaves to the next.
    known: dict[torch.dtype, tuple[list[int], Visited]] = {}

    def grid_on(start: Tensor, sigmas: Tensor) -> tuple[list[int], Visited]:
        def visit(levels: Sequence[float], size: float = 0.0) -> Visit:
            visited: list[float] = []
            states: list[Tensor] = []

            def ask(x: Tensor, sigma: Any, channel: str) -> Tensor:
                visited.append(_level(x, sigma, start, len(visited)))
                states.append(x.detach().clone())
                return torch.zeros_like(x)

            given = torch.tensor(levels, dtype=torch.float64).to(start)
            begun = torch.full_like(start, size)
            sample = solver(with_conditions(ask, start), begun, given, lambda like, span=None: torch.zeros_like(like))
            return _visit(visited, states, sample, process)

        given = sigmas.tolist()
        found = levels_of(given, visit, name, ratio, shifted if process == "flow" else None)
        return destinations([ratio(s) for s in found.levels], [ratio(s) for s in found.ends], name), found

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        sigmas = torch.tensor(levels, dtype=torch.float64).to(start)
        if start.dtype not in known:
            known[start.dtype] = grid_on(start, sigmas)
        to, visited = known[start.dtype]
        count = 0

        def ask(x: Tensor, sigma: Any, channel: str) -> Tensor:
            nonlocal count
            _level(x, sigma, start, count)
            if count == len(to):
                raise DependsError(f"evaluation {count + 1}: one more than before")
            count += 1
            return model(
                x, at_sigma(process, visited.levels[count - 1]), to[count - 1], *([channel] if channel else [])
            )

        begun = start if visited.scale == 1 else start * visited.scale
        sample, remarks = solver(with_conditions(ask, start), begun, sigmas, draw), visited.remarks
        if isinstance(sample, Tensor) and sample.dtype != start.dtype:
            if (sample.dtype, start.dtype) == (torch.float64, torch.float32):
                sample, remarks = sample.float(), (*remarks, WIDER)
            elif sample.dtype in COARSE:
                half, own = (str(dtype)[6:] for dtype in (sample.dtype, start.dtype))
                remark = Remark("roundoff", f"it returns {half} where its start is {own}", "error")
                sample, remarks = sample.to(start.dtype), (*remarks, remark)
        return Finish(sample, tuple(at_sigma(process, s) for s in visited.ends), remarks=remarks)

    return run


def _visit(visited: list[float], states: list[Tensor], sample: Any, process: str) -> Visit:
    """The visit of a call with outputs of 0, whose states are noise: their size is sigma, times that of the start."""
    if not visited or not isinstance(sample, Tensor) or sample.numel() == 0:
        return Visit(visited)
    before, first = float(states[-1].reshape(-1)[0]), float(states[0].reshape(-1)[0])
    end = float(sample.reshape(-1)[0]) / before * visited[-1] if before else 0.0
    return Visit(visited, end, first)


def _level(x: Any, sigma: Any, like: Tensor, count: int) -> float:
    """The one sigma of a call of the model, whose x must be a state."""
    if not isinstance(x, Tensor) or x.shape != like.shape:
        found = list(x.shape) if isinstance(x, Tensor) else type(x).__name__
        message = f"evaluation {count + 1}: the model is evaluated at {found}, not at {list(like.shape)}"
        raise SamplingError(f"{message}{_of_a_pair(x, like) or of_another_run(x, like)}")
    values = {float(s) for s in torch.as_tensor(sigma).reshape(-1).tolist()}
    if any(not math.isfinite(s) for s in values):
        raise NonFiniteError(f"evaluation {count + 1}: the model is evaluated at sigma = {sorted(values)}")
    if len(values) != 1 or not 0 <= min(values) < math.inf:
        found = f"evaluation {count + 1}: the model is evaluated at sigma = {sorted(values)}"
        raise SamplingError(f"{found}, not at one level")
    return values.pop()


def _of_a_pair(x: Any, like: Tensor) -> str:
    """Addition to a message on a state of two components: two tensors, stacked, or side by side in a dimension."""
    shape = like.shape
    if isinstance(x, Tensor):
        beside = [(*shape[:k], 2 * shape[k], *shape[k + 1 :]) for k in range(1, like.ndim)]
        stacked = [(*shape[:k], 2, *shape[k:]) for k in range(like.ndim + 1)]
        pair = tuple(x.shape) in (*beside, *stacked)
    else:
        pair = isinstance(x, list | tuple) and len(x) == 2
    judged = "a state of two components, such as position and momentum, is not judged: a row of a table has one"
    return f"; {judged}; sp.techniques.phase_space has integrators of such states to compare it with" if pair else ""


def function(call: Callable[..., Any], options: dict[str, Any], target: str | None = None) -> ExternalSampler:
    """A function (denoise, x, sigmas, noise) -> the sample, with options as keywords.  target: its name in messages.

    denoise(x, sigma) -> x0hat, where x = x0 + sigma eps (variance exploding, alpha = 1; sigma is one number).
    sigmas [N + 1]: from 80 to 0.002 (karras), of the dtype of x; the last is not 0.
    noise(x) -> standard normal noise shaped like x, independent in every call; noise(x, sigma_from, sigma_to): the
    increment over that interval of sigma of the one Brownian path of the run, over sqrt|sigma_to - sigma_from|. It is
    passed to the parameter `noise`, or to a fourth one without a default. The normal draws of torch and numpy in a
    function without such a parameter are noise(x) where they have the shape of a state; see own_draws.
    A function with guidance inside has two parameters `cond` and `uncond` (or another of PAIRS in conditions.py), which
    it passes on: denoise(x, sigma, cond), denoise(cat([x, x]), sigma, cat([uncond, cond])); see with_conditions.
    Raises InputError on other parameters, and on an unknown option.
    """
    target = target or typed(str(call.__module__), getattr(call, "__qualname__", type(call).__name__), options)
    solver = solver_of(call, options, target)
    takes = _noise_parameter(target, call, options)
    guided = parameters_of([*inspect.signature(call).parameters]) is not None
    namespace = getattr(inspect.unwrap(call), "__globals__", None) or vars(import_module(call.__module__))

    def on(process: str, prediction: str, chosen: bool) -> ExternalSampler:
        own, others = own_levels(process), other_levels(process)

        def levels(grid: Grid) -> list[float]:
            return [p.sigma for p in on_process(grid, process)] if chosen else ratios(grid, target)

        info = TargetInfo(target, process, grids=tuple(others), zero=ZERO, called=not guided)
        return ExternalSampler(
            replace(info, may_draw=takes is None),
            prediction,
            lambda steps, grid=None: on_levels(target, solver, (others[grid] if grid else own)(steps), process),
            lambda: in_float64(*entered(namespace)),
            lambda grid: on_levels(target, solver, levels(grid), process),
            lambda grid: unjudged(solver, levels(grid), process),
            in_process=lambda process, prediction: on(process, prediction, True),
            direct=None if guided else lambda levels: direct(call, levels, takes, options),
        )

    return on("ve", "data", False)


def ratios(grid: Grid, target: str) -> list[float]:
    """The levels sigma / alpha of a grid.  Raises InputError where one is infinite."""
    levels: list[float] = grid.columns.rho.tolist()
    if math.inf in levels:
        raise InputError("target", target, "a grid without alpha = 0, where sigma / alpha is infinite")
    return levels


def unjudged(solver: Solver, levels: Sequence[float], process: str) -> Run:
    """As on_levels, for a run on a model only: evaluations may depend on the values, and belong to no step."""

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        def ask(x: Tensor, sigma: Any, channel: str) -> Tensor:
            return model(x, at_sigma(process, _level(x, sigma, start, 0)), 0)

        sample = solver(with_conditions(ask, start), start, torch.tensor(levels, dtype=torch.float64).to(start), draw)
        return Finish(sample, tuple(at_sigma(process, s) for s in levels))

    return run


def solver_of(call: Callable[..., Any], options: dict[str, Any], target: str) -> Solver:
    """The function as (denoise, x, sigmas, draw) -> the sample.  Raises InputError as `function` does."""
    takes_noise = _noise_parameter(target, call, options)

    def solver(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
        given: dict[str, Any] = {takes_noise: noise_from(draw)} if takes_noise else {}
        given |= conditions(call, x)
        with nullcontext() if takes_noise else drawing_from(draw, x):
            sample: Tensor = call(denoise, x, sigmas, **given, **options)
        return sample

    return solver


def noise_from(draw: Draw) -> Callable[..., Tensor]:
    """noise(x) and noise(x, sigma_from, sigma_to), as `function` describes them."""

    def noise(x: Tensor, sigma_from: Any = None, sigma_to: Any = None) -> Tensor:
        if (sigma_from is None) != (sigma_to is None):
            raise SamplingError("noise over half an interval; sigma_from and sigma_to go together")
        return draw(x, None if sigma_from is None else (float(sigma_from), float(sigma_to)))

    return noise


def _noise_parameter(target: str, function: Callable[..., Any], options: dict[str, Any]) -> str | None:
    """The name of the parameter that takes the noise, None if there is none.  Raises InputError as `function` does."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise InputError("target", target, "its parameters cannot be read; a function of Python") from None
    positional = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    others = [
        p for p in parameters.values() if p not in positional[:3] and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    two = parameters_of([p.name for p in others if p.kind is not p.POSITIONAL_ONLY]) or ()
    others = [p for p in others if p.name not in two]
    by_name = [p for p in others if p.kind is not p.POSITIONAL_ONLY]
    free = [p for p in positional[3:] if p.name not in two]
    fourth = [p.name for p in free[:1] if p in by_name and p.default is p.empty]
    noise = "noise" if any(p.name == "noise" for p in by_name) else next(iter(fourth), None)
    allowed = {p.name: p.default for p in by_name if p.name != noise}
    missing = [p.name for p in others if p.default is p.empty and p.name not in (noise, *options)]
    if len(positional) < 3 or missing:
        takes = ", ".join(parameters) or "nothing"
        raise InputError("target", target, f"takes {takes}; called with (denoise, x, sigmas, noise), options by name")
    check_options(target, options, allowed)
    return noise


def check_options(target: str, options: dict[str, Any], allowed: dict[str, Any]) -> None:
    """Raises InputError on an option that is not among the allowed ones, or is text where its default is a number."""
    for key, value in options.items():
        if key not in allowed:
            takes = f"takes {', '.join(allowed)}" if allowed else "takes no options"
            raise InputError("target", target, f"no option {key}; {takes}")
        if isinstance(allowed[key], int | float) and not isinstance(value, int | float):
            raise InputError("target", target, f"{key} is a number such as {allowed[key]}")
