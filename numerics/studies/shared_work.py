"""Processes that share an output folder share its work: what one of them computes the others leave to it.

A claim is a lock on one byte of a file, which the system releases when its process ends in any way.
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
except ImportError:  # Windows has none: there every process computes what it does not find
    fcntl = None  # type: ignore[assignment]

FILE = "records.lock"
PATIENCE = 60.0  # seconds without news for which the claim of another process is respected: it may be stopped
GLANCE = 0.05  # seconds between two looks at what others have finished
PRESENCE = 1 << 60  # the byte on which every process that uses the file has a lock; claims lie below
TAKEN = (errno.EACCES, errno.EAGAIN)
Found = TypeVar("Found")


class Claims:
    """The claims of this process in a folder; made by `claiming`."""

    def __init__(self, file: int) -> None:
        self._file = file

    def take(self, name: str) -> bool:
        """Whether the work of that name is ours to do now: no other process has a claim on it."""
        if fcntl is None:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(name))
        except OSError as fault:  # another one than TAKEN: a file system without locks
            return fault.errno not in TAKEN
        return True

    def drop(self, name: str) -> None:
        """Leave it to others again."""
        if fcntl is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(name))


def _place(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")


@contextmanager
def claiming(folder: Path) -> Iterator[Claims]:
    """The claims of this process in a folder that exists; the last process there removes the file of the locks."""
    if fcntl is None:
        yield Claims(-1)
        return
    file = _opened(folder / FILE)
    try:
        yield Claims(file)
    finally:
        with suppress(OSError):  # others are at work here
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, PRESENCE)
            (folder / FILE).unlink()
        os.close(file)


def _opened(path: Path) -> int:
    """The file of the locks, with a lock on it that others may have, too: as long as one does, it is not removed."""
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
        os.close(file)  # it is being removed, or was
        time.sleep(GLANCE)
    raise InputError("--out", str(path), "a file that no other process locks for long; run again")


def shared(
    claims: Claims,
    names: Sequence[str],
    kept: Callable[[int], Found | None],
    compute: Callable[[int], Found],
) -> Iterator[tuple[int, Found]]:
    """The number and the result of every piece of work, in the order in which they come.

    kept(k): the result that is there already, None if there is none.  compute(k): computes and keeps it.
    What other processes have in work is put off, and taken from what they keep. If for a while (PATIENCE, or four times
    what the longest piece took here) nothing of that comes, it is computed here, too: never is a process waited for
    that was stopped.
    """
    longest = 0.0

    def done(k: int) -> Found:
        nonlocal longest
        begun = time.monotonic()
        result = compute(k)
        longest = max(longest, time.monotonic() - begun)
        return result

    def at_once(k: int) -> Found | None:
        found = kept(k)
        if found is not None or not claims.take(names[k]):
            return found
        try:
            found = kept(k)  # it may have been finished just before the claim
            return done(k) if found is None else found
        finally:
            claims.drop(names[k])

    waiting: dict[int, None] = {}
    for k in range(len(names)):
        if (found := at_once(k)) is None:
            waiting[k] = None
        else:
            yield k, found
    news = time.monotonic()
    while waiting:
        for k in tuple(waiting):
            if (found := at_once(k)) is not None:
                del waiting[k]
                yield k, found
                news = time.monotonic()
        if waiting and time.monotonic() - news > max(PATIENCE, 4 * longest):
            k, _ = waiting.popitem()
            yield k, done(k)
            news = time.monotonic()
        time.sleep(GLANCE if waiting else 0)
