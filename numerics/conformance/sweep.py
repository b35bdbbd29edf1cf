"""Options and numbers of steps on which a scheduler fails: exceptions, and values that are not finite."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..points import Point
from .target import Target

STEPS = range(5, 61)
SHAPE = (2, 3, 8, 8)
# What the libraries document beyond true and false; an option that a class does not have is passed over.
CHOICES: dict[str, tuple[Any, ...]] = {
    "algorithm_type": ("dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"),
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "final_sigmas_type": ("zero", "sigma_min"),
    "interpolation_type": ("linear", "log_linear"),
    "prediction_type": ("epsilon", "sample", "v_prediction"),
    "solver_order": (1, 2, 3),
    "solver_type": ("midpoint", "heun", "bh1", "bh2", "logrho"),
    "timestep_spacing": ("linspace", "leading", "trailing"),
    "timestep_type": ("discrete", "continuous"),
    "variance_type": ("fixed_small", "fixed_small_log", "fixed_large"),
}


@dataclass(frozen=True)
class Trouble:
    """options that were set, the numbers of steps on which it happened, and what: one line."""

    options: tuple[tuple[str, Any], ...]
    steps: tuple[int, ...]
    what: str


def settings(cls: Any, given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """As given, then with every single option changed to each of its other documented values."""
    yield given
    for name, parameter in inspect.signature(cls).parameters.items():
        if name in given:
            continue
        default = parameter.default
        others: tuple[Any, ...] = (not default,) if isinstance(default, bool) else CHOICES.get(name, ())
        for value in others:
            if value != default:
                yield {**given, name: value}


def random_run(target: Target, steps: int) -> str | None:
    """What goes wrong in a run on random inputs, None if nothing does."""
    generator = torch.Generator().manual_seed(steps)

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    def model(x: Tensor, at: Point, to: int) -> Tensor:
        return normal(x)

    def draw(like: Tensor, span: tuple[float, float] | None = None) -> Tensor:
        return normal(like)

    try:
        finish = target.on(steps).run(torch.randn(SHAPE, generator=generator), model, draw)
    except Exception as fault:  # of a stranger: it is the answer
        return f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else 'no message'}"
    return None if bool(finish.sample.isfinite().all()) else "the sample is not finite"
