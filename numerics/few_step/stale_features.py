"""A mixture whose responsibilities are refreshed every few evaluations: features that are reused or extrapolated."""

from __future__ import annotations

import torch
from torch import Tensor

from ..denoisers import convert
from ..errors import InputError, of_type, whole
from ..points import Point
from ..targets.components import Components
from ..targets.mixture import GaussianMixture


class StaleFeatures:
    """sum_k r_k m_k(x) with responsibilities r from the last refreshes, m_k(x) the posterior means at x itself.

    At the first `refreshes` evaluations of a run and then at every `every`-th one r is that of x; in between it is the
    polynomial in lambda through the last `refreshes` values; 1 is reuse, as Faster Diffusion has it for the outputs of
    an encoder (Li et al. 2024). A run goes from noise to data: an evaluation at a level that is not cleaner than the
    last one begins another run. Raises InputError on numbers below 1.
    """

    def __init__(self, mixture: GaussianMixture, every: int, refreshes: int = 1) -> None:
        of_type("mixture", mixture, GaussianMixture, "a GaussianMixture")
        for field, value in (("every", every), ("refreshes", refreshes)):
            if whole(field, value) < 1:
                raise InputError(field, value, "at least 1")
        self.mixture, self.every, self.refreshes = mixture, every, refreshes
        self._made = 0
        self._last = float("-inf")
        self._kept: list[tuple[float, Tensor]] = []  # (lambda, r)

    def __call__(self, x: Tensor, at: Point, prediction: str) -> Tensor:
        if at.lam <= self._last:
            self._made, self._kept = 0, []
        self._last = at.lam
        late = self._made - self.refreshes
        if late < 0 or late % self.every == self.every - 1:
            self._kept = [*self._kept, (at.lam, self.mixture.responsibilities(x, at))][-self.refreshes :]
        self._made += 1
        data = (self._shares(at.lam)[..., None] * component_means(self.mixture, x, at)).sum(dim=-2)
        return convert(x, data, at, "data", prediction)

    def _shares(self, lam: float) -> Tensor:
        """The polynomial through the kept values at lambda."""
        total = torch.zeros_like(self._kept[0][1])
        for k, (place, shares) in enumerate(self._kept):
            others = [other for j, (other, _) in enumerate(self._kept) if j != k]
            weight = 1.0
            for other in others:
                weight *= (lam - other) / (place - other)
            total += weight * shares
        return total


def component_means(mixture: GaussianMixture, x: Tensor, at: Point) -> Tensor:
    """E[x0 | x, k] = mu_k + alpha C_k V_k^-1 (x - alpha mu_k) for points [..., d]: [..., K, d]."""
    of: Components = mixture.parts
    away = x[..., None, :] - at.alpha * of.means
    gain = at.alpha * of.variances / (at.alpha**2 * of.variances + at.sigma**2)
    if of.axes is None:
        return of.means + gain * away
    turned = (away[..., None, :] @ of.axes)[..., 0, :]
    return of.means + (of.axes @ (gain * turned)[..., None])[..., 0]
