"""Tables and numbers as the pages write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; a bar in a cell is written so that it is no border."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float | None, form: str) -> str:
    """In that format; a dash where there is none."""
    return "-" if value is None else format(value, form)


def scientific(value: float | None) -> str:
    return number(value, ".1e")
