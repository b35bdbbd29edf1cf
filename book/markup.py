"""Tables, numbers and the text of others as the pages write them, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def plain(text: object) -> str:
    """Text in which no sign means anything, on one line: what others wrote, names, messages, file names."""
    return re.sub(r"([\\`*_{}\[\]<>#$^~&])", r"\\\1", _one_line(text))


def code(text: object) -> str:
    """The same as code: between more backticks than it holds in a row."""
    line = _one_line(text)
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    room = " " if line[:1] in ("`", "") or line[-1:] == "`" else ""
    return f"{ticks}{room}{line}{room}{ticks}"


def fenced(text: str, language: str) -> str:
    """Lines as they are, between fences that are longer than any of theirs."""
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text}\n{ticks}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; in a cell a bar is written so that it is no border, and a new line is a space.

    Cells are Markdown: what others wrote goes through plain or code first.
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _one_line(text: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(text))


def number(value: float | None, form: str) -> str:
    """In that format; a dash where there is none."""
    return "-" if value is None else format(value, form)


def scientific(value: float | None) -> str:
    return number(value, ".1e")
