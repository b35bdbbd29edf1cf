"""Derivatives of the data prediction along recorded trajectories, from a few differences of the model.

The errors of samplers lie where the recorded data predictions vary: a trajectory's own leading directions, four of
which hold nearly all of it. J is asked along these at a few levels, by one more row of the model each, and between
levels interpolated as a multiple of the isotropic slope, which has the right decay towards noise:

    J e = a(lambda) (sum_m (P_m(lambda) - u_m) u_m.e + e),   a = alpha s^2/(alpha^2 s^2 + sigma^2), P_m = J u_m / a.

Beside the directions it is the slope of a Gaussian law of standard deviation s, that of the recorded ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..denoisers import Denoiser
from ..errors import SamplingError
from ..points import Point
from .carry import slopes
from .recording import Counted, Recording

LEVELS = 7  # at which the model is asked
DIRECTIONS = 4  # of each trajectory, at most
MARGIN = 0.05  # of the recorded points that are left out at each end
MOVED = 0.02  # root mean square of a displacement, of sigma: the data prediction varies over lengths of sigma
MOVED_DATA = 1e-4  # and of the data's own scale: below it, single precision has no digits left
LONG_SAMPLE = 128  # numbers of a sample from which a trajectory is written in coordinates of its own


@dataclass(frozen=True, eq=False)
class Tangents:
    """J along R trajectories; a Jacobian as carry.carried takes it.

    lam: [L].  directions: [R, k, d], orthonormal; products: J u_m over the isotropic slope, [L, R, k, d].
    std: of the isotropic slope, [R].  evaluations, calls: rows and calls of the model.
    """

    lam: Tensor
    directions: Tensor
    products: Tensor
    std: Tensor
    evaluations: int
    calls: int

    def __call__(self, points: Sequence[Point]) -> Sequence[Callable[[Tensor], Tensor]]:
        lam = torch.tensor([at.lam for at in points], dtype=torch.float64).clamp(self.lam[0], self.lam[-1])
        after = torch.searchsorted(self.lam, lam).clamp(1, len(self.lam) - 1)
        share = ((lam - self.lam[after - 1]) / (self.lam[after] - self.lam[after - 1]))[:, None, None, None]
        beside = (1 - share) * self.products[after - 1] + share * self.products[after] - self.directions
        return [self._derivative(at, others) for at, others in zip(points, beside, strict=True)]

    def _derivative(self, at: Point, others: Tensor) -> Callable[[Tensor], Tensor]:
        factor = slopes(at, self.std)

        def apply(error: Tensor) -> Tensor:
            e = error.reshape(-1, len(others), others.shape[2])
            along = self.directions @ e[..., None]
            made = (along.mT @ others)[..., 0, :] + e
            return (factor[:, None] * made).reshape(error.shape)

        return apply


def tangents(denoise: Denoiser, recording: Recording) -> Tangents:
    """The derivatives of a model along a recording: LEVELS x R x min(DIRECTIONS, d) rows, one call a level.

    Raises SamplingError where the model returns a value that is not finite.
    """
    shape = recording.data.shape[2:]
    flat = recording.data.flatten(2)
    size = flat.shape[2]
    changes = flat.diff(dim=0).transpose(0, 1)
    directions = torch.linalg.svd(changes, full_matrices=False).Vh[:, : min(DIRECTIONS, size)]
    std = (flat[-1].square().mean(dim=1).sqrt()).clamp(min=1e-12)
    last = len(recording.points) - 1
    asked = [round(last * (MARGIN + (1 - 2 * MARGIN) * k / (LEVELS - 1))) for k in range(LEVELS)]
    counted, products = Counted(denoise), []
    for n in asked:
        at = recording.points[n]
        moved = (MOVED * at.sigma + MOVED_DATA * at.alpha * std)[:, None, None] * math.sqrt(size)
        x = recording.states[n].flatten(1)[:, None] + moved * directions
        value = counted(x.reshape(-1, *shape), at, "data").to("cpu", torch.float64).reshape(x.shape)
        if not bool(value.isfinite().all()):
            raise SamplingError(f"t = {at.t:g}: the denoiser returned a non-finite value")
        products.append((value - flat[n][:, None]) / moved / slopes(at, std)[:, None, None])
    lam = torch.tensor([recording.points[n].lam for n in asked], dtype=torch.float64)
    return Tangents(lam, directions, torch.stack(products), std, counted.rows, counted.calls)


def joined(parts: Sequence[tuple[Recording, Tangents]]) -> tuple[Recording, Tangents]:
    """Recordings of other start samples at the same points, and their tangents, as one."""
    recordings, derivatives = [part[0] for part in parts], [part[1] for part in parts]
    one = replace(
        recordings[0],
        states=torch.cat([part.states for part in recordings], dim=1),
        data=torch.cat([part.data for part in recordings], dim=1),
        evaluations=sum(part.evaluations for part in recordings),
        calls=sum(part.calls for part in recordings),
    )
    tangent = replace(
        derivatives[0],
        directions=torch.cat([part.directions for part in derivatives]),
        products=torch.cat([part.products for part in derivatives], dim=1),
        std=torch.cat([part.std for part in derivatives]),
        evaluations=sum(part.evaluations for part in derivatives),
        calls=sum(part.calls for part in derivatives),
    )
    return one, tangent


def in_own_coordinates(recording: Recording, tangent: Tangents) -> tuple[Recording, Tangents]:
    """Both in orthonormal coordinates of what each trajectory spans, where a sample has more numbers than that.

    Rows, tangents and their errors stay in the span, so that no length changes.
    """
    if recording.data[0, 0].numel() <= LONG_SAMPLE:
        return recording, tangent
    states, data = (part.flatten(2).transpose(0, 1) for part in (recording.states, recording.data))
    products = tangent.products.transpose(0, 1).flatten(1, 2)
    basis = torch.linalg.qr(torch.cat([states, data, tangent.directions, products], dim=1).mT).Q

    def seen(part: Tensor) -> Tensor:
        return torch.bmm(part, basis)

    return (
        replace(recording, states=seen(states).transpose(0, 1), data=seen(data).transpose(0, 1)),
        replace(tangent, directions=seen(tangent.directions), products=tangent.products @ basis),
    )
