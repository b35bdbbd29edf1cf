"""Samplers of the kinds about which people ask in public, in small code: right ones, broken ones and their repairs."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

Denoise = Callable[..., Tensor]
Noise = Callable[[Tensor], Tensor]


def euler(x: Tensor, data: Tensor, s: Tensor, t: Tensor) -> Tensor:
    return x + (x - data) / s * (t - s)


def euler_pp(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Any, uncond: Any, w: float = 0.6) -> Tensor:
    """CFG++ of Euler: the noise of the unconditional output."""
    for s, t in pairwise(sigmas):
        given, free = denoise(x, s, cond), denoise(x, s, uncond)
        x = free + w * (given - free) + t * (x - free) / s
    return x


def in_an_interval(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Any, uncond: Any, w: float = 4.0) -> Tensor:
    """Guidance where 0.3 < sigma < 5, by one call on both conditions."""
    for s, t in pairwise(sigmas):
        given, free = denoise(torch.cat([x, x]), s, torch.cat([cond, uncond])).chunk(2)
        x = euler(x, free + (w if 0.3 < s < 5 else 1.0) * (given - free), s, t)
    return x


def extrapolated(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Every second output on the line through the two before it."""
    last, slope, at = x, None, 0
    for n, (s, t) in enumerate(pairwise(sigmas)):
        if n % 2 == 0 or slope is None:
            data = denoise(x, s)
            slope = (data - last) / (n - at) if n else None
            last, at = data, n
        else:
            data = last + slope * (n - at)
        x = euler(x, data, s, t)
    return x


def reused(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Every third output is the one before it."""
    data = x
    for n, (s, t) in enumerate(pairwise(sigmas)):
        data = data if n % 3 == 2 else denoise(x, s)
        x = euler(x, data, s, t)
    return x


def reused_by_value(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """An output serves until the state has moved by a third."""
    data, at = None, x
    for s, t in pairwise(sigmas):
        if data is None or (x - at).abs().mean() > at.abs().mean() / 3:
            data, at = denoise(x, s), x
        x = euler(x, data, s, t)
    return x


def two_m(denoise: Denoise, x: Tensor, sigmas: Tensor, inverted: int = 0, mean: int = 0) -> Tensor:
    """DPM-Solver++ 2M, with the ratio of steps inverted, or a step of the mean of both."""
    before = x
    for n, (s, t) in enumerate(pairwise(sigmas)):
        h, data = (s / t).log(), denoise(x, s)
        if t == 0:
            return data
        last = (sigmas[n - 1] / s).log() if n else h
        r = h / last if inverted else last / h
        if mean and n:
            r, h = torch.maximum(last, h) / torch.minimum(last, h), (last + h) / 2
        mixed = (1 + 1 / (2 * r)) * data - before / (2 * r) if n else data
        x, before = t / s * x - torch.expm1(-h) * mixed, data
    return x


def ddim_eta(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 0.5, broken: int = 0) -> Tensor:
    """DDIM with noise by alpha^2; broken: its noise is not subtracted from the direction."""
    squared = 1 / (1 + sigmas**2)
    x = x * squared[0].sqrt()
    for s, (a, b) in zip(sigmas, pairwise(squared), strict=False):
        data = denoise(x / a.sqrt(), s)
        eps = (x - a.sqrt() * data) / (1 - a).sqrt()
        strength = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
        left = (1 - b - (0 if broken else 1) * strength**2).clamp(min=0).sqrt()
        x = b.sqrt() * data + left * eps + strength * noise(x)
    return x / squared[-1].sqrt()


def flow_sde(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, a: float = 0.7) -> Tensor:
    """The step of flow GRPO: Euler-Maruyama on the flow."""
    levels = sigmas / (1 + sigmas)
    x = x / (1 + sigmas[0])
    for rho, (s, t) in zip(sigmas, pairwise(levels), strict=False):
        velocity = (x - denoise(x / (1 - s), rho)) / s
        std, h = (s / (1 - s)).sqrt() * a, t - s
        x = (
            x * (1 + std**2 / (2 * s) * h)
            + velocity * (1 + std**2 * (1 - s) / (2 * s)) * h
            + std * (-h).sqrt() * noise(x)
        )
    return x / (1 - levels[-1])


def ancestral(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, drift: int = 1) -> Tensor:
    """Euler ancestral; without its drift the noise comes on top of a whole step."""
    for s, t in pairwise(sigmas):
        up = t * (s**2 - t**2).sqrt() / s
        x = euler(x, denoise(x, s), s, (t**2 - up**2).sqrt() if drift else t) + noise(x) * up
    return x


def ancestral_flow(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 0.5) -> Tensor:
    """Euler ancestral on the flow, as ComfyUI has it."""
    levels = sigmas / (1 + sigmas)
    x = x / (1 + sigmas[0])
    for rho, (s, t) in zip(sigmas, pairwise(levels), strict=False):
        data, down = denoise(x / (1 - s), rho), t * (1 + (t / s - 1) * eta)
        up = (t**2 - down**2 * (1 - t) ** 2 / (1 - down) ** 2).sqrt()
        x = (1 - t) / (1 - down) * (down / s * x + (1 - down / s) * data) + noise(x) * up
    return x / (1 - levels[-1])


def flow_midpoint(denoise: Denoise, x: Tensor, sigmas: Tensor, at: float = 0.5) -> Tensor:
    levels = sigmas / (1 + sigmas)
    x = x / (1 + sigmas[0])

    def velocity(x: Tensor, s: Tensor) -> Tensor:
        return (x - denoise(x / (1 - s), s / (1 - s))) / s

    for s, t in pairwise(levels):
        m = s + at * (t - s)
        x = x + (t - s) * velocity(x + (m - s) * velocity(x, s), m)
    return x / (1 - levels[-1])


def gradient_estimation(denoise: Denoise, x: Tensor, sigmas: Tensor, gamma: float = 1.5) -> Tensor:
    before = x
    for n, (s, t) in enumerate(pairwise(sigmas)):
        slope = (x - denoise(x, s)) / s
        x, before = x + (gamma * slope + (1 - gamma) * before if n else slope) * (t - s), slope
    return x


def adams(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """Adams-Bashforth 2 in sigma, on uneven steps: iPNDM with variable steps."""
    before = x
    for n, (s, t) in enumerate(pairwise(sigmas)):
        slope, h = (x - denoise(x, s)) / s, t - s
        r = h / (s - sigmas[n - 1]) if n else h
        x, before = x + h * (((2 + r) * slope - off * r * before) / 2 if n else slope), slope
    return x


def pairs_of_levels(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """DDIM whose steps lead one level too far."""
    for n, s in enumerate(sigmas[:-1]):
        data = denoise(x, s)
        x = euler(x, data, s, sigmas[min(n + 2, len(sigmas) - 1)])
    return x


def asked_elsewhere(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """The model is asked at lower levels than those of its states, for more detail."""
    steps = len(sigmas) - 1
    for n, (s, t) in enumerate(pairwise(sigmas)):
        x = euler(x, denoise(x, s * (1 - 0.1 * math.sin(math.pi * n / steps))), s, t)
    return x


def momentum(denoise: Denoise, x: Tensor, sigmas: Tensor, beta: float = 0.2) -> Tensor:
    slope = x
    for n, (s, t) in enumerate(pairwise(sigmas)):
        new = (x - denoise(x, s)) / s
        slope = (1 - beta) * new + beta * slope if n else new
        x = x + slope * (t - s)
    return x


def in_numpy(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """DPM-Solver++ 2M in numpy alone, in float64."""
    levels, state, before = sigmas.double().numpy(), x.double().numpy(), None
    for n, (s, t) in enumerate(pairwise(levels)):
        given = denoise(torch.from_numpy(state).to(x.dtype), sigmas[n])
        if t == 0:
            return given
        data, h = given.double().numpy(), np.log(s / t)
        r = np.log(levels[n - 1] / s) / h if n else 1.0
        mixed = data if before is None else (1 + 1 / (2 * r)) * data - before / (2 * r)
        state, before = t / s * state - np.expm1(-h) * mixed, data
    return torch.from_numpy(state).to(x.dtype)
