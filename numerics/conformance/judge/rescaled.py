"""A run on alpha = 1 as a run on another process of the same lambda: its states times alpha."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from ...points import Point
from ...readback import Trace
from ..forward_processes import point

FACTOR = {"flow": "alpha = 1/(1 + sigma)", "vp": "alpha = 1/sqrt(1 + sigma^2)"}


def rescaled(found: Trace, process: str) -> Trace:
    """The trace of a run on alpha = 1 with data predictions, on another process: states are multiplied by alpha, levels
    and data predictions are the same.
    """

    def there(at: Point) -> Point:
        alpha = 1 / (1 + at.sigma) if process == "flow" else 1 / math.hypot(1, at.sigma)
        return point(process, alpha, at.sigma * alpha)

    return placed(found, there)


def placed(found: Trace, there: Callable[[Point], Point]) -> Trace:
    """As rescaled, for any process.  there(at): its point with the sigma / alpha of `at`."""
    points = tuple(there(p) for p in found.points)
    alphas = torch.tensor([p.alpha for p in points], dtype=torch.float64)
    vectors = found.vectors * alphas[:, None]
    vectors[:, 0] /= alphas[0]
    return replace(found, vectors=vectors, points=points, grid=tuple(there(p) for p in found.grid))
