"""The step of DDIM from a noise that was predicted, where the level of a model or the point is chosen during a run."""

from __future__ import annotations

from torch import Tensor

from .points import Point


def ddim_step(x: Tensor, noise: Tensor, at: Point, to: Point) -> Tensor:
    """x' = alpha' x0 + sigma' eps with x0 = (x - sigma eps)/alpha: the state at `to` with the data and noise of x.

    x, noise [n, ...]: a state at the point `at`, alpha > 0, and the noise predicted for it.  On a grid that is known
    before the run this is the table of "ddim".  Song et al. 2021 (arXiv 2010.02502), eq. 12 without noise.
    """
    return to.alpha * ((x - at.sigma * noise) / at.alpha) + to.sigma * noise
