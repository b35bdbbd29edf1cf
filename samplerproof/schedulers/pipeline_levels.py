"""The levels of a pipeline's own scheduler, and the timesteps by which its model knows them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..names.input_error import InputError, finite_number, whole
from ..numerics.conformance.adapters import diffusers_timesteps as clocks
from ..numerics.conformance.adapters.diffusers import PREDICTIONS, scheduler_base
from ..numerics.conformance.adapters.diffusers_classes import CLASSES, SchedulerSpec, along_sigmas, unchanged
from ..numerics.conformance.adapters.diffusers_timesteps import TimestepMap
from ..numerics.conformance.forward_processes import at_ratio, goes_backward, grid_of, on_process, point
from ..numerics.conformance.placement import SCHEDULES
from ..numerics.grid_kinds.all_kinds import KINDS, parse
from ..numerics.grids import Grid, grid
from ..numerics.points import Point
from ..numerics.schedules import schedule

ABOVE = 1.01  # of the noisiest trained level: published lists of sigmas are rounded


@dataclass(frozen=True)
class PipelineLevels:
    """The points of a run, and a timestep for every point of its process; it can be pickled.

    process: "vp", "ve" or "flow".  own: the timesteps of the grid points, as the pipeline's own scheduler has them.
    count: of the levels that the model was trained on.  lams, times: their lambda, rising, and their timesteps.
    """

    process: str
    points: tuple[Point, ...]
    own: Mapping[Point, float]
    count: float
    lams: np.ndarray
    times: np.ndarray

    @property
    def grid(self) -> Grid:
        """The points as a grid.  Raises InputError unless they go from noise to data."""
        return grid_of(self.process, self.points)

    def timestep(self, at: Point) -> float:
        """The timestep of a point: its own, else linear in lambda between the trained levels."""
        if at in self.own:
            return self.own[at]
        if self.process == "flow":
            return at.sigma * self.count
        return float(np.interp(at.lam, self.lams, self.times))

    def point(self, timestep: float) -> Point:
        """The point of a timestep."""
        for at, own in self.own.items():
            if own == timestep:
                return at
        if self.process == "flow":
            return point("flow", 1 - timestep / self.count, timestep / self.count)
        return at_ratio(self.process, math.exp(-float(np.interp(timestep, self.times[::-1], self.lams[::-1]))))


def class_of(config: Mapping[str, Any]) -> str:
    """The class of diffusers that a configuration is of: by its name, else the one whose parameters come first.

    Without a name it is of a scheduler made in Python: its own parameters come before those that from_config kept of
    another class.  Raises InputError where no class whose levels are known has them, or several with other levels.
    """
    import diffusers

    if "_class_name" in config:
        return str(config["_class_name"])
    keys, found = [key for key in config if not key.startswith("_")], dict[str, int]()
    for name in CLASSES:
        if (cls := getattr(diffusers, name, None)) and (own := parameters_of(cls)) == set(keys[: len(own)]):
            found[name] = len(own)
    first = [name for name in found if found[name] == max(found.values())]
    if len({CLASSES[name].layout for name in first}) == 1:
        return first[0]
    if first:
        raise InputError("config", "no _class_name", f"levels_of=CLASS, one of {', '.join(first)}")
    raise InputError("config", "no _class_name", "levels_of=CLASS, the scheduler whose levels are taken")


def spec_of(own: Any) -> SchedulerSpec:
    """How a scheduler of diffusers is laid out."""
    return CLASSES[str(scheduler_base(type(own)))]


def own_class(name: str) -> Any:
    """The class of diffusers of that name.

    Raises InputError on one whose levels are not those of a diffusion that a table can be computed for.
    """
    import diffusers

    cls = getattr(diffusers, str(name), None)
    base = scheduler_base(cls) if isinstance(cls, type) else None
    spec = CLASSES.get(base or "")
    if cls is None or spec is None or spec.output not in (unchanged, along_sigmas) or spec.timestep_map is None:
        allowed = "a scheduler of diffusers whose model is asked at the noised sample, such as EulerDiscreteScheduler"
        raise InputError("levels_of", name, allowed)
    return cls


def own_scheduler(name: str, config: Mapping[str, Any]) -> Any:
    """The scheduler of diffusers of that name with that configuration.

    Raises InputError as own_class, on an unknown prediction and on inverted sigmas.
    """
    cls = own_class(name)
    settings = {key: value for key, value in config.items() if key in parameters_of(cls)}
    if settings.get("invert_sigmas"):
        raise InputError("invert_sigmas", True, "false: the sigmas of a pipeline fall")
    if (prediction := settings.get("prediction_type", "epsilon")) not in PREDICTIONS:
        raise InputError("prediction_type", prediction, f"one of {', '.join(PREDICTIONS)}")
    return cls(**settings)


def parameters_of(cls: type) -> set[str]:
    """The settings of a class of diffusers."""
    return set(inspect.signature(cls).parameters) - {"kwargs"}


def trained_levels(own: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lambda of the levels that the model was trained on, rising, and their timesteps."""
    clock, count = _clock(own), int(own.config.num_train_timesteps)
    times = np.arange(count, dtype=np.float64)[::-1].copy()
    config = own.config
    if config.get("timestep_type") == "continuous" and config.prediction_type == "v_prediction":  # log(sigma)/4
        high = config.get("sigma_max") or math.exp(-clock.noisiest)
        times = np.log([high, config.get("sigma_min") or math.exp(-clock.cleanest)]) / 4
    elif spec_of(own).timestep_map is clocks.angle:
        times = (times + 0.5) / count
    return np.array([clock.lam(t) for t in times]), times


def _clock(own: Any) -> TimestepMap:
    made = spec_of(own).timestep_map
    assert made is not None  # own_scheduler refuses the others
    return made(own)


def pipeline_levels(
    own: Any,
    steps: int | None,
    kind: str | None,
    timesteps: Sequence[float] | None = None,
    sigmas: Sequence[float] | None = None,
    mu: float | None = None,
) -> PipelineLevels:
    """The levels of a run: those of its own scheduler, or of a kind of grid between their ends.

    timesteps, sigmas: of one's own, passed to the own scheduler where it takes them, else looked up, with a last step
    to sigma = 0.  Some pipelines of flows always pass sigmas, so that a kind of grid goes before them.
    Raises InputError on levels that do not fall, or that are not of the process that the model was trained on.
    """
    taken = inspect.signature(own.set_timesteps).parameters
    spec = spec_of(own)
    clock, process = _clock(own), spec.process_for(dict(own.config))
    lams, trained = trained_levels(own)
    flow, count = process == "flow", float(own.config.num_train_timesteps)
    times_between = (0.0, count) if flow else (float(trained.min()), float(trained.max()))
    sigmas_between = (0.0, 1.0 if flow else ABOVE * math.exp(-float(lams[0])))
    given = {
        name: _levels(name, values, *between)
        for name, values, between in (("timesteps", timesteps, times_between), ("sigmas", sigmas, sigmas_between))
        if values is not None
    }
    if len(given) == 2 and not (flow and given.keys() <= taken.keys()):
        raise InputError("sigmas", sigmas, "left out beside timesteps")
    if mu is not None and "mu" not in taken:
        raise InputError("mu", mu, f"left out, as {type(own).__name__} has no shift by the size of an image")
    options = {"mu": mu} if mu is not None else {}
    known = given.keys() <= taken.keys()
    if given and known:
        own.set_timesteps(**given, **options)
    else:
        own.set_timesteps(len(next(iter(given.values()))) if given else _whole(steps), **options)
    own.__dict__.update(_begin_index=None)
    layout = spec.layout(own, own.num_inference_steps)
    found, times = list(layout.grid), {}
    if goes_backward(found):
        raise InputError("levels_of", type(own).__name__, "a scheduler from noise to data")
    for (at, _), timestep in zip(layout.evaluations, layout.calls, strict=True):
        times.setdefault(at, float(timestep))
    if not known:
        ((name, levels),) = given.items()
        ratios = levels if name == "sigmas" else [math.exp(-clock.lam(t)) for t in levels]
        as_flow = flow and name == "sigmas"
        found = [point("flow", 1 - s, s) if as_flow else at_ratio(process, s) for s in ratios]
        found += [] if found[-1].sigma == 0 else [at_ratio(process, 0.0)]
        times = dict(zip(found, levels, strict=False)) if name == "timesteps" else {}
    if kind is not None:
        found, times = _of_kind(kind, process, found, count), {}
    if found[-1].lam <= found[-2].lam:  # a last step of length zero, as some configurations have it
        found[-1] = at_ratio(process, 0.0)
    return PipelineLevels(process, tuple(found), times, count, lams, trained)


def _of_kind(kind: str, process: str, own: Sequence[Point], count: float) -> list[Point]:
    """The points of a kind of grid between the ends of the own levels, in as many steps.

    Where the noisiest has no signal, a kind that is placed by sigma / alpha begins one trained level after it.
    """
    inner = own if own[-1].sigma > 0 else own[:-1]
    high = _ratio(own[0])
    ends = {"sigma_max": high if math.isfinite(high) else count - 1, "sigma_min": _ratio(inner[-1])}
    on = schedule(SCHEDULES[process])
    for name, ratio in (("t_max", ends["sigma_max"]), ("t_min", ends["sigma_min"])):
        ends[name] = float(on.time(torch.tensor(-math.log(ratio), dtype=torch.float64)))
    name, parameters = parse(kind, ends)
    if len(inner) < len(own) and {"sigma_min", "t_min"} & set(KINDS[name].required):  # else the kind has a last level
        parameters.setdefault("zero", 1)
    return list(on_process(grid(on, name, len(own) - 1, **parameters), process))


def _levels(name: str, values: Sequence[float], low: float, high: float) -> list[float]:
    """Levels of one's own: from `high` or below, falling, to `low` or above."""
    try:
        found = [finite_number(f"{name}[{n}]", value) for n, value in enumerate(values)]
    except TypeError:
        raise InputError(name, values, "a list of numbers") from None
    if not found:
        raise InputError(name, found, "at least one level")
    for n, level in enumerate(found):
        if not low <= level <= high or (n and level >= found[n - 1]):
            allowed = f"a level in [{low:.6g}, {high:.6g}], where the model was trained, below the one before"
            raise InputError(f"{name}[{n}]", level, allowed)
    return found


def _whole(steps: int | None) -> int:
    if steps is None or (count := whole("num_inference_steps", steps)) < 1:
        raise InputError("num_inference_steps", steps, "a whole number, at least 1, or timesteps or sigmas")
    return count


def _ratio(at: Point) -> float:
    return at.sigma / at.alpha if at.alpha else math.inf
