"""One step on a denoiser with a constant gain, exactly: why guidance is stiff, and what a frame changes.

On x0hat = g x/alpha and a grid of equal steps h in lambda, every step is the same linear map of y = x/alpha, and y
grows by its largest eigenvalue R(h, g). Guidance with scale s makes g = g_u + s (g_c - g_u).
"""

from __future__ import annotations

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from .linear_stability import step_matrix
from .method import Method, settled
from .notation import alpha, eps, gain, h, sigma, x0
from .notation import r as ratios
from .prediction_formulas import DEFINITION
from .rows import grid_position


def gain_matrix(method: Method) -> DomainMatrix:
    """The step's matrix on past vectors y, in h, g and phi atoms.  ValueError in a frame with another clock."""
    method, frame = settled(method), method.frame
    if frame.column != "lam":
        raise ValueError(f"{method.name}: frame: equal steps in lambda are not equal in {frame.column}")
    equal = {ratio: 1 for ratio in ratios}

    def at(expression: sp.Expr, place: sp.Expr) -> sp.Expr:
        """An expression in alpha and sigma at a place s of the step, with sigma = 1 at its start."""
        return expression.subs({alpha: 1, sigma: sp.exp(-place.subs(equal) * h)})

    def carry(row: int, back: int) -> sp.Expr:
        scales = at(frame.scale, grid_position(method.rows[row].to)) / at(frame.scale, grid_position(-back))
        return sp.sympify(method.rows[row].states[back]).subs(equal) * scales

    def output(row: int, j: int) -> sp.Expr:
        place = method.position(method.rows[row].nodes[j])
        prediction = frame.factor * DEFINITION[frame.prediction].subs({x0: gain, eps: (1 - gain) / sigma})
        scale = at(frame.output_scale, grid_position(method.rows[row].to))
        return scale * method.weights[row][j].subs(equal) * at(prediction, place)

    return step_matrix(method, sp.EXRAW, carry, output)


def growth(method: Method) -> sp.Expr:
    """R(h, g) of a one-step method, with its sign.  ValueError for others."""
    matrix = gain_matrix(method)
    if matrix.shape != (1, 1):
        raise ValueError(f"{method.name}: a step of {matrix.shape[0]} vectors has no single factor")
    return matrix.to_Matrix()[0, 0]
