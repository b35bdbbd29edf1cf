"""The displacement of the end of a flow by a small error of the model: E = integral of J dv dtau, to first order.

J = p_tau(x_tau)/p_end(x_end) is the exact slope of the flow in one dimension. With z = x/alpha, rho = sigma/alpha the
flow is dz = epshat drho, so that an error de of the noise prediction moves the end by alpha_end times the integral of
(dz_end/dz) de drho. On the steps of a grid it is the sum over the step's own weights, that of DDIM.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..denoisers import DENOISER, Denoiser
from ..errors import InputError, of_type, runnable
from ..grids import Grid
from ..metrics import nodes
from ..targets.flow import exact_flow
from ..targets.mixture import GaussianMixture

NODES = 2001


@dataclass(frozen=True)
class Displacement:
    """x: nodes of the start law [n, 1]; end: of the exact flow; moved: E there, [n, 1] each.

    trajectory: rms of E over the start law; tv: half the total variation of E p_end.
    """

    x: Tensor
    end: Tensor
    moved: Tensor
    trajectory: float
    tv: float


def displacement(mixture: GaussianMixture, denoise: Denoiser, grid: Grid, points: int = NODES) -> Displacement:
    """How far a model that is not quite the mixture's displaces the end, E = sum_n J (alpha_end drho_n) de_n.

    de_n = eps_model - eps_mixture at the exact flow and the point n, on the steps of DDIM; J = dz_end/dz there, from
    the exact slopes of the flow.  mixture: in one dimension.  denoise: the other model.  points: nodes.
    This is the error of the model, the same for every solver; the error of the solver comes beside it.
    Raises InputError for a mixture in d > 1, fewer than 3 points, and a grid from alpha = 0.

    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 20, t_min=1e-3, t_max=1.0)
    >>> sp.techniques.displacement(mixture, mixture, grid).trajectory
    0.0
    """
    of_type("mixture", mixture, GaussianMixture, "a GaussianMixture")
    of_type("grid", grid, Grid, "a grid, as sp.grid or sp.Grid.from_sigmas makes it")
    runnable("denoise", denoise, DENOISER)
    first, last = grid.points[0], grid.points[-1]
    if first.alpha == 0:
        raise InputError("grid", "alpha = 0 at its start", "a start where alpha is not 0")
    x = nodes((mixture, first), points)
    end, slope = exact_flow(mixture, x, first, last)
    moved = torch.zeros_like(x)
    here, grown = x, torch.ones_like(x)
    for n, point in enumerate(grid.points[:-1]):
        if n:
            here, grown = exact_flow(mixture, x, first, point)
        error = denoise(here, point, "noise") - mixture(here, point, "noise")
        drho = float(grid.columns.rho[n + 1] - grid.columns.rho[n])
        moved += slope / grown * point.alpha * drho * error
    density = mixture.log_density(x, first).exp()
    at_end = mixture.log_density(end, last).exp()
    square = float(torch.trapezoid(moved[:, 0].square() * density, x[:, 0]))
    variation = torch.nn.functional.pad(moved[:, 0] * at_end, (1, 1)).diff().abs().sum()
    return Displacement(x, end, moved, math.sqrt(square), float(variation) / 2)
