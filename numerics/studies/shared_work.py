"""Processes with the same output folder share the work: each piece is computed by one of them.

A claim is a lock on one byte of a file; the operating system releases it when the process ends in any way.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from ..errors import InputError

try:
    import fcntl
except ImportError:  # not on Windows: there every process computes all that is not stored
    fcntl = None  # type: ignore[assignment]

FILE = "records.lock"
PATIENCE = 60.0  # seconds without a new result after which the claim of another process is ignored
INTERVAL = 0.05  # seconds between two checks for results of other processes
PRESENCE = 1 << 60  # every process that uses the file has a lock on this byte; claims are below
TAKEN = (errno.EACCES, errno.EAGAIN)
Found = TypeVar("Found")


class Claims:
    """The claims of this process in a folder; made by `claiming`."""

    def __init__(self, file: int) -> None:
        self._file = file

    def take(self, name: str) -> bool:
        """Claim the work of that name; False if another process has the claim."""
        if fcntl is None:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(name))
        except OSError as fault:  # other errors: a file system without locks
            return fault.errno not in TAKEN
        return True

    def drop(self, name: str) -> None:
        """Release the claim."""
        if fcntl is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(name))


def _place(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")


@contextmanager
def claiming(folder: Path) -> Iterator[Claims]:
    """The claims of this process in an existing folder; the last process there removes the lock file."""
    if fcntl is None:
        yield Claims(-1)
        return
    file = _opened(folder / FILE)
    try:
        yield Claims(file)
    finally:
        with suppress(OSError):  # other processes use the folder
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, PRESENCE)
            (folder / FILE).unlink()
        os.close(file)


def _opened(path: Path) -> int:
    """The lock file, with a shared lock on it: the file is not removed while any process has one."""
    for _ in range(100):
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, PRESENCE)
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        except FileNotFoundError:
            pass
        except OSError as fault:
            if fault.errno not in TAKEN:  # a file system without locks
                return file
        os.close(file)  # another process removes it, or has removed it
        time.sleep(INTERVAL)
    raise InputError("--out", str(path), "a file that no other process locks for long; run again")


def shared(
    claims: Claims,
    names: Sequence[str],
    stored: Callable[[int], Found | None],
    compute: Callable[[int], Found],
) -> Iterator[tuple[int, Found]]:
    """The number and the result of every piece of work, in the order of completion.

    stored(k): the stored result, None if there is none.  compute(k): computes and stores it.
    Pieces claimed by other processes are postponed, and read once those have stored them. Without a new result for a
    while (PATIENCE, or four times the longest piece here) a postponed piece is computed here: the other process may
    have been stopped.
    """
    longest = 0.0

    def timed(k: int) -> Found:
        nonlocal longest
        begun = time.monotonic()
        result = compute(k)
        longest = max(longest, time.monotonic() - begun)
        return result

    def try_now(k: int) -> Found | None:
        found = stored(k)
        if found is not None or not claims.take(names[k]):
            return found
        try:
            found = stored(k)  # another process may have finished it just before the claim
            return timed(k) if found is None else found
        finally:
            claims.drop(names[k])

    # First all pieces that no other process has claimed.
    postponed: dict[int, None] = {}
    for k in range(len(names)):
        if (found := try_now(k)) is None:
            postponed[k] = None
        else:
            yield k, found
    # Then the others, as their results appear in the store.
    latest = time.monotonic()
    while postponed:
        for k in tuple(postponed):
            if (found := try_now(k)) is not None:
                del postponed[k]
                yield k, found
                latest = time.monotonic()
        # Without results for too long, the last of them is computed here.
        if postponed and time.monotonic() - latest > max(PATIENCE, 4 * longest):
            k, _ = postponed.popitem()
            yield k, timed(k)
            latest = time.monotonic()
        time.sleep(INTERVAL if postponed else 0)
