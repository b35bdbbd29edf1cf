"""The components of a mixture: weights, means, and variances along principal axes; their validation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import InputError
from ..points import Point

Extended = npt.NDArray[np.longdouble]
WEIGHT_TOLERANCE = 1e-9
COVARIANCE_TOLERANCE = 1e-12  # relative: a smaller asymmetry or negative eigenvalue is rounding
SPLITTER = float(2**27 + 1)
Array = npt.NDArray[np.float64]
NEGLIGIBLE = 2.0**-60  # relative, against 2^-53 of float64


class Components(NamedTuple):
    """K Gaussian components N(means, Q diag(stds^2) Q^T) with their weights, all float64.

    weights [K]; means [K, d]; variances [K, 1] (isotropic) or [K, d]; axes: Q as [K, d, d], its columns the
    principal axes, or None where these are the coordinate axes.
    """

    weights: Tensor
    means: Tensor
    variances: Tensor
    axes: Tensor | None


class Marginal(NamedTuple):
    """The K components of the law of alpha x0 + sigma eps, shaped to broadcast with blocks [K, d, b].

    high + low [K, d, 1]: alpha mu to twice the precision; variance v and precision 1/v [K, d | 1, 1];
    log_weight [K, 1]: log of w_k (2 pi)^{-d/2} det(V_k)^{-1/2}.
    """

    high: Tensor
    low: Tensor
    variance: Tensor
    precision: Tensor
    log_weight: Tensor


def along_axes(values: Tensor, axes: Tensor | None) -> Tensor:
    """Q_k diag(values_k) Q_k^T for the values [K, d] along the principal axes: matrices [K, d, d]."""
    return torch.diag_embed(values) if axes is None else (axes * values[:, None]) @ axes.mT


def check_components(weights: object, means: object, stds: object, covariances: object) -> Components:
    """The components as float64 tensors.  Raises InputError with the field of the study file that is wrong."""
    w = _weights(weights)
    mu = finite("target.means", means)
    if mu.ndim == 1:
        mu = mu[:, None]
    if mu.ndim != 2 or len(mu) != len(w) or mu.shape[1] == 0:
        raise InputError("target.means", _shape(mu), f"shape [K] or [K][d] with K = {len(w)} as for weights")
    if (stds is None) == (covariances is None):
        given = "both" if stds is not None else "neither"
        raise InputError("target.stds, target.covariances", given, "give exactly one of the two")
    if stds is not None:
        return Components(w, mu, _from_stds(stds, mu), None)
    variances, axes = _from_covariances(covariances, mu)
    return Components(w, mu, variances, axes)


def _weights(weights: object) -> Tensor:
    w = finite("target.weights", weights)
    if w.ndim != 1 or len(w) == 0:
        raise InputError("target.weights", _shape(w), "a non-empty list of numbers")
    if bool((w < 0).any()):
        raise InputError("target.weights", w.tolist(), "no weight may be negative")
    total = float(w.sum())
    if abs(total - 1) > WEIGHT_TOLERANCE:
        raise InputError("target.weights", w.tolist(), f"they must sum to 1, not to {total!r}")
    return w / total


def _from_stds(stds: object, means: Tensor) -> Tensor:
    s = finite("target.stds", stds)
    if s.ndim == 1:
        s = s[:, None]
    count, dim = means.shape
    if s.ndim != 2 or len(s) != count or s.shape[1] not in (1, dim):
        raise InputError("target.stds", _shape(s), f"shape [K] or [K][d] with K = {count}, d = {dim}")
    if bool((s < 0).any()):
        raise InputError("target.stds", s.tolist(), "no standard deviation may be negative")
    return s * s


def _from_covariances(covariances: object, means: Tensor) -> tuple[Tensor, Tensor | None]:
    name = "target.covariances"
    c = finite(name, covariances)
    count, dim = means.shape
    if tuple(c.shape) != (count, dim, dim):
        raise InputError(name, _shape(c), f"shape [K][d][d] with K = {count}, d = {dim}")
    size = c.abs().amax(dim=(1, 2))
    if bool(((c - c.mT).abs().amax(dim=(1, 2)) > COVARIANCE_TOLERANCE * size).any()):
        raise InputError(name, c.tolist(), "every covariance must be symmetric")
    c = (c + c.mT) / 2
    diagonal = c.diagonal(dim1=1, dim2=2)
    if torch.equal(torch.diag_embed(diagonal), c):
        variances, axes = diagonal.clone(), None
    else:
        variances, axes = _eigen(c)
    if bool((variances.amin(dim=1) < -COVARIANCE_TOLERANCE * size).any()):
        raise InputError(name, c.tolist(), "every covariance must be positive semi-definite")
    return variances.clamp(min=0), axes


def _eigen(covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues [K, d] and eigenvectors [K, d, d], LAPACK's polished by Jacobi rotations in extended precision.

    LAPACK's errors are a few eps |C|, which is too much for a small variance beside a large one.
    """
    c, q = (t.numpy().astype(np.longdouble) for t in (covariances, torch.linalg.eigh(covariances).eigenvectors))
    q = q + q @ (np.eye(c.shape[-1]) - q.mT @ q) / 2  # orthogonal to eps^2
    m = q.mT @ c @ q
    for i, j in [*itertools.combinations(range(c.shape[-1]), 2)] * 2:
        _rotate(m, q, i, j)
    values = np.diagonal(m, axis1=1, axis2=2)
    return torch.from_numpy(values.astype(np.float64)), torch.from_numpy(q.astype(np.float64))


def _rotate(m: Extended, q: Extended, i: int, j: int) -> None:
    """Rotate axes i and j of every component, in place, so that m_ij becomes zero (Jacobi)."""
    off, gap = m[:, i, j], m[:, j, j] - m[:, i, i]
    if bool((off * off <= NEGLIGIBLE**2 * np.abs(m[:, i, i] * m[:, j, j])).all()):
        return
    tangent = 2 * off / np.where(gap < 0, -1, 1) / (np.abs(gap) + np.hypot(gap, 2 * off) + (off == 0))
    cosine = 1 / np.sqrt(1 + tangent**2)
    sine = tangent * cosine
    turn = np.stack([np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)], -2)  # [K, 2, 2]
    pair = [i, j]
    m[:, :, pair] = m[:, :, pair] @ turn
    m[:, pair, :] = turn.mT @ m[:, pair, :]
    q[:, :, pair] = q[:, :, pair] @ turn


def finite(field: str, value: object) -> Tensor:
    """The value as float64.  Raises InputError on anything but finite numbers in a rectangle."""
    if _holds_bool(value):
        raise InputError(field, value, "numbers, not booleans")
    try:
        tensor = torch.as_tensor(value, dtype=torch.float64).detach().cpu().clone()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(field, value, "a rectangular list of numbers") from error
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(field, tensor.tolist(), "every entry must be finite")
    return tensor


def _holds_bool(value: object) -> bool:
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return value.dtype in (torch.bool, np.bool_)
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_holds_bool, value)))


def _shape(tensor: Tensor) -> list[int]:
    return list(tensor.shape)


@np.errstate(over="ignore", invalid="ignore")
def moments_at(law: Components, points: Sequence[Point]) -> tuple[Array, Array, Array, Array]:
    """At P points alpha mu to twice the precision [P, K, d], two numbers; v [P, K, d | 1]; the log_weight of a Marginal
    [P, K].  Raises InputError where a component is singular.
    """
    means, variances = law.means.numpy(), law.variances.numpy()
    log_mass = (law.weights.log() - means.shape[1] / 2 * math.log(2 * math.pi)).numpy()
    numbers = np.array([(at.alpha, at.alpha**2, at.sigma**2) for at in points])
    alpha, alpha2, sigma2 = numbers[:, :, None, None].swapaxes(0, 1)
    variance = alpha2 * variances + sigma2
    for at, least in zip(points, variance.min(axis=(1, 2)).tolist(), strict=True):
        if not 0 < least < math.inf:
            allowed = "alpha^2 C + sigma^2 must be finite and positive for every component"
            raise InputError("at", (at.alpha, at.sigma), allowed)
    high = alpha * means
    low = remainder(alpha, means, high)
    log_det = np.log(variance).sum(axis=2) * (means.shape[1] // variance.shape[2])
    return high, low, variance, log_mass - log_det / 2


def remainder(factor: Array, values: Array, product: Array) -> Array:
    """factor * values - product, exactly, for the rounded product (Dekker, Numer. Math. 18, 1971)."""
    (a, a_low), (b, b_low) = split(factor), split(values)
    return a_low * b_low - (((product - a * b) - a_low * b) - a * b_low)


def split(values: Array) -> tuple[Array, Array]:
    """The upper and the lower half of the digits of every value; products of halves are exact."""
    shifted = SPLITTER * values
    top = shifted - (shifted - values)
    return top, values - top
