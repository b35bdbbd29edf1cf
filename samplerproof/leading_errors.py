"""The leading error of a method on a grid, known before it is run."""

from __future__ import annotations

import torch

from .numerics.errors import InputError, of_type, whole
from .numerics.grids import Grid
from .numerics.leading.exact_path import along_grid
from .numerics.leading.leading_error import LeadingError, leading_error
from .numerics.metrics import nodes
from .numerics.targets.mixture import GaussianMixture

NODES = 1001  # of the start law, in one dimension


def predict_error(
    name: str, mixture: GaussianMixture, grid: Grid, start: str = "exact", samples: int = 1000, seed: int = 0
) -> LeadingError:
    """The leading error C / N^p of a method on a mixture and a grid of N steps, from its proof; nothing is fitted.

    A step of the method `name` makes the local error h^{p+1} delta, a sum of elementary differentials from the proof of
    its order; the exact flow carries it to the end, where the errors of all steps add up. The result has `order` p and
    `at(metric, steps)`: in one dimension for the metrics "tv", "kl", "w2" and "trajectory" (root mean square), over
    equidistant nodes of the start law; in more dimensions for "trajectory" and "mean", over random samples.
    The constants hold for the number of steps of the grid; `print` shows them.
    start: "exact" start values, or the start-up "ramp" of the method.
    samples, seed: of the start, in more dimensions.
    Raises InputError on an unknown method or start, on samples < 1, and for methods, start-ups and grids without a
    leading error: stochastic ones, and steps that stay long at an end of the grid.

    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture(weights=[0.35, 0.65], means=[-1.2, 0.9], stds=[0.5, 0.35])
    >>> grid = sp.grid(sp.schedule("vp-linear"), "uniform-lambda", 100, t_min=1e-3, t_max=1.0)
    >>> leading = sp.predict_error("ddim", mixture, grid)
    >>> leading.order, round(leading.at("trajectory", 100), 4)
    (1, 0.0202)
    """
    of_type("mixture", mixture, GaussianMixture, "a GaussianMixture")
    of_type("grid", grid, Grid, "a grid, as sp.grid or sp.Grid.from_sigmas makes it")
    whole("samples", samples)
    if samples < 1:
        raise InputError("samples", samples, "at least 1")
    first = grid.points[0]
    if mixture.dim == 1:
        x = nodes((mixture, first), NODES)
    else:
        x = mixture.sample(samples, first, torch.Generator().manual_seed(seed))
    return leading_error(name, along_grid(mixture, grid, x), start)
