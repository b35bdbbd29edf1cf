"""Options and numbers of steps on which a sampler fails: exceptions, and values that are not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from ...points import Point
from ..adapters.target import Target, typed
from ..report import Setting, Trouble
from .global_state import guarded

STEPS = range(5, 61)
SHAPE = (2, 3, 8, 8)
# Values that the libraries document beside true and false, for an option whose default is among them.
CHOICES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("algorithm_type", ("dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++")),
    ("algorithm_type", ("data_prediction", "noise_prediction")),
    ("beta_schedule", ("linear", "scaled_linear", "squaredcos_cap_v2")),
    ("corrector_order", (0, 1, 2, 3)),
    ("eta", (0.0, 0.5, 1.0)),
    ("final_sigmas_type", ("zero", "sigma_min")),
    ("interpolation_type", ("linear", "log_linear")),
    ("order", (1, 2, 3, 4)),
    ("prediction_type", ("epsilon", "sample", "v_prediction")),
    ("predictor_order", (1, 2, 3)),
    ("sigma_schedule", ("karras", "exponential")),
    ("solver_order", (1, 2, 3)),
    ("solver_type", ("midpoint", "heun")),
    ("solver_type", ("bh1", "bh2")),
    ("steps_offset", (0, 1)),
    ("timestep_spacing", ("linspace", "leading", "trailing")),
    ("timestep_type", ("discrete", "continuous")),
    ("variance_type", ("fixed_small", "fixed_small_log", "fixed_large")),
)


def varied(library: str, name: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[str, ...]:
    """The target with every single option, of those not given, at each of its other documented values."""
    result = []
    for key, default in defaults.items():
        if key in given:
            continue
        others = [not default] if isinstance(default, bool) else _others(key, default)
        result += [typed(library, name, {**given, key: value}) for value in others]
    return tuple(result)


def _others(key: str, default: Any) -> list[Any]:
    """1 is no 1.0 here: an order has whole numbers."""
    same = type(default)
    values = [v for name, documented in CHOICES if name == key for v in documented if default in documented]
    return [value for value in values if value != default and type(value) is same]


def runs(target: str, resolve: Callable[[str], Target], note: Callable[[int], None]) -> Setting:
    """Run it on random inputs on every number of steps; note is told each before."""
    try:
        made = resolve(target)
    except Exception as fault:
        return Setting(target, _line(fault), ())
    found: list[tuple[int, str, str]] = []
    for steps in STEPS:
        note(steps)
        trouble = _random_run(made, steps)
        if trouble is not None:
            found.append((steps, *trouble))
    return Setting(target, None, tuple(_alike(found)))


def _alike(found: list[tuple[int, str, str]]) -> Iterator[Trouble]:
    def kind_and_what(trouble: tuple[int, str, str]) -> tuple[str, str]:
        return trouble[1:]

    for (kind, what), group in groupby(sorted(found, key=kind_and_what), kind_and_what):
        yield Trouble(kind, tuple(sorted(steps for steps, _, _ in group)), what)


def _random_run(target: Target, steps: int) -> tuple[str, str] | None:
    """What goes wrong with normal inputs, outputs and noises, as kind and line; None if nothing does."""
    generator = torch.Generator().manual_seed(steps)
    asked: list[bool] = []

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    def model(x: Tensor, at: Point, to: int) -> Tensor:
        asked.append(bool(x.isfinite().all()))
        return normal(x)

    def draw(like: Tensor, span: tuple[float, float] | None = None) -> Tensor:
        return normal(like)

    try:
        with guarded():
            finish = target.on(steps).run(torch.randn(SHAPE, generator=generator), model, draw)
    except Exception as fault:  # of a stranger: it is the answer
        return "exception", _line(fault)
    if not all(asked):
        return "non-finite", "from a step before the last on"
    return None if bool(finish.sample.isfinite().all()) else ("non-finite", "in the last step")


def _line(fault: Exception) -> str:
    text = " ".join(str(fault).split())
    return f"{type(fault).__name__}: {text}"[:200] if text else type(fault).__name__
