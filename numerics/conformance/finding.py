"""What is found on the way to a verdict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One fact: kind is one of formula, order, grid, roundoff, non-finite, not-linear, exception, state."""

    kind: str
    step: int | None
    detail: str
