"""The predictions of a mixture in one dimension with their derivatives, in few operations on few arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .block_arrays import BLOCK

Array = npt.NDArray[np.float64]
ALIKE = 4  # numbers in a row, from which on BLAS adds those of several rows in the order of one


class Line(NamedTuple):
    """The components of a law in one dimension, columns [K, 1], and the factors of the sums that are a prediction.

    high + low: alpha mu to twice the precision; low is None where it is zero.  half: -1/(2 v).  log_weight: log of
    w_k (2 pi v_k)^{-1/2}.  of_value [K or 2 K], of_derivative [2 K or 3 K]: those of a value and of a derivative.
    """

    high: Array
    low: Array | None
    half: Array
    log_weight: Array
    of_value: Array
    of_derivative: Array


def lines_of(
    high: Array,
    low: Array,
    variance: Array,
    log_weight: Array,
    gain: Array,
    offset: Array | None,
    centred: Array | None,
) -> list[Line]:
    """At P points, from the moments of the components [P, K, 1] and the prediction offset_k + gain_k y_k of each.

    See mixture._Affine.  log_weight [P, K]; gain [P, K | 1, 1]. The factors contain those of line_tangent's arrays: -2
    of y_k, 4 of its product with dr_k.
    """
    precision, gain = 1 / variance, np.broadcast_to(gain, high.shape)
    of_value, of_derivative = [-2 * gain], [gain * precision, -4 * gain]
    if offset is not None and centred is not None:
        of_value, of_derivative = [-2 * gain, offset], [*of_derivative, 2 * centred]
    factors = (np.concatenate(of, axis=1)[..., 0] for of in (of_value, of_derivative))
    lows = [each if each.any() else None for each in low]
    return list(map(Line, high, lows, -0.5 * precision, log_weight[..., None], *factors))


def line_tangents(line: Line, x: Array, dx: Array) -> Array:
    """line_tangent of x and dx [..., n, 1], as [2, m, n], in blocks of whole parts [n], or of one: each has the bits
    that it has alone.
    """
    if not x.size:
        return np.empty((2, *x.shape))
    n, size = x.shape[-2] if x.ndim > 1 else 1, max(1, BLOCK // (4 * len(line.high)))
    x, dx = x.reshape(-1, n), dx.reshape(-1, n)
    rows = max(1, size // n) if n >= ALIKE else 1
    if len(x) <= rows and n <= size:
        return line_tangent(line, x, dx)
    answer = np.empty((2, *x.shape))
    for k in range(0, len(x), rows):
        for j in range(0, n, size):
            part = slice(k, k + rows), slice(j, j + size)
            answer[:, *part] = line_tangent(line, x[part], dx[part])
    return answer


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is found by the loop of the sampler
def line_tangent(line: Line, x: Array, dx: Array) -> Array:
    """`GaussianMixture.tangent` in a third of the operations: x and dx [m, n] -> value and derivative [2, m, n].

    With y_k = (x - alpha mu_k) / v_k the score of a component is -y_k, and dr_k = -r_k (y_k - sum_j r_j y_j) dx.
    The arrays have -y_k/2 in place of y_k; powers of two change no rounding. From n = ALIKE numbers on every row has
    the bits that it has alone.
    """
    parts = np.empty((4, len(line.high), x.size))
    pulls, shares, scaled, away = parts  # in the order of the factors
    # -y_k/2, the responsibilities r_k, and their product.
    np.subtract(x.reshape(-1), line.high, out=away)
    if line.low is not None:
        away -= line.low
    np.multiply(away, line.half, out=scaled)
    np.multiply(away, scaled, out=shares)
    shares += line.log_weight
    shares -= _over_components(np.maximum, shares)
    np.exp(shares, out=shares)
    shares /= _over_components(np.add, shares)
    np.multiply(shares, scaled, out=pulls)
    # dr_k/dx / 2, and -y_k/2 times it.
    np.subtract(scaled, _over_components(np.add, pulls), out=away)
    away *= shares
    scaled *= away
    # Sums over the components, of each row alone: those of BLAS depend on the place of a number in its row.
    rows, answer = parts.reshape(-1, *x.shape).swapaxes(0, 1), np.empty((2, *x.shape))
    np.matmul(line.of_value, rows[:, : len(line.of_value)], out=answer[0])
    np.matmul(line.of_derivative, rows[:, len(line.high) :][:, : len(line.of_derivative)], out=answer[1])
    answer[1] *= dx
    return answer


def _over_components(combine: np.ufunc, values: Array) -> Array:
    """The reduction of the rows; of two rows in half of the time of `reduce`, with the same result."""
    result: Array = combine(*values) if len(values) == 2 else combine.reduce(values, axis=0)
    return result
