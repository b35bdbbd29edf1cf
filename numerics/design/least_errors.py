"""Levenberg and Marquardt's method for the error at the end of a table, with few trajectories and outliers among them.

The objective is c mean_r log(1 + |e_r|^2/c) + ridge |p - p_0|^2: errors far above sqrt(c), as near a separatrix, count
by their logarithm; the ridge keeps parameters near those of a proved record where the trajectories do not decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

OUTLYING = 4.0  # of the median of |e|^2: c
ROUNDS = 2  # in which c is set anew
ITERATIONS = 25  # of a round
TRIES = 8  # dampings of an iteration
SETTLED = 1e-4  # relative decrease that ends a round

Errors = Callable[[Tensor], Tensor]


def least_errors(
    errors: Errors,
    jacobian: Errors,
    start: Tensor,
    ridge: float,
    first: Tensor | None = None,
    iterations: int = ITERATIONS,
) -> Tensor:
    """The parameters [P] that minimise the objective.

    errors: of parameters, [R, q].  jacobian: of parameters, [R, q, P].  start: p_0.  first: where to begin, if
    not there.
    """
    found = start if first is None else first
    for _ in range(ROUNDS):
        size = OUTLYING * float(errors(found).square().sum(dim=1).median())
        found = _round(errors, jacobian, found, start, ridge, max(size, 1e-300), iterations)
    return found


def _round(
    errors: Errors, jacobian: Errors, found: Tensor, start: Tensor, ridge: float, size: float, iterations: int
) -> Tensor:
    def objective(moved: Tensor, at: Tensor) -> float:
        squares = moved.square().sum(dim=1)
        return float(size * (squares / size).log1p().mean() + ridge * (at - start).square().sum())

    now, damping = errors(found), 1e-2
    least = objective(now, found)
    for _ in range(iterations):
        # The normal equations, with a weight for every trajectory.
        share = (1 / (1 + now.square().sum(dim=1) / size) / len(now)).sqrt()
        slope = (jacobian(found) * share[:, None, None]).flatten(0, 1)
        normal = slope.T @ slope + ridge * torch.eye(len(found), dtype=torch.float64)
        gradient = slope.T @ (now * share[:, None]).flatten() + ridge * (found - start)
        diagonal = normal.diagonal() + 1e-12 * normal.diagonal().max()
        # A step, damped until the objective falls.
        before = least
        for _ in range(TRIES):
            moved = found - torch.linalg.solve(normal + damping * diagonal.diag(), gradient)
            then = errors(moved)
            value = objective(then, moved)
            if math.isfinite(value) and value < least:
                found, now, least, damping = moved, then, value, max(damping / 5, 1e-9)
                break
            damping *= 4
        if not before - least > SETTLED * before:
            break
    return found
