"""The rows of a table one by one: as vectors in place of lags, and applied to vectors that are known."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from .denoisers import Denoiser
from .sample import check_output
from .tableau import Tableau


@dataclass(frozen=True)
class Row:
    """A row of a table as {vector: coefficient}, without zeros; vector: the one that it makes."""

    number: int
    vector: int
    states: dict[int, float]
    outputs: dict[int, float]


def rows_of(tableau: Tableau) -> list[Row]:
    """The rows of a table, with vectors in place of lags."""
    found = []
    for number, (states, outputs) in enumerate(zip(tableau.states.tolist(), tableau.outputs.tolist(), strict=True)):
        i = tableau.given + number
        columns = [{i - 1 - lag: c for lag, c in enumerate(line) if c != 0} for line in (states, outputs)]
        found.append(Row(number, i, *columns))
    return found


class KnownVectors:
    """Vectors of a run of a table by their indices, and the outputs that are made at them, each once.

    evaluations: of the model, so far.
    """

    def __init__(self, denoise: Denoiser, tableau: Tableau, vectors: dict[int, Tensor]) -> None:
        self.denoise, self.tableau, self.vectors = denoise, tableau, vectors
        self.outputs: dict[int, Tensor] = {}
        self.evaluations = 0

    def applied(self, row: Row, without: Collection[int] = ()) -> Tensor:
        """The sum of a row's terms, but for those of the vectors `without`.  Raises SamplingError as `sample` does."""
        total = torch.zeros_like(next(iter(self.vectors.values())))
        for j, c in row.states.items():
            if j not in without:
                total = total + c * self.vectors[j]
        for j, w in row.outputs.items():
            if j not in without:
                total = total + w * self.output(j)
        return total

    def forget(self, j: int) -> None:
        """Make vector j unknown again."""
        self.vectors.pop(j, None)
        self.outputs.pop(j, None)

    def evaluated(self, x: Tensor, j: int, prediction: str) -> Tensor:
        """The model at x in place of vector j, in the dtype of x."""
        self.evaluations += 1
        at = self.tableau.points[j]
        d = self.denoise(x, at, prediction)
        check_output(d, x.shape, self.tableau, j)
        return d.to(x.dtype)

    def output(self, j: int) -> Tensor:
        """The output at vector j, which is known."""
        if j not in self.outputs:
            self.outputs[j] = self.evaluated(self.vectors[j], j, self.tableau.prediction_at(j))
        return self.outputs[j]
