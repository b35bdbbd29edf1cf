"""Skrample's structured samplers: one step at a time, on a schedule of (timestep, sigma, alpha)."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
from torch import Tensor

from ....errors import InputError
from ....external_run import Draw
from ..callables import Denoise, check_options
from ..external_sampler import ExternalSampler
from ..target import typed
from .found import Library
from .of_solver import ON_VP, external, on_vp, own_on_vp, record

LIBRARY = Library("skrample", "skrample/sampling/structured.py", "skrample (pip install --no-deps skrample)")
FRAMES = {"data": "DataModel", "noise": "NoiseModel", "flow": "FlowModel", "velocity": "VelocityModel"}
FRAME = "derivative_transform"


def skrample(name: str, options: dict[str, Any], path: str | None = None) -> ExternalSampler:
    """The class of that name in skrample.sampling.structured, on a variance-preserving schedule, with data predictions.

    Options go to its constructor; derivative_transform is one of FRAMES.
    Raises InputError: not found, no such class, an unknown option.
    """
    module, target = LIBRARY.module(path), typed("skrample", name, options)
    base = module.StructuredSampler
    classes = {key: cls for key, cls in vars(module).items() if inspect.isclass(cls) and issubclass(cls, base)}
    cls = LIBRARY.member(module, name, [key for key, found in classes.items() if not inspect.isabstract(found)])
    fields: dict[str, Any] = {
        f.name: f.default for f in dataclasses.fields(cls) if isinstance(f.default, int | float | bool)
    }
    if FRAME in {f.name for f in dataclasses.fields(cls)}:
        fields[FRAME] = "data"
    check_options(target, options, fields)
    settings = dict(options)
    if FRAME in settings:
        if settings[FRAME] not in FRAMES:
            raise InputError("target", target, f"{FRAME} is one of {', '.join(FRAMES)}")
        settings[FRAME] = getattr(module.models, FRAMES[settings[FRAME]])()
    of_levels = type("OnLevels", (module.SkrampleSchedule,), {"space": None, "_points": _points})

    def solve(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
        sampler, schedule, steps = cls(**settings), of_levels(), len(sigmas) - 1
        object.__setattr__(schedule, "levels", sigmas.double().numpy())  # its classes are frozen
        previous: list[Any] = []
        for n in range(steps):
            step = module.Step.from_int(n, steps)
            noise = draw(x) if sampler.require_noise else None
            packed = module.SampleInput(sample=x, prediction=denoise(x, sigmas[n]), step=step, noise=noise)
            previous.append(sampler.sample_packed(packed, module.models.DataModel(), schedule, previous=previous))
            x = previous[-1].final
            previous = previous[-max(sampler.require_previous, 1) :]
        return x

    values = {**fields, **options}
    return external(target, on_vp(solve), vars(module), reference=_reference(name, values), own=own_on_vp, others=ON_VP)


def _points(schedule: Any, t: Any) -> Any:
    """Rows (timestep, sigma, alpha) at times t in [0, 1], which is 1 at the noisiest level: the given levels."""
    steps = len(schedule.levels) - 1
    ratio = schedule.levels[np.rint((1 - np.asarray(t)) * steps).astype(int)]
    alpha = 1 / np.sqrt(1 + ratio**2)
    return np.stack([1000 * np.asarray(t), ratio * alpha, alpha], axis=-1)


def _reference(name: str, values: dict[str, Any]) -> str | None:
    """The record that a class and its options name."""
    noisy = values.get("stochasticity", 0)
    if values.get(FRAME, "data") != "data" or noisy not in (0, 1):
        return None
    if name == "Euler" or values.get("order") == 1:
        return "ddpm" if noisy else "ddim"
    order = values.get("order", 0)
    if name == "DPM":
        known = {(2, 0): "dpm-solver++-2m", (2, 1): "sde-dpm-solver++-2m", (3, 0): "dpm-solver++-3m-published"}
        return record(known.get((order, noisy), ""))
    named = {"UniP": f"exp-adams-{order}", "UniPC": f"unipc-{order}-vary"}
    return record(named[name]) if name in named and not noisy else None
