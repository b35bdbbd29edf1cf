"""The mutation table, printed by `pytest -s tests/mutations`: fault, method, how many were planted, and the check."""

from __future__ import annotations

from collections import Counter


def report(kind: str, name: str, caught: list[str | None]) -> None:
    """A line of the table; every fault must have been caught."""
    if caught:
        by = ", ".join(f"{check or 'NOT CAUGHT'} ({n})" for check, n in Counter(caught).items())
        print(f"\n{kind:26} {name:26} {len(caught):3} {by}", end="")
    assert None not in caught
