"""Finished records in one SQLite file, each under a key made of all that determines it.

One transaction per run of a sampler: a process killed at any moment loses only its current run. Every record has a
checksum; a record that was changed since it was written is not returned, so that it is computed again.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError

FILE = "records.sqlite"
APPLICATION_ID = 0x73706C70  # "splp": marks the files of samplerproof
VERSION = 4  # 1: no intervals, no floors; 2: no errors, reasons or checksums; 3: no needed, no groups
_MAGIC = b"SQLite format 3\x00"
_ADDED = {  # columns, after each version
    1: ("low REAL", "high REAL", "floor REAL"),
    2: ("error REAL", "reason TEXT", "checksum TEXT"),
    3: ("needed INTEGER", "groups TEXT"),
}
MESSAGE = 200  # characters of a message of SQLite, which may be pages for a damaged file
_DISK_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_NOT_WRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_TABLE = """CREATE TABLE IF NOT EXISTS records (
    key TEXT PRIMARY KEY, spec TEXT NOT NULL, nfe INTEGER NOT NULL, value REAL, low REAL, high REAL, floor REAL,
    error REAL, reason TEXT, checksum TEXT, needed INTEGER, groups TEXT
) WITHOUT ROWID"""
_COLUMNS = "key, spec, nfe, value, low, high, floor, error, reason, needed, groups, checksum"
_PLACES = ", ".join("?" * len(_COLUMNS.split(", ")))


class Value(NamedTuple):
    """A finished record: evaluations of the run, and value of the metric, None where it is not finite.

    low, high, floor: of an estimate its 95 % confidence interval and its noise floor, else None.  error: a bound on the
    error of the value itself (of its quadrature), where one is known.  reason: why the value is None.  needed: of an
    estimate that may be noise, about how many samples show a value of this size.  groups: of an estimate the
    contributions of groups of samples to its relative error (laws/estimators.py).
    """

    nfe: int
    value: float | None
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    error: float | None = None
    reason: str | None = None
    needed: int | None = None
    groups: tuple[float, ...] = ()

    @property
    def finite(self) -> Value:
        """The same in plain floats, with None for numbers that are not finite, and a reason for a missing value."""
        numbers = (self.value, self.low, self.high, self.floor, self.error)
        value, low, high, floor, error = (float(v) if v is not None and math.isfinite(v) else None for v in numbers)
        reason = None if value is not None else self.reason or "the value is not finite"
        return Value(int(self.nfe), value, low, high, floor, error, reason, self.needed, self.groups)


def none(wanted: Iterable[str], reason: str, nfe: int = 0) -> dict[str, Value]:
    """A missing value for each metric wanted, with the same reason."""
    return dict.fromkeys(wanted, Value(nfe, None, reason=reason))


def canonical(spec: Mapping[str, Any]) -> str:
    """The one JSON text of a specification: sorted keys, no spaces, shortest round-trip floats."""
    return json.dumps(spec, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key(spec: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical text, in hexadecimal."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()


class Store:
    """The records of an output folder; made by `opened`.  damaged: keys of the records found with a wrong checksum."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.damaged: set[str] = set()

    def get(self, spec: Mapping[str, Any]) -> Value | None:
        """The record of that specification; None if it is missing or was changed since it was written."""
        query = f"SELECT {_COLUMNS} FROM records WHERE key = ?"
        row = self._connection.execute(query, (key(spec),)).fetchone()
        if row is None:
            return None
        _, text, *numbers, checksum = row
        if text != canonical(spec) or checksum != _checksum(text, numbers):
            self.damaged.add(key(spec))
            return None
        return Value(*numbers[:-1])._replace(groups=tuple(json.loads(numbers[-1])))

    def put(self, finished: Iterable[tuple[Mapping[str, Any], Value]]) -> None:
        """Store the records of one run, all or none; values that are not finite are stored as None."""
        rows = []
        for spec, value in finished:
            text, numbers = canonical(spec), (*value.finite[:-1], json.dumps(value.groups))
            rows.append((key(spec), text, *numbers, _checksum(text, numbers)))
        with self._connection:
            self._connection.executemany(f"INSERT OR REPLACE INTO records ({_COLUMNS}) VALUES ({_PLACES})", rows)


def _checksum(text: str, numbers: Sequence[object]) -> str:
    """SHA-256 of the specification and its record; 1, 1.0 and "1" differ."""
    return hashlib.sha256(repr((text, *numbers)).encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """The store of an existing folder, made if it is missing.

    Raises InputError for a file of another program, of a later version, or that is corrupt; it is not changed.
    """
    path = folder / FILE
    _check_header(path)
    try:
        connection = sqlite3.connect(path, timeout=60.0)
        connection.text_factory = lambda found: found.decode("utf-8", "replace")  # so that a flipped bit does not raise
        try:
            _prepare(connection)
            yield Store(connection)
        finally:
            connection.close()
    except sqlite3.Error as fault:
        raise _failed(path, fault) from None


def _check_header(path: Path) -> None:
    """Raises InputError unless the file has our header, before SQLite may write; an empty file is a new one."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return
    except OSError as fault:
        raise _refused(path, str(fault.strerror)) from None
    if not header:
        return
    version, application = (int.from_bytes(header[at : at + 4], "big") for at in (60, 68))
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise _refused(path, "not an SQLite file")
    if application != APPLICATION_ID:
        raise _refused(path, "an SQLite file of another program")
    if not 1 <= version <= VERSION:
        raise _refused(path, f"written in version {version} of this file, not {VERSION}")


def _prepare(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(str(verdict))
    if connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,):
        _upgrade(connection)
        return
    # Mark and table in one transaction: the file is empty or complete.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_TABLE)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.commit()


def _upgrade(connection: sqlite3.Connection) -> None:
    """Add the columns that a file of an earlier version lacks, all or none."""
    if connection.execute("PRAGMA user_version").fetchone() == (VERSION,):
        return
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()  # read again: another process may have been first
    for earlier in range(version, VERSION):
        for column in _ADDED[earlier]:
            connection.execute(f"ALTER TABLE records ADD COLUMN {column}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.commit()


def _failed(path: Path, fault: sqlite3.Error) -> InputError:
    """The InputError of an SQLite error: of the disk, of another process, or of the file."""
    message = " ".join(str(fault).split())[:MESSAGE]
    code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # the first byte is the kind
    if code in _DISK_FULL:
        return InputError(
            "--out", str(path), f"room to write ({message}); nothing finished is lost: free space, run again"
        )
    if code in _NOT_WRITABLE:
        return InputError("--out", str(path), f"a file that can be written, in such a folder ({message})")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return InputError("--out", str(path), f"a file that no other process locks for long ({message}); run again")
    return _refused(path, message)


def _refused(path: Path, reason: str) -> InputError:
    return InputError(
        "--out", str(path), f"a records file of samplerproof ({reason}); move it away or choose another folder"
    )
