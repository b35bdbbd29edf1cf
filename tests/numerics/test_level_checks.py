"""Checks on levels: one fault each, beside levels without it."""

from __future__ import annotations

import math

import pytest
import torch

from samplerproof.numerics.level_checks import Trained, Written, findings, first_of_each, rounded, shifted_twice
from samplerproof.numerics.points import Point

GOOD = [14.6, 6.3, 3.1, 1.3, 0.6, 0.21, 0.03]


def points(levels: list[float]) -> list[Point]:
    return [Point(1.0, level) for level in levels]


def lines(levels: list[float], trained: Trained = Trained()) -> list[tuple[int | None, str, str]]:  # noqa: B008
    return [(f.step, f.severity, f.detail) for f in findings(points(levels), "edm", trained)]


@pytest.mark.parametrize(
    ("levels", "step", "severity", "words"),
    [
        ([14.6, 6.3, 6.3, 1.3, 0.03], 2, "note", "step 2 has length zero: level 2 is sigma = 6.3, as level 1; it"),
        ([14.6, 6.3, 0.03, 0.03], 3, "error", "step 3 has length zero: level 3 is sigma = 0.03, as level 2"),
        (
            [14.6, 6.3, 7.1, 0.03],
            2,
            "note",
            "step 2 adds noise: level 2 is sigma = 7.1; it should be below level 1",
        ),
        ([10.6, 6.3, 3.1, 0.03], 0, "note", "level 0 is sigma = 10.6; it should be the noisiest that the model"),
        (
            [29.2, 6.3, 3.1, 0.03],
            0,
            "note",
            "level 0 is sigma = 29.2, outside: the noisiest that the model was",
        ),
        (
            [14.6, 6.3, 3.1, 0.01],
            3,
            "note",
            "level 3 is sigma = 0.01, outside: the cleanest that the model was",
        ),
    ],
)
def test_a_fault_is_found_with_its_level(levels: list[float], step: int, severity: str, words: str) -> None:
    """Assert the level, what it is and what it should be; and nothing on levels without a fault, with 0 or not."""
    trained = Trained(-math.log(14.6), -math.log(0.03))
    ((found, how, detail),) = lines(levels, trained)
    assert (found, how) == (step, severity)
    assert words in detail
    assert lines(GOOD, trained) == lines([*GOOD, 0.0], trained) == []


@pytest.mark.parametrize(("dtype", "name"), [(torch.bfloat16, "bfloat16"), (torch.float16, "float16")])
def test_rounded_levels_are_found(dtype: torch.dtype, name: str) -> None:
    """Assert it with and without the exact levels, and nothing in float32, of equal steps or of short numbers."""
    levels = torch.tensor(GOOD, dtype=torch.float64)
    low, written = levels.to(dtype).double().tolist(), Written("edm")
    assert [f.detail.partition("rounded to ")[2].partition(";")[0] for f in rounded(low, written)] == [name]
    (found,) = rounded(low, written, exact=GOOD)
    assert found.detail.startswith("level 0 is sigma = 14.6")
    assert f"it should be 14.6, which is rounded to {name}, as {len(GOOD) - 1} more" in found.detail
    assert rounded(levels.float().double().tolist(), written) == []
    assert rounded(levels.float().double().tolist(), written, exact=GOOD) == []
    assert rounded([1 - n / 32 for n in range(33)], written) == []
    (whole,) = rounded([80.0, 58.0, 41.0, 29.0, 19.0, 12.0, 8.0, 4.0, 1.0], written)
    assert "all are whole numbers" in whole.detail
    assert rounded([80.0, 40.0, 20.0, 8.0, 3.0, 1.0, 0.5], written) == []


def test_a_shift_that_is_applied_twice_is_found() -> None:
    """Assert it of all levels and of the cleanest one, and nothing of levels that are shifted once."""

    def shift(u: float, by: float) -> float:
        return by * u / (1 + (by - 1) * u)

    even = [1 - n * (1 - 1e-3) / 10 for n in range(11)]
    once = [shift(u, 3.0) for u in even]
    assert shifted_twice([*once, 0.0], 3.0) == shifted_twice(once, 1.0) == []
    (found,) = shifted_twice([shift(u, 3.0) for u in once], 3.0)
    assert found.detail.startswith(f"the shift is applied twice: level 5 is sigma = {shift(once[5], 3.0):.6g}")
    partly = [shift(1 - n * (1 - shift(1e-3, 3.0)) / 10, 3.0) for n in range(11)]
    (found,) = shifted_twice(partly, 3.0)
    assert found.step == 10
    assert "should be 0.00299401" in found.detail


def test_a_first_level_that_depends_on_the_number_of_steps_is_found() -> None:
    """Assert the two levels that differ most, and nothing where all are the same."""
    same = {n: points(GOOD) for n in (6, 12)}
    assert first_of_each(same, "edm") == []
    (found,) = first_of_each({**same, 20: points([13.0, *GOOD[1:]])}, "edm")
    assert found.detail == ("level 0 is sigma = 13 on 20 steps, 14.6 on 6; it should not depend on the number of steps")
