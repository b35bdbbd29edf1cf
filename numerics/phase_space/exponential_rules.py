"""Exponential rules of phase space: the linear part exactly, the model by an interpolant, with 2 x 2 coefficients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, number, of_type, runnable, whole
from ..grids import Grid
from ..lagrange import lagrange
from .phase_process import PhaseSpace, acted, clock_of
from .splitting_run import Score, check_states, score_at

MOST = 4  # nodes of an interpolant
QUADRATURE = np.polynomial.legendre.leggauss(24)
PREDICTIONS = ("score", "noise")


@dataclass(frozen=True)
class PhaseTable:
    """z_{n+1} = R_n z_n + sum_k W_nk F(z_{n-k}, b_{n-k}), with the model's output F: N steps of K nodes.

    clock: b at the N + 1 points.  scales: R [N, 2, 2].  weights: W [N, K, 2, 2], zero at nodes before the start.
    outputs: what takes the score to F at every point [N, 2, 2].
    """

    clock: tuple[float, ...]
    scales: Tensor
    weights: Tensor
    outputs: Tensor


def exponential_table(
    space: PhaseSpace, clock: Grid | Iterable[float], nodes: int = 1, prediction: str = "score", rate: float = 0.0
) -> PhaseTable:
    """The exponential Adams rule of K nodes for dz/db = A z - D s/2, one evaluation a step; fewer nodes at the start.

        W_nk = integral from b_n to b_{n+1} of Psi(b_{n+1} - b) (-D/2) C(b) L_nk(b) db,   s = C F

    prediction: F is the "score", C = 1, or the "noise", C = -Sigma^{-T/2} with the Cholesky factor of the covariance of
    (x, m) given x0.  L_nk: the Lagrange polynomials of the points n, n - 1, … in b.
    rate: lambda of the conjugate integrator with the matrix lambda I in a unit of b (lambda-DDIM-I), for one node: in
    e^{lambda b} Psi(-b) z the equation keeps lambda z, which Euler's step takes. At 0 it is the exponential rule.
    Raises InputError on a clock that does not fall, nodes outside 1..4, another prediction, and noise at b = 0.
    Pandey, Rudolph and Mandt 2024 (arXiv 2310.07894); Zhang and Chen 2023 (DEIS) for the rule of K nodes.
    """
    of_type("space", space, PhaseSpace, "a PhaseSpace")
    levels, most = clock_of(clock), whole("nodes", nodes)
    if not 1 <= most <= MOST:
        raise InputError("nodes", nodes, f"from 1 to {MOST}")
    if prediction not in PREDICTIONS:
        raise InputError("prediction", prediction, f"one of {', '.join(PREDICTIONS)}")
    if prediction == "noise" and levels[-1] == 0:
        raise InputError("clock", 0.0, "b > 0 for a prediction of the noise")
    number("rate", rate)
    if rate and most > 1:
        raise InputError("rate", rate, "0 for more than one node")
    scales, weights = [], torch.zeros(len(levels) - 1, most, 2, 2, dtype=torch.float64)
    for n, (b, to) in enumerate(pairwise(levels)):
        past = levels[max(0, n - most + 1) : n + 1][::-1]
        scales.append((1 - rate * (b - to)) * np.exp(rate * (b - to)) * space.scale(to - b))
        for place, weight in zip(*(part.tolist() for part in QUADRATURE), strict=True):
            at = (b + to) / 2 + (to - b) / 2 * place
            kernel = space.scale(to - at) @ (-space.diffusion / 2) @ _factor(space, at, prediction)
            kernel *= (to - b) / 2 * weight * np.exp(rate * (at - to))
            for k, basis in enumerate(lagrange(past, at)):
                weights[n, k] += basis * kernel
    outputs = [torch.linalg.inv(_factor(space, b, prediction)) for b in levels[:-1]]
    return PhaseTable(levels, torch.stack(scales), weights, torch.stack(outputs))


def run_exponential(score: Score, z: Tensor, table: PhaseTable) -> Tensor:
    """A run of a table: states [n, 2 d], x before m -> [n, 2 d].  score: a PhaseMixture, or a model of the score.

    Raises InputError on states of another shape, SamplingError as split does.
    """
    runnable("score", score, "a function of (states [n, 2 d], b) with the score, such as a PhaseMixture")
    of_type("table", table, PhaseTable, "a PhaseTable, as exponential_table makes it")
    check_states(z)
    past: list[Tensor] = []
    for n, b in enumerate(table.clock[:-1]):
        past = [acted(table.outputs[n], score_at(score, z, b)), *past][: table.weights.shape[1]]
        z = acted(table.scales[n], z)
        for weight, output in zip(table.weights[n], past, strict=False):
            z = z + acted(weight, output)
    return z


def _factor(space: PhaseSpace, b: float, prediction: str) -> Tensor:
    """C with s = C F: [2, 2]."""
    if prediction == "score":
        return torch.eye(2, dtype=torch.float64)
    factor: Tensor = -torch.linalg.inv(torch.linalg.cholesky(space.perturbation(b))).T
    return factor
