"""Timestep Aligner: DDIM whose model is given r_n t_n at step n, with ratios that are fitted step by step."""

from __future__ import annotations

from collections.abc import Callable

from scipy.optimize import minimize_scalar
from torch import Tensor

from ..ddim_step import ddim_step
from ..denoisers import Denoiser
from ..errors import InputError
from ..given_samples import check_samples, shares
from ..grids import Grid
from ..points import Point
from ..targets.flow import exact_flow
from ..targets.mixture import GaussianMixture

Residual = Callable[[int, Tensor, Tensor], Tensor]
BOUNDS = (0.4, 1.2)  # of a ratio
TOLERANCE = 1e-4  # of a ratio


def fit_ratios(
    denoise: Denoiser,
    grid: Grid,
    start: Tensor,
    residual: Residual,
    *,
    weights: Tensor | None = None,
    last: bool = True,
    bounds: tuple[float, float] = BOUNDS,
) -> list[float]:
    """The ratios r_n [N] that minimise E |residual(n, x_n, x_{n+1}(r_n))|^2 one after another, noisiest first.

        x_{n+1}(r) = alpha_{n+1} (x_n - sigma_n eps)/alpha_n + sigma_{n+1} eps,  eps = epshat(x_n, r t_n)

    start: samples at the noisy end, [n, ...]; x_n is made by the steps fitted before.  weights: of the samples [n],
    equal if None.  residual: `to_the_flow` or `released`.  last: whether the last step is fitted; else its ratio is 1.
    bounds: of a ratio; a time beyond the end of the schedule counts as its end.
    Raises InputError on a discrete process, bounds out of order, and samples or weights as `fit_one_parameter` does.
    Xia et al. 2024 (arXiv 2310.09469); the steps and the released residual as in its code, time_tuner.py, where Adam
    with 500 iterations takes the place of the bounded search.
    """
    low, high = bounds
    schedule = grid.required_schedule
    if not 0 < low < 1 < high:
        raise InputError("bounds", bounds, "0 < low < 1 < high")
    check_samples(start)
    share, ratios, x = shares(start, weights), [], start
    for n in range(grid.steps):
        ends = (schedule.t_min / grid.points[n].t, schedule.t_max / grid.points[n].t)
        ratio = 1.0
        if last or n < grid.steps - 1:
            limits = (max(low, ends[0]), min(high, ends[1]))

            def loss(r: float, n: int = n, x: Tensor = x) -> float:
                error = residual(n, x, aligned_step(denoise, grid, n, x, r))
                return float(error.square().flatten(1).sum(dim=1) @ share)

            ratio = _least(loss, *limits)
        ratios.append(ratio)
        x = aligned_step(denoise, grid, n, x, ratio)
    return ratios


def aligned_step(denoise: Denoiser, grid: Grid, n: int, x: Tensor, ratio: float) -> Tensor:
    """Step n of DDIM with the model at the time ratio t_n."""
    at, to = grid.points[n], grid.points[n + 1]
    place = at if ratio == 1 else grid.required_schedule.point(ratio * at.t)
    return ddim_step(x, denoise(x, place, "noise"), at, to)


def to_the_flow(mixture: GaussianMixture, grid: Grid, start: Tensor) -> Residual:
    """The oracle: x_{n+1} minus the exact flow of the start there, in one dimension."""
    first = grid.points[0]
    exact = [exact_flow(mixture, start, first, to)[0] for to in grid.points[1:]]
    return lambda n, _x, new: new - exact[n]


def released(denoise: Denoiser, grid: Grid) -> Residual:
    """The released loss: epshat(x_n, t_n) minus epshat(x_{n+1}, t_{n+1}), the first without a gradient."""
    points: tuple[Point, ...] = grid.points
    return lambda n, x, new: denoise(x, points[n], "noise") - denoise(new, points[n + 1], "noise")


def _least(loss: Callable[[float], float], low: float, high: float) -> float:
    """The ratio with the least loss between bounds, its neighbourhoods of both ends and of 1 compared as well."""
    inner = [
        minimize_scalar(loss, bounds=pair, method="bounded", options={"xatol": TOLERANCE})
        for pair in ((low, min(1.0, high)), (min(1.0, high), high))
        if pair[0] < pair[1]
    ]
    candidates = [low, high, 1.0, *(float(found.x) for found in inner)]
    return min((r for r in candidates if low <= r <= high), key=loss)
