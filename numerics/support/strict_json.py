"""JSON of numbers, read strictly: every fault is one InputError that names the entry."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import LONGEST, InputError, nearest, one_line
from .limits import NAME
from .reading import check_regular

LARGEST = 2**26  # bytes of a file
NUMBER = 'a finite number, or a hexadecimal float such as "0x1.8p+1"'
_HEXADECIMAL = re.compile(r"[+-]?0[xX][0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?[pP][+-]?[0-9]{1,5}")
_DIGITS = 64  # characters of a hexadecimal float


def read_object(path: Path, field: str, largest: int = LARGEST) -> dict[str, Any]:
    """The object in a JSON file of at most `largest` bytes.

    Raises InputError on another file, on NaN and Infinity, which JSON does not have, and on a key that stands twice.
    """
    check_regular(path, field, largest)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as fault:
        raise InputError(field, str(path), f"a file that can be read ({fault.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(field, str(path), "a file that can be read (not UTF-8 text)") from None
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
    except (ValueError, RecursionError) as fault:
        raise InputError(field, str(path), f"a JSON file ({one_line(fault, 120)})") from None
    if not isinstance(data, dict):
        raise InputError(field, str(path), "a JSON object")
    return data


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice")
        found[key] = value
    return found


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def check_keys(field: str, data: object, needed: Sequence[str], more: Sequence[str] = ()) -> Mapping[str, Any]:
    """The object; InputError unless it has all of the needed keys, and else only those in `more`."""
    if not isinstance(data, Mapping):
        raise InputError(field, data, f"an object with {', '.join(needed)}")
    for key in data:
        if key not in needed and key not in more:
            hint = nearest(key, (*needed, *more))
            raise InputError(f"{field}.{one_line(key, LONGEST)}", _shown(data[key]), f"not a key of it; {hint}")
    for key in needed:
        if key not in data:
            raise InputError(f"{field}.{key}", "nothing", f"a file with {', '.join(needed)}")
    return data


def _shown(value: object) -> object:
    """A value as a message shows it."""
    return value if isinstance(value, str | int | float | bool) or value is None else type(value).__name__


def check_format(field: str, value: object, known: int = 1) -> None:
    """Raises InputError on another version of the format."""
    if isinstance(value, bool) or value != known:
        raise InputError(field, value, f"{known}, the version of the format that this release reads")


def text(field: str, value: object, longest: int = NAME) -> str:
    """A text of 1 to `longest` printable characters."""
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise InputError(field, value, f"a text of 1 to {longest} printable characters")
    return value


def integer(field: str, value: object, low: int, high: int) -> int:
    """A whole number from low to high."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(field, value, f"a whole number from {low} to {high}")
    return value


def number(field: str, value: object) -> float:
    """A finite float64, from a number or from the text of a hexadecimal float."""
    found = math.nan
    try:
        if isinstance(value, str) and len(value) <= _DIGITS and _HEXADECIMAL.fullmatch(value):
            found = float.fromhex(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = float(value)
    except OverflowError:
        pass
    if not math.isfinite(found):
        raise InputError(field, value, NUMBER)
    return found


def entries(field: str, value: object, low: int, high: int, of: str) -> list[Any]:
    """A list of low to high entries.  of: what they are."""
    if not isinstance(value, list) or not low <= len(value) <= high:
        found = f"{len(value)} entries" if isinstance(value, list) else value
        count = f"{low}" if low == high else f"{low} to {high}"
        raise InputError(field, found, f"a list of {count} {of}")
    return value


def numbers(field: str, value: object, low: int, high: int, of: str) -> list[float]:
    """A list of low to high finite float64."""
    return [number(f"{field}[{n}]", entry) for n, entry in enumerate(entries(field, value, low, high, of))]


def written(value: float) -> str | int:
    """A finite float64 as a hexadecimal float, exactly; 0 as a number, as most coefficients are."""
    return 0 if value == 0 and math.copysign(1, value) > 0 else value.hex()
