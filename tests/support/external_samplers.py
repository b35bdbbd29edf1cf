"""Samplers as they are written elsewhere, each of a kind that is easily confused with another."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[..., Tensor]

library = types.ModuleType("a_library")
exec(
    "import torch\ndef step(x, v, s, t):\n    return (x.to(torch.float32) + (t - s) * v.to(torch.float32)).to(v.dtype)",
    vars(library),
)


def preserving(denoise: Denoise, x: Tensor, sigmas: Tensor, scale: float = 1.0, off: float = 1.0) -> Tensor:
    """DDIM where variance is preserved: scaled in by one expression, out by another one of the same value."""
    product = 1 / (1 + sigmas**2)
    x = scale * x / (1 + sigmas[0] ** 2).sqrt()
    for i, s in enumerate(sigmas[:-1]):
        a, b = product[i], product[i + 1]
        x0 = denoise(x / a.sqrt(), s)
        eps = (x - a.sqrt() * x0) / (1 - a).sqrt()
        x = b.sqrt() * x0 + off * (1 - b).sqrt() * eps
    return x / product[-1].sqrt()


def narrow(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """DDIM by a library that computes in float32 for every input dtype."""
    for s, t in pairwise(sigmas):
        x = library.step(x, off * (x - denoise(x, s)) / s, s, t)
    return x


def guided(denoise: Denoise, x: Tensor, sigmas: Tensor, scale: float = 7.5, off: float = 1.0) -> Tensor:
    """DPM-Solver++(2M) with guidance by two calls at one state."""
    old = last = None
    for s, t in pairwise(sigmas):
        u, c = denoise(x, s), denoise(x, s)
        d, h = u + scale * (c - u), (s / t).log()
        if t == 0:
            return d
        e = d if old is None else d + off * (d - old) * h / last / 2
        x, old, last = t / s * x - torch.expm1(-h) * e, d, h
    return x


def guided_by_one(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """Euler's method that leads to one of two outputs and takes the direction from the other (CFG++)."""
    for s, t in pairwise(sigmas):
        c, u = denoise(x, s), denoise(x, s)
        x = c + off * t / s * (x - u)
    return x


def every_second(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """DDIM that takes the last output again in every second step."""
    d = x
    for i, (s, t) in enumerate(pairwise(sigmas)):
        d = denoise(x, s) if i % 2 == 0 else d
        x = d + off * t / s * (x - d)
    return x


def own_levels(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """DDIM on levels of its own, as many as are given."""
    own = torch.linspace(4.0, -4.0, len(sigmas)).exp().to(x)
    for s, t in pairwise(own):
        d = denoise(x, s)
        x = off * d + t / s * (x - d)
    return x


def flow_heun(denoise: Denoise, x: Tensor, sigmas: Tensor, half: float = 0.5) -> Tensor:
    """Heun's method on the flow, the data at time 1."""
    time = 1 / (1 + sigmas)
    x = x * time[0]

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return (denoise(x / t, (1 - t) / t) - x) / (1 - t)

    for s, t in pairwise(time):
        k = velocity(x, s)
        x = x + (t - s) * ((1 - half) * k + half * velocity(x + (t - s) * k, t))
    return x / time[-1]


def consistency(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, off: float = 1.0) -> Tensor:
    """To the data, then fresh noise."""
    for s, t in pairwise(sigmas):
        x = denoise(x, s) + off * t * noise(x)
    return x


def trajectory(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, gamma: float = 0.3, falling: float = 1.0
) -> Tensor:
    """Past the next level by a share gamma of it, in later steps of a smaller one, then noise up to it."""
    for n, (s, t) in enumerate(pairwise(sigmas)):
        d, low = denoise(x, s), t * (1 - gamma * falling**n)
        x = d + low / s * (x - d) + (t * t - low * low).sqrt() * noise(x)
    return x


def inverse(denoise: Denoise, x: Tensor, sigmas: Tensor, told: int = 0, off: float = 1.0) -> Tensor:
    """DDIM from data to noise.  told: 1 where the model is told the level that is reached."""
    for s, t in pairwise(sigmas.flip(0)):
        d = denoise(x, t if told else s)
        x = off * d + t / s * (x - d)
    return x


def rounded_levels(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """DDIM on levels in bfloat16."""
    for s, t in pairwise(sigmas.to(torch.bfloat16).to(x.dtype)):
        x = x + off * (t - s) * (x - denoise(x, s)) / s
    return x


def own_noise(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """The ancestral sampler that draws from torch: alike, or of a shape, by a generator of its own."""
    generator = torch.Generator().manual_seed(0)
    for n, (s, t) in enumerate(pairwise(sigmas)):
        down = t * t / s
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype) if n % 2 else torch.randn_like(x)
        x = x + (down - s) * (x - denoise(x, s)) / s + off * (t * t - down * down).sqrt() * z
    return x


def unguarded(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """DPM-Solver-2 with the geometric middle by a logarithm, of 0 too."""
    for s, t in pairwise(sigmas):
        middle = s.log().lerp(t.log(), 0.5).exp()
        y = x + (middle - s) * (x - denoise(x, s)) / s
        x = x + (t - s) * (y - denoise(y, middle)) / middle
    return x


def churned(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, churn: float = 0.0, each: float = 0.0) -> Tensor:
    """EDM's sampler, with noise of a share of `churn`, or of `each` of sigma in every step."""
    gamma = each or min(churn / (len(sigmas) - 1), math.sqrt(2) - 1)
    for s, t in pairwise(sigmas):
        up = s * (1 + gamma)
        x = x + (up**2 - s**2).sqrt() * noise(x)
        d = (x - denoise(x, up)) / up
        y = x + (t - up) * d
        x = y if t == 0 else x + (t - up) * (d + (y - denoise(y, t)) / t) / 2
    return x


def never_asks(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return x


def asks_once(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return denoise(x, sigmas[0])


def ignores_outputs(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    for s in sigmas[:-1]:
        denoise(x, s)
    return x


class Solver:
    """Stepped in a way of its own."""
