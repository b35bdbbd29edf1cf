"""The chain of denoising diffusion GANs: a draw of the data, then of the next state given both."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import InputError, of_type, runnable
from ..grids import Grid
from ..points import Point
from ..targets.mixture import GENERATOR
from .ideal_students import GRID
from .jump import Jump, run_jumps

Guess = Callable[[Tensor, Point], Tensor]  # of the data, given a state and its point


def posterior_jump(guess: Guess, generator: torch.Generator) -> Jump:
    """The jump x' = c1 x0 + c2 x + sigma' sqrt(1 - r^2) z with x0 = guess(x, point), of denoising diffusion GANs.

    c1 = alpha' (1 - r^2), c2 = r^2 alpha'/alpha, r = sigma' alpha/(sigma alpha'): q(x' | x0, x) of the forward process.
    An adversarial student is such a guess, with a latent of its own; with the data prediction as the guess the jump is
    DDPM's. `through(posterior_jump(guess, generator), points)` jumps between the levels that it was trained on alone.
    Raises InputError for what is no guess and no generator, and, when it is called, where a guess has another shape.
    Xiao et al. 2022 (arXiv 2112.07804), eq. 5.
    """
    runnable("guess", guess, "a function (x, at) that returns a guess of the data")
    of_type("generator", generator, torch.Generator, GENERATOR)

    def jump(x: Tensor, start: Point, end: Point) -> Tensor:
        data = guess(x, start)
        if data.shape != x.shape:
            raise InputError("guess", list(data.shape), f"the shape {list(x.shape)} of the states")
        return bridge(data, x, start, end, generator)

    return jump


def posterior_chain(guess: Guess, start: Tensor, grid: Grid, generator: torch.Generator) -> Tensor:
    """A run of `posterior_jump` over a grid.

    Where the guess is a draw of the posterior the law is exact in any number of steps; where it is the mean E[x0 | x]
    the chain is DDPM (claim posterior-chain).  Raises InputError as `posterior_jump`, and for what is no grid.
    """
    jump = posterior_jump(guess, generator)
    of_type("grid", grid, Grid, GRID)
    return run_jumps(jump, start, grid.points)


def bridge(data: Tensor, x: Tensor, here: Point, there: Point, generator: torch.Generator) -> Tensor:
    """A draw of q(x' | x0, x) at the point `there`, given the data x0 and the state x at the noisier point `here`."""
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    squared = (there.sigma * here.alpha / (here.sigma * there.alpha)) ** 2
    kept = squared * there.alpha / here.alpha if here.alpha > 0 else 0.0
    return there.alpha * (1 - squared) * data + kept * x + there.sigma * math.sqrt(1 - squared) * noise
