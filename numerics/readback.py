"""Read a sampler back: basis vectors in, its table out."""

from __future__ import annotations

import torch
from torch import Tensor

from .denoisers import Denoiser
from .points import Point
from .sample import sample
from .tableau import Tableau


def _answering(vectors: Tensor) -> Denoiser:
    """A denoiser that ignores its input and answers with one vector after another."""
    answers = iter(vectors)

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        answer: Tensor = next(answers)
        return answer

    return denoise


def read_rows(tableau: Tableau) -> tuple[Tensor, Tensor]:
    """The coefficients of every row, as the loop applies them: (states [R, K], outputs [R, J]) in float64.

    Each row is run alone on basis vectors: the states and outputs that it can see are orthogonal unit vectors, so
    the components of the new vector are the row. What comes back must equal the tableau bit for bit.
    """
    states, outputs = torch.empty_like(tableau.states), torch.empty_like(tableau.outputs)
    for i in range(len(states)):
        row = tableau.row(i)
        basis = torch.eye(2 * row.given, dtype=torch.float64)
        new = sample(_answering(basis[row.given :]), list(basis[: row.given]), row)
        states[i] = new[: row.given].flip(0)[: states.shape[1]]
        outputs[i] = new[row.given :].flip(0)[: outputs.shape[1]]
    return states, outputs


def read_run(tableau: Tableau) -> Tensor:
    """The whole run as one affine map: v_last = sum_i c_i v_i(given) + sum_j c_j d_j;  c [given + nfe], float64."""
    basis = torch.eye(tableau.given + tableau.nfe, dtype=torch.float64)
    return sample(_answering(basis[tableau.given :]), list(basis[: tableau.given]), tableau)
