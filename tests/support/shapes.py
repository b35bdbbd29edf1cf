"""Which cases of a test run in `make test`: one of each sort. The others are marked `slow` and run in `make test-full`.

Records of the catalogue are sorted by shape, which is what the engine distinguishes: the kind, the history and the
rows of a step, and its noise. A new sampler, without kept results in the book, is tested everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest

from samplerproof.book.records.kept_records import RECORDS
from samplerproof.numerics.catalogue import resolve

Case = TypeVar("Case")
KEPT = {json.loads(path.read_text("utf-8"))["name"] for path in (RECORDS / "methods").glob("*.json")}


def shape(name: str) -> tuple[str, int, int, bool]:
    """Kind, history, rows per step and noise of a record of the catalogue, with or without parameters."""
    record = resolve(name)
    return record.kind, record.history, len(record.rows), record.stochastic


def one_per_shape(names: Iterable[str]) -> list[str]:
    """The first name of each shape, the first of each frame, and all new ones: every branch of the engine is taken."""
    chosen, shapes, frames = [], set(), set()
    for name in names:
        frame, new = resolve(name).frame, resolve(name).name.partition("?")[0] not in KEPT
        if shape(name) not in shapes or frame not in frames or new:
            chosen.append(name)
        shapes.add(shape(name))
        frames.add(frame)
    return chosen


def by_shape(names: Iterable[Any]) -> list[Any]:
    """Parameters of a test over names or theory's records: one per shape, and all others marked `slow`."""
    cases = {case if isinstance(case, str) else case.name: case for case in names}
    quick = one_per_shape(cases)
    return [_parameter(case, name in quick, id=name) for name, case in cases.items()]


def first_of_each(
    cases: Iterable[Case], sort: Callable[[Case], object], name: Callable[[Case], str] | None = None
) -> list[Any]:
    """Parameters of a test: the first case of each sort, and all others marked `slow`; a tuple is several arguments."""
    listed = list(cases)
    sorts = [sort(case) for case in listed]
    return [_parameter(case, sorts.index(sorts[i]) == i, name and name(case)) for i, case in enumerate(listed)]


def _parameter(case: Any, quick: bool, id: str | None = None) -> Any:
    arguments = case if isinstance(case, tuple) else (case,)
    return pytest.param(*arguments, id=id, marks=() if quick else (pytest.mark.slow,))
