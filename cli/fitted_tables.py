"""Tables that fit: a narrow terminal shows fewer columns, or a block of lines for each row, and never half a name.

A pipe gets every column as plain text, aligned, one line for each row.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

GAP = 2  # spaces between the columns of a pipe
FRAME = 3  # characters that a column takes on a terminal beside its text: a bar and a space on both sides
LEAST = 16  # characters of a column whose text is folded, unless it is shorter


def print_table(table: Table, drop: Sequence[str] = ()) -> None:
    """Print a table of strings, which are no markup, to standard output, in the width that it has.

    drop: the heads of columns that a narrow terminal may leave out, the first to go first; a line below names them.
    A column with overflow="fold" may continue on further lines, between words.  A table that still is too wide is
    printed as a block of lines for each row, with every column.
    """
    heads = [str(column.header) for column in table.columns]
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    rows = [list(row) for row in zip(*columns, strict=True)]
    if not sys.stdout.isatty():
        print("\n".join(_aligned(heads, rows)))
        return
    width = shutil.get_terminal_size().columns
    folds = [column.overflow == "fold" for column in table.columns]
    widths = _fit(heads, columns, folds, drop, width)
    if not widths:
        print("\n".join(_blocks(heads, rows, width)))
        return
    fitted = Table()
    for k, width_of in widths.items():
        head = "\n".join(textwrap.wrap(heads[k], width_of, break_long_words=False, break_on_hyphens=False))
        fitted.add_column(Text(head), width=width_of, overflow="fold", no_wrap=not folds[k])
    for row in rows:
        fitted.add_row(*(Text(row[k]) for k in widths))
    Console(width=width).print(fitted)
    if left_out := [head for k, head in enumerate(heads) if k not in widths]:
        print(f"left out at {width} columns: {', '.join(left_out)}")


def _fit(
    heads: list[str], columns: list[list[str]], folds: list[bool], drop: Sequence[str], width: int
) -> dict[int, int]:
    """The width of each column that is shown, by its number; empty where even the columns that must stay do not fit."""
    # A head may continue between its words; so may a cell of a column that folds. A line break in a cell stays.
    full = [max(map(cell_len, [heads[k], *_lines(column)])) for k, column in enumerate(columns)]
    least = [
        max([min(LEAST, full[k]), *_lengths(column)])
        if folds[k]
        else max([*_lengths([heads[k]]), *map(cell_len, _lines(column))])
        for k, column in enumerate(columns)
    ]
    shown = list(range(len(heads)))
    for head in ("", *drop):
        shown = [k for k in shown if heads[k] != head]
        spare = width - 1 - FRAME * len(shown) - sum(least[k] for k in shown)
        if spare >= 0:
            widths = _expanded([least[k] for k in shown], [full[k] for k in shown], spare)
            return dict(zip(shown, widths, strict=True))
    return {}


def _lines(cells: list[str]) -> list[str]:
    return [line for cell in cells for line in cell.split("\n")]


def _lengths(cells: list[str]) -> list[int]:
    """The lengths of the words, which are not divided; 0 without words."""
    return [0, *(cell_len(word) for cell in cells for word in cell.split())]


def _expanded(least: list[int], full: list[int], spare: int) -> list[int]:
    """The widths, where the spare characters go to the folded columns in turn."""
    widths = list(least)
    while spare and widths != full:
        for k, most in enumerate(full):
            if spare and widths[k] < most:
                widths[k], spare = widths[k] + 1, spare - 1
    return widths


def _aligned(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of plain text, the columns aligned."""
    lines = [[" ".join(cell.split()) for cell in row] for row in [heads, *rows]]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    padded = (
        (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
    return [(" " * GAP).join(line).rstrip() for line in padded]


def _blocks(heads: list[str], rows: list[list[str]], width: int) -> list[str]:
    """A block of lines for each row: its first cell, then the others that have something, each behind its head."""
    lines = []
    for first, *others in rows:
        lines.append(first)
        line = ""
        for head, cell in zip(heads[1:], others, strict=True):
            text = f"  {head}: {' '.join(cell.split())}"
            if cell in ("", "-"):
                continue
            if line and cell_len(line + text) > width:
                lines.append(line)
                line = ""
            line += text
        lines += [line] if line else []
    return lines
