"""Phase-space Langevin diffusion (Pandey and Mandt 2023): a state x with a momentum m, in closed form."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, not_negative, of_type, positive
from ..grids import Grid

SHORT = 1.0  # (nu + gamma) b up to which 1 - e^{-…} would cancel, and the covariance is integrated
QUADRATURE = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class PhaseSpace:
    """dx = (beta/2)(m/M - gamma x) dt + sqrt(beta gamma) dw,  dm = (beta/2)(-x - nu m) dt + sqrt(beta M nu) dw'.

    The clock is b, the integral of beta: in it the process has no other schedule. The momentum starts from
    N(0, kappa M), and the damping is critical, 1/M = (gamma - nu)^2/4. With delta = nu - gamma

        Psi(b) = e^{-(nu + gamma) b/4} [[1 + delta b/4, delta^2 b/8], [-b/2, 1 - delta b/4]]

    takes the mean of (x, m) over b, and Psi C Psi^T + S - Psi S Psi^T the covariance, S = diag(1, M).
    gamma, nu >= 0, and not equal; kappa > 0.  The defaults are those for CIFAR-10, where beta = 8.
    Raises InputError on other numbers.  Pandey and Mandt 2023 (arXiv 2303.01748); gamma = 0 is critically damped
    Langevin diffusion (Dockhorn et al. 2022).

    >>> import samplerproof as sp
    >>> sp.techniques.phase_space.PhaseSpace(gamma=0.0, nu=4.0).mass
    0.25
    """

    gamma: float = 0.01
    nu: float = 4.01
    kappa: float = 0.04

    def __post_init__(self) -> None:
        not_negative("gamma", self.gamma)
        not_negative("nu", self.nu)
        positive("kappa", self.kappa)
        if self.gamma == self.nu:
            raise InputError("gamma", self.gamma, f"another number than nu = {self.nu}: 1/M = (gamma - nu)^2/4 > 0")

    @property
    def mass(self) -> float:
        """M = 4/(gamma - nu)^2, of critical damping."""
        return 4 / (self.gamma - self.nu) ** 2

    @cached_property
    def drift(self) -> Tensor:
        """A of d(x, m)/db = A (x, m): float64 [2, 2]."""
        return _matrix([[-self.gamma, 1 / self.mass], [-1.0, -self.nu]]) / 2

    @cached_property
    def diffusion(self) -> Tensor:
        """D, the covariance of the noise in a unit of b: [2, 2]."""
        return _matrix([[self.gamma, 0.0], [0.0, self.mass * self.nu]])

    @cached_property
    def stationary(self) -> Tensor:
        """S = diag(1, M), the covariance that the process tends to: [2, 2]."""
        return _matrix([[1.0, 0.0], [0.0, self.mass]])

    def scale(self, length: float) -> Tensor:
        """Psi over a length of b, backward where it is negative: [2, 2]."""
        delta = self.nu - self.gamma
        inner = [[1 + delta * length / 4, delta**2 * length / 8], [-length / 2, 1 - delta * length / 4]]
        return math.exp(-(self.nu + self.gamma) * length / 4) * _matrix(inner)

    def noise(self, length: float) -> Tensor:
        """S - Psi S Psi^T, the covariance of the noise that enters over a length of b >= 0: [2, 2]."""
        if (self.nu + self.gamma) * length > SHORT:
            psi = self.scale(length)
            return self.stationary - psi @ self.stationary @ psi.T
        places, weights = QUADRATURE  # of the integral of Psi D Psi^T, whose terms are all positive
        found = torch.zeros(2, 2, dtype=torch.float64)
        for place, weight in zip(places.tolist(), weights.tolist(), strict=True):
            psi = self.scale(length * (1 + place) / 2)
            found += length / 2 * weight * (psi @ self.diffusion @ psi.T)
        return found

    def perturbation(self, b: float) -> Tensor:
        """The covariance of (x, m) given x0: that of a start at diag(0, kappa M), [2, 2]."""
        psi = self.scale(b)
        return self.noise(b) + self.kappa * self.mass * torch.outer(psi[:, 1], psi[:, 1])


def clock_of(levels: Grid | Iterable[float]) -> tuple[float, ...]:
    """The values of b at N + 1 levels, falling and >= 0: those of a grid on a schedule with alpha = e^{-b/2}, or given.

    Raises InputError on a grid that does not preserve variance, fewer than two values, and values out of order.
    """
    if isinstance(levels, Grid):
        c = levels.columns
        if not bool(((c.alpha.square() + c.sigma.square() - 1).abs() < 1e-9).all()) or float(c.alpha[0]) == 0:
            raise InputError("clock", str(levels), "a grid with alpha^2 + sigma^2 = 1 and alpha > 0, or values of b")
        levels = [-2 * math.log(alpha) for alpha in c.alpha.tolist()]
    of_type("clock", levels, Iterable, "a grid, or falling values of b")
    try:
        values = tuple(float(b) for b in levels)
    except (TypeError, ValueError, RuntimeError) as fault:  # the last is torch's, for a row of several numbers
        raise InputError("clock", levels, "a grid, or falling values of b") from fault
    if len(values) < 2 or not all(math.inf > high > low >= 0 for high, low in pairwise(values)):
        raise InputError("clock", list(values), "at least two falling values of b >= 0, the integral of beta")
    return values


def acted(matrix: Tensor, z: Tensor) -> Tensor:
    """A matrix [2, 2] on states [..., 2 d], x before m: every coordinate of x with its momentum."""
    return torch.einsum("ij,...jd->...id", matrix.to(z), z.reshape(*z.shape[:-1], 2, -1)).flatten(-2)


def _matrix(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)
