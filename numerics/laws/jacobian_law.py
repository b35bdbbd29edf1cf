"""The law of a deterministic sampler in d > 1, at its samples: log q carried along by the Jacobian of its map.

For y = Y(x), x from a start law with density p_0, and an injective Y,

    log q(y) = log p_0(x) - log |det dY/dx|.

dY/dx is carried through the rows as they are, d v_i / dx as a matrix [d, d] beside every vector v_i: rows are linear in
earlier vectors and outputs, and the Jacobian of an output, which a mixture has exactly, multiplies that of its vector.
A product of determinants of steps would be wrong where a row uses history.

A determinant that is not positive at a sample shows that Y folds.  Positive ones do not prove that Y is injective: a
map may turn around and cover a region twice without a fold among the samples.  Then q is the density of one branch
alone, and the mean of p/q over samples is the mean number of branches rather than 1: this is tested.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..denoisers import Denoiser
from ..errors import SamplingError
from ..metrics import Law
from ..points import Point
from ..sample import sample
from ..tableau import Tableau
from ..targets.mixture import GaussianMixture
from .coupled_samples import flow_to
from .importance import Ratios

NUMBERS = 1 << 20  # in one state with its Jacobian: 8 MB, of which a run holds a few


def ratios_of(
    tableau: Tableau, mixture: GaussianMixture, start: tuple[Tensor, Law], source: Point, generator: torch.Generator
) -> Ratios:
    """log p/q at the samples of a deterministic sampler and at half as many from a wider start law.

    p is the target law at the last point of the table.  start: samples [n, d] and their law, which is made wider by
    noise, 1 + d^{-1/2} times its mean deviation.  source: the first point of the grid; start values beyond the first
    are on the exact flow.  O(n N (K d^2 + d^3)) time; memory for the Jacobians does not grow with n.
    Raises SamplingError where the run or a determinant is not finite, or a determinant at the first n is not positive.
    """
    x, (law, at) = start
    deviation = at.alpha**2 * float(law.variances.mean()) + at.sigma**2
    noisier = at._replace(sigma=math.sqrt(at.sigma**2 + deviation * ((1 + mixture.dim**-0.5) ** 2 - 1)))
    own, more = len(x), len(x) // 2
    x = torch.cat([x, law.sample(more, noisier, generator)])
    ratio, sign = log_ratios(tableau, mixture, (x, (law, at)), source)
    if folded := int((sign[:own] <= 0).sum()):
        why = "the map of the sampler folds, so that its density is not known from one branch"
        raise SamplingError(f"the determinant of the Jacobian is not positive at {folded} of {own} samples: {why}")
    shares = [math.log(own / (own + more)), math.log(more / (own + more))]
    log_start = law.log_density(x, at)
    together = torch.logsumexp(torch.stack([log_start + shares[0], law.log_density(x, noisier) + shares[1]]), dim=0)
    return Ratios(ratio, log_start - together, own)


def log_ratios(
    tableau: Tableau, mixture: GaussianMixture, start: tuple[Tensor, Law], source: Point
) -> tuple[Tensor, Tensor]:
    """log p/q and the signs of the determinants [n], at the images of start samples; see ratios_of."""
    x, (law, at) = start
    size = max(1, NUMBERS // (mixture.dim * (mixture.dim + 1)))
    ratios, signs = [], []
    for first in range(0, len(x), size):
        part = x[first : first + size]
        end = sample(with_jacobian(mixture), _given(tableau, mixture, part, source), tableau)
        y = end[:, 0]
        sign, log_det = torch.linalg.slogdet(end[:, 1:])
        if not bool(torch.isfinite(y).all() and torch.isfinite(log_det).all()):
            raise SamplingError("the sample, or the determinant of its Jacobian, is zero or not finite")
        ratios.append(mixture.log_density(y, tableau.points[-1]) - law.log_density(part, at) + log_det)
        signs.append(sign)
    return torch.cat(ratios), torch.cat(signs)


def with_jacobian(mixture: GaussianMixture) -> Denoiser:
    """A denoiser for x [n, 1 + d, d]: a vector, and the rows of the transposed Jacobian of it in another vector."""

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        value, jacobian = mixture.jacobian(x[:, 0], at, prediction)
        return torch.cat([value[:, None], x[:, 1:] @ jacobian.mT], dim=1)

    return denoise


def _given(tableau: Tableau, mixture: GaussianMixture, x: Tensor, source: Point) -> Sequence[Tensor]:
    unit = torch.eye(mixture.dim, dtype=torch.float64).expand(len(x), -1, -1)
    first = torch.cat([x[:, None], unit], dim=1)
    earlier = tableau.points[1 : tableau.given]
    return [first, *flow_to(mixture, first, source, earlier, denoise=with_jacobian(mixture))]
