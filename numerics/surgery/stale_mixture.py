"""Stale features where everything else is exact: the features of a mixture are its responsibilities."""

from __future__ import annotations

import torch
from torch import Tensor

from ..denoisers import Denoiser, convert
from ..errors import InputError, of_type
from ..points import Point
from ..targets.mixture import GaussianMixture
from .refreshes import Features, Refreshes


def stale_mixture(mixture: GaussianMixture, q: int, m: int = 1, *, propagate: bool = False) -> Denoiser:
    """E[x0 | x] = sum_k r_k m_k(x) with the responsibilities r_k evaluated at every q-th call, extrapolated between.

    m_k(x) = mu_k + alpha C_k V_k^{-1} (x - alpha mu_k) is evaluated at every call; with `propagate` x is a feature as
    well, so that a call without an evaluation answers the same data prediction for every x. m: the number of
    evaluations that are extrapolated through, refreshes.Refreshes. It has the state of one run: every run takes a new
    one.  x [n, d].  Raises InputError for q or m below 1, levels that do not rise, and x of another shape than in the
    call before.  Li et al. 2024, section 3; extrapolation as in Liu et al. 2025, through past values in place of
    finite differences.

    >>> import torch
    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> grid = sp.grid(sp.schedule("edm"), "karras", 20, sigma_min=0.02, sigma_max=20)
    >>> x, table = torch.tensor([[3.0]], dtype=torch.float64), sp.tabulate("dpm-solver++-2m", grid)
    >>> plain = sp.sample(mixture, x, table)
    >>> ends = [sp.sample(sp.techniques.stale_mixture(mixture, q=2, m=m), x, table) for m in (1, 2)]
    >>> bool((ends[0] - plain).abs() > 5 * (ends[1] - plain).abs())
    True
    """
    of_type("mixture", mixture, GaussianMixture, "a GaussianMixture")
    refreshes = Refreshes(q, m)

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        fresh = refreshes.due()

        def evaluate() -> Features:
            return [mixture.responsibilities(x.to(torch.float64), at), x.clone()]

        share, place = refreshes.at(at.lam, evaluate)
        if fresh:
            return mixture(x, at, prediction)
        if place.shape != x.shape:
            raise InputError("x", list(x.shape), f"the shape {list(place.shape)} of the run's first call")
        means = mixture.component_means((place if propagate else x).to(torch.float64), at)
        return convert(x, (share[..., None] * means).sum(dim=-2), at, "data", prediction)

    return denoise
