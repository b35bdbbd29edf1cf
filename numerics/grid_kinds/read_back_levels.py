"""Levels read back from the code that makes them: a scheduler of diffusers, a function of k-diffusion or ComfyUI."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from ..errors import InputError, one_line
from .all_kinds import PREFIX, checked
from .falling import check_falling
from .grid_kind import FLOW, RATIO, Levels, Values
from .model_levels import PARAMETERS, ModelLevels, model_levels


def read_back(name: str, steps: int) -> Levels:
    """The levels of `scheduler:diffusers:Class?option=value&…`, or of a function `scheduler:k-diffusion:function?…`,
    `scheduler:FILE.py:function?…` or `scheduler:package.module:function?…`, on that many steps.

    Raises InputError on an unknown class, function or option, and where its levels are not a grid of that many steps.
    """
    target = name.removeprefix(PREFIX)
    if ":" not in target:
        forms = ("diffusers:Class", "k-diffusion:get_sigmas_…", "FILE.py:function", "package.module:function")
        raise InputError("grid.kind", name, f"one of {', '.join(PREFIX + form for form in forms)}")
    try:
        return _read(target, name, steps)
    except InputError as fault:
        if fault.field != "target":
            raise
        raise InputError("grid.kind", name, fault.allowed) from None


def _read(target: str, name: str, steps: int) -> Levels:
    from ..conformance.adapters.target import split

    library, inner, options = split(target)
    if library == "diffusers":
        from ..conformance.adapters.diffusers import levels_of

        points = levels_of(inner, options, steps)
        flowing = all(math.isclose(p.alpha, 1 - p.sigma, rel_tol=1e-6, abs_tol=1e-6) for p in points)
        values = [p.sigma if flowing else p.rho for p in points]
        return _checked(Levels(FLOW if flowing else RATIO, values), name, steps)
    if library == "k-diffusion":
        from ..conformance.adapters.k_diffusion import sampling

        function = getattr(sampling(), inner, None)
        if not inner.startswith("get_sigmas") or not callable(function):
            raise InputError("grid.kind", name, "a function get_sigmas_… of k_diffusion.sampling")
        return of_function(function, name, steps, options)
    return of_function(_object(library, inner, name), name, steps, options)


def _object(library: str, inner: str, name: str) -> Callable[..., Any]:
    """The function in a file FILE.py or a module, which is run."""
    from ..conformance.adapters.objects import object_at

    try:
        found = object_at(library, inner)
    except InputError as fault:
        raise InputError("grid.kind", name, fault.allowed) from None
    except (Exception, SystemExit) as fault:  # a module may raise anything
        reason = f"{type(fault).__name__}: {one_line(fault)}"
        raise InputError("grid.kind", name, f"a module that can be imported ({reason})") from fault
    if not callable(found):
        raise InputError(
            "grid.kind", name, f"a function (n, …) or (model_sampling, steps, …), not {type(found).__name__}"
        )
    return cast(Callable[..., Any], found)


class ModelSampling:
    """What a function of ComfyUI asks of a model: its levels, and its clock."""

    def __init__(self, levels: ModelLevels) -> None:
        self._levels = levels
        self.sigmas = torch.tensor(levels.sigmas, dtype=torch.float64)
        self.sigma_min, self.sigma_max = self.sigmas[0], self.sigmas[-1]

    def timestep(self, sigma: Tensor) -> Tensor:
        """The model's clock at a level: that of the nearest one, on the flow sigma itself."""
        if self._levels.unit == FLOW:
            return sigma * len(self.sigmas)
        return (self.sigmas.log() - sigma.log()).abs().argmin()

    def sigma(self, timestep: Tensor) -> Tensor:
        """The level at a time of the model's clock."""
        return torch.tensor(self._levels.at_clock(float(timestep)), dtype=torch.float64)


def of_function(function: Callable[..., Any], name: str, steps: int, options: Mapping[str, Any]) -> Levels:
    """The levels of a function (n, …), as k-diffusion has it, or (model_sampling, steps, …), as ComfyUI has it; the
    second is called with the levels of a model, which the options of model_levels.PARAMETERS choose.

    Raises InputError on a function that raises, and where its levels are not a grid of that number of steps.
    """
    try:
        first = next(iter(inspect.signature(function).parameters), "")
        if first in ("model_sampling", "model"):
            values, rest = _model(options)
            levels = model_levels(values)
            sigmas, unit = function(ModelSampling(levels), steps, **rest), levels.unit
        else:
            sigmas, unit = function(steps, **options), RATIO
        found = [float(s) for s in sigmas]
    except InputError:
        raise
    except Exception as fault:  # the function may raise anything
        reason = f"{type(fault).__name__}: {one_line(fault)}"
        raise InputError("grid.kind", name, f"a function that returns levels ({reason})") from fault
    return _checked(Levels(unit, found), name, steps)


def _model(options: Mapping[str, Any]) -> tuple[Values, dict[str, Any]]:
    """The options that choose the model, and the others."""
    names = {p.name for p in PARAMETERS}
    _, values = checked("simple", {key: value for key, value in options.items() if key in names})
    return values, {key: value for key, value in options.items() if key not in names}


def _checked(levels: Levels, name: str, steps: int) -> Levels:
    """InputError unless there are N + 1 levels that fall."""
    values = levels.values
    if len(values) != steps + 1:
        raise InputError("steps", steps, f"another number: {name} makes {len(values) - 1} steps of it")
    return levels._replace(values=check_falling(name, values, start_infinite=True))
