"""One record per shape in `make test`, the others in `make test-full`: what a test over the catalogue is run on.

The shape of a record is what the engine distinguishes: its kind, the history and the rows of a step, and its noise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from samplerproof.numerics.catalogue import resolve


def shape(name: str) -> tuple[str, int, int, bool]:
    """Kind, history, rows per step and noise of a record of the catalogue, with or without parameters."""
    record = resolve(name)
    return record.kind, record.history, len(record.rows), record.stochastic


def one_per_shape(names: Iterable[str]) -> list[str]:
    """The first name of each shape, and the first of each frame: every branch of the engine is taken."""
    chosen, shapes, frames = [], set(), set()
    for name in names:
        frame = resolve(name).frame
        if shape(name) not in shapes or frame not in frames:
            chosen.append(name)
        shapes.add(shape(name))
        frames.add(frame)
    return chosen


def by_shape(names: Iterable[Any]) -> list[Any]:
    """Parameters of a test, names or theory's records: one per shape, and all others marked `slow`."""
    cases = {case if isinstance(case, str) else case.name: case for case in names}
    quick = set(one_per_shape(cases))
    return [
        pytest.param(case, id=name, marks=() if name in quick else (pytest.mark.slow,)) for name, case in cases.items()
    ]
