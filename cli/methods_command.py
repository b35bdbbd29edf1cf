"""`samplerproof methods`: the catalogue as JSON data."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from typing import Any

from ..numerics.catalogue import METHODS
from ..numerics.records import GeneratedParameter

KEYS = (
    "name",
    "aliases",
    "family",
    "kind",
    "frame",
    "order",
    "order_asymptotic",
    "stochastic",
    "law_order",
    "gaussian_order",
    "nfe_per_step",
    "stability",
    "cite",
    "parameters",
    "start",
    "last_step",
    "since",
)


def catalogue() -> list[dict[str, Any]]:
    """One dictionary a method, in the order of the catalogue; order is the nominal one."""
    return [{key: _plain(getattr(record, key)) for key in KEYS} for record in METHODS.values()]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, GeneratedParameter):
        return {"name": value.name, "default": str(value.default), "low": _end(value.low), "high": _end(value.high)}
    return value


def _end(bound: Fraction | float) -> str | None:
    """An end of a parameter's domain; None if it is infinite."""
    return None if bound in (-inf, inf) else str(bound)
