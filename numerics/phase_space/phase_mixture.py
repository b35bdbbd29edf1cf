"""A Gaussian mixture under phase-space Langevin diffusion: its law, score and flow at every b."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..errors import not_negative, of_type
from ..points import Point
from ..targets.conditioned import covariances
from ..targets.mixture import GaussianMixture
from ..targets.reference import Array, solve
from .phase_process import PhaseSpace, acted

AS_IT_IS = Point(alpha=1.0, sigma=0.0)
KEPT = 2048  # laws that are kept: integrators on one clock ask for the same ones


@dataclass(frozen=True)
class PhaseMixture:
    """The laws of (x, m) when x0 is of a mixture in any dimension d and m0 is N(0, kappa M): mixtures of 2 d-vectors.

    Called with states [n, 2 d], x before m, and b it is the exact score, as a model of phase space is.

    >>> import torch
    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> law = sp.techniques.phase_space.PhaseMixture(mixture, sp.techniques.phase_space.PhaseSpace())
    >>> law(torch.ones(1, 2, dtype=torch.float64), 8.0).round(decimals=2)
    tensor([[-1., -4.]], dtype=torch.float64)
    """

    mixture: GaussianMixture
    space: PhaseSpace

    def __post_init__(self) -> None:
        of_type("mixture", self.mixture, GaussianMixture, "a GaussianMixture")
        of_type("space", self.space, PhaseSpace, "a PhaseSpace")

    def at(self, b: float) -> GaussianMixture:
        """The law of (x, m) at b >= 0, as a mixture in 2 d dimensions.  Raises InputError on b < 0."""
        return _law(self.mixture, self.space, not_negative("b", b))

    def __call__(self, z: Tensor, b: float) -> Tensor:
        """The score, the gradient of log p in (x, m): states [n, 2 d] -> [n, 2 d]."""
        return self.at(b)(z, AS_IT_IS, "score")

    def sample(self, n: int, b: float, generator: torch.Generator) -> Tensor:
        """n draws of (x, m) at b: [n, 2 d]."""
        return self.at(b).sample(n, AS_IT_IS, generator)

    def flow(self, z: Tensor, source: float, to: float, rtol: float = 1e-11) -> Tensor:
        """The flow of dz/db = A z - D s/2 from b = source to another b, by DOP853: [n, 2 d] -> [n, 2 d]."""
        drift, half = self.space.drift, self.space.diffusion / 2
        shape = z.shape

        def slope(b: float, flat: Array) -> Array:
            y = torch.from_numpy(flat).reshape(shape)
            rate: Array = (acted(drift, y) - acted(half, self(y, b))).numpy().ravel()
            return rate

        return torch.from_numpy(solve(slope, source, to, z.double().numpy().ravel(), rtol, "b")).reshape(shape)


@lru_cache(maxsize=KEPT)
def _law(mixture: GaussianMixture, space: PhaseSpace, b: float) -> GaussianMixture:
    """Means Psi (mu, 0), covariances Psi diag(C, kappa M) Psi^T + S - Psi S Psi^T, every entry times a d x d matrix."""
    d, psi = mixture.dim, space.scale(b)
    of_data = torch.einsum("i,j,kab->kiajb", psi[:, 0], psi[:, 0], covariances(mixture.parts))
    of_noise = torch.einsum("ij,ab->iajb", space.perturbation(b), torch.eye(d, dtype=torch.float64))
    spread = (of_data + of_noise).reshape(-1, 2 * d, 2 * d)
    means = torch.einsum("i,ka->kia", psi[:, 0], mixture.means).flatten(1)
    return GaussianMixture(mixture.weights, means, covariances=(spread + spread.mT) / 2)
