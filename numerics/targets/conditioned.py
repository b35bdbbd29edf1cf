"""Laws that follow from a mixture: given a linear observation, tilted by a quadratic reward, and posterior draws."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError, positive
from .components import Components, along_axes, finite

Parts = tuple[Tensor, Tensor, Tensor]  # weights [K], means [K, d], covariances [K, d, d]
SINGULAR = 1e-12  # relative: a smaller eigenvalue of an observation's covariance is none


def covariances(of: Components) -> Tensor:
    """C_k as matrices [K, d, d]."""
    return along_axes(of.variances.expand(of.means.shape), of.axes)


def given_parts(of: Components, matrix: object, value: object) -> Parts:
    """The law of x0 given H x0 = z.

    Means mu + G (z - H mu), covariances (I - G H) C (I - G H)^T with G = C H^T (H C H^T)^-1, weights times
    N(z; H mu, H C H^T).  Raises InputError on a matrix or value of another shape, not finite, or with an observation
    that a component knows already.
    """
    dim = of.means.shape[1]
    h, z = finite("H", matrix), finite("z", value)
    if h.ndim != 2 or h.shape[1] != dim or not 0 < h.shape[0] <= dim:
        raise InputError("H", list(h.shape), f"a matrix [k, {dim}] with k from 1 to {dim}")
    if tuple(z.shape) != (h.shape[0],):
        raise InputError("z", list(z.shape), f"a vector [{h.shape[0]}], as many numbers as H has rows")
    c = covariances(of)
    seen = h @ c @ h.mT
    least = torch.linalg.eigvalsh(seen)[:, 0]
    if bool((least <= SINGULAR * seen.diagonal(dim1=1, dim2=2).amax(dim=1)).any()):
        raise InputError("H", h.tolist(), "H C H^T must be positive definite for every component")
    gain = torch.linalg.solve(seen, h @ c).mT
    off = z - of.means @ h.mT  # [K, k]
    means = of.means + (gain @ off[:, :, None])[..., 0]
    left = torch.eye(dim, dtype=torch.float64) - gain @ h
    logits = of.weights.log() - torch.logdet(seen) / 2
    logits = logits - (off * torch.linalg.solve(seen, off[:, :, None])[..., 0]).sum(dim=1) / 2
    spread = left @ c @ left.mT
    return torch.softmax(logits, dim=0), means, (spread + spread.mT) / 2


def tilted_parts(of: Components, matrix: object, centre: object, beta: float) -> Parts:
    """The law p(x) exp(r(x)/beta)/Z with r = -(x - c)^T Q (x - c)/2, H = Q/beta.

    Covariances (I + C H)^-1 C, means (I + C H)^-1 (mu + C H c), weights times det(I + C H)^{-1/2}
    exp(-(mu - c)^T H (I + C H)^-1 (mu - c)/2).  Raises InputError on shapes that disagree, a Q that is not symmetric
    positive semi-definite, and a beta that is not positive.
    """
    dim = of.means.shape[1]
    q, c = finite("Q", matrix), finite("c", centre)
    positive("beta", beta)
    if tuple(q.shape) != (dim, dim) or not torch.equal(q, q.mT) or float(torch.linalg.eigvalsh(q)[0]) < -1e-12:
        raise InputError("Q", q.tolist(), f"a symmetric positive semi-definite matrix [{dim}, {dim}]")
    if tuple(c.shape) != (dim,):
        raise InputError("c", list(c.shape), f"a vector [{dim}]")
    h, full = q / beta, covariances(of)
    more = torch.eye(dim, dtype=torch.float64) + full @ h
    spread = torch.linalg.solve(more, full)
    means = torch.linalg.solve(more, (of.means + (full @ h @ c))[:, :, None])[..., 0]
    away = of.means - c
    cost = (away * (h @ torch.linalg.solve(more, away[:, :, None]))[..., 0]).sum(dim=1)
    logits = of.weights.log() - torch.logdet(more) / 2 - cost / 2
    return torch.softmax(logits, dim=0), means, (spread + spread.mT) / 2


def posterior_draws(
    of: Components, x: Tensor, alpha: float, sigma: float, shares: Tensor, generator: torch.Generator
) -> Tensor:
    """A draw of x0 given each of the points [n, d]: a component by its share [n, K], then its Gaussian posterior.

    Of component k the mean is mu + alpha C V^-1 (x - alpha mu), the covariance sigma^2 C V^-1, V = alpha^2 C +
    sigma^2 I.
    """
    which = torch.multinomial(shares, 1, generator=generator)[:, 0]
    drawn = torch.randn(x.shape, generator=generator, dtype=torch.float64, device=generator.device)
    for k in range(len(of.weights)):
        rows, c, mu = which == k, of.variances[k], of.means[k]
        v = alpha**2 * c + sigma**2
        away = x[rows] - alpha * mu
        if of.axes is not None:
            away = away @ of.axes[k]
        moved = alpha * c / v * away + (sigma**2 * c / v).sqrt() * drawn[rows]
        drawn[rows] = mu + (moved if of.axes is None else moved @ of.axes[k].mT)
    return drawn
