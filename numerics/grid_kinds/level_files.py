"""Levels in a file: numbers in a text, a column of a table, or a list in JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, one_line
from ..support.reading import check_regular

LARGEST = 2**24  # bytes
KINDS = ".txt, .csv or .json"


def levels_in(path: Path, field: str) -> list[float]:
    """The numbers in a file, in order: in .txt between white space or commas, after # is a comment; in .csv the column
    whose name is `field`'s or its singular, or the only one; in .json a list, or the list under that name.

    Raises InputError on a file that cannot be read or has no entries, and on the first entry that is not a number.
    """
    check_regular(path, field, LARGEST)
    name = field.rpartition(".")[2]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(field, str(path), "a file of text in UTF-8") from None
    entries: Sequence[object]
    match path.suffix.lower():
        case ".json":
            entries = _of_json(text, path, name, field)
        case ".csv":
            entries = _of_table(text, path, name, field)
        case ".txt":
            lines = (line.partition("#")[0] for line in text.splitlines())
            entries = [word for line in lines for word in re.split(r"[\s,;]+", line.strip()) if word]
        case _:
            raise InputError(field, str(path), f"a file that ends in {KINDS}")
    if not entries:
        raise InputError(field, str(path), "a file with at least two levels")
    return [_number(entry, f"{field}[{n}]") for n, entry in enumerate(entries)]


def _of_json(text: str, path: Path, name: str, field: str) -> list[object]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise InputError(field, str(path), f"valid JSON ({one_line(fault, 120)})") from None
    found = data.get(name) if isinstance(data, dict) else data
    if not isinstance(found, list):
        raise InputError(field, str(path), f"a list of numbers, or an object that has one under {name!r}")
    return found


def _of_table(text: str, path: Path, name: str, field: str) -> list[str]:
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()]
    heads = rows[0] if rows and not _is_number(rows[0][0]) else []
    place = next((heads.index(head) for head in (name, name.removesuffix("s")) if head in heads), 0)
    if {len(row) for row in rows} - {1} and (not heads or heads[place] not in (name, name.removesuffix("s"))):
        raise InputError(field, str(path), f"one column, or a column that is named {name}")
    return [row[place] if place < len(row) else "" for row in (rows[1:] if heads else rows)]


def _is_number(entry: str) -> bool:
    try:
        float(entry)
    except ValueError:
        return False
    return True


def _number(entry: object, field: str) -> float:
    """The number of an entry; InputError on text, truth values, NaN and infinity."""
    try:
        value = math.nan if isinstance(entry, bool) or entry is None else float(entry)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError(field, entry, "a finite number")
    return value
