"""Aligned text for terminals: what a record, a grid or a table prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

SHOWN = 12  # lines of a table that are printed whole
FIRST, LAST = 5, 3  # lines kept of a longer one


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 0) -> str:
    """A head and rows of cells, aligned to the right but for the first `left` columns; of many rows only the ends."""
    kept = [*rows[:FIRST], ["..."] + [""] * (len(head) - 1), *rows[-LAST:]] if len(rows) > SHOWN else rows
    columns = list(zip_longest(head, *kept, fillvalue=""))
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for cells in zip(*columns, strict=True):
        placed = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(placed).rstrip())
    return "\n".join(lines)


def described(title: str, facts: Iterable[tuple[str, str]]) -> str:
    """A title, and below it names and what they are, aligned to the left; a fact may have several lines."""
    found = list(facts)
    width = max((len(name) for name, _ in found), default=0)
    lines = [title]
    for name, text in found:
        first, *more = text.split("\n")
        lines += [f"  {name.ljust(width)}  {first}", *(f"  {' ' * width}  {line}" for line in more)]
    return "\n".join(lines)


def cell(value: float) -> str:
    """A number in six digits; nothing for zero, so that the pattern of a table shows."""
    return "" if value == 0 else f"{value:.6g}"
