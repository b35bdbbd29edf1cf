"""A model linearised about its recorded trajectories: cheap to run, and exact where a table follows them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from ..denoisers import Denoiser
from ..points import Point

WHOLE = 8  # dimensions up to which the basis is that of the space
SPAN = 24  # principal directions of a trajectory that are followed in more
DIRECTIONS = 5  # the first of them, along which the Jacobian is recorded
LEVELS = 15  # levels at which it is recorded
STEP = 1e-3  # of a difference quotient, relative to the noise


@dataclass(frozen=True)
class Spline:
    """A piecewise cubic curve in lambda: knots [n], coefficients [4, n - 1, ...], of rising powers."""

    knots: Tensor
    coefficients: Tensor

    @classmethod
    def through(cls, knots: Tensor, values: Tensor) -> Spline:
        """The cubic spline through values [n, ...] (not-a-knot ends)."""
        found = CubicSpline(knots.numpy(), values.numpy()).c
        return cls(knots, torch.from_numpy(found.copy()).flip(0))

    def __call__(self, lam: Tensor) -> Tensor:
        """The values at lam [m]: [m, ...]; differentiable in lam."""
        piece = (torch.searchsorted(self.knots, lam.detach().contiguous(), right=True) - 1).clamp(0, len(self.knots) - 2)
        c = self.coefficients[:, piece]
        off = (lam - self.knots[piece]).reshape(-1, *[1] * (c.ndim - 2))
        return c[0] + off * (c[1] + off * (c[2] + off * c[3]))


@dataclass(frozen=True)
class LinearisedModel:
    basis: Tensor  # [R, q, d]
    states: Spline
    data: Spline
    columns: Spline  # J's columns [R, q, a]
    mean: Spline  # [R]
    begin: float
    end: float
    offset: Tensor  # [R, q]

    def errors(self, lam: Tensor, weights: Tensor) -> Tensor:
        """The errors at the end [R, q] of a table with the levels lam [N + 1] and the weights [N, K]."""
        decay = torch.exp(lam[:-1] - lam[1:])
        state, data, J, rest = self.states(lam), self.data(lam[:-1]), self.columns(lam[:-1]), self.mean(lam[:-1])
        a = J.shape[-1]
        error = torch.zeros_like(data[0])
        outputs: list[Tensor] = []
        for n in range(len(lam) - 1):
            moved = (J[n] @ error[:, :a, None])[..., 0]
            if a < error.shape[1]:
                first = (J[n][:, a:].mT @ error[:, a:, None])[..., 0]
                moved = moved + torch.cat([first, rest[n][:, None] * error[:, a:]], dim=1)
            outputs.append(data[n] + moved)
            mean = sum(weights[n, k] * outputs[n - k] for k in range(min(n + 1, weights.shape[1])))
            error = decay[n] * (error + state[n]) + (1 - decay[n]) * mean - state[n + 1]
        return error * self.basis.shape[2]**-0.5 + self.offset


def linearise(denoise: Denoiser, lam: Tensor, states: Tensor, data: Tensor, points: tuple[Point, ...]) -> LinearisedModel:
    """From recorded y = x/alpha and data predictions, both [n + 1, R, d], at the points with lambda lam [n + 1]."""
    n, count, dim = states.shape
    if dim <= WHOLE:
        basis = torch.eye(dim, dtype=torch.float64).expand(count, dim, dim)
    else:  # principal directions of the data prediction's changes, and the last prediction and the start
        curve = (data - data[-1]).transpose(0, 1)
        size = torch.gradient(lam)[0].abs().sqrt()[:, None]
        q = min(SPAN, dim, n)
        principal = torch.linalg.svd(curve * size, full_matrices=False)[2][:, :q]
        rest = torch.stack([data[-1], states[0]], dim=1)
        basis = torch.linalg.qr(torch.cat([principal, rest], dim=1).mT)[0].mT
    along = min(dim, WHOLE if dim <= WHOLE else DIRECTIONS)
    chosen = torch.linspace(0, n - 1, min(LEVELS, n)).round().long().unique()
    quotients = []
    for k in chosen.tolist():
        at = points[k]
        h = STEP * at.sigma / at.alpha
        moved = states[k] + h * basis[:, :along].transpose(0, 1)  # [along, R, d]
        asked = denoise((at.alpha * moved).flatten(0, 1), at, "data").reshape(along, count, dim)
        quotients.append(((asked - data[k]) / h).transpose(0, 1))  # [R, along, d]
    J = torch.stack(quotients)  # [L, R, along, d]
    columns = torch.einsum("rqd,lrad->lrqa", basis, J)
    mean = columns[:, :, along - 1, along - 1].clamp(0, 1)
    project = lambda v: torch.einsum("rqd,nrd->nrq", basis, v)
    return LinearisedModel(
        basis, Spline.through(lam, project(states)), Spline.through(lam, project(data)), Spline.through(lam[chosen], columns),
        Spline.through(lam[chosen], mean), float(lam[0]), float(lam[-1]), torch.zeros(count, basis.shape[1], dtype=torch.float64))
