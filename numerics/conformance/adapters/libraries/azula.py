"""Azula's samplers: objects that go through their own times, each with a schedule of alpha and sigma."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor

from ....external_run import Draw
from ..callables import Denoise, check_options
from ..external_sampler import ExternalSampler
from ..own_draws import drawing_from
from ..target import typed
from .found import Library
from .of_solver import ON_VP, external, on_vp, one_level, own_on_vp, record

LIBRARY = Library("azula", "azula/sample.py", "Azula (pip install --no-deps azula einops)")
OURS = ("denoiser", "start", "stop", "steps", "silent", "dtype", "device", "kwargs")


def azula(name: str, options: dict[str, Any], path: str | None = None) -> ExternalSampler:
    """The class of that name in azula.sample, options to its constructor, on a variance-preserving schedule.

    Its times are sigma / alpha here; its denoiser returns the data prediction.
    Raises InputError: not found, no such class, an unknown option.
    """
    module, target = LIBRARY.module(path), typed("azula", name, options)
    cls = LIBRARY.member(module, name, [key for key in module.__all__ if key != "Sampler"])
    parameters = {**inspect.signature(module.Sampler).parameters, **inspect.signature(cls).parameters}
    defaults = {key: p.default for key, p in parameters.items() if key not in OURS}
    check_options(target, options, defaults)

    of_levels: Any = type(name, (cls,), {"timesteps": None})  # its times are given, where the class computes them

    def solve(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
        sampler = of_levels(_Denoiser(denoise), silent=True, **options)
        sampler.timesteps = sigmas
        with drawing_from(draw, x):
            sample: Tensor = sampler(x)
        return sample

    values = {**defaults, **options}
    return external(
        target,
        on_vp(solve),
        vars(module),
        reference=_reference(name, values),
        order=_order(name, values),
        own=own_on_vp,
        others=ON_VP,
    )


class _Denoiser:
    """What a sampler asks: the schedule, and the mean of the data at a state and time."""

    def __init__(self, denoise: Denoise) -> None:
        self.denoise = denoise

    def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha = 1 / torch.sqrt(1 + t**2)
        return alpha, t * alpha

    def __call__(self, x: Tensor, t: Tensor, **_: Any) -> Any:
        return _Posterior(self.denoise(x, one_level(t)))


class _Posterior:
    def __init__(self, mean: Tensor) -> None:
        self.mean = mean


def _reference(name: str, values: dict[str, Any]) -> str | None:
    """The record that a class and its options name."""
    order = values.get("order")
    known = {
        "DDPMSampler": "ddpm",
        "DDIMSampler": f"ddim-eta?eta={math.sqrt(max(values.get('eta', 0), 0))!r}" if values.get("eta") else "ddim",
        "EulerSampler": "ddim",
        "HeunSampler": "edm-heun",
        "zABSampler": "ddim" if order == 1 else f"deis-rhoab{(order or 2) - 1}",
        "zEABSampler": f"exp-adams-noise-{order}",
        "xEABSampler": f"exp-adams-{order}",
    }
    return record(known[name]) if name in known else None


def _order(name: str, values: dict[str, Any]) -> int | None:
    """The order that its documentation promises."""
    order: int | None = values.get("order")
    return {"EulerSampler": 1, "HeunSampler": 2}.get(name, order)
