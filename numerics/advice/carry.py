"""Defects carried to the end with sign: the recursion of a table, linearised about the recorded trajectories.

    e_i = sum_k S[i, k] e_k + sum_k O[i, k] J_k e_k + delta_i,   J_k the Jacobian of the data prediction at x(p_k):

an error of a state is passed on through the states that are made of it, and through the outputs that the model makes
there. The last e_i is the error of the sample, to first order in the defects. Every row is carried, stages and
predictors included, so that the feedback of a corrector is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..points import Point
from ..tableau import Tableau
from .defects import DataRows, data_rows, row_defects
from .recording import Recording

# Of points, the derivatives of the data prediction there: function k maps errors [..., R, *shape] to J_k errors.
Jacobian = Callable[[Sequence[Point]], Sequence[Callable[[Tensor], Tensor]]]


def carried(table: Tableau, recording: Recording, jacobian: Jacobian) -> Tensor:
    """The predicted error of the sample, float64 [R, *shape]: the sampler's end minus the trajectory's, to first order.

    jacobian: as `isotropic` or `tangents.Tangents` make one.  Exact where the data prediction is affine in x.
    Raises InputError as defects.
    """
    rows = data_rows(table)
    states, data = recording.at(table.points)
    return carry(rows, row_defects(rows, states, data), jacobian(table.points))


def carry(rows: DataRows, moved: Tensor, derivatives: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
    """The last error of the recursion, of one table or more.  moved: defects of all rows, [..., rows, R, *shape]."""
    count, several, shape = len(rows.points), rows.states.shape[:-2], moved.shape[rows.states.ndim - 1 :]
    errors, fed = (torch.zeros(*several, count, math.prod(shape), dtype=torch.float64) for _ in range(2))
    read = rows.outputs.flatten(0, -2).any(dim=0).tolist()
    moved = moved.reshape(*several, count - rows.given, -1)
    for i in range(rows.given, count):
        states, outputs = rows.states[..., i : i + 1, :i], rows.outputs[..., i : i + 1, :i]
        made = states @ errors[..., :i, :] + outputs @ fed[..., :i, :]
        errors[..., i, :] = made[..., 0, :] + moved[..., i - rows.given, :]
        if read[i]:
            fed[..., i, :] = derivatives[i](errors[..., i, :].reshape(*several, *shape)).reshape(*several, -1)
    return errors[..., -1, :].reshape(*several, *shape)


def slopes(at: Point, std: Tensor) -> Tensor:
    """alpha std^2/(alpha^2 std^2 + sigma^2): the derivative of the data prediction of Gaussian laws."""
    return at.alpha * std**2 / (at.alpha**2 * std**2 + at.sigma**2)


def isotropic(std: float) -> Jacobian:
    """J of a Gaussian law with this standard deviation; of 0 it is 0."""

    def derivative(at: Point) -> Callable[[Tensor], Tensor]:
        factor = float(slopes(at, torch.tensor(std, dtype=torch.float64)))
        return lambda error: factor * error

    return lambda points: [derivative(at) for at in points]
