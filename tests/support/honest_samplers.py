"""Samplers that are DDIM, written in ways that could be taken for something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from attacks import Denoise, ddim
from torch import Tensor


def buffers(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    x = x.clone()
    for s, t in pairwise(sigmas):
        data = denoise(x, s)
        x.mul_(t / s).add_((1 - t / s) * data)
    return x


def out_of_place_buffer(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    made = torch.empty_like(x)
    for s, t in pairwise(sigmas):
        torch.add(x, (t - s) / s * (x - denoise(x, s)), out=made)
        x = made.clone()
    return x


def views(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    shape, x = x.shape, x.reshape(-1)
    for s, t in pairwise(sigmas):
        x = t / s * x + (1 - t / s) * denoise(x.view(shape), s).reshape(-1)
    return x.view(shape)


def returns_a_view(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    whole = torch.stack([x, ddim(denoise, x, sigmas)])
    return whole[1]


def keeps_all(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Every state in a list."""
    states = [x]
    [states.append(states[-1] + (t - s) * (states[-1] - denoise(states[-1], s)) / s) for s, t in pairwise(sigmas)]
    return states[-1]


def _steps(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Iterator[Tensor]:
    for s, t in pairwise(sigmas):
        x = x + (t - s) * (x - denoise(x, s)) / s
        yield x


def generator(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return list(_steps(denoise, x, sigmas))[-1]


def thread(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    found: list[Tensor] = []
    worker = threading.Thread(target=lambda: found.append(ddim(denoise, x, sigmas)))
    worker.start()
    worker.join()
    return found[0]


def prints(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    print("step by step")
    return ddim(denoise, x, sigmas)


def in_numpy(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    levels, state = sigmas.numpy(), x.numpy().copy()
    for s, t in pairwise(levels):
        data = denoise(torch.from_numpy(state), torch.tensor(s)).numpy()
        state = (state + (t - s) * (state - data) / s).astype(state.dtype)
    return torch.from_numpy(np.ascontiguousarray(state))


def floats(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Levels as Python's numbers."""
    levels = sigmas.tolist()
    for s, t in pairwise(levels):
        x = x + (t - s) / s * (x - denoise(x, s))
    return x


def float64_inside(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    state, levels = x.double(), sigmas.double()
    for s, t in pairwise(levels):
        state = state + (t - s) * (state - denoise(state.to(x.dtype), s.to(x.dtype)).double()) / s
    return state.to(x.dtype)


class _Cache:
    """A history that is emptied before every run."""

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []

    def __call__(self, denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
        self.outputs.clear()
        for s, t in pairwise(sigmas):
            self.outputs.append(denoise(x, s))
            x = t / s * x + (1 - t / s) * self.outputs[-1]
        return x


_cache = _Cache()


def caches(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return _cache(denoise, x, sigmas)


def no_grad(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    with torch.no_grad():
        return ddim(denoise, x, sigmas)


def level_for_every_sample(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """As k-diffusion hands them over."""
    return ddim(lambda x, s: denoise(x, s * x.new_ones(x.shape[0])), x, sigmas)


def recursive(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    if len(sigmas) == 1:
        return x
    s, t = sigmas[:2]
    return recursive(denoise, x + (t - s) * (x - denoise(x, s)) / s, sigmas[1:])


def einsum(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    for s, t in pairwise(sigmas):
        weights = torch.stack([t / s, 1 - t / s])
        x = torch.einsum("k,k...->...", weights, torch.stack([x, denoise(x, s)]))
    return x


def sample_by_sample(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """The batch in a list comprehension, the model on all of it."""
    for s, t in pairwise(sigmas):
        data = denoise(x, s)
        x = torch.stack([t / s * a + (1 - t / s) * b for a, b in zip(x, data, strict=True)])
    return x


def global_seed(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Seeds torch, and draws what it does not use."""
    torch.manual_seed(0)
    torch.randn(3)
    return ddim(denoise, x, sigmas)


def guarded_end(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """In logarithms, with a guard for 0."""
    for s, t in pairwise(sigmas):
        h = (s / t).log() if t > 0 else None
        data = denoise(x, s)
        x = data if h is None else (-h).exp() * x - torch.expm1(-h) * data
    return x


def noise_unused(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Callable[..., Tensor], eta: float = 0.0) -> Tensor:
    """Draws noise, with a strength of 0."""
    for s, t in pairwise(sigmas):
        x = x + (t - s) * (x - denoise(x, s)) / s + eta * noise(x)
    return x


def returns_float64(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """All in float64, but for what its model takes: as the sampler of EDM."""
    state, levels, dtype = x.double(), sigmas.double(), x.dtype

    def wide(y: Tensor, s: Tensor) -> Tensor:
        return denoise(y.to(dtype), s).double()

    return ddim(wide, state, levels)
