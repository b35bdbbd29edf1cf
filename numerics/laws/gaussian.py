"""Gaussian laws and their distances, without cancellation even if they nearly agree.

In suitable coordinates every pair is N(0, I) and N(b, diag(1 + e)); b and e are computed from differences of means and
covariances, so that the distance of laws that agree to ten digits still has six digits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from ..phi import phi
from ..points import Point
from ..targets.mixture import GaussianMixture


class Gaussian(NamedTuple):
    """N(mean, covariance): mean [d], covariance [d, d] symmetric, float64."""

    mean: Tensor
    covariance: Tensor


def moments(mixture: GaussianMixture, at: Point) -> Gaussian:
    """Mean and covariance of alpha x0 + sigma eps: the law itself where the mixture has one component.

    m = alpha sum_k w_k mu_k,  C = alpha^2 sum_k w_k (C_k + (mu_k - mu)(mu_k - mu)^T) + sigma^2 I.
    """
    spread = torch.diag_embed(mixture.variances.expand(-1, mixture.dim))
    if mixture.axes is not None:
        spread = mixture.axes @ spread @ mixture.axes.mT
    mean = mixture.weights @ mixture.means
    apart = mixture.means - mean
    covariance = (mixture.weights[:, None, None] * (spread + apart[:, :, None] * apart[:, None, :])).sum(dim=0)
    noise = at.sigma**2 * torch.eye(mixture.dim, dtype=torch.float64)
    return Gaussian(at.alpha * mean, at.alpha**2 * (covariance + covariance.mT) / 2 + noise)


def standardised(target: Gaussian, law: Gaussian) -> tuple[Tensor, Tensor]:
    """(b [d], e [d]) with which target and law are N(0, I) and N(b, diag(1 + e)) in the same coordinates.

    With the target's covariance L L^T: e are the eigenvalues of L^-1 (C_law - C_target) L^-T, and b is L^-1 (m_law -
    m_target) along its eigenvectors.
    Raises InputError where dimensions disagree, the target's covariance is singular, or an entry is not finite.
    """
    for name, given in (("target", target), ("law", law)):
        if given.mean.shape != target.mean.shape or given.covariance.shape != (len(target.mean),) * 2:
            raise InputError(name, (list(given.mean.shape), list(given.covariance.shape)), "[d] and [d, d], one d")
        if not all(bool(torch.isfinite(part).all()) for part in given):
            raise InputError(name, "a mean or covariance that is not finite", "finite numbers")
    factor, failed = torch.linalg.cholesky_ex(target.covariance)
    if int(failed):
        raise InputError("target", target.covariance.tolist(), "a positive definite covariance")
    excess = _divided(factor, _divided(factor, law.covariance - target.covariance).mT)
    e, axes = torch.linalg.eigh((excess + excess.mT) / 2)
    b = axes.mT @ _divided(factor, (law.mean - target.mean)[:, None])
    return b[:, 0], e.clamp(min=-1)


def kl(target: Gaussian, law: Gaussian) -> float:
    """KL(target || law) = 1/2 sum_i (b_i^2/(1 + e_i) + r(-log(1 + e_i))), r(z) = e^z - 1 - z = z^2 phi_2(z).

    inf where the law is singular.  Raises InputError as `standardised`.
    """
    b, e = standardised(target, law)
    if float(e.min()) == -1:
        return math.inf
    z = -torch.log1p(e)
    return float((b * b / (1 + e) + z * z * phi(2, z)).sum()) / 2


def w2(target: Gaussian, law: Gaussian) -> float:
    """W2^2 = |m - m'|^2 + tr (A^2 + B^2 - 2 (A B^2 A)^{1/2}), A and B the roots of the two covariances.

    The optimal map moves the target, in its axes with variances a, by X = S - diag(a), S = (diag(a)^{1/2} C_law
    diag(a)^{1/2})^{1/2}: the trace is sum_ij X_ij^2 / a_i. S^2 - diag(a)^2 is known from the difference of
    covariances, and equals S X + X diag(a): solved for X, nothing cancels.  Raises InputError as `standardised`.
    """
    standardised(target, law)  # raises for invalid laws
    (a, axes), (v, own) = torch.linalg.eigh(target.covariance), torch.linalg.eigh(law.covariance)
    root = a.sqrt()[:, None]
    turn, s, _ = torch.linalg.svd(root * (axes.mT @ own) * v.clamp(min=0).sqrt())
    difference = root * (axes.mT @ (law.covariance - target.covariance) @ axes) * root.mT
    moved = turn @ (turn.mT @ difference / (s[:, None] + a))
    square = (law.mean - target.mean).square().sum() + (moved.square() / a[:, None]).sum()
    return math.sqrt(float(square))


def _divided(factor: Tensor, by_right: Tensor) -> Tensor:
    """L^-1 B for a lower triangular L."""
    solved: Tensor = torch.linalg.solve_triangular(factor, by_right, upper=False)
    return solved
