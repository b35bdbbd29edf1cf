"""The levels of a pipeline's own scheduler, and the timesteps by which its model knows them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..names.input_error import InputError
from ..numerics.conformance.adapters.diffusers import scheduler_base
from ..numerics.conformance.adapters.diffusers_classes import CLASSES, SchedulerSpec, unchanged
from ..numerics.conformance.adapters.diffusers_timesteps import TimestepMap
from ..numerics.conformance.forward_processes import at_ratio, grid_of, on_process, point
from ..numerics.conformance.placement import SCHEDULES
from ..numerics.grid_kinds.all_kinds import KINDS, parse
from ..numerics.grids import Grid, grid
from ..numerics.points import Point
from ..numerics.schedules import schedule


@dataclass(frozen=True)
class PipelineLevels:
    """The points of a run, and a timestep for every point of its process.

    process: "vp", "ve" or "flow".  own: the timesteps of the grid points, as the pipeline's own scheduler has them.
    lams, times: lambda of the levels that the model was trained on, rising, and their timesteps.
    """

    process: str
    grid: Grid
    own: Mapping[Point, float]
    lams: np.ndarray
    times: np.ndarray

    def timestep(self, at: Point) -> float:
        """The timestep of a point: its own, else linear in lambda between the trained levels."""
        if at in self.own:
            return self.own[at]
        if self.process == "flow":
            return at.sigma * len(self.times)
        return float(np.interp(at.lam, self.lams, self.times))

    def point(self, timestep: float) -> Point:
        """The point of a timestep."""
        for at, own in self.own.items():
            if own == timestep:
                return at
        if self.process == "flow":
            return point("flow", 1 - timestep / len(self.times), timestep / len(self.times))
        return at_ratio(self.process, math.exp(-float(np.interp(timestep, self.times[::-1], self.lams[::-1]))))


def class_of(config: Mapping[str, Any]) -> str:
    """The class of diffusers that a configuration is of: by its name, else the first with these parameters.

    Raises InputError where no class whose levels are known has them.
    """
    import diffusers

    if "_class_name" in config:
        return str(config["_class_name"])
    keys = {key for key in config if not key.startswith("_")}
    for name in CLASSES:
        if (cls := getattr(diffusers, name, None)) and _parameters(cls) == keys:
            return name
    raise InputError("config", "no _class_name", "levels_of=CLASS, the scheduler whose levels are taken")


def own_scheduler(name: str, config: Mapping[str, Any]) -> tuple[Any, SchedulerSpec]:
    """The scheduler of diffusers of that name with that configuration, and how it is laid out.

    Raises InputError on a class whose levels are not those of a diffusion that a table can be computed for.
    """
    import diffusers

    cls = getattr(diffusers, name, None)
    base = scheduler_base(cls) if isinstance(cls, type) else None
    spec = CLASSES.get(base or "")
    if cls is None or spec is None or spec.output is not unchanged or spec.timestep_map is None:
        allowed = "a scheduler of diffusers whose model is asked at the noised sample, such as EulerDiscreteScheduler"
        raise InputError("levels_of", name, allowed)
    return cls(**{key: value for key, value in config.items() if key in _parameters(cls)}), spec


def _parameters(cls: type) -> set[str]:
    return set(inspect.signature(cls).parameters) - {"kwargs"}


def trained_levels(own: Any, spec: SchedulerSpec) -> tuple[np.ndarray, np.ndarray]:
    """Lambda of the levels that the model was trained on, rising, and their timesteps."""
    clock, count = _clock(own, spec), int(own.config.num_train_timesteps)
    times = np.arange(count, dtype=np.float64)[::-1].copy()
    return np.array([clock.lam(t) for t in times]), times


def _clock(own: Any, spec: SchedulerSpec) -> TimestepMap:
    assert spec.timestep_map is not None  # own_scheduler refuses the others
    return spec.timestep_map(own)


def pipeline_levels(
    own: Any,
    spec: SchedulerSpec,
    steps: int | None,
    kind: str | None,
    timesteps: Sequence[float] | None = None,
    sigmas: Sequence[float] | None = None,
    mu: float | None = None,
) -> PipelineLevels:
    """The levels of a run: those of its own scheduler, or of a kind of grid between their ends.

    timesteps, sigmas: of one's own, passed to the own scheduler where it takes them, else looked up, with a last step
    to sigma = 0.  Some pipelines of flows always pass sigmas, so that a kind of grid goes before them.
    Raises InputError on levels that do not fall.
    """
    custom = "timesteps" if timesteps is not None else "sigmas" if sigmas is not None else None
    given = [float(value) for value in (timesteps if timesteps is not None else sigmas if sigmas is not None else ())]
    taken = inspect.signature(own.set_timesteps).parameters
    options = {"mu": mu} if mu is not None and "mu" in taken else {}
    if custom is None:
        own.set_timesteps(_whole(steps), **options)
    elif custom in taken:
        own.set_timesteps(**{custom: given}, **options)
    else:
        own.set_timesteps(len(given), **options)
    own.__dict__.update(_begin_index=None)
    layout = spec.layout(own, own.num_inference_steps)
    lams, trained = trained_levels(own, spec)
    found, times = list(layout.grid), {}
    for (at, _), timestep in zip(layout.evaluations, layout.calls, strict=True):
        times.setdefault(at, float(timestep))
    if custom is not None and custom not in taken:
        clock = _clock(own, spec)
        ratios = given if custom == "sigmas" else [math.exp(-clock.lam(t)) for t in given]
        flow = layout.process == "flow" and custom == "sigmas"
        found = [point("flow", 1 - s, s) if flow else at_ratio(layout.process, s) for s in ratios]
        found += [] if found[-1].sigma == 0 else [at_ratio(layout.process, 0.0)]
        times = dict(zip(found, given, strict=False)) if custom == "timesteps" else {}
    if kind is not None:
        found, times = _of_kind(kind, layout.process, found, len(trained)), {}
    if found[-1].lam <= found[-2].lam:  # a last step of length zero, as some configurations have it
        found[-1] = at_ratio(layout.process, 0.0)
    return PipelineLevels(layout.process, grid_of(layout.process, found), times, lams, trained)


def _of_kind(kind: str, process: str, own: Sequence[Point], trained: int) -> list[Point]:
    """The points of a kind of grid between the ends of the own levels, in as many steps.

    Where the noisiest has no signal, a kind that is placed by sigma / alpha begins one trained level after it.
    """
    inner = own if own[-1].sigma > 0 else own[:-1]
    high = _ratio(own[0])
    ends = {"sigma_max": high if math.isfinite(high) else trained - 1.0, "sigma_min": _ratio(inner[-1])}
    on = schedule(SCHEDULES[process])
    for name, ratio in (("t_max", ends["sigma_max"]), ("t_min", ends["sigma_min"])):
        ends[name] = float(on.time(torch.tensor(-math.log(ratio), dtype=torch.float64)))
    name, parameters = parse(kind, ends)
    if len(inner) < len(own) and {"sigma_min", "t_min"} & set(KINDS[name].required):  # else the kind has a last level
        parameters.setdefault("zero", 1)
    return list(on_process(grid(on, name, len(own) - 1, **parameters), process))


def _whole(steps: int | None) -> int:
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise InputError("num_inference_steps", steps, "a whole number, at least 1, or timesteps or sigmas")
    return steps


def _ratio(at: Point) -> float:
    return at.sigma / at.alpha if at.alpha else math.inf
