"""Errors of a run on a mixture in one dimension, from quadrature nodes of the exact start law."""

from __future__ import annotations

import math

from torch import Tensor

from ...numerics.denoisers import Denoiser
from ...numerics.grids import Grid, grid
from ...numerics.metrics import node_weights, nodes
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.tableau import Tableau
from ...numerics.targets.flow import exact_flow
from ...numerics.targets.mixture import GaussianMixture

M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
PLANE = GaussianMixture([0.5, 0.3, 0.2], [[1.5, 0.0], [-1.0, 1.0], [0.0, -1.5]], stds=[0.5, 0.4, 0.6])
POINTS = 1001


def uniform_t(steps: int) -> Grid:
    """The linear variance-preserving schedule, t from 1 to 1e-3 in equal steps."""
    return grid(schedule("vp-linear"), "uniform-t", steps, t_min=1e-3, t_max=1.0)


def uniform_lambda(steps: int) -> Grid:
    """The same schedule, t from 1 to 0.05, in steps equal in lambda."""
    return grid(schedule("vp-linear"), "uniform-lambda", steps, t_min=0.05, t_max=1.0)


def exact_starts(mixture: GaussianMixture, table: Tableau, x: Tensor) -> list[Tensor]:
    """The exact flow of x, at the first point of a table, at the points of all its given vectors."""
    first, *others = table.points[: table.given]
    return [x, *(x if point == first else exact_flow(mixture, x, first, point)[0] for point in others)]


def root_mean_square(mixture: GaussianMixture, at: Grid, x: Tensor, error: Tensor) -> float:
    """Root mean square of an error [n, 1] over the start law, at equidistant nodes x."""
    return math.sqrt(float(error[:, 0].square() @ node_weights((mixture, at.points[0]), x)))


def trajectory(
    table: Tableau, mixture: GaussianMixture, at: Grid, denoise: Denoiser | None = None, points: int = POINTS
) -> float:
    """Root mean square distance of a run to the exact flow.  denoise: the model, if it is not the mixture."""
    x = nodes((mixture, at.points[0]), points)
    y = sample(denoise or mixture, exact_starts(mixture, table, x), table)
    return root_mean_square(mixture, at, x, y - exact_flow(mixture, x, at.points[0], at.points[-1])[0])
