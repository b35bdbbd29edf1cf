"""Turning points of cubic Hermite interpolants, and their values there."""

from __future__ import annotations

from torch import Tensor
from torch import where as choose


def turns(value: Tensor, rate: Tensor, step: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """(s in [0, 1], value) of the turning points on the intervals `at`, where the rate changes its sign.

    The derivative of the interpolant at s is a + bend s + curve s^2; its root in [0, 1], without cancellation.
    """
    h, a, b = step[at], rate[at], rate[at + 1]
    bend = 6 * (value[at + 1] - value[at]) / h - 4 * a - 2 * b
    curve = b - a - bend
    root = (bend * bend - 4 * curve * a).clamp(min=0).sqrt()
    q = -(bend + choose(bend < 0, -root, root)) / 2
    s = a / q
    s = choose((s >= 0) & (s <= 1), s, q / curve).nan_to_num().clamp(0, 1)
    return s, value[at] + h * s * (a + s * (bend / 2 + s * curve / 3))
