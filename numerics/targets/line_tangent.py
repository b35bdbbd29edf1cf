"""The predictions of a mixture in one dimension with their derivatives, in few operations on few arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


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


def line_of(
    high: Array,
    low: Array,
    variance: Array,
    log_weight: Array,
    gain: Array,
    offset: Array | None,
    centred: Array | None,
) -> Line:
    """From the moments of the components and the prediction offset_k + gain_k y_k of each (mixture._Affine), columns.

    The factors contain those of line_tangent's arrays: -2 of y_k, 4 of its product with dr_k.
    """
    precision, gain = 1 / variance, np.broadcast_to(gain, high.shape)
    of_value, of_derivative = [-2 * gain], [gain * precision, -4 * gain]
    if offset is not None and centred is not None:
        of_value, of_derivative = [-2 * gain, offset], [*of_derivative, 2 * centred]
    rows = (np.concatenate(of)[:, 0] for of in (of_value, of_derivative))
    return Line(high, low if low.any() else None, -0.5 * precision, log_weight[:, None], *rows)


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is found by the loop of the sampler
def line_tangent(line: Line, x: Array, dx: Array) -> Array:
    """`GaussianMixture.tangent` in a third of the operations: x and dx [b] -> the value and the derivative [2, b].

    With y_k = (x - alpha mu_k) / v_k the score of a component is -y_k, and dr_k = -r_k (y_k - sum_j r_j y_j) dx.
    The arrays have -y_k/2 in place of y_k; powers of two change no rounding.
    """
    parts = np.empty((4, len(line.high), len(x)))
    pulls, shares, scaled, away = parts  # in the order of the factors
    # -y_k/2, the responsibilities r_k, and their product.
    np.subtract(x, line.high, out=away)
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
    # Sums over the components.
    answer = np.empty((2, len(x)))
    flat = parts.reshape(-1, len(x))
    np.dot(line.of_value, flat[: len(line.of_value)], out=answer[0])
    np.dot(line.of_derivative, flat[len(line.high) :][: len(line.of_derivative)], out=answer[1])
    answer[1] *= dx
    return answer


def _over_components(combine: np.ufunc, values: Array) -> Array:
    """The reduction of the rows; of two rows in half of the time of `reduce`, with the same result."""
    result: Array = combine(*values) if len(values) == 2 else combine.reduce(values, axis=0)
    return result
