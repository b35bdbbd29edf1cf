"""Stale features where everything else is exact: the features of a mixture are its responsibilities."""

from __future__ import annotations

from torch import Tensor

from ..denoisers import Denoiser, convert
from ..errors import InputError, of_type
from ..points import Point
from ..targets.mixture import GaussianMixture, softmax_
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
            return [components(mixture, x, at)[0], x.clone()]

        share, place = refreshes.at(at.lam, evaluate)
        if fresh:
            return mixture(x, at, prediction)
        if place.shape != x.shape:
            raise InputError("x", list(x.shape), f"the shape {list(place.shape)} of the run's first call")
        means = components(mixture, place if propagate else x, at)[1]
        return convert(x, (share[..., None] * means).sum(dim=0), at, "data", prediction)

    return denoise


def components(mixture: GaussianMixture, x: Tensor, at: Point) -> tuple[Tensor, Tensor]:
    """The responsibilities [K, n] of the components at x [n, d], and their own means E[x0 | x, k], [K, n, d]."""
    law = mixture.marginal(at, x.device)
    away = x.T - law.high - law.low  # [K, d, n]
    axes = None if mixture.axes is None else mixture.axes.to(x.device)
    along = away if axes is None else axes.mT @ away
    scaled = along * law.precision
    share = softmax_((along * scaled).sum(dim=1).mul_(-0.5).add_(law.log_weight))
    moved = at.alpha * mixture.variances.to(x.device)[:, :, None] * scaled
    moved = moved if axes is None else axes @ moved
    return share, (mixture.means.to(x.device)[:, :, None] + moved).mT
