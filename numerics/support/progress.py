"""Progress callbacks."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]  # (runs done, runs in total, label of the next)


def silent(done: int, total: int, label: str) -> None:
    """No progress."""
