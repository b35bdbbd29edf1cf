"""Interpolation in a carried number: Chebyshev nodes, and the number of them that a wave needs."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import jv

Array = npt.NDArray[np.float64]
SMALL = 1e-15


def nodes(low: float, high: float, count: int) -> Array:
    """The zeros of the Chebyshev polynomial T_count on [low, high]: [count]."""
    return (low + high) / 2 + (high - low) / 2 * np.cos(_angles(count))


def lagrange(low: float, high: float, count: int, at: Array) -> Array:
    """l_i(at) of the nodes: [count, *at.shape], for `at` inside [low, high].

    l_i(x) = (1/n) (1 + 2 sum_{m=1}^{n-1} T_m(x_i) T_m(x)), by the discrete orthogonality of T_m = cos(m arccos).
    """
    scaled = (2 * at - low - high) / (high - low) if high > low else np.zeros_like(at)
    degrees = np.arange(count)
    values = np.cos(np.multiply.outer(degrees, np.arccos(np.clip(scaled, -1, 1))))
    coefficients = chebyshev(count).T * (2 / count)
    coefficients[:, 0] = 1 / count
    answer: Array = np.tensordot(coefficients, values, axes=1)
    return answer


def importance(phase: float) -> Array:
    """Bounds 2 |J_m(y)| on the coefficients of T_m in exp(-i y x), |x| <= 1, |y| <= phase, up to the level of rounding.

    len(bounds) nodes integrate these functions to rounding.
    """
    orders = np.arange(math.ceil(phase + 10 * phase ** (1 / 3)) + 30)
    sizes = np.maximum.accumulate(2 * np.abs(jv(orders, phase))[::-1])[::-1]
    bounds: Array = np.minimum(sizes[: np.flatnonzero(sizes > SMALL)[-1] + 2], 1)
    return bounds


def chebyshev(count: int) -> Array:
    """T_m at the nodes: [m, node]."""
    values: Array = np.cos(np.multiply.outer(np.arange(count), _angles(count)))
    return values


def _angles(count: int) -> Array:
    return np.linspace(0.0, np.pi, count, endpoint=False, dtype=np.float64) + np.pi / (2 * count)
