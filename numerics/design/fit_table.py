"""Levels and weights that minimise the signed error at the end, on a linearised model or through the model itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..advice.recording import Recording
from ..denoisers import Denoiser
from ..sample import sample
from ..tableau import Tableau
from .least_errors import least_errors
from .linearised_model import LinearisedModel
from .rivals import rms
from .row_weights import pack, tableau_of, unpack, weights_of

RIDGES = (1e-7, 1e-6, 1e-5, 1e-4)  # of a parameter, relative to the mean square of the data
STARTS = 2  # records on levels that an optimisation starts from
LARGEST = 8.0  # sum of |weights| of a row: three bits of the outputs' rounding
GROWTH = 4.0  # of errors, on Gaussian models
QUOTIENT = 1e-4  # step of a parameter in a difference quotient
TUNING = 3  # iterations through the model


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

    def fitted(self, start: Tensor, ridge: float) -> Tensor:
        """The parameters that minimise the errors on the linearised model, from those of a record."""
        slope = torch.func.jacfwd(self.errors)
        return least_errors(self.errors, slope, start, ridge * self.model.scale**2)

    def tuned(self, denoise: Denoiser, start: Tensor, ridge: float) -> Tensor:
        """The same through the model, with difference quotients of whole runs from the recorded starts."""

        def errors(parameters: Tensor) -> Tensor:
            made = sample(denoise, self.recording.states[0], self.table(parameters))
            off = (made - self.recording.states[-1]) / self.recording.end.alpha
            return off.flatten(1) * off[0].numel() ** -0.5

        def slope(parameters: Tensor) -> Tensor:
            here = errors(parameters)
            moved = [errors(parameters + QUOTIENT * unit) for unit in torch.eye(len(parameters), dtype=torch.float64)]
            return torch.stack([(there - here) / QUOTIENT for there in moved], dim=2)

        return least_errors(errors, slope, start, ridge * self.model.scale**2, TUNING)

    def starts(self, tables: Iterator[Tableau]) -> list[Tensor]:
        """The parameters of the best tables of this form, on the linearised model."""
        found = []
        for table in tables:
            weights = weights_of(table)
            if weights is not None:
                lam = torch.tensor([at.lam for at in table.points], dtype=torch.float64)
                parameters = pack(lam, weights)
                found.append((float(self.predicted(parameters).log().mean()), parameters))
        return [parameters for _, parameters in sorted(found, key=lambda one: one[0])[:STARTS]]


Run = Callable[[Tableau], Tensor]


def run_errors(denoise: Denoiser, recording: Recording) -> Run:
    """Of a table, the size of its errors from the recorded starts [R], a coordinate of x/alpha."""

    def errors(table: Tableau) -> Tensor:
        return rms((sample(denoise, recording.states[0], table) - recording.states[-1]) / recording.end.alpha)

    return errors
