"""Runs of the kept network of digits, with its network changed, from common starts."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor, nn

from ...numerics.checkpoints.checkpoint import Checkpoint
from ...numerics.checkpoints.load import load
from ...numerics.denoisers import Denoiser
from ...numerics.grids import Grid, grid
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.tableau import tabulate
from ...numerics.targets.reference import reference_flow

RTOL = 1e-9


def digits() -> Checkpoint:
    """The kept network."""
    return load("digits")


def lambda_grid(steps: int) -> Grid:
    """The linear variance-preserving schedule, lambda from -2.99 to 3.74 in equal steps."""
    return grid(schedule("vp-linear"), "uniform-lambda", steps, t_min=4e-3, t_max=0.77)


def time_grid(steps: int) -> Grid:
    """The same schedule, t from 1 to 4e-3 in equal steps: lambda from -5.02 to 3.74."""
    return grid(schedule("vp-linear"), "uniform-t", steps, t_min=4e-3, t_max=1.0)


def starts(count: int, seed: int = 0, at: Grid | None = None) -> Tensor:
    """Gaussian samples [count, 1, 8, 8] with the deviation of the noisy end of a grid, by default that of lambda."""
    first, generator = (at or lambda_grid(1)).points[0], torch.Generator().manual_seed(seed)
    deviation = math.hypot(first.alpha * digits().unit, first.sigma)
    return deviation * torch.randn(count, *digits().shape, generator=generator, dtype=torch.float64)


def changed(network: nn.Module, dtype: torch.dtype = torch.float64) -> Denoiser:
    """A denoiser of the kept checkpoint with another network, for one run."""
    return replace(digits(), network=network).denoiser(dtype)


def end(denoise: Denoiser, method: str, at: Grid, x: Tensor) -> Tensor:
    """The sample from x."""
    return sample(denoise, x, tabulate(method, at))


@cache
def flow_end(count: int) -> Tensor:
    """The fine flow of the kept network, of the first starts."""
    ends = lambda_grid(1).points
    return reference_flow(digits().denoiser(), starts(count), ends[0], ends[1:], RTOL)[0]


def distance(y: Tensor, reference: Tensor) -> float:
    """Root mean square over samples and pixels."""
    return math.sqrt(float((y - reference).square().mean()))
