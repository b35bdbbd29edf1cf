"""DDIM in the variable of the predicted data, with the noise of every step from a finder."""

from __future__ import annotations

import torch
from torch import Tensor

from ..denoisers import DENOISER, Denoiser
from ..errors import of_type, runnable
from ..grids import Grid
from .noise_finders import NoiseFinder


@torch.no_grad()
def distilled(denoise: Denoiser, start: Tensor, grid: Grid, finder: NoiseFinder) -> Tensor:
    """The predicted data at the end: a step is y' = y - rho' (epshat(alpha' y + sigma' kappa) - kappa).

    kappa = finder(y).  start [n, d]: a sample at the noisy end; y_0 is the data predicted there. With the cached noise
    y_n is the data that DDIM predicts at point n, to rounding: x0(t') = x0(t) - rho' (eps' - eps).
    Lukoianov et al. 2024 (arXiv 2405.15891), eqs. 6 and 10.
    """
    runnable("denoise", denoise, DENOISER)
    of_type("grid", grid, Grid, "a grid, as sp.grid makes it")
    runnable("finder", finder, "a noise finder, such as cached_noise")
    first = grid.points[0]
    noise = denoise(start, first, "noise")
    y = (start - first.sigma * noise) / first.alpha
    for n, to in enumerate(grid.points[1:]):
        found = finder(y, n, noise)
        noise = denoise(to.alpha * y + to.sigma * found, to, "noise")
        y = y - to.rho * (noise - found)
    return y
