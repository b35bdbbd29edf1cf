"""Reading of external files: regular files of bounded size and documents of bounded nesting are parsed, no others."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from ..errors import InputError, one_line

DOCUMENT = 2**20  # bytes of a TOML or JSON document
NESTED = 16  # brackets open at a time, and parts of a dotted key
_SIGN = re.compile(r"\\.|\\|\"\"\"|'''|[\"'#\n\[\]{}.=,]", re.DOTALL)


def check_regular(path: Path, field: str, largest: int) -> int:
    """The size of a file in bytes; InputError unless it is a regular file that can be read, of at most `largest`.

    A device or a pipe is not opened, as reading it may never end.
    """
    try:
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode):
            with path.open("rb"):
                pass
    except OSError as fault:
        raise InputError(field, str(path), f"a file that can be read ({fault.strerror})") from None
    except ValueError as fault:  # a NUL in the name
        raise InputError(field, str(path), f"the name of a file ({fault})") from None
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, a pipe or a socket"
        raise InputError(field, str(path), f"a regular file; this is {what}")
    if found.st_size > largest:
        raise InputError(field, str(path), f"a file of at most {size(largest)}; this one has {size(found.st_size)}")
    return found.st_size


def read_toml(path: Path, field: str) -> dict[str, Any]:
    """A TOML document; InputError for a file or a document beyond the bounds, or that is not TOML."""
    text = _document(path, field)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # besides faults of TOML, integers of more than 4300 digits
        raise InputError(field, str(path), f"valid TOML ({one_line(fault, 120)})") from None


def read_json(path: Path, field: str) -> dict[str, Any]:
    """A JSON object; InputError as read_toml."""
    return json_object(_document(path, field), str(path), field)


def json_object(text: str, name: str, field: str) -> dict[str, Any]:
    """The JSON object in a text; name: its file, for messages.  InputError for another text, or beyond the bounds."""
    _check_document(text, name, field)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise InputError(field, name, f"a JSON file ({one_line(fault, 120)})") from None
    if not isinstance(data, dict):
        raise InputError(field, name, "a JSON object")
    return data


def size(count: float) -> str:
    """Bytes with a readable unit."""
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError


def _document(path: Path, field: str) -> str:
    check_regular(path, field, DOCUMENT)
    try:
        with path.open("rb") as file:
            text = file.read(DOCUMENT + 1).decode("utf-8")
    except OSError as fault:
        raise InputError(field, str(path), f"a file that can be read ({fault.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(field, str(path), "a file that can be read (not UTF-8 text)") from None
    _check_document(text, str(path), field)
    return text


def _check_document(text: str, name: str, field: str) -> None:
    if len(text) > DOCUMENT:
        raise InputError(field, name, f"a document of at most {size(DOCUMENT)}")
    if _depth(text) > NESTED:
        raise InputError(field, name, f"tables and lists nested at most {NESTED} deep")


def _depth(text: str) -> int:
    """The nesting depth of a document: the most brackets open at a time, or dots in a key.

    Strings and comments are skipped: JSON's are among TOML's.  One pass over the delimiters.
    """
    deepest = opened = points = at = 0
    until = ""  # the delimiter that ends the current string or comment
    while found := _SIGN.search(text, at):
        sign, at = found[0], found.end()
        if sign[0] == "\\":
            at = (
                found.end() if until in ('"', '"""') else found.start() + 1
            )  # in other places a backslash escapes nothing
        elif until:
            if sign == until or (sign == "\n" and until in ('"', "'")):
                until = ""
            elif until in ('"', "'") and sign[0] == until:
                until, at = "", found.start() + 1
        elif sign in ('"', "'", '"""', "'''"):
            until = sign
        elif sign == "#":
            until = "\n"
        elif sign in "[{":
            opened += 1
        elif sign in "]}":
            opened -= 1
        points = points + 1 if sign == "." and not until else 0 if sign in "=,\n[]{}" else points
        deepest = max(deepest, opened, points)
    return deepest
