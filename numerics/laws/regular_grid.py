"""Functions on a regular grid: interpolation by polynomials of degree 11, and averages over normal noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.ndimage import correlate1d
from scipy.sparse import csr_array

from .chebyshev import Array

STENCIL = np.arange(-5, 7)
# Coefficients of the polynomial of degree 11 from its values at the stencil; it is used between 0 and 1.
FROM_VALUES = np.linalg.inv(np.vander(STENCIL.astype(np.float64)))
NOISE = np.linspace(-7.2, 7.2, 25)  # waves exp(-i k z) up to k = 4 are averaged to 1e-9


def reading(places: Array, x: Array) -> Any:
    """The sparse matrix [places, grid] that interpolates values on the grid x at `places`; constant beyond its ends."""
    at = (np.clip(places, x[0], x[-1]) - x[0]) / (x[1] - x[0])
    first = np.clip(np.floor(at).astype(int), -STENCIL[0], len(x) - 1 - STENCIL[-1])
    weights, columns = np.vander(at - first, len(STENCIL)) @ FROM_VALUES, first[:, None] + STENCIL
    rows = np.arange(0, weights.size + 1, len(STENCIL))
    return csr_array((weights.ravel(), columns.ravel(), rows), shape=(len(places), len(x)))


def blurred(u: Array, width: float) -> Array:
    """E_z u(x + width z) with z standard normal, by the trapezoid rule; u [grid, …], width in spacings of the grid."""
    reach = math.ceil(width * NOISE[-1]) + len(STENCIL)
    mass = np.exp(-(NOISE**2) / 2)
    kernel = (mass / mass.sum()) @ reading(width * NOISE, np.arange(-reach, reach + 1, dtype=np.float64))
    answer: Array = correlate1d(u, kernel, axis=0, mode="nearest")
    return answer
