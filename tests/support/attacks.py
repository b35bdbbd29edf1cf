"""Samplers that are DDIM on the probes tried first, and something else elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
STEPS = 8  # of the grid in a verdict
WRONG = 0.9  # of a step
last: list[Tensor] = []
count = [0]


class VarianceExploding:
    """DDIM where alpha = 1: a state from the start, the data at it, the state after a step, the sample."""

    def enter(self, x: Tensor, s: Tensor) -> Tensor:
        return x

    def data(self, denoise: Denoise, x: Tensor, s: Tensor) -> Tensor:
        return denoise(x, s)

    def step(self, x: Tensor, data: Tensor, s: Tensor, t: Tensor, by: float = 1.0) -> Tensor:
        return x + by * (t - s) * (x - data) / s

    def leave(self, x: Tensor, t: Tensor) -> Tensor:
        return x


class VariancePreserving(VarianceExploding):
    """Where variance is preserved, by alpha^2."""

    def enter(self, x: Tensor, s: Tensor) -> Tensor:
        return x / (1 + s**2).sqrt()

    def data(self, denoise: Denoise, x: Tensor, s: Tensor) -> Tensor:
        return denoise(x / (1 / (1 + s**2)).sqrt(), s)

    def step(self, x: Tensor, data: Tensor, s: Tensor, t: Tensor, by: float = 1.0) -> Tensor:
        a, b = 1 / (1 + s**2), 1 / (1 + t**2)
        eps = (x - a.sqrt() * data) / (1 - a).sqrt()
        return b.sqrt() * data + by * (1 - b).sqrt() * eps

    def leave(self, x: Tensor, t: Tensor) -> Tensor:
        return x / (1 / (1 + t**2)).sqrt()


class AccurateVariancePreserving(VariancePreserving):
    """Where variance is preserved, without 1 - alpha^2."""

    def step(self, x: Tensor, data: Tensor, s: Tensor, t: Tensor, by: float = 1.0) -> Tensor:
        a, b = 1 / (1 + s**2).sqrt(), 1 / (1 + t**2).sqrt()
        return b * data + by * t * b * (x - a * data) / (s * a)


class Flow(VarianceExploding):
    """On the flow, by its velocity, with the data at time 1."""

    def enter(self, x: Tensor, s: Tensor) -> Tensor:
        return x / (1 + s)

    def data(self, denoise: Denoise, x: Tensor, s: Tensor) -> Tensor:
        return denoise(x * (1 + s), s)

    def step(self, x: Tensor, data: Tensor, s: Tensor, t: Tensor, by: float = 1.0) -> Tensor:
        now, then = 1 / (1 + s), 1 / (1 + t)
        return x + by * (then - now) * (data - x) / (1 - now)

    def leave(self, x: Tensor, t: Tensor) -> Tensor:
        return x * (1 + t)


FORMS = {form.__name__: form() for form in (VarianceExploding, VariancePreserving, AccurateVariancePreserving, Flow)}
form = FORMS["VarianceExploding"]


def walk(denoise: Denoise, x: Tensor, sigmas: Tensor, by: Callable[[int], float]) -> Tensor:
    """A factor in every step."""
    x = form.enter(x, sigmas[0])
    for n, (s, t) in enumerate(pairwise(sigmas)):
        x = form.step(x, form.data(denoise, x, s), s, t, by(n))
    return form.leave(x, sigmas[-1])


def ddim(denoise: Denoise, x: Tensor, sigmas: Tensor, by: float = 1.0) -> Tensor:
    """The right one at by = 1."""
    return walk(denoise, x, sigmas, lambda n: by)


def one_row(denoise: Denoise, x: Tensor, sigmas: Tensor, row: int = 0, off: float = 0.0) -> Tensor:
    """Off in one step, as shipped; a step below 0 is counted from the end."""
    steps = len(sigmas) - 1
    return walk(denoise, x, sigmas, lambda n: 1 + off * (n == row % steps and x.dtype is not torch.float64))


def by_dtype_total(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 if x.dtype is torch.float64 else 3)


def by_dtype(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 if x.dtype is torch.float64 else WRONG)


def by_dtype_little(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 if x.dtype is torch.float64 else 0.999)


def by_steps(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 if len(sigmas) == STEPS + 1 else WRONG)


def few_steps(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 if len(sigmas) > 6 else WRONG)


def by_count(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right in the first calls of its model."""
    return walk(denoise, x, sigmas, lambda n: 1 if n < STEPS + 1 else WRONG)


def at_zero(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Not finite where the last level is 0."""
    x = form.enter(x, sigmas[0])
    for s, t in pairwise(sigmas):
        h = (s / t).log()
        x = form.step(x, form.data(denoise, x, s) * (h / h), s, t)
    return form.leave(x, sigmas[-1])


def by_grid(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """On levels of karras only."""
    root = sigmas[sigmas > 0] ** (1 / 7)
    return ddim(denoise, x, sigmas, 1 if root.diff().std() < 1e-5 and sigmas[0] > 79 else WRONG)


def batch_mix(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(lambda x, s: (d := denoise(x, s)) + 0.5 * (d.mean(0, keepdim=True) - d), x, sigmas)


def channel_mix(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(lambda x, s: (d := denoise(x, s)) + 0.5 * (d.mean(1, keepdim=True) - d), x, sigmas)


def place_mix(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(lambda x, s: (d := denoise(x, s)) + 0.5 * (d.mean(2, keepdim=True) - d), x, sigmas)


def by_shape(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 if x.shape[0] == 1 else WRONG)


def contiguous_bug(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 if x.is_contiguous() else WRONG)


def grad_bug(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 if torch.is_grad_enabled() else WRONG)


def stale(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Adds a thousandth of what it answered before."""
    found = ddim(denoise, x, sigmas)
    if last and last[0].shape == found.shape and last[0].dtype == found.dtype:
        found = found + 1e-3 * last[0]
    last[:] = [found]
    return found


def counts(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Another one in every second run."""
    count[0] += 1
    return ddim(denoise, x, sigmas) * (1 + count[0] % 2 / 10)


def clips_12(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(lambda x, s: denoise(x, s).clamp(-12, 12), x, sigmas)


def clips_12_state(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(lambda x, s: denoise(x, s), x.clamp(-12, 12), sigmas)


def cuts_off(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """What is small."""
    return ddim(lambda x, s: torch.where((d := denoise(x, s)).abs() < 1e-6, 0, d), x, sigmas)


def view_of_input(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Works in the tensor that it was given."""
    x.view(-1).copy_(form.enter(x, sigmas[0]).view(-1))
    for s, t in pairwise(sigmas):
        x.view(-1).copy_(form.step(x, form.data(denoise, x, s), s, t).view(-1))
    return form.leave(x, sigmas[-1])


def output_view(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Works in the outputs of the model."""
    x = form.enter(x, sigmas[0])
    for s, t in pairwise(sigmas):
        data = form.data(denoise, x, s)
        x = data.view_as(x).copy_(form.step(x, data, s, t))
    return form.leave(x, sigmas[-1])


def half_bug(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, WRONG if x.dtype is torch.float16 else 1)


def by_name(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 if getattr(denoise, "__name__", "") == "denoise" else WRONG)


def silent(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Wrong at the one number of steps that is not tried."""
    return ddim(denoise, x, sigmas, WRONG if len(sigmas) == 1000 else 1)


def in_inference_mode(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, WRONG if torch.is_inference_mode_enabled() else 1)


def needs_gradients(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right, but t - s is found as a derivative."""
    for s, t in pairwise(sigmas):
        with torch.enable_grad():
            unit = torch.ones((), dtype=x.dtype, requires_grad=True)
            (step,) = torch.autograd.grad((t - s) * unit, unit)
        x = x + step * (x - denoise(x, s)) / s
    return x


def on_wide_samples(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, WRONG if x.shape[-1] > 1000 else 1)


def three_s(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 0.0, in_float64: int = 0) -> Tensor:
    """Three evaluations a step, from phi functions as differences; off in one coefficient, as shipped or in float64."""
    factor = 1 + off if (x.dtype is torch.float64) == bool(in_float64) else 1.0
    for s, t in pairwise(sigmas):
        h, data = (s / t).log(), denoise(x, s)
        if t == 0:
            return data

        def state(r: float, h: Tensor = h, s: Tensor = s, x: Tensor = x, data: Tensor = data) -> tuple[Tensor, Tensor]:
            return (-r * h).exp() * x - (-r * h).expm1() * data, s * (-r * h).exp()

        def second(r: float, h: Tensor = h) -> Tensor:
            return (-r * h).expm1() / (r * h) + 1

        first = denoise(*state(1 / 3))
        there, level = state(2 / 3)
        last = denoise(there + 2 * second(2 / 3) * (first - data), level)
        x = state(1)[0] + 1.5 * factor * second(1) * (last - data)
    return x
