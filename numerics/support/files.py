"""Writable folders, files written whole or not at all, and files with a checksum."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError

OLD = 86400.0  # seconds after which a temporary file is left over, for every process that made it
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]  # process numbers are those of one machine
_REST = re.compile(
    r"(?:(?P<host>[0-9a-f]{8})\.)?(?P<pid>\d{1,9})(?:\.[0-9a-f]{16})?"
)  # earlier versions wrote the pid alone


def check_writable(folder: Path, option: str = "--out", keep: bool = True) -> None:
    """Make the folder if it is missing; InputError where no file can be made in it, and then no folder is left.

    keep: whether a new folder stays; a caller that may still refuse its input makes it again when it writes.
    """
    made: list[Path] = []
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as fault:
        keep = False
        raise InputError(option, str(folder), f"a folder that can be written ({fault.strerror})") from None
    finally:
        for path in made if not keep else ():
            with suppress(OSError):
                path.rmdir()


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with whole(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A new empty file beside `path` to write into: it replaces `path` at the end, and is removed on an exception.

    Its name is random and it is created exclusively, so that links in a shared folder are not followed. Temporary files
    of killed processes for the same path are removed.
    """
    _remove_left(path)
    temporary = path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(temporary, flags, 0o666))
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_left(path: Path) -> None:
    """Remove temporary files for this path that are old or whose process has ended."""
    start = f".{path.name}."
    with suppress(OSError):
        for name in os.listdir(path.parent):
            if name.startswith(start) and (rest := _REST.fullmatch(name, len(start))) is not None:
                left = path.with_name(name)
                with suppress(OSError):  # a folder, or removed by another process at the same time
                    old = left.lstat().st_mtime < time.time() - OLD
                    if old or (rest["host"] in (None, _HOST) and not _alive(int(rest["pid"]))):
                        left.unlink()


def _alive(pid: int) -> bool:
    """Whether the process exists; True where the system cannot answer."""
    if os.name != "posix":  # on Windows, signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def write_sealed(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, with a checksum over its name and content: see read_sealed."""
    write_bytes(path, _seal(path, content) + content)


def read_sealed(path: Path) -> bytes | None:
    """The content written by write_sealed; None where the file is missing or was changed since."""
    try:
        found = path.read_bytes()
    except OSError:
        return None
    content = found[hashlib.sha256().digest_size :]
    return content if found == _seal(path, content) + content else None


def _seal(path: Path, content: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + b"\0" + content).digest()
