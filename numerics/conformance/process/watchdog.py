"""The process between `verify` and an external sampler: when either ends, it ends all that the sampler started.

    python -m samplerproof.numerics.conformance.process.watchdog FOLDER

It is started so, as the fork of a process that ends what it leaves where it is ended from outside, or forked from a
warm parent, which does the same. It creates the folder, which only this process removes; reads the request, a line of
JSON; starts the child and waits.
Standard input stays open as long as the parent runs. Once the child has ended, by itself or because END was read, all
processes that it started are ended, sessions of their own included, and the file "ended" contains its exit code, or
minus the number of the signal that ended it, or the limit for which all were ended, see limit_passed.
At the end of standard input this process removes the folder, renamed or not, and ends.

Where processes cannot be forked (Windows) the child is this process, and there is no watchdog. Where there is no /proc
(macOS) processes in sessions of their own are not found.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .taken_together import limit_passed

MARK = "SAMPLERPROOF_FOLDER"  # in the environment of all that the child starts: the name of its folder
END = b"e"
FORKS = hasattr(os, "fork")
PAUSE = 0.02  # seconds between two checks
EVERY = 10  # checks for one of the limits of all processes together
_PROC = Path("/proc/self/stat")
PATIENCE = 4.0  # seconds for a process to end after the signal
_SUBREAPER, _PARENT_DEATH = 36, 1  # of prctl


def main() -> None:
    """Run the watchdog; see the module."""
    folder = Path(sys.argv[1])
    del sys.argv[1:]
    if _PROC.exists():
        _go_on_below()
    watch(folder)


def _go_on_below() -> None:
    """Go on in a fork, of which this process ends what it leaves where it is ended from outside; SIGTERM ends it."""
    adopt_orphans()
    me = os.getpid()
    watchdog = os.fork()
    if watchdog == 0:
        _control(_PARENT_DEATH, signal.SIGKILL)
        if os.getppid() != me:
            os._exit(1)
        return
    signal.signal(signal.SIGTERM, lambda *_: kill(watchdog))
    code = os.waitstatus_to_exitcode(os.waitpid(watchdog, 0)[1])
    if code:
        _end_the_rest(watchdog)
    if code < 0:  # end as it did
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(me, -code)
    os._exit(code)


def watch(folder: Path, prepare: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Watch a child; returns in both processes, once the work of each is done.

    prepare: called with the request in the child, before its work.
    """
    folder.mkdir(mode=0o700)
    line = _line()
    if not line.endswith(b"\n"):  # the parent has ended already
        folder.rmdir()
        return
    request = json.loads(line)
    if not FORKS:
        _child(folder, request)
        return
    adopt_orphans()
    me, opened = os.getpid(), os.open(folder, os.O_RDONLY)
    child = os.fork()
    if child == 0:
        os.close(opened)
        _control(_PARENT_DEATH, signal.SIGKILL)
        if os.getppid() == me:
            if _PROC.exists():
                os.setpgid(0, 0)  # a child that ends its own group does not end this process
            if prepare is not None:
                prepare(request)
            _child(folder, request)
        return
    with suppress(OSError):
        _watch(child, opened)
    _end_the_rest(child)
    _remove(folder, opened)
    if not _PROC.exists():
        os.killpg(0, signal.SIGKILL)


def _remove(folder: Path, opened: int) -> None:
    """Remove the folder, where it is now too, and what a sampler has put in its place."""
    with suppress(OSError):
        shutil.rmtree(os.readlink(f"/proc/self/fd/{opened}"), ignore_errors=True)
    with suppress(OSError):
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _line() -> bytes:
    """One line of standard input; the bytes after it stay unread."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


def adopt_orphans() -> None:
    """Make orphaned descendants children of this process, where the system can."""
    _control(_SUBREAPER, 1)


def _control(option: int, value: int) -> None:
    """prctl(2), where it exists."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _child(folder: Path, request: dict[str, Any]) -> None:
    """Run the child, with empty standard input, its output and errors written to the folder."""
    for number, file in enumerate((os.devnull, str(folder / "stdout"), str(folder / "stderr"))):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        opened = os.open(file, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    from .child import main as work  # loads torch, which the watchdog does not need

    work(folder, request)


def _watch(child: int, opened: int) -> None:
    """Watch the child until the end of standard input.  opened: the folder, in which its end is noted."""
    code: int | str | None = None
    checks = 0
    while True:
        ready, _, _ = select.select([0], [], [], PAUSE)
        byte = os.read(0, 1) if ready else None
        if byte == b"":
            return
        if code is None:
            checks += 1
            passed = limit_passed(os.getpid()) if checks % EVERY == 0 else None
            code = _end_the_rest(child) if byte == END or passed else _reaped(child)[0]
            code = passed or code
            if code is not None:
                _end_the_rest(child)
                part = os.open("ended.part", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=opened)
                os.write(part, str(code).encode())
                os.close(part)
                os.replace("ended.part", "ended", src_dir_fd=opened, dst_dir_fd=opened)


def _reaped(child: int) -> tuple[int | None, bool]:
    """Reap the processes that have ended.

    Returns the exit code of the child if it is one of them, and whether no child is left: where orphans become children
    of this process, then none of its descendants is.
    """
    code = None
    try:
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
    except ChildProcessError:
        return code, True
    return code, False


def _end_the_rest(child: int) -> int | None:
    """End and reap all descendants of this process; returns the exit code of the child if it is one of them."""
    code, deadline = None, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for process in descendants(os.getpid()) if _PROC.exists() else [child] * _is_there(child):
            kill(process)
        reaped, none_left = _reaped(child)
        code = code if reaped is None else reaped
        if none_left:
            break
        time.sleep(PAUSE / 4)
    return code


def descendants(root: int, but: Collection[int] = ()) -> list[int]:
    """The descendants of a process that have not ended, deepest last; without those in `but` and their descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # pid (name, any characters) state parent …
                text = Path(f"/proc/{name}/stat").read_text(encoding="utf-8", errors="replace")
                state, parent = text.rpartition(")")[2].split()[:2]
                if state not in "ZX" and int(name) not in but:
                    children.setdefault(int(parent), []).append(int(name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found[1:]


def tasks_of_user() -> int:
    """The number of processes and threads of this user; 0 where there is no /proc."""
    count = 0
    for process in _all():
        with suppress(OSError, ValueError, IndexError):
            if os.stat(f"/proc/{process}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{process}/task"))
    return count


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def kill(process: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(process, signal.SIGKILL)


def end_marked(mark: str, but: Sequence[int] = ()) -> None:
    """End the processes that were started with a mark, when their watchdog has ended; not those in `but` and theirs."""
    sought, deadline = f"{MARK}={mark}".encode(), time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        spared = {process for root in but for process in (root, *descendants(root))}
        left = [p for p in _all() if p not in spared and sought in _environment(p).split(b"\0")]
        for process in left:
            kill(process)
        if not left:
            return
        time.sleep(PAUSE)


def _all() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    except OSError:
        return []


def _environment(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/environ").read_bytes()
    except OSError:  # of another user, or gone
        return b""


if __name__ == "__main__":
    main()
