"""Samplers with guidance inside: one condition a call, both in one batch, CFG++, and the same with faults."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Denoise = Callable[..., Tensor]


def ddim_cfg(
    denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Any, uncond: Any, w: float = 7.5, off: float = 1.0
) -> Tensor:
    """DDIM on the guided output, two calls a state; in step 4 the output with the condition counts `off` times."""
    for n, (s, t) in enumerate(pairwise(sigmas)):
        c, u = denoise(x, s, cond), denoise(x, s, cond=uncond)
        d = u + w * (c - u)
        x = d + t / s * (x - d) + (off - 1.0 if n == 3 else 0.0) * (c - u)
    return x


def two_m_batch(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Any, uncond: Any, w: float = 7.5) -> Tensor:
    """DPM-Solver++(2M) on the guided output, both conditions in one batch."""
    lam, old = -sigmas.log(), None
    for n in range(len(sigmas) - 1):
        h = lam[n + 1] - lam[n]
        level = sigmas[n] * x.new_ones(2 * len(x))
        u, c = denoise(torch.cat([x, x]), level, torch.cat([uncond, cond])).chunk(2)
        d = u + w * (c - u)
        e = d if old is None else d + h / (lam[n] - lam[n - 1]) * (d - old) / 2
        x, old = sigmas[n + 1] / sigmas[n] * x - torch.expm1(-h) * e, d
    return x


def cfg_pp(
    denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Any, uncond: Any, lam: float = 0.6, off: float = 1.0
) -> Tensor:
    """CFG++ of DDIM: the data of the guided output, the noise of the unconditional one; `off` as in ddim_cfg."""
    for n, (s, t) in enumerate(pairwise(sigmas)):
        c, u = denoise(x, s, cond), denoise(x, s, uncond)
        x = u + lam * (c - u) + t / s * (x - u) + (off - 1.0 if n == 3 else 0.0) * (c - u)
    return x


def cfg_pp_midpoint(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Any, uncond: Any, lam: float = 0.6) -> Tensor:
    """CFG++ of DPM-Solver-2: a step starts from the moved state, and its stage has the guided output."""
    for s, t in pairwise(sigmas):
        c, u = denoise(x, s, cond), denoise(x, s, uncond)
        moved, m = x + lam * (c - u), (s * t).sqrt()
        y = moved + (m - s) * (x - u) / s
        c, u = denoise(y, m, cond), denoise(y, m, uncond)
        x = moved + (t - s) * (y - u - lam * (c - u)) / m
    return x


def exchanged(denoise: Denoise, x: Tensor, sigmas: Tensor, positive: Any, negative: Any, pp: bool = False) -> Tensor:
    """The same with the conditions exchanged."""
    return (cfg_pp if pp else ddim_cfg)(denoise, x, sigmas, negative, positive)


def in_an_interval(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Any, uncond: Any, w: float = 4.0) -> Tensor:
    """DDIM with guidance between two levels only, and the condition alone beyond them."""
    for s, t in pairwise(sigmas):
        d = denoise(x, s, cond)
        if 0.2 < s < 20:
            u = denoise(x, s, uncond)
            d = u + w * (d - u)
        x = d + t / s * (x - d)
    return x


def ramped(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Any, uncond: Any) -> Tensor:
    """DDIM with a weight of its own in every step, which a denoiser as that of k-diffusion takes."""
    for n, (s, t) in enumerate(pairwise(sigmas)):
        d = denoise(x, s, cond=cond, uncond=uncond, cond_scale=1.5 + 3 * n / len(sigmas))
        x = d + t / s * (x - d)
    return x


def halves(denoise: Denoise, x: Tensor, sigmas: Tensor, w: float = 3.0) -> Tensor:
    """DDIM with both conditions in one batch, which are not passed on."""
    for s, t in pairwise(sigmas):
        u, c = denoise(torch.cat([x, x]), s).chunk(2)
        d = u + w * (c - u)
        x = d + t / s * (x - d)
    return x


def two_states(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Two different states in one batch."""
    for s, t in pairwise(sigmas):
        d = denoise(torch.cat([x, 2 * x]), s).chunk(2)[0]
        x = d + t / s * (x - d)
    return x
