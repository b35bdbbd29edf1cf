"""The largest and smallest values of every field; a test compares them with the table in book/manual.md."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..errors import InputError


class Limit(NamedTuple):
    """A closed interval.  of: what the number is."""

    of: str
    low: float
    high: float


EMBEDDING = "network.told"  # of checkpoint.toml
LIMITS: dict[str, Limit] = {
    "target.weights": Limit("components", 1, 10_000),
    "target.means": Limit("every number", -1e12, 1e12),
    "target.stds": Limit("every number", 0, 1e12),
    "target.covariances": Limit("every number", -1e24, 1e24),
    "schedule": Limit("every parameter", -1e12, 1e12),
    "grid": Limit("every parameter", -1e12, 1e12),
    "grid.rho": Limit("the exponent of karras", 0.1, 1000),
    "grids": Limit("how many", 1, 100),
    "run.methods": Limit("how many", 1, 200),
    "run.steps": Limit("every number", 1, 10_000_000),
    "run.points": Limit("nodes or samples", 1, 10_000_000),
    "run.samples": Limit("samples", 1, 10_000_000),
    "verification.targets": Limit("how many", 1, 1000),
    "verification.steps": Limit("steps", 1, 1000),
    "verification.timeout": Limit("seconds, above 0", 0, 86_400),
    "shape": Limit("every side of a checkpoint", 1, 4096),
    "network.widths": Limit("every width", 1, 4096),
    EMBEDDING: Limit("width of the embedding", 1, 4096),
    "network.patch": Limit("pixels a side", 1, 64),
    "sigma_data": Limit("size of the data", 1e-6, 1e6),
    "span": Limit("lambda, both ends", -100, 100),
    "schedule.levels": Limit("levels of a network", 1, 100_000),
    "table.points": Limit("vectors of a table file", 2, 20_001),
    "run.numbers": Limit("numbers of a recorded run", 1, 4_000_000),
    "table.coefficients": Limit("numbers of a matrix of it", 1, 4_000_000),
}
SEVERAL = 1000  # entries of a list of runs, unless the table has another number
NAME = 200  # characters of a name
PATH = 1000  # characters of a path or a target
DEEP = 16  # widths of a network


def numbers(field: str, value: object, low: float, high: float) -> None:
    """Raises InputError for the first entry of nested lists that is not a finite number from low to high, or a bool."""
    if isinstance(value, list):
        for n, entry in enumerate(value):
            numbers(f"{field}[{n}]", entry, low, high)
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(field, value, "a rectangular list of numbers")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(field, value, "every entry must be finite")
    if not low <= value <= high:
        raise InputError(field, value, range_text(low, high))


def range_text(low: float, high: float) -> str:
    """An interval in words."""
    return f"a number from {low:g} to {high:g}"
