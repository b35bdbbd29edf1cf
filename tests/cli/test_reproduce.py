"""The table of `reproduce`: measured against predicted, in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from samplerproof.book.reproduce import studies
from samplerproof.book.tables.exponent_table import comparison, markdown
from samplerproof.numerics.leading.leading_error import LeadingError
from samplerproof.numerics.studies.config import parse

STUDY = parse(studies(quick=True)["exponential-adams"])
C = {"tv": 2.0, "trajectory": 3.0}


@pytest.mark.parametrize(
    ("method", "order", "steps", "off", "fit"),
    [
        ("ddim", 1, 128, 1.04, "inside"),
        ("ddim", 1, 128, 0.96, "inside"),
        ("ddim", 1, 128, 1.06, "outside"),
        ("ddim", 1, 512, 1.04, "outside"),
        ("ddim", 1, 64, 1.00, "no promise"),
        ("exp-adams-4", 4, 512, 1.00, "no promise"),
    ],
)
def test_the_last_value_lies_inside_or_outside_of_what_is_promised(
    method: str, order: int, steps: int, off: float, fit: str
) -> None:
    """Assert whether the ratio of measured to leading error is within its tolerance."""
    predicted = {(method, steps): LeadingError(order, C)}
    found = comparison(STUDY, predicted, method, "tv", [(10, 5.0), (steps, off * 2.0 / steps**order)])
    assert found["fit"] == fit
    assert found["predicted"] == 2.0
    assert found["ratio"] == pytest.approx(off)


def test_nothing_is_said_without_a_prediction_or_a_value() -> None:
    """Assert empty columns where there is no leading error or no value."""
    nothing = dict.fromkeys(("predicted", "ratio", "left_out", "leading", "promise", "fit"))
    predicted = {("ddim", 128): LeadingError(1, C)}
    assert comparison(STUDY, predicted, "ddim", "kl", [(128, 1.0)]) == nothing
    assert comparison(STUDY, predicted, "ddim", "tv", []) == nothing
    assert comparison(STUDY, {}, "ddim", "tv", [(128, 1.0)]) == nothing


def test_the_table_has_a_column_for_each() -> None:
    """Assert the columns of the table of exponents."""
    row: dict[str, Any] = {"study": "s", "method": "ddim", "metric": "tv", "order": 1, "order_asymptotic": 1}
    row |= {"start": "exact", "log_power": 0, "exponent": 1.0, "window": [20, 160], "status": "settled"}
    row |= {"local_orders": [1.01, 1.0]}
    told = row | {
        "predicted": 2.0,
        "ratio": 1.0123,
        "left_out": 0.012,
        "leading": True,
        "promise": 0.05,
        "fit": "inside",
    }
    silent = row | dict.fromkeys(("predicted", "ratio", "left_out", "leading", "promise", "fit"))
    early = told | {"left_out": 9.3, "leading": False}
    head, line, *rows = [text for text in markdown([told, silent, early]).splitlines() if text.startswith("|")]
    assert len({text.count("|") for text in (head, line, *rows)}) == 1
    assert rows[0].endswith("| 2 | 1.0123 | 1.2% | yes | 5.0% | inside |")
    assert rows[1].endswith("| 20..160 |  |  |  |  |  |  |")
    assert rows[2].endswith("| 2 | 1.0123 | 930.0% | NOT YET | 5.0% | inside |")


@pytest.mark.parametrize(
    ("ratios", "left_out", "leading"),
    [
        ((1.08, 1.04), 0.04, True),
        ((1.22, 1.11), 0.11, False),
        ((27.0, 14.0), 13.0, False),
        ((1.36, 1.353), 0.007, True),  # a wrong prediction: it leads, and to another number than one
    ],
)
def test_a_leading_error_is_said_to_lead_or_not(ratios: tuple[float, float], left_out: float, leading: bool) -> None:
    """Assert that the trend of measured over predicted decides, and not how near to one it is."""
    steps, predicted = (64, 128), {("ddim", n): LeadingError(1, C) for n in (64, 128)}
    found = comparison(STUDY, predicted, "ddim", "tv", [(n, r * 2.0 / n) for n, r in zip(steps, ratios, strict=True)])
    assert found["left_out"] == pytest.approx(left_out)
    assert found["leading"] is leading
    assert comparison(STUDY, predicted, "ddim", "tv", [(128, 2.0 / 128)])["leading"] is None


def test_what_comes_after_a_start_up_counts_without_a_trend() -> None:
    """Assert that the steps' own later error, where theory knows it, says that a start-up's line does not lead."""
    later = LeadingError(3, {"tv": 500.0, "trajectory": 1.0})
    predicted = {("deis-rhoab2", n): LeadingError(2, C, later) for n in (64, 128)}
    for measured in ([(128, 2.0 / 128**2)], [(64, 2.0 / 64**2), (128, 2.0 / 128**2)]):
        found = comparison(STUDY, predicted, "deis-rhoab2", "tv", measured)
        assert found["left_out"] == pytest.approx(500 / 2 / 128)
        assert found["leading"] is False
