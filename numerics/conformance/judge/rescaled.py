"""A run on alpha = 1 as a run on another process of the same lambda: its states times alpha."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from ...catalogue import starts
from ...generated.frame_functions import FRAMES
from ...points import Point
from ...readback import Trace
from ...records import Record
from ..forward_processes import at_ratio

OF_PROCESS = {"a1", "two_step_alpha_ratio", "alpha_ratio", "middle"}  # arguments of weights, by alpha or by t
FACTOR = {"flow": "alpha = 1/(1 + sigma)", "vp": "alpha = 1/sqrt(1 + sigma^2)"}


def rescaled(found: Trace, process: str) -> Trace:
    """The trace of a run on alpha = 1 with data predictions, on another process: states are multiplied by alpha, levels
    and data predictions are the same.
    """
    return placed(found, lambda at: at_ratio(process, at.sigma))


def same_on_every_process(record: Record) -> bool:
    """Whether the table of a record is the same on levels of the same lambda, but for the scale of its states."""
    methods = [record, *starts(record)]
    rows = [row for m in methods for row in m.rows]
    used = {a for row in rows for a in (row.to, *row.arguments, *row.state_arguments, *row.noise_arguments)}
    return not used & OF_PROCESS and all(FRAMES[m.frame].clock != "t" for m in methods)


def placed(found: Trace, there: Callable[[Point], Point]) -> Trace:
    """As rescaled, from any process to any, with data or noise predictions.  there(at): the point with the
    sigma / alpha of `at`.
    """
    points = tuple(there(p) for p in found.points)
    pairs = zip(points, found.points, strict=True)
    factors = torch.tensor(
        [1.0 if new.alpha == p.alpha else new.alpha / p.alpha for new, p in pairs], dtype=torch.float64
    )
    vectors = found.vectors * factors[:, None]
    vectors[:, 0] /= factors[0]
    apart = {name: columns * factors[:, None] for name, columns in found.apart.items()}
    return replace(found, vectors=vectors, points=points, grid=tuple(there(p) for p in found.grid), apart=apart)
