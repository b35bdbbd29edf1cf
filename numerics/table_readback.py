"""Read our own tables back: the coefficients that the loop applies, row by row and of a whole run."""

from __future__ import annotations

import torch
from torch import Tensor

from .denoisers import Denoiser
from .noise import NoiseSource
from .points import Point
from .sample import sample
from .tableau import Tableau


def _answering(vectors: Tensor) -> Denoiser:
    """A denoiser that ignores its input and returns one vector after another."""
    answers = iter(vectors)

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        answer: Tensor = next(answers)
        return answer

    return denoise


def _drawing(vectors: Tensor) -> NoiseSource:
    """A noise source that returns one vector after another."""
    return lambda like, draw: vectors[draw]


def read_rows(tableau: Tableau) -> tuple[Tensor, Tensor, Tensor]:
    """The coefficients of every row, as the loop applies them: (states [R, K], outputs [R, J], noises [R, L]), float64.

    Each row is run by itself on basis vectors: the states, outputs and noises that it uses are orthogonal unit vectors,
    so the components of the new vector are the row. The result must equal the tableau bit for bit.
    """
    states, outputs = torch.empty_like(tableau.states), torch.empty_like(tableau.outputs)
    noises = torch.zeros_like(tableau.noises)
    for i in range(len(states)):
        row = tableau.row(i)
        lags = noises[i].shape[0] - 1 - row.noises[0].flip(0).nonzero()[:, 0]  # in the order of drawing, oldest first
        basis = torch.eye(2 * row.given + len(lags), dtype=torch.float64)
        given, made, drawn = torch.split(basis, [row.given, row.given, len(lags)])
        new = sample(_answering(made), list(given), row, noise=_drawing(drawn))
        states[i] = new[: row.given].flip(0)[: states.shape[1]]
        outputs[i] = new[row.given : 2 * row.given].flip(0)[: outputs.shape[1]]
        noises[i, lags] = new[2 * row.given :]
    return states, outputs, noises


def read_run(tableau: Tableau) -> Tensor:
    """The whole run as one affine map: v_last = sum_i c_i v_i(given) + sum_j c_j d_j + sum_k c_k z_k, float64.

    c [given + nfe + draws]: the outputs in the order in which they are made, the noises in that of drawing.
    """
    basis = torch.eye(tableau.given + tableau.nfe + sum(tableau.drawn), dtype=torch.float64)
    given, made, drawn = torch.split(basis, [tableau.given, tableau.nfe, sum(tableau.drawn)])
    return sample(_answering(made), list(given), tableau, noise=_drawing(drawn))
