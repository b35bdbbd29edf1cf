"""Levels and weights that minimise the signed error at the end, on a linearised model or through the model itself."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..advice.recording import Recording
from ..denoisers import Denoiser
from ..sample import sample
from ..tableau import Tableau
from .least_errors import least_errors
from .linearised_model import LinearisedModel
from .rivals import Rival, rms
from .row_weights import pack, tableau_of, unpack, weights_of

RIDGES = (1e-4, 1e-5, 1e-6, 1e-7)  # of a parameter, relative to the mean square of the data
LARGEST = 12.0  # sum of |weights| of a row: fewer than four bits of the outputs' rounding
GROWTH = 4.0  # of errors, on Gaussian models
QUOTIENT = 1e-4  # step of a parameter in a difference quotient
TUNING = 3  # iterations of a round through the model
TUNED = 1e-4  # its ridge: as few trajectories, and all that is not linear, are in it


@dataclass(frozen=True, eq=False)
class Family:
    """Tables of N rows between the ends of a recording."""

    recording: Recording
    model: LinearisedModel
    steps: int
    name: str

    def unpacked(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return unpack(parameters, self.steps, self.model.begin, self.model.end)

    def table(self, parameters: Tensor) -> Tableau:
        lam, weights = self.unpacked(parameters)
        ends = (self.recording.begin, self.recording.end)
        return tableau_of(lam, weights, self.recording.schedule, ends, self.name)

    def errors(self, parameters: Tensor) -> Tensor:
        """On the linearised model, [R, q]."""
        return self.model.errors(*self.unpacked(parameters))

    def predicted(self, parameters: Tensor) -> Tensor:
        """The size of the errors of every trajectory [R], a coordinate of x/alpha."""
        return self.errors(parameters).square().sum(dim=1).sqrt()

    def fitted(self, start: Tensor) -> Iterator[Tensor]:
        """The parameters that minimise the errors on the linearised model, from those of a record, for each ridge."""
        found = start

        def slope(parameters: Tensor) -> Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of what it imports
                made: Tensor = torch.func.jacfwd(self.errors)(parameters)
            return made

        for ridge in RIDGES:
            found = least_errors(self.errors, slope, start, ridge * self.model.scale**2, found)
            yield found

    def tuned(self, denoise: Denoiser, start: Tensor) -> Tensor:
        """The same through the model, with difference quotients of whole runs from the recorded starts."""

        def errors(parameters: Tensor) -> Tensor:
            made = sample(denoise, self.recording.states[0], self.table(parameters))
            off = (made - self.recording.states[-1]) / self.recording.end.alpha
            return off.flatten(1) / math.sqrt(off[0].numel())

        def slope(parameters: Tensor) -> Tensor:
            here = errors(parameters)
            moved = [errors(parameters + QUOTIENT * unit) for unit in torch.eye(len(parameters), dtype=torch.float64)]
            return torch.stack([(there - here) / QUOTIENT for there in moved], dim=2)

        return least_errors(errors, slope, start, TUNED * self.model.scale**2, iterations=TUNING)


def starts(records: Iterable[Rival]) -> list[Tensor]:
    """The parameters of the first table of this form of every record."""
    found: dict[str, Tensor] = {}
    for rival in records:
        weights = None if rival.method in found else weights_of(rival.table)
        if weights is not None:
            lam = torch.tensor([at.lam for at in rival.table.points], dtype=torch.float64)
            found[rival.method] = pack(lam, weights)
    return list(found.values())


Run = Callable[[Tableau], Tensor]


def run_errors(denoise: Denoiser, recording: Recording) -> Run:
    """Of a table, the size of its errors from the recorded starts [R], a coordinate of x/alpha."""

    def errors(table: Tableau) -> Tensor:
        return rms((sample(denoise, recording.states[0], table) - recording.states[-1]) / recording.end.alpha)

    return errors
