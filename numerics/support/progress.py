"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]  # runs done, runs in all, what is next


def silent(done: int, total: int, label: str) -> None:
    """No progress."""
