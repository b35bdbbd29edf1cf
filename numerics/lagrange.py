"""Lagrange polynomials."""

from __future__ import annotations

import math
from collections.abc import Sequence


def lagrange(nodes: Sequence[float], at: float) -> list[float]:
    """The Lagrange polynomials of distinct nodes at a point: the weights of values at the nodes for the value there."""
    return [math.prod((at - other) / (node - other) for other in nodes if other != node) for node in nodes]
