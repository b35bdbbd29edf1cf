"""Run a sampler on many numbers of steps, and report exceptions and values that are not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

import torch
from torch import Tensor

from ...points import Point
from ..adapters.external_sampler import ExternalSampler
from ..report import Setting, Trouble
from .fault_origin import raised
from .global_state import guarded

STEPS = range(1, 61)
SHAPE = (2, 3, 8, 8)


def troubles_of(target: str, resolve: Callable[[str], ExternalSampler], note: Callable[[int], None]) -> Setting:
    """The troubles of a target on random inputs, on all numbers of steps in STEPS; calls note(steps) before each."""
    try:
        sampler = resolve(target)
    except Exception as fault:
        return Setting(target, raised(fault), ())
    found: list[tuple[int, str, str]] = []
    for steps in STEPS:
        note(steps)
        trouble = _random_run(sampler, steps)
        if trouble is not None:
            found.append((steps, *trouble))
    return Setting(target, None, tuple(_grouped(found)))


def _grouped(found: list[tuple[int, str, str]]) -> Iterator[Trouble]:
    """Equal troubles as one."""

    def kind_and_what(trouble: tuple[int, str, str]) -> tuple[str, str]:
        return trouble[1:]

    for (kind, what), group in groupby(sorted(found, key=kind_and_what), kind_and_what):
        yield Trouble(kind, tuple(sorted(steps for steps, _, _ in group)), what)


def _random_run(sampler: ExternalSampler, steps: int) -> tuple[str, str] | None:
    """Run on normal inputs, outputs and noises; kind and line of the trouble, None if there is none."""
    generator = torch.Generator().manual_seed(steps)
    finite: list[bool] = []

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    def model(x: Tensor, at: Point, to: int, channel: str = "") -> Tensor:
        finite.append(bool(x.isfinite().all()))
        return normal(x)

    def draw(like: Tensor, span: tuple[float, float] | None = None) -> Tensor:
        return normal(like)

    try:
        with guarded():
            finish = sampler.on(steps)(torch.randn(SHAPE, generator=generator), model, draw)
    except Exception as fault:  # of the sampler: it is the result
        return "exception", raised(fault)
    if not all(finite):
        return "non-finite", "from a step before the last on"
    return None if bool(finish.sample.isfinite().all()) else ("non-finite", "in the last step")
