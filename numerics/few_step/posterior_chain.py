"""The chain of denoising diffusion GANs: a draw of the data, then of the next state given both."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import InputError
from ..grids import Grid
from ..points import Point

Guess = Callable[[Tensor, Point], Tensor]  # of the data, given a state and its point


def posterior_chain(guess: Guess, start: Tensor, grid: Grid, generator: torch.Generator) -> Tensor:
    """x' = c1 x0 + c2 x + sigma' sqrt(1 - r^2) z at every step, x0 = guess(x, point).

    c1 = alpha' (1 - r^2), c2 = r^2 alpha'/alpha, r = sigma' alpha/(sigma alpha'): q(x' | x0, x) of the forward process.
    Where the guess is a draw of the posterior the law is exact in any number of steps; where it is the mean E[x0 | x]
    the chain is DDPM (claim posterior-chain).  Raises InputError where a guess has another shape.
    """
    x = start
    for here, there in pairwise(grid.points):
        data = guess(x, here)
        if data.shape != x.shape:
            raise InputError("guess", list(data.shape), f"the shape {list(x.shape)} of the states")
        x = bridge(data, x, here, there, generator)
    return x


def bridge(data: Tensor, x: Tensor, here: Point, there: Point, generator: torch.Generator) -> Tensor:
    """A draw of q(x' | x0, x) at the point `there`, given the data x0 and the state x at the noisier point `here`."""
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    squared = (there.sigma * here.alpha / (here.sigma * there.alpha)) ** 2
    kept = squared * there.alpha / here.alpha if here.alpha > 0 else 0.0
    return there.alpha * (1 - squared) * data + kept * x + there.sigma * math.sqrt(1 - squared) * noise
