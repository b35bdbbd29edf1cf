"""Ideal students of DDIM: their target, and on N(m, v) the deviations of one step and of a second one."""

from __future__ import annotations

import math

from torch import Tensor

from ..errors import InputError, of_type, positive, whole
from ..grids import Grid
from ..points import Point
from .angles import angle

GRID = "a grid, such as sp.grid(schedule, 'uniform-t', 10, t_min=1e-3, t_max=1.0)"


def distilled_target(first: Tensor, second: Tensor, start: Point, middle: Point, end: Point) -> Tensor:
    """The data prediction at `start` with which one DDIM step ends where two do, from those of the two.

    w d1 + (1 - w) d2, w = rho_u (rho_t - rho_1)/(rho_1 (rho_t - rho_u)), rho = sigma/alpha at the three points: a mean
    of both (Salimans and Ho 2022, appendix D; claim distilled-target). InputError where rho does not fall.
    """
    far, near, later = (point.rho for point in (start, middle, end))
    if not far > near > later:
        raise InputError("points", (far, near, later), "start, middle and end with sigma/alpha falling")
    share = later / near if far == math.inf else later * (far - near) / (near * (far - later))
    return share * first + (1 - share) * second


def deviation_factor(grid: Grid, variance: float, first: int = 0) -> float:
    """C: the standard deviation of DDIM on N(m, variance) over the exact one, from grid point `first` to the end.

    The product of the cosines of the angles between (alpha sqrt v, sigma) at consecutive points (claim cosine-rule).
    Raises InputError on a variance that is not positive, and on an index outside of the grid.
    """
    _grid_point("first", first, grid)
    return float(grid_angles(grid, variance)[first:].diff().cos().prod())


def second_step_factor(grid: Grid, variance: float, node: int) -> float:
    """The deviation over the exact one after an ideal student's step, noise of grid point `node`, and a second step.

    C_i sqrt(1 - (1 - C_0^2) cos^2 phi_i) with the angle phi_i at that point (claim second-step), exactly so where the
    grid ends at sigma = 0; the noise of an end at sigma > 0 is left out.  InputError as deviation_factor.
    """
    _grid_point("node", node, grid)
    once, again = deviation_factor(grid, variance), deviation_factor(grid, variance, node)
    return again * math.sqrt(1 - (1 - once**2) * math.cos(grid_angles(grid, variance)[node]) ** 2)


def _grid_point(name: str, place: int, grid: Grid) -> None:
    """InputError where it is not the index of a point of the grid."""
    of_type("grid", grid, Grid, GRID)
    if not 0 <= whole(name, place) <= grid.steps:
        raise InputError(name, place, f"a grid point, 0 to {grid.steps}")


def grid_angles(grid: Grid, variance: float) -> Tensor:
    """arctan(sigma/(alpha sqrt v)) at every point of the grid [N + 1].  InputError on a variance that is not > 0."""
    return angle(grid.columns.lam + math.log(positive("variance", variance)) / 2)
