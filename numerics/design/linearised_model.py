"""A model linearised about its recorded trajectories: a table's error at the end in microseconds, with sign.

In y = x/alpha and lambda = log(alpha/sigma) the flow is dy/dlambda = D(y, lambda) - y on every schedule.  About a
recorded trajectory (y*, D*) the data prediction is

    D(y, lambda) = D*(lambda) + J(lambda) (y - y*(lambda)),

so that the error of any table obeys a linear recursion.  Its free part, J = 0, is exact: a table reads nothing of a
model but its outputs.  J is recorded by difference quotients: in up to WHOLE dimensions whole, in more along the
principal directions of the trajectory, in which almost all of an error lies (a trajectory's covariance is nearly of
rank 5); it is symmetric, as the covariance of a posterior is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..advice.recording import Recording
from ..denoisers import Denoiser
from ..points import Point
from .curves import Curve, through

WHOLE = 8  # dimensions up to which all directions are followed
SPAN = 24  # principal directions of a trajectory that are followed in more
DIRECTIONS = 5  # the first of these, along which the Jacobian is recorded
LEVELS = 15  # levels at which it is recorded
STEP = 1e-3  # of a difference quotient, relative to the noise


@dataclass(frozen=True, eq=False)
class LinearisedModel:
    """basis [R, q, d]: orthonormal directions of each of R trajectories.  All else is in its coordinates.

    states, data: curves [R, q].  columns: curve [R, q, a], the first a columns of J; rest: curve [R], what J is on the
    other directions.  begin, end: in lambda.  scale: root mean square of the data at the end, a coordinate.
    """

    basis: Tensor
    states: Curve
    data: Curve
    columns: Curve
    rest: Curve
    begin: float
    end: float
    scale: float

    def errors(self, lam: Tensor, weights: Tensor) -> Tensor:
        """The errors at the end, [R, q], of the table with levels lam [N + 1] and weights [N, K] (see row_weights).

        Its squares add up to the mean square over the d coordinates.  Differentiable in both.
        """
        decay = torch.exp(lam[:-1] - lam[1:])
        states, at = self.states(lam), lam[:-1]
        data, columns, rest = self.data(at), self.columns(at), self.rest(at)
        error, outputs = torch.zeros_like(data[0]), list[Tensor]()
        for n in range(len(weights)):
            outputs.append(data[n] + product(columns[n], rest[n], error))
            mean = sum(weights[n, k] * outputs[n - k] for k in range(min(n + 1, weights.shape[1])))
            error = decay[n] * (error + states[n]) + (1 - decay[n]) * mean - states[n + 1]
        return error / math.sqrt(self.basis.shape[2])

    def jacobian(self, points: Sequence[Point]) -> list[Callable[[Tensor], Tensor]]:
        """Of points, the products of J with errors of states x, [R, *shape]: as advice.carry.carried takes them."""
        lam = torch.tensor([at.lam for at in points], dtype=torch.float64).clamp(self.begin, self.end)
        columns, rest = self.columns(lam), self.rest(lam)

        def at_point(k: int) -> Callable[[Tensor], Tensor]:
            def derivative(error: Tensor) -> Tensor:
                inside = torch.einsum("rqd,rd->rq", self.basis, error.flatten(1)) / points[k].alpha
                moved = torch.einsum("rqd,rq->rd", self.basis, product(columns[k], rest[k], inside))
                return moved.reshape(error.shape)

            return derivative

        return [at_point(k) for k in range(len(points))]


def product(columns: Tensor, rest: Tensor, vector: Tensor) -> Tensor:
    """J v [R, q] from the first columns of a symmetric J, [R, q, a], and the number [R] that it is on the others."""
    a = columns.shape[2]
    moved: Tensor = (columns @ vector[:, :a, None])[..., 0]
    if a == vector.shape[1]:
        return moved
    first = (columns[:, a:].mT @ vector[:, a:, None])[..., 0]
    return moved + torch.cat([first, rest[:, None] * vector[:, a:]], dim=1)


def linearise(denoise: Denoiser, recording: Recording) -> LinearisedModel:
    """The model linearised about recorded trajectories: R a rows are asked at each of LEVELS levels."""
    points = recording.points
    lam, alpha = (torch.tensor([getattr(at, name) for at in points], dtype=torch.float64) for name in ("lam", "alpha"))
    states, data = (recording.states.flatten(2) / alpha[:, None, None]), recording.data.flatten(2)
    shape, count, dim = recording.states.shape[2:], *states.shape[1:]
    basis = principal_directions(lam, states, data)
    along = dim if dim <= WHOLE else min(DIRECTIONS, dim)
    chosen = torch.linspace(0, len(points) - 1, min(LEVELS, len(points))).round().long()
    quotients = []
    for k in chosen.tolist():
        at = points[k]
        step = STEP * at.sigma / at.alpha
        moved = at.alpha * (states[k] + step * basis[:, :along].transpose(0, 1))  # [a, R, d]
        asked = denoise(moved.reshape(along * count, *shape), at, "data").to(torch.float64).reshape(along, count, dim)
        quotients.append(torch.einsum("rqd,ard->rqa", basis, (asked - data[k]) / step))
    columns = torch.stack(quotients)
    rest = columns[:, :, along - 1, along - 1].clamp(0, 1)
    inside = [torch.einsum("rqd,nrd->nrq", basis, values) for values in (states, data)]
    return LinearisedModel(
        basis,
        states=through(lam, inside[0]),
        data=through(lam, inside[1]),
        columns=through(lam[chosen], columns),
        rest=through(lam[chosen], rest),
        begin=float(lam[0]),
        end=float(lam[-1]),
        scale=float((data[-1] - data[-1].mean()).square().mean()) ** 0.5,
    )


def principal_directions(lam: Tensor, states: Tensor, data: Tensor) -> Tensor:
    """Orthonormal directions of trajectories [n, R, d], [R, q, d]: of the change of the data prediction, by their share
    of its integral over lambda, then the rest of its end and of the start; in few dimensions all axes.
    """
    count, dim = states.shape[1:]
    if dim <= WHOLE:
        return torch.eye(dim, dtype=torch.float64).expand(count, dim, dim)
    share = torch.gradient(lam)[0].abs().sqrt()[:, None]
    changes = (data - data[-1]).transpose(0, 1) * share
    principal = torch.linalg.svd(changes, full_matrices=False)[2][:, :SPAN]
    ends = torch.stack([data[-1], states[0]], dim=1)
    found: Tensor = torch.linalg.qr(torch.cat([principal, ends], dim=1)[:, :dim].mT)[0].mT
    return found
