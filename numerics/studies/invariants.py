"""Bounds that every value satisfies: 0 <= tv <= 1, kl >= 0, w2 >= 0, and Pinsker's tv^2 <= kl / 2."""

from __future__ import annotations

import math

from .store import Value

ROUNDING = 1e-13
BOUNDS = {"tv": (0.0, 1.0), "kl": (0.0, math.inf), "w2": (0.0, math.inf), "trajectory": (0.0, math.inf)}


def consistent(found: dict[str, Value]) -> dict[str, Value]:
    """The values, None where one violates a bound by more than its error; smaller violations are moved to the bound."""
    checked = {metric: _within(metric, value) for metric, value in found.items()}
    tv, kl = checked.get("tv"), checked.get("kl")
    if tv is None or kl is None or tv.value is None or kl.value is None:
        return checked
    slack = 2 * tv.value * _error(tv) + _error(kl) / 2
    if tv.value**2 > kl.value / 2 + slack:
        reason = f"not consistent: tv = {tv.value:.6g} and kl = {kl.value:.6g}, but tv^2 <= kl / 2"
        checked |= {"tv": _none(tv, reason), "kl": _none(kl, reason)}
    return checked


def _within(metric: str, value: Value) -> Value:
    if value.value is None or metric not in BOUNDS:
        return value
    low, high = BOUNDS[metric]
    if low - _error(value) <= value.value <= high + _error(value):
        return value._replace(value=min(max(value.value, low), high))
    reason = f"not consistent: {metric} = {value.value:.6g} is not within [{low:g}, {high:g}]"
    return _none(value, reason)


def _none(value: Value, reason: str) -> Value:
    return value._replace(value=None, error=None, reason=reason)


def _error(value: Value) -> float:
    """A bound on the error, or where the value is an estimate the width of its interval."""
    width = 0.0 if value.low is None or value.high is None else value.high - value.low
    return ROUNDING + (value.error or 0.0) + width
