"""Errors of samplers on a mixture in one dimension, by quadrature over the start law."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...numerics.denoisers import Denoiser
from ...numerics.grids import Grid
from ...numerics.metrics import Pushforward, node_weights, nodes, tv
from ...numerics.sample import sample
from ...numerics.tableau import Tableau, tabulate
from ...numerics.targets.flow import exact_flow
from ...numerics.targets.mixture import GaussianMixture, with_tangent

M2 = GaussianMixture([0.2, 0.5, 0.3], [-2.0, 0.3, 1.6], stds=[0.3, 0.6, 0.25])


def start_law(mixture: GaussianMixture, grid: Grid, points: int) -> tuple[Tensor, Tensor]:
    """Nodes [points, 1] of the law at the noisy end, and their weights [points], with the sum 1."""
    x = nodes((mixture, grid.points[0]), points)
    return x, node_weights((mixture, grid.points[0]), x)


def line_errors(
    mixture: GaussianMixture,
    grid: Grid,
    table: Tableau | str = "ddim",
    wrap: Callable[[Denoiser], Denoiser] | None = None,
    points: int = 1001,
) -> tuple[float, float]:
    """TV to the exact law, and the root mean square distance to the exact flow.

    wrap: what is done to the exact denoiser, of a state and its tangent; it must be linear in them.
    """
    x, weights = start_law(mixture, grid, points)
    denoise = with_tangent(mixture) if wrap is None else wrap(with_tangent(mixture))
    made = tabulate(table, grid) if isinstance(table, str) else table
    y, slope = sample(denoise, torch.stack([x, torch.ones_like(x)]), made)
    exact, _ = exact_flow(mixture, x, grid.points[0], grid.points[-1])
    law = Pushforward(x, (mixture, grid.points[0]), y, slope, (mixture, grid.points[-1]))
    return tv(law), float(((y - exact)[:, 0].square() @ weights).sqrt())
