"""Grids from clean to noisy, on which the samplers of the catalogue run backwards in time."""

from __future__ import annotations

import math
from dataclasses import fields

from ..errors import InputError, of_type
from ..grids import Grid
from ..schedules import Columns


class ReversedGrid(Grid):
    """The points of a grid from clean to noisy: lambda falls strictly and t rises."""

    def __post_init__(self) -> None:
        """Its points are those of a grid that was checked."""


def reversed_grid(grid: Grid) -> ReversedGrid:
    """The grid backwards, for `tabulate`: a sampler's table on it leads from a sample to noise, by the same formulas.

    `sample(denoise, x0, tabulate("ddim", reversed_grid(grid)))` is DDIM inversion as it is implemented everywhere, with
    2M in its place DPM-Solver inversion. A method of order p returns to the start up to O(h^p): `predict_error` has the
    leading error on this grid too. A multistep method starts at the clean end, where its first step is DDIM.
    Raises InputError where an end is at sigma = 0 or alpha = 0, from which no step in lambda leads.

    >>> import samplerproof as sp
    >>> back = sp.techniques.reversed_grid(sp.Grid.from_sigmas([3.0, 1.0, 0.3]))
    >>> [point.sigma for point in back.points]
    [0.3, 1.0, 3.0]
    """
    of_type("grid", grid, Grid, "a grid, as sp.grid or sp.Grid.from_sigmas makes it")
    for name, end in (("sigma", grid.points[-1]), ("alpha", grid.points[0])):
        if not math.isfinite(end.lam):
            raise InputError("grid", f"{name} = 0 at an end", "a grid that can be reversed: lambda finite at both ends")
    c = grid.columns
    return ReversedGrid(Columns(*(getattr(c, f.name).flip(0) for f in fields(Columns))), grid.schedule)
