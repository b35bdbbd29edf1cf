"""On a Gaussian target every sampler is linear: its iterates are affine forms in (1, start, fresh noises).

The loop runs once on the coefficients of these forms instead of on samples. The law of the last form is exact: mean
and covariance without Monte Carlo, for any table.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..denoisers import Denoiser
from ..errors import InputError, SamplingError
from ..metrics import Law
from ..points import Point
from ..sample import sample
from ..tableau import Tableau
from ..targets.mixture import GaussianMixture
from .gaussian import Gaussian, moments, standardised


class WeakErrors(NamedTuple):
    """Errors relative to the target: |L^-1 (m' - m)|, and the Frobenius norm of L^-1 (C' - C) L^-T, L L^T = C."""

    mean: float
    covariance: float


def gaussian_law(tableau: Tableau, mixture: GaussianMixture, start_law: Law) -> Gaussian:
    """The law of a sampler's output on a Gaussian target, exactly: N(mean [d], covariance [d, d]), float64.

    Along each principal axis of the target the output is f_0 + s (x - m) + sum_k c_k z_k, for the start sample x ~
    N(m, C) and standard normal z_k; so it is N(f_0, diag(s) C diag(s) + diag(sum_k c_k^2)) in these axes.
    start_law: a mixture of one component and a point.  Start values beyond the first are on the exact flow.
    Takes about N^2 d / 4e9 s for N draws, and memory for N d numbers.
    Raises InputError for a target or a start law that is not Gaussian, for dimensions that disagree, and for exact
    start values of a stochastic sampler; SamplingError where the coefficients overflow.
    """
    _check(tableau, mixture, start_law)
    axes = torch.eye(mixture.dim, dtype=torch.float64) if mixture.axes is None else mixture.axes[0]
    aligned = GaussianMixture([1.0], mixture.means @ axes, covariances=torch.diag_embed(_variances(mixture)))
    start = moments(*start_law)
    given = _given(tableau, aligned, start.mean @ axes)
    form = sample(_on_coefficients(aligned), given, tableau, noise=_unit_vectors)
    mean, gain, spread = form[0], form[1], form[2:].square().sum(dim=0)
    covariance = gain[:, None] * (axes.mT @ start.covariance @ axes) * gain + torch.diag(spread)
    covariance = axes @ covariance @ axes.mT
    if not bool(torch.isfinite(mean).all() and torch.isfinite(covariance).all()):
        raise SamplingError(f"{tableau.method}: the law of the sample is not finite")
    return Gaussian(axes @ mean, (covariance + covariance.mT) / 2)


def weak_errors(tableau: Tableau, mixture: GaussianMixture, start_law: Law | None = None) -> WeakErrors:
    """How far the sampler's mean and covariance are from the target's at the last point of the table.

    start_law: by default the exact marginal at the first point; then by symmetry the error of the mean is only
    rounding, and the weak order of a sampler shows in its covariance.  Raises as gaussian_law.
    """
    law = gaussian_law(tableau, mixture, start_law or (mixture, tableau.points[0]))
    b, e = standardised(moments(mixture, tableau.points[-1]), law)
    return WeakErrors(float(b.norm()), float(e.norm()))


def _check(tableau: Tableau, mixture: GaussianMixture, start_law: Law) -> None:
    for name, given in (("mixture", mixture), ("start_law", start_law[0])):
        if given.components != 1:
            raise InputError(name, f"{given.components} components", "one component: a Gaussian")
    if start_law[0].dim != mixture.dim:
        raise InputError("start_law", f"d = {start_law[0].dim}", f"d = {mixture.dim} as for the target")
    if tableau.given > 1 and any(tableau.drawn):
        raise InputError(
            "start", "exact", f"{tableau.method} is stochastic: exact start values are those of the deterministic flow"
        )


def _variances(mixture: GaussianMixture) -> Tensor:
    """The variances along the principal axes of the one component: [1, d]."""
    return mixture.variances.expand(-1, mixture.dim)


def _given(tableau: Tableau, aligned: GaussianMixture, mean: Tensor) -> list[Tensor]:
    """The given vectors as coefficients [2 + draws, d] on (1, x - m, z_1, …): the start sample, and its exact flow.

    The flow keeps standard scores: x_n = alpha_n mu + (v_n / v_0)^{1/2} (x - alpha_0 mu).
    """
    first, mu, given = tableau.points[0], aligned.means[0], []
    for point in tableau.points[: tableau.given]:
        there, here = ((p.alpha**2 * aligned.variances[0] + p.sigma**2) for p in (point, first))
        ratio = (there / here).sqrt()
        rows = torch.zeros(2 + sum(tableau.drawn), aligned.dim, dtype=torch.float64)
        rows[0], rows[1] = point.alpha * mu + ratio * (mean - first.alpha * mu), ratio
        given.append(rows)
    given[0][0], given[0][1] = mean, 1.0
    return given


def _on_coefficients(aligned: GaussianMixture) -> Denoiser:
    """The prediction of a Gaussian, f(x) = f(m) + f' (x - m) with a diagonal f', on the rows of an affine form."""

    def denoise(rows: Tensor, at: Point, prediction: str) -> Tensor:
        value, gain = aligned.tangent(rows[:1], torch.ones_like(rows[:1]), at, prediction)
        output = rows * gain
        output[:1] = value
        return output

    return denoise


def _unit_vectors(like: Tensor, draw: int) -> Tensor:
    """A source of noise for the loop on coefficients: the unit vector of z_draw."""
    z = torch.zeros_like(like)
    z[2 + draw] = 1.0
    return z
