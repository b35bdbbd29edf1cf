"""Honest samplers with odd habits: each is DDIM or DPM-Solver++(2M), written as people write them."""

from __future__ import annotations

import functools
import math
import sys
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from attacks import Denoise, ddim
from torch import Tensor


@functools.cache
def _ratio(s: float, t: float) -> float:
    return t / s


def cached_coefficients(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Coefficients by lru_cache, from Python's numbers."""
    for s, t in pairwise(sigmas.tolist()):
        r = _ratio(s, t)
        x = r * x + (1 - r) * denoise(x, s)
    return x


_by_steps: dict[tuple[int, float, float], list[float]] = {}


def cached_by_levels(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """A table kept for every number of steps and both ends, rebuilt where the levels are others."""
    levels = sigmas.double().tolist()
    key = (len(levels), *levels[:1], math.fsum(levels))
    table = _by_steps.setdefault(key, [t / s for s, t in pairwise(levels)])
    for s, r in zip(sigmas, table, strict=False):
        x = r * x + (1 - r) * denoise(x, s)
    return x


def numpy_coefficients(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    levels = np.asarray(sigmas, dtype=np.float64)
    ratios = levels[1:] / levels[:-1]
    for s, r in zip(sigmas, ratios, strict=False):
        x = float(r) * x + float(1 - r) * denoise(x, s)
    return x


def wrapped_often(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Behind decorators, as torch.compile and profilers leave a function."""

    def watched(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(call)
        def inner(*given: object, **named: object) -> Tensor:
            return call(*given, **named)

        return inner

    return watched(watched(functools.partial(ddim)))(denoise, x, sigmas)  # type: ignore[arg-type]


def no_autocast(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return ddim(denoise, x, sigmas)


def in_inference_mode(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    with torch.inference_mode():
        return ddim(denoise, x, sigmas)


def warns(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """A warning in every run, and a line on standard error in float64."""
    warnings.warn("sampling", stacklevel=1)
    if sigmas.dtype is torch.float64:
        print("sampling", file=sys.stderr)
    return ddim(denoise, x, sigmas)


def sends(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """A coroutine by hand, to which the outputs are sent."""

    def steps(x: Tensor) -> Generator[tuple[Tensor, Tensor], Tensor, Tensor]:
        for s, t in pairwise(sigmas):
            data = yield x, s
            x = data + t / s * (x - data)
        return x

    work = steps(x)
    asked = next(work)
    while True:
        try:
            asked = work.send(denoise(*asked))
        except StopIteration as done:
            found: Tensor = done.value
            return found


@dataclass
class Solver:
    """DPM-Solver++(2M) with its history in a deque."""

    history: deque[tuple[Tensor, Tensor]] = field(default_factory=lambda: deque(maxlen=2))

    def step(self, x: Tensor, data: Tensor, s: Tensor, t: Tensor) -> Tensor:
        self.history.append((data, s))
        if t == 0:
            return data
        h = (s / t).log()
        mixed = data
        if len(self.history) == 2:
            (old, before), _ = self.history
            mixed = data + (data - old) * h / (before / s).log() / 2
        return t / s * x - torch.expm1(-h) * mixed


def two_m_by_an_object(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    solver = Solver()
    for s, t in pairwise(sigmas):
        x = solver.step(x, denoise(x, s), s, t)
    return x


def two_m_from_the_end(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """With a list of levels that is reversed and popped, outputs first in, and closures."""
    left, outputs = list(reversed(sigmas.unbind())), []

    def h(a: Tensor, b: Tensor) -> Tensor:
        return (a / b).log()

    at = left.pop()
    before = at
    while left:
        to = left.pop()
        outputs.insert(0, denoise(x, at))
        if to == 0:
            return outputs[0]
        mixed = (
            outputs[0] if len(outputs) == 1 else torch.lerp(outputs[1], outputs[0], 1 + h(at, to) / h(before, at) / 2)
        )
        x = x * (to / at) + (1 - to / at) * mixed
        before, at = at, to
        del outputs[2:]
    return x


def by_alpha_and_sigma(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """In pairs (alpha, sigma) of sigma^2 + alpha^2 = 1, by sine and cosine of an angle."""
    angles = torch.atan(sigmas)
    x = x * torch.cos(angles[0])
    for n in range(len(sigmas) - 1):
        a, b = angles[n], angles[n + 1]
        data = denoise(x / torch.cos(a), sigmas[n])
        noise = (x - torch.cos(a) * data) / torch.sin(a)
        x = torch.cos(b) * data + torch.sin(b) * noise
    return x / torch.cos(angles[-1])


def broadcasts(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Levels of the shape [N, 1, 1, 1, 1]."""
    levels = sigmas.view(-1, *[1] * x.ndim)
    for s, t in pairwise(levels):
        x = x + (t - s) * (x - denoise(x, s.reshape(()))) / s
    return x


def stacks(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """All outputs in one tensor, the sample as one sum at the end of each step."""
    outputs = x.new_zeros(len(sigmas) - 1, *x.shape)
    start = x
    for n in range(len(sigmas) - 1):
        outputs[n] = denoise(x, sigmas[n])
        weights = sigmas[n + 1] * (1 / sigmas[1 : n + 2] - 1 / sigmas[: n + 1])
        x = sigmas[n + 1] / sigmas[0] * start + torch.tensordot(weights, outputs[: n + 1], dims=1)
        if sigmas[n + 1] == 0:
            x = outputs[n]
    return x


def copies_itself(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Writes into slices of a copy, sample by sample, and returns what is not contiguous."""
    x = x.clone().transpose(-1, -2).contiguous().transpose(-1, -2)
    for s, t in pairwise(sigmas):
        data = denoise(x, s)
        for k in range(len(x)):
            x[k] = x[k] + (t - s) * (x[k] - data[k]) / s
    return x


def levels_by_iterator(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """An iterator of pairs, made of Python's numbers for the model and 0-d tensors for the step."""

    def pairs() -> Iterator[tuple[float, Tensor]]:
        for s, t in pairwise(sigmas):
            yield s.item(), t / s

    for s, r in pairs():
        x = torch.add((1 - r) * denoise(x, s), r * x)
    return x


DDIM = (
    cached_coefficients,
    cached_by_levels,
    numpy_coefficients,
    wrapped_often,
    no_autocast,
    in_inference_mode,
    warns,
    sends,
    by_alpha_and_sigma,
    broadcasts,
    stacks,
    copies_itself,
    levels_by_iterator,
)
TWO_M = (two_m_by_an_object, two_m_from_the_end)
