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

NUMBERS = 1 << 20  # in one state with its Jacobian: 8 MB, of which a run holds a few


def log_ratios(tableau: Tableau, mixture: GaussianMixture, start: tuple[Tensor, Law], source: Point) -> Tensor:
    """log p/q [n] at the samples of a deterministic sampler, p the target law at the last point of its table.

    start: samples [n, d] and their law.  source: the first point of the grid; start values beyond the first are on the
    exact flow.  O(n N (K d^2 + d^3)) time; memory does not grow with n.
    Raises SamplingError where the run or a determinant is not finite, or a determinant is not positive.
    """
    x, law = start
    to = tableau.points[-1]
    size = max(1, NUMBERS // (mixture.dim * (mixture.dim + 1)))
    found, folded = [], 0
    for first in range(0, len(x), size):
        part = x[first : first + size]
        end = sample(with_jacobian(mixture), _given(tableau, mixture, part, source), tableau)
        y = end[:, 0]
        sign, log_det = torch.linalg.slogdet(end[:, 1:])
        if not bool(torch.isfinite(y).all() and torch.isfinite(sign * log_det).all()):
            raise SamplingError("the sample, or the determinant of its Jacobian, is zero or not finite")
        folded += int((sign <= 0).sum())
        found.append(mixture.log_density(y, to) - law[0].log_density(part, law[1]) + log_det)
    if folded:
        allowed = "the map of the sampler folds, so that its density is not known from one branch"
        raise SamplingError(f"the determinant of the Jacobian is negative at {folded} of {len(x)} samples: {allowed}")
    return torch.cat(found)


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
