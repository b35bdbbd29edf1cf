"""Schedulers of diffusers as external samplers."""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError, nearest, one_line
from ...external_run import Draw, Finish, Model, Remark, Run
from ...points import Point
from ..forward_processes import goes_backward, grid_of
from ..report import ANEW, STEPS_ANEW, TargetInfo
from .diffusers_batches import batch_remarks
from .diffusers_classes import CLASSES, NO_TABLE, STEPPED, SchedulerSpec, unchanged
from .diffusers_layouts import Layout, begin
from .diffusers_levels import OWN_LEVELS, Given, takes_levels
from .external_sampler import ExternalSampler
from .in_float64 import in_float64
from .option_values import variants
from .process_levels import at_sigma, other_levels
from .target import NoTable, loaded, parted, with_options

INSTALL = "pip install 'samplerproof[peers]'"
PREDICTIONS = {"epsilon": "noise", "sample": "data", "v_prediction": "v", "flow_prediction": "velocity"}
DRAWN = (4, 5, 50)  # numbers of steps for which a step and half a step are whole numbers of a thousand timesteps
STEP_OPTIONS = ("eta", "order", "s_churn", "s_noise", "s_tmin", "s_tmax")  # of `step`; the others are its inputs


def scheduler(name: str, options: dict[str, Any]) -> ExternalSampler:
    """The target `diffusers:Class?option=value&…`: options of the constructor, and those of `step` in STEP_OPTIONS.

    The model returns the prediction of `prediction_type`; unless it is given, the one that the class's formula uses.
    Raises InputError on unknown classes and options, NoTable on classes that are not linear samplers of a diffusion.
    """
    loaded("diffusers.schedulers", INSTALL)
    if name in NO_TABLE:  # the library itself no longer shows some of them
        raise NoTable("target", f"diffusers:{name}", f"not a linear sampler of a diffusion: {NO_TABLE[name]}")
    return of_class(_class(name), options, f"diffusers:{name}")


def scheduler_base(cls: type) -> str | None:
    """The class of diffusers, among those that are known, from which a class is derived; None if there is none."""
    return next((c.__name__ for c in cls.__mro__ if c.__name__ in STEPPED or c.__name__ in NO_TABLE), None)


def of_class(cls: type, options: dict[str, Any], target: str | None = None) -> ExternalSampler:
    """As `scheduler`, for a class object, of diffusers or derived from one.  Raises InputError and NoTable likewise.

    target: its name in messages, by default that of its module.
    """
    base, spec, target = _known(cls, target)
    settings, arguments = _constructor_and_step(cls, options)
    known = inspect.signature(cls).parameters
    natural = {"noise": "epsilon", "data": "sample"}.get(spec.natural(settings))
    if "prediction_type" in known and natural and spec.output is unchanged:
        settings.setdefault("prediction_type", natural)
    library, _, name = parted(target)
    others = variants(library, name, _defaults(cls), options)
    build = partial(cls, **settings)
    ours = all(c.__module__.partition(".")[0] == "diffusers" for c in _down_to(cls, base))
    made = _Scheduled(cls, base, spec, _Copies(build) if ours else build, arguments)
    return made.external(with_options(target, options), others)


class _Copies:
    """Makes copies of one instance for each default dtype: a constructor may take long. A class of a user, which may
    keep something where it is made, is made anew for every run.
    """

    def __init__(self, build: Callable[[], Any]) -> None:
        self.build, self.built = build, dict[torch.dtype, Any]()

    def __call__(self) -> Any:
        dtype = torch.get_default_dtype()
        if dtype not in self.built:
            self.built[dtype] = self.build()
        return copy.deepcopy(self.built[dtype])


def of_instance(scheduled: Any, options: dict[str, Any], target: str | None = None) -> ExternalSampler:
    """As `of_class`, for a scheduler object, which is copied for every run; its options are those of `step`."""
    cls = type(scheduled)
    base, spec, target = _known(cls, target)
    settings, arguments = _constructor_and_step(cls, options)
    for key, value in settings.items():
        raise InputError(f"target option {key}", value, f"{cls.__name__} is made already; set it where it is made")
    made = _Scheduled(cls, base, spec, lambda: copy.deepcopy(scheduled), arguments)
    return made.external(with_options(target, options), ())


def _known(cls: type, target: str | None) -> tuple[str, SchedulerSpec, str]:
    """The class of diffusers from which a class is derived, how it is stepped, and the target's name."""
    own = "diffusers" if cls.__module__.partition(".")[0] == "diffusers" else cls.__module__
    target, base = target or f"{own}:{cls.__name__}", scheduler_base(cls)
    if base is None:
        allowed = "a function (denoise, x, sigmas, noise), or a class derived from a scheduler of diffusers"
        raise InputError("target", target, f"{allowed}: how this class is stepped is not known; wrap it in a function")
    if base in NO_TABLE:
        raise NoTable("target", target, f"not a linear sampler of a diffusion: {NO_TABLE[base]}")
    return base, STEPPED[base], target


@dataclass(frozen=True)
class _Scheduled:
    """A scheduler to be stepped.  make() -> a new one.  arguments: of `step`."""

    cls: type
    base: str
    spec: SchedulerSpec
    make: Callable[[], Any]
    arguments: dict[str, Any]

    def external(self, target: str, others: tuple[str, ...]) -> ExternalSampler:
        """The external sampler of that name, with its variants."""
        spec, configuration = self.spec, dict(self.make().config)
        prediction = spec.formula
        if spec.output is unchanged:
            prediction = PREDICTIONS.get(configuration.get("prediction_type", ""), spec.formula)
        values = {**configuration, **self.arguments}
        reference, order = spec.claim(values)
        info = TargetInfo(
            name=target,
            process=spec.process_for(values),
            reference=reference,
            advertised_order=order,
            nonlinear=tuple(f"{key}=true" for key in spec.nonlinear if configuration.get(key)),
            variants=others,
            grids=(ANEW if takes_levels(self.base) else STEPS_ANEW,),
        )
        ours = self.cls.__module__.partition(".")[0] == "diffusers"
        return ExternalSampler(
            info,
            prediction,
            lambda steps, grid=None: self.on_drawn(info.process, steps) if grid else partial(_run, self, steps, None),
            lambda: in_float64(*_namespaces(self.cls, self.base)),
            lambda grid: partial(_run, self, grid.steps, Given(grid, info.process)),
            kept=f"diffusers {version('diffusers')}" if ours else None,
            note=OWN_LEVELS if takes_levels(self.base) else "",
            from_level=lambda steps, begin: partial(_run, self, steps, begin),
        )

    def on_drawn(self, process: str, steps: int) -> Run:
        """The run on levels that are drawn now; of a class that makes them of a number of steps, on another number."""
        if not takes_levels(self.base):
            return partial(_run, self, DRAWN[steps % len(DRAWN)], None)
        levels = other_levels(process)[ANEW](steps)
        return partial(_run, self, steps, Given(grid_of(process, [at_sigma(process, s) for s in levels]), process))


def levels_of(name: str, options: dict[str, Any], steps: int) -> tuple[Point, ...]:
    """The points between which a class of diffusers steps, as it makes them.

    Raises InputError as scheduler does, and on a number of steps that the class does not take.
    """
    scheduler(name, options)  # refuses what has no table
    cls = _class(name)
    spec = CLASSES[next(c.__name__ for c in cls.__mro__ if c.__name__ in CLASSES)]
    settings, _ = _constructor_and_step(cls, options)
    scheduled = cls(**settings)
    try:
        spec.prepare(scheduled, steps)
        return spec.layout(scheduled, steps).grid
    except InputError:
        raise
    except Exception as fault:  # the class may raise anything, such as on more steps than it has levels
        reason = f"{type(fault).__name__}: {one_line(fault)}"
        raise InputError("steps", steps, f"a number of steps that {name} takes ({reason})") from fault


def _run(made: _Scheduled, steps: int, given: Given | int | None, start: Tensor, model: Model, draw: Draw) -> Finish:
    """given: the levels to step between, or the index of its own at which it begins; None for all of its own."""
    scheduler, spec = made.make(), made.spec
    spec.prepare(scheduler, steps)
    if isinstance(given, Given):
        given.put(scheduler, made.cls.__name__, made.base, spec, steps, start.dtype)
    layout = _from_level(scheduler, spec, steps, given) if isinstance(given, int) else spec.layout(scheduler, steps)
    with _noise_from(_namespaces(made.cls, made.base), draw):
        x = start
        for i, (timestep, (at, to)) in enumerate(zip(layout.calls, layout.evaluations, strict=True)):
            if hasattr(scheduler, "scale_model_input"):
                scheduler.scale_model_input(x, timestep)  # some classes find their first index in it
            output = spec.network(scheduler, x, spec.output(scheduler, x, model(x, at, to), i), i)
            x = spec.step(scheduler, output, timestep, x, made.arguments, layout, i)
    with _noise_from(_namespaces(made.cls, made.base), lambda like, span=None: torch.zeros_like(like)):
        remarks = batch_remarks(scheduler, layout.calls, made.arguments, start)
    timesteps = (
        spec.timestep_map(scheduler)(layout.calls) if spec.timestep_map and not isinstance(given, Given) else None
    )
    taken = len(layout.grid) - 1
    if given is None and steps not in (taken, len(layout.calls)):
        remarks = (*remarks, Remark("grid", f"asked for {steps} steps, it takes {taken}"))
    if goes_backward(layout.grid):
        low, high = (p.sigma / p.alpha for p in (layout.grid[0], layout.grid[-1]))
        way = f"it runs from data to noise, from sigma/alpha = {low:.6g} up to {high:.6g}"
        remarks = (*remarks, Remark("grid", way))
    if timesteps is not None and begin(scheduler):  # at an image, not at the noisiest level
        timesteps = timesteps._replace(noisiest=-math.inf)
    return Finish(x, layout.grid, spec.numbers(scheduler, layout, made.arguments), timesteps, remarks)


def _from_level(scheduler: Any, spec: SchedulerSpec, steps: int, index: int) -> Layout:
    """The layout from a later level on, as pipelines from image to image run: they tell the scheduler where they begin,
    and pass it the timesteps from there on, of which it holds all. A class counts its evaluations.
    """
    whole, first = scheduler.timesteps, index * getattr(scheduler, "order", 1)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    scheduler.timesteps = whole[first:]
    try:
        return spec.layout(scheduler, steps)
    finally:
        scheduler.timesteps = whole


@contextlib.contextmanager
def _noise_from(namespaces: list[dict[str, Any]], draw: Draw) -> Iterator[None]:
    """Context in which the scheduler draws by `draw`: in its randn_tensor, and in its Brownian path."""

    def fresh(shape: Any, generator: Any = None, device: Any = None, dtype: Any = None, **_: Any) -> Tensor:
        return draw(torch.empty(tuple(shape), dtype=dtype or torch.get_default_dtype()))

    class Path:
        """The Brownian path over sigma: its normalised increment over a step."""

        def __init__(self, like: Tensor, *_: Any, **__: Any) -> None:
            self.like = like

        def __call__(self, sigma: Any, to: Any) -> Tensor:
            return draw(self.like, (float(sigma), float(to)))

    replaced = {"randn_tensor": fresh, "BrownianTreeNoiseSampler": Path}
    held = [{name: space[name] for name in replaced if name in space} for space in namespaces]
    try:
        for space, names in zip(namespaces, held, strict=True):
            space.update({name: replaced[name] for name in names})
        yield
    finally:
        for space, names in zip(namespaces, held, strict=True):
            space.update(names)


def _class(name: str) -> type:
    """The class of that name in diffusers."""
    schedulers = loaded("diffusers.schedulers", INSTALL)
    found = getattr(schedulers, name, None)
    if not inspect.isclass(found):
        known = [*CLASSES, *NO_TABLE]
        raise InputError("target", f"diffusers:{name}", f"not a scheduler of diffusers; {nearest(name, known)}")
    # Where an optional requirement is missing, the library puts a placeholder in its place.
    backends = getattr(found, "_backends", None)
    if backends:
        needed = ", ".join(b for b in backends if b != "torch")
        raise InputError("target", f"diffusers:{name}", f"it needs {needed}; {INSTALL}")
    return found


def _defaults(cls: Any) -> dict[str, Any]:
    """Default values of all constructor options and of the `step` options in STEP_OPTIONS."""
    own = {key: p.default for key, p in inspect.signature(cls).parameters.items()}
    of_step = inspect.signature(cls.step).parameters.items()
    return {key: p.default for key, p in of_step if key in STEP_OPTIONS} | own


def _namespaces(cls: type, base: str) -> list[dict[str, Any]]:
    """The globals of the code of a class, and of its bases down to the one of diffusers."""
    functions = [f for c in _down_to(cls, base) for f in vars(c).values() if inspect.isfunction(f)]
    found = {id(space): space for f in functions if (space := inspect.unwrap(f).__globals__)}
    return list(found.values())


def _down_to(cls: type, base: str) -> tuple[type, ...]:
    """A class and its bases down to the one of diffusers."""
    return cls.__mro__[: [c.__name__ for c in cls.__mro__].index(base) + 1]


def _constructor_and_step(cls: Any, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the constructor, and those of `step`."""
    own = [p for p in inspect.signature(cls.__init__).parameters if p not in ("self", "kwargs")]
    of_step = [p for p in inspect.signature(cls.step).parameters if p in STEP_OPTIONS and p not in own]
    for key, value in options.items():
        if key not in own and key not in of_step:
            raise InputError(f"target option {key}", value, f"{cls.__name__} takes {', '.join([*own, *of_step])}")
    return {k: v for k, v in options.items() if k in own}, {k: v for k, v in options.items() if k in of_step}
