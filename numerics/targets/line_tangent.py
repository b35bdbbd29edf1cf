"""The predictions of a mixture in one dimension with their derivatives, in few operations on few arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .components import Marginal

Array = npt.NDArray[np.float64]


class Line(NamedTuple):
    """The components of a law in one dimension, columns [K, 1], and the factors of the sums that are a prediction.

    high + low: alpha mu to twice the precision; low is None where it is zero.  precision: 1/v.  log_weight: log of
    w_k (2 pi v_k)^{-1/2}.  of_value [K or 2 K], of_derivative [2 K or 3 K]: those of a value and of a derivative.
    """

    high: Array
    low: Array | None
    precision: Array
    log_weight: Array
    of_value: Array
    of_derivative: Array


def line_of(law: Marginal, gain: Array, offset: Array | None, centred: Array | None) -> Line:
    """From the prediction offset_k + gain_k y_k of every component (mixture._Affine), columns [K | 1, 1]."""
    high, low, precision = (part[:, :, 0].numpy() for part in (law.high, law.low, law.precision))
    gain = np.broadcast_to(gain, high.shape)
    of_value, of_derivative = [gain], [gain * precision, -gain]
    if offset is not None and centred is not None:
        of_value, of_derivative = [gain, offset], [*of_derivative, -centred]
    rows = (np.concatenate(of)[:, 0] for of in (of_value, of_derivative))
    return Line(high, low if low.any() else None, precision, law.log_weight.numpy(), *rows)


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is found by the loop of the sampler
def line_tangent(line: Line, x: Array, dx: Array) -> Array:
    """`GaussianMixture.tangent` in a third of the operations: x and dx [b] -> the value and the derivative [2, b].

    With y_k = (x - alpha mu_k) / v_k the score of a component is -y_k, and dr_k = -r_k (y_k - sum_j r_j y_j) dx.
    """
    parts = np.empty((4, len(line.high), len(x)))
    pulls, shares, scaled, away = parts  # in the order of the factors
    # y_k, the responsibilities r_k, and r_k y_k.
    np.subtract(x, line.high, out=away)
    if line.low is not None:
        away -= line.low
    np.multiply(away, line.precision, out=scaled)
    np.multiply(away, scaled, out=shares)
    shares *= -0.5
    shares += line.log_weight
    shares -= shares.max(axis=0)
    np.exp(shares, out=shares)
    shares /= shares.sum(axis=0)
    np.multiply(shares, scaled, out=pulls)
    # -dr_k/dx and y_k times it.
    np.subtract(scaled, pulls.sum(axis=0), out=away)
    away *= shares
    scaled *= away
    # Sums over the components.
    answer = np.empty((2, len(x)))
    flat = parts.reshape(-1, len(x))
    np.dot(line.of_value, flat[: len(line.of_value)], out=answer[0])
    np.dot(line.of_derivative, flat[len(line.high) :][: len(line.of_derivative)], out=answer[1])
    answer[1] *= dx
    return answer
