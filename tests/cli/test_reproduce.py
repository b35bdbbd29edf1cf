"""The table of `reproduce`: measured against predicted, in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from samplerproof.cli.reproduce import studies
from samplerproof.cli.tables import comparison, markdown
from samplerproof.numerics.predicted import Prediction
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
    predicted = {(method, steps): Prediction(order, C)}
    found = comparison(STUDY, predicted, method, "tv", [(10, 5.0), (steps, off * 2.0 / steps**order)])
    assert found["fit"] == fit
    assert found["predicted"] == 2.0
    assert found["ratio"] == pytest.approx(off)


def test_nothing_is_said_without_a_prediction_or_a_value() -> None:
    nothing = dict.fromkeys(("predicted", "ratio", "promise", "fit"))
    predicted = {("ddim", 128): Prediction(1, C)}
    assert comparison(STUDY, predicted, "ddim", "kl", [(128, 1.0)]) == nothing
    assert comparison(STUDY, predicted, "ddim", "tv", []) == nothing
    assert comparison(STUDY, {}, "ddim", "tv", [(128, 1.0)]) == nothing


def test_the_table_has_a_column_for_each() -> None:
    row: dict[str, Any] = {"study": "s", "method": "ddim", "metric": "tv", "order": 1, "order_asymptotic": 1}
    row |= {"start": "exact", "log_power": 0, "exponent": 1.0, "stderr": 0.001, "window": [20, 160]}
    told = row | {"predicted": 2.0, "ratio": 1.0123, "promise": 0.05, "fit": "inside"}
    silent = row | dict.fromkeys(("predicted", "ratio", "promise", "fit"))
    head, line, *rows = [text for text in markdown([told, silent]).splitlines() if text.startswith("|")]
    assert len({text.count("|") for text in (head, line, *rows)}) == 1
    assert rows[0].endswith("| 2 | 1.0123 | 5.0% | inside |")
    assert rows[1].endswith("| 20..160 |  |  |  |  |")
