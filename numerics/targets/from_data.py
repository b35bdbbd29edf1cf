"""Mixtures from data: a bank of points, whose denoiser is one layer of attention, and a fit by full covariances."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError, not_negative, whole
from .components import finite
from .mixture import GaussianMixture


def bank(points: object) -> GaussianMixture:
    """The law of a point drawn from [n, d] with equal weights: a mixture of deviations 0, exact at every sigma > 0.

    Its prediction of the data is softmax(-|x - alpha m_i|^2/(2 sigma^2)) applied to the bank: attention (GMem, Tang et
    al. 2024). Raises InputError on points that are not finite or of another shape.

    >>> import torch
    >>> import samplerproof as sp
    >>> memory = sp.techniques.bank([[0.0, 1.0], [2.0, 0.0]])
    >>> memory(torch.tensor([[2.0, 0.0]], dtype=torch.float64), sp.schedule("edm").point(0.1), "data")
    tensor([[2., 0.]], dtype=torch.float64)
    """
    stored = _points("points", points)
    count = len(stored)
    return GaussianMixture(torch.full((count,), 1 / count, dtype=torch.float64), stored, stds=torch.zeros(count))


def fitted(data: object, components: int, ridge: float = 0.0, seed: int = 0) -> GaussianMixture:
    """K Gaussians with full covariances, fitted to data [n, d] by expectation maximisation (scikit-learn).

    ridge: added to the variance of every direction, in each step of the fit.  Raises InputError where scikit-learn is
    not installed, on data that is not finite or of another shape, on fewer points than components, and on a negative
    ridge.
    """
    points = _points("data", data)
    whole("components", components)
    if not 1 <= components <= len(points):
        raise InputError("components", components, f"from 1 to {len(points)}, the number of points")
    not_negative("ridge", ridge)
    try:
        from sklearn.mixture import GaussianMixture as Fit
    except ImportError as error:
        allowed = "scikit-learn is not installed: pip install 'samplerproof[training]'"
        raise InputError("data", "a fit of a mixture", allowed) from error
    made = Fit(components, reg_covar=ridge, random_state=seed).fit(points.numpy())
    return GaussianMixture(made.weights_ / made.weights_.sum(), made.means_, covariances=made.covariances_)


def _points(field: str, given: object) -> Tensor:
    points = finite(field, given)
    if points.ndim == 1:
        points = points[:, None]
    if points.ndim != 2 or 0 in points.shape:
        raise InputError(field, list(points.shape), "points [n, d], at least one")
    return points
