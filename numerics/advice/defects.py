"""The defect of every row of a table on a recording: the row at recorded states and outputs, minus the recorded state.

A row is linear in states and data predictions, so its defect needs no integral of its own and is exact for any table:

    delta_i = sum_k S[i, k] x(p_k) + sum_k O[i, k] D(x(p_k), p_k) - x(p_i),

with p_k the points of its vectors. By variation of constants the sum over outputs stands for the integral of the
recorded data prediction over the step, and delta_i for what the row makes of it beside that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError
from ..generated.prediction_functions import CONVERT
from ..points import Point
from ..tableau import Tableau
from .recording import Recording


@dataclass(frozen=True, eq=False)
class DataRows:
    """A table as rows over its vectors, in data predictions: v_i = sum_k states[i, k] v_k + sum_k outputs[i, k] D_k.

    states, outputs: float64 [vectors, vectors], strictly lower triangular, zero at the given vectors; of tables with
    the same points, [tables, vectors, vectors].
    """

    points: tuple[Point, ...]
    given: int
    states: Tensor
    outputs: Tensor


def data_rows(table: Tableau) -> DataRows:
    """The rows of a table over its vectors, with every output d = a v + b D written as the data prediction D.

    Raises InputError on a table that draws noise, and on one of several outputs at a vector.
    """
    if table.noises.any():
        raise InputError("table", table.method, "a sampler without noise: a recording is of a flow")
    if table.channels:
        raise InputError("table", table.method, "a table of one output at a vector")
    count, given = len(table.points), table.given
    states, outputs = (torch.zeros(count, count, dtype=torch.float64) for _ in range(2))
    for matrix, lines in ((states, table.states), (outputs, table.outputs)):
        for lag in range(min(lines.shape[1], count - 1)):
            first = max(0, lag + 1 - given)  # the first row whose lag reaches a vector that exists
            rows = torch.arange(first, len(lines))
            matrix[rows + given, rows + given - 1 - lag] = lines[first:, lag]
    for k in outputs.any(dim=0).nonzero().flatten().tolist():
        made = table.prediction_at(k)
        if made == "data":
            continue
        at = table.points[k]
        a, b = CONVERT["data", made](at.alpha, at.sigma, at.dalpha, at.dsigma)
        states[:, k] += a * outputs[:, k]
        outputs[:, k] *= b
    return DataRows(table.points, given, states, outputs)


def defects(table: Tableau, recording: Recording) -> Tensor:
    """The defect of every row, float64 [rows, R, *shape]; given vectors are recorded states.

    table: of a sampler without noise, with points between the ends of the recording.  Raises InputError as data_rows
    and Recording.at.

    >>> import torch
    >>> import samplerproof as sp
    >>> from samplerproof.numerics.advice.recording import record
    >>> from samplerproof.numerics.advice.defects import defects
    >>> edm = sp.schedule("edm")
    >>> start = torch.tensor([[3.0], [-5.0]], dtype=torch.float64)
    >>> recording = record(sp.GaussianMixture([1.0], [0.0], stds=[1.0]), edm, edm.point(8.0), edm.point(0.1), start)
    >>> grid = sp.grid(edm, "karras", 4, sigma_min=0.1, sigma_max=8.0)
    >>> defects(sp.tabulate("ddim", grid), recording).shape
    torch.Size([4, 2, 1])
    """
    return row_defects(data_rows(table), *recording.at(table.points))


def row_defects(rows: DataRows, states: Tensor, data: Tensor) -> Tensor:
    """The defects [..., rows, R, *shape] where the states and data predictions at all points are known."""
    x, d = states.flatten(1), data.flatten(1)
    made = rows.states @ x + rows.outputs @ d - x
    found = made[..., rows.given :, :]
    return found.reshape(*found.shape[:-1], *states.shape[1:])
