"""Schedulers of diffusers as samplers that are known only by running them."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError, nearest
from ...points import Point
from ...readback import Draw, Finish, Model, Stranger
from ..process.option_sweep import varied
from .diffusers_classes import CLASSES, NO_TABLE, Entry, as_it_is
from .diffusers_timesteps import tell
from .float64 import widened
from .target import NoTable, Target, loaded, typed

INSTALL = "pip install 'samplerproof[peers]'"
PREDICTIONS = {"epsilon": "noise", "sample": "data", "v_prediction": "v", "flow_prediction": "velocity"}
STEP_OPTIONS = ("eta", "order", "s_churn", "s_noise", "s_tmin", "s_tmax")  # of `step`; the others are its inputs


def scheduler(name: str, options: dict[str, Any]) -> Target:
    """The target `diffusers:Class?option=value&…`: options of the constructor, and of `step` what STEP_OPTIONS names.

    The model answers what `prediction_type` says; unless it is given, what the formula of the class is in.
    Raises InputError on unknown classes and options, NoTable on classes that are not linear samplers of a diffusion.
    """
    loaded("diffusers.schedulers", INSTALL)
    if name in NO_TABLE:  # some of them the library itself no longer shows
        raise NoTable("target", f"diffusers:{name}", f"not a linear sampler of a diffusion: {NO_TABLE[name]}")
    return of_class(_class(name), options)


def of_class(cls: type, options: dict[str, Any], library: str = "diffusers") -> Target:
    """The same for a class at hand, one of diffusers' or made from one.  Raises InputError and NoTable likewise.

    library: what stands before the colon of its name; a module that it can be imported from.
    """
    name = cls.__name__
    target = f"{library}:{name}"
    base = next((c.__name__ for c in cls.__mro__ if c.__name__ in CLASSES or c.__name__ in NO_TABLE), None)
    if base is None:
        allowed = "a function (denoise, x, sigmas, noise), or a class made from a scheduler of diffusers"
        raise InputError("target", target, f"{allowed}: how this class is stepped is not known; wrap it in a function")
    if base in NO_TABLE:
        raise NoTable("target", target, f"not a linear sampler of a diffusion: {NO_TABLE[base]}")
    entry = CLASSES[base]
    settings, arguments = _sorted(cls, options)
    known = inspect.signature(cls).parameters
    natural = {"noise": "epsilon", "data": "sample"}.get(entry.natural(settings))
    if "prediction_type" in known and natural and entry.answer is as_it_is:
        settings.setdefault("prediction_type", natural)
    configuration = dict(cls(**settings).config)
    prediction = entry.formula
    if entry.answer is as_it_is:
        prediction = PREDICTIONS.get(configuration.get("prediction_type", ""), entry.formula)
    chosen = {**configuration, **arguments}
    reference, promises = entry.claim(chosen)
    return Target(
        name=typed(library, name, options),
        process=entry.process(chosen),
        on=lambda steps: Stranger(target, prediction, partial(_run, cls, base, settings, arguments, entry, steps)),
        reference=reference,
        promises=promises,
        nonlinear=tuple(f"{key}=true" for key in entry.clips if configuration.get(key)),
        variants=varied(library, name, _defaults(cls), options),
        wide=lambda: widened(*_namespaces(cls, base)),
    )


def levels_of(name: str, options: dict[str, Any], steps: int) -> tuple[Point, ...]:
    """The points between which a class of diffusers steps, as it makes them.  Raises InputError as scheduler does."""
    scheduler(name, options)  # refuses what has no table
    cls = _class(name)
    entry = CLASSES[next(c.__name__ for c in cls.__mro__ if c.__name__ in CLASSES)]
    settings, _ = _sorted(cls, options)
    made = cls(**settings)
    entry.prepare(made, steps)
    return entry.layout(made, steps).grid


def _run(
    cls: type,
    base: str,
    settings: dict[str, Any],
    arguments: dict[str, Any],
    entry: Entry,
    steps: int,
    start: Tensor,
    model: Model,
    draw: Draw,
) -> Finish:
    made = cls(**settings)
    entry.prepare(made, steps)
    layout = entry.layout(made, steps)
    with _noise_from(_namespaces(cls, base), draw):
        x = start
        for i, (timestep, (at, to)) in enumerate(zip(layout.calls, layout.evaluations, strict=True)):
            if hasattr(made, "scale_model_input"):
                made.scale_model_input(x, timestep)  # some classes set themselves up in it
            answer = entry.answer(made, x, model(x, at, to), i)
            x = entry.step(made, answer, timestep, x, arguments, layout, i)
    told = tell(entry.clock(made), layout.calls) if entry.clock else None
    return Finish(x, layout.grid, entry.numbers(made, layout), told)


@contextlib.contextmanager
def _noise_from(namespaces: list[dict[str, Any]], draw: Draw) -> Iterator[None]:
    """Let the scheduler draw from here: by its code's randn_tensor, or by the Brownian path that it holds."""

    def fresh(shape: Any, generator: Any = None, device: Any = None, dtype: Any = None, **_: Any) -> Tensor:
        return draw(torch.empty(tuple(shape), dtype=dtype or torch.get_default_dtype()))

    class Path:
        """Stands for the path over sigma: its increment over a step, normalised."""

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
    """The class of diffusers, imported alone where the library's lazy loading would leave out a reason."""
    schedulers = loaded("diffusers.schedulers", INSTALL)
    found = getattr(schedulers, name, None)
    if not inspect.isclass(found):
        known = [*CLASSES, *NO_TABLE]
        raise InputError("target", f"diffusers:{name}", f"not a scheduler of diffusers; {nearest(name, known)}")
    # Without an optional requirement the library puts a stand-in in its place.
    backends = getattr(found, "_backends", None)
    if backends:
        needed = ", ".join(b for b in backends if b != "torch")
        raise InputError("target", f"diffusers:{name}", f"it needs {needed}; {INSTALL}")
    return found


def _defaults(cls: Any) -> dict[str, Any]:
    """Of every option of the constructor, and of `step` what STEP_OPTIONS names."""
    own = {key: p.default for key, p in inspect.signature(cls).parameters.items()}
    of_step = inspect.signature(cls.step).parameters.items()
    return {key: p.default for key, p in of_step if key in STEP_OPTIONS} | own


def _namespaces(cls: type, base: str) -> list[dict[str, Any]]:
    """The globals of a class's code, and of what it is made from down to one of diffusers'."""
    names = [c.__name__ for c in cls.__mro__]
    functions = [f for c in cls.__mro__[: names.index(base) + 1] for f in vars(c).values() if inspect.isfunction(f)]
    found = {id(space): space for f in functions if (space := inspect.unwrap(f).__globals__)}
    return list(found.values())


def _sorted(cls: Any, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the constructor, and of `step`."""
    own = [p for p in inspect.signature(cls.__init__).parameters if p not in ("self", "kwargs")]
    of_step = [p for p in inspect.signature(cls.step).parameters if p in STEP_OPTIONS and p not in own]
    for key, value in options.items():
        if key not in own and key not in of_step:
            raise InputError(f"target option {key}", value, f"{cls.__name__} takes {', '.join([*own, *of_step])}")
    return {k: v for k, v in options.items() if k in own}, {k: v for k, v in options.items() if k in of_step}
