"""Markdown: tables, numbers, and text of unknown origin, escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def plain(text: object) -> str:
    """The text on one line with all Markdown escaped: for names, messages and file names of unknown origin."""
    return re.sub(r"([\\`*_{}\[\]<>#$^~&])", r"\\\1", _one_line(text))


def code(text: object) -> str:
    """The text on one line as code, between more backticks than it has in a row."""
    line = _one_line(text)
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    space = " " if line[:1] in ("`", "") or line[-1:] == "`" else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def fenced(text: str, language: str) -> str:
    """A block of code, between fences longer than any in the text."""
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text}\n{ticks}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; in a cell a bar is escaped, and a line break becomes a space.

    Cells are Markdown: text of unknown origin goes through plain or code first.
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _one_line(text: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(text))


def number(value: float | None, form: str) -> str:
    """The value in a format; a dash for None."""
    return "-" if value is None else format(value, form)


def scientific(value: float | None) -> str:
    """The value with two digits and an exponent; a dash for None."""
    return number(value, ".1e")
