"""Samplers of a user's own, as functions, in a file of their own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def two_m(denoise: Any, x: Tensor, sigmas: Tensor, factor: float = 1.0) -> Tensor:
    """DPM-Solver++ 2M; factor: of one step's weight of the earlier output."""
    t, old = -sigmas.log(), None
    for i in range(len(sigmas) - 1):
        data, h = denoise(x, sigmas[i]), t[i + 1] - t[i]
        slope: Any = 0.0
        if old is not None:
            slope = (data - old) / (t[i] - t[i - 1]) * h / 2 * (factor if i == len(sigmas) // 2 else 1.0)
        x = sigmas[i + 1] / sigmas[i] * x - torch.expm1(-h) * (data + slope)
        old = data
    return x


def reversed_two_m(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    """2M with its history reversed: the earlier output in place of the later one in the difference."""
    t, old = -sigmas.log(), None
    for i in range(len(sigmas) - 1):
        data, h = denoise(x, sigmas[i]), t[i + 1] - t[i]
        slope: Any = 0.0 if old is None else (old - data) / (t[i] - t[i - 1]) * h / 2
        x = sigmas[i + 1] / sigmas[i] * x - torch.expm1(-h) * (data + slope)
        old = data
    return x


def clipped(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    """2M of a data prediction that is clipped to [-1, 1]."""
    return two_m(lambda x, sigma: denoise(x, sigma).clamp(-1, 1), x, sigmas)


def of_another_shape(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    return two_m(denoise, x, sigmas)[..., :0]


def not_finite(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    return two_m(denoise, x, sigmas) / 0


class HalfWay:
    """Has step and no more."""

    def step(self, model_output: Tensor, timestep: Any, sample: Tensor) -> Tensor:
        return sample
