"""Published bounds against measurement: the exponents of bounds beside those measured where the law is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression
from typing import Any

from ...numerics.catalogue import resolve
from ..markup import plain, table
from ..studies.bounds import AT_FREQUENCY, AT_SIZE, BOTH, DIMENSION, LOW_RANK, PRODUCT, SAMPLERS, SCORE_ERROR

STEPS, SIZE, FREQUENCY = "steps N", "score error eps", "frequency w"


@dataclass(frozen=True)
class Bound:
    """A published bound: TV of a method is at most a multiple of a power of the quantity, up to logarithms."""

    method: str
    quantity: str
    power: float
    cite: str


PUBLISHED = (
    Bound("li-ddim", STEPS, -1, "li2023towards"),
    Bound("li-ddpm", STEPS, -0.5, "li2023towards"),
    Bound("li-ddpm", STEPS, -1, "li2025dt"),
    Bound("li-accelerated-ode", STEPS, -2, "li2024accelerating"),
    Bound("li-accelerated-sde", STEPS, -1, "li2024accelerating"),
    Bound("li-ddpm", PRODUCT, 1, "li2025dt"),
)


def bounds(exponents: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a method and quantity: the power of the quantity that TV follows, as measured and as bounded.

    exponents: the table of `reproduce`, for the powers of N.  records: of the two studies of bounds.
    """
    rows = []
    for method in SAMPLERS:
        (fit,) = (r for r in exponents if (r["method"], r["metric"], r["study"]) in _at_fixed_time(method))
        power = None if fit["exponent"] is None else -fit["exponent"]
        rows.append({"method": method, "quantity": STEPS, "measured": power, "window": fit["window"]})
    for target in (PRODUCT, LOW_RANK):
        rows += [_row(method, target, points(records, method, target)) for method in SAMPLERS]
    for quantity in (SIZE, FREQUENCY):
        rows += [_row(method, quantity, points(records, method, quantity)) for method in BOTH]
    for row in rows:
        row["order"] = resolve(row["method"]).order_in_law(gaussian=False)
        row["bounds"] = [
            [b.power, b.cite] for b in PUBLISHED if (b.method, b.quantity) == (row["method"], row["quantity"])
        ]
    return rows


def _at_fixed_time(method: str) -> set[tuple[str, str, str]]:
    return {(method, "tv", "fixed-time"), (method, "tv", "stochastic")}


def points(records: Sequence[dict[str, Any]], method: str, quantity: str) -> list[tuple[float, float]]:
    """The values of a method in the two studies, against the quantity on the axis."""
    of = [r for r in records if r["method"] == method and r["value"] is not None]
    if quantity in (PRODUCT, LOW_RANK):
        return [(r["dimension"], r["value"]) for r in of if r["study"] == DIMENSION and r["target"] == quantity]
    off = [r for r in of if r["study"] == SCORE_ERROR and r["size"]]
    if quantity == SIZE:
        return sorted((r["size"], r["value"]) for r in off if r["frequency"] == AT_FREQUENCY)
    return sorted((r["frequency"], r["value"]) for r in off if r["size"] == AT_SIZE)


def _row(method: str, quantity: str, line: Sequence[tuple[float, float]]) -> dict[str, Any]:
    x, y = ([math.log(v) for v in column] for column in zip(*line, strict=True))
    return {
        "method": method,
        "quantity": quantity,
        "measured": linear_regression(x, y).slope,
        "window": [line[0][0], line[-1][0]],
    }


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table of bounds and measured powers."""
    lines = [
        "The power of a quantity that total variation follows: in published bounds, up to logarithms, and as measured "
        "by least squares over the window. M1 on uniform steps in t with exact scores, without Monte Carlo.",
        "",
        f"{PRODUCT}: independent copies of M1, TV from the law of the log ratio; {LOW_RANK}: data near a line in d "
        f"dimensions. Score error: the score is off by eps sin(w x), eps at w = {AT_FREQUENCY:g} and w at eps = "
        f"{AT_SIZE:g}. A bound holds for any target; a smaller error on this one does not contradict it. Order: the "
        "proved order in law.",
        "",
    ]
    head = ("method", "quantity", "bound", "measured", "window", "order")
    return "\n".join(lines) + "\n" + table(head, map(_cells, rows)) + "\n"


def _cells(r: dict[str, Any]) -> tuple[str, ...]:
    known = "; ".join(f"{power:g} ({cite})" for power, cite in r["bounds"])
    window = "" if r["window"] is None else f"{r['window'][0]:g}..{r['window'][1]:g}"
    measured = "" if r["measured"] is None else f"{r['measured']:.3f}"
    order = r["order"] if r["quantity"] == STEPS else ""
    return tuple(map(plain, (r["method"], r["quantity"], known, measured, window, order)))
