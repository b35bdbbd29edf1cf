"""The side of `verify` of the warm parent: one process, with torch and the libraries of the targets loaded, that all
targets of a call share.

Each target still has a process of its own: it is forked, with its watchdog, in place of being started. Where that is
not possible (another system than Linux, another environment) a process is started for each target.
"""

from __future__ import annotations

import json
import os
import pickle
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event, Lock
from typing import IO, Any, TypeVar

from ..adapters.target import split
from .fork_server import LIBRARIES
from .watchdog import MARK, end_marked

WARM = sys.platform == "linux"  # a fork with torch loaded is not safe on macOS, and there is none on Windows
START = 120.0  # seconds for the start of Python, torch and a library
UNKNOWN = 255  # exit code
PASSING = ("PYTEST_CURRENT_TEST",)  # variables that no library reads
ENDS = 2.0  # seconds for the warm parent to end
POLL = 0.02  # seconds between two looks at an event
Result = TypeVar("Result")


class Watchdog:
    """A watchdog forked from the warm parent, as subprocess.Popen has one that is started.

    stdin: its control.  returncode: None as long as it runs; UNKNOWN where the warm parent has ended before it.
    """

    def __init__(self, process: int, stdin: IO[bytes], status: int, parent: WarmParent) -> None:
        self.pid, self.stdin, self._status, self._parent = process, stdin, status, parent
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, once it has ended."""
        if self.returncode is None and _ready(self._status, 0):
            line = os.read(self._status, 64).strip()
            try:
                self._ended(int(line))
            except ValueError:  # empty, or written by a sampler, which can open it in /proc
                self._ended(UNKNOWN)
        return self.returncode

    def wait(self, timeout: float = ENDS) -> int:
        """Wait for its end.  Raises subprocess.TimeoutExpired."""
        if self.returncode is None and not _ready(self._status, timeout):
            raise subprocess.TimeoutExpired("watchdog", timeout)
        code = self.poll()
        assert code is not None
        return code

    def give_up(self) -> None:
        """End it, where it does not end by itself, with what the warm parent cannot end any more."""
        self.kill()
        try:
            self.wait()
        except subprocess.TimeoutExpired:  # the warm parent was stopped
            self._ended(UNKNOWN)

    def _ended(self, code: int) -> None:
        os.close(self._status)
        self.returncode = code
        self._parent.forget(self)

    def kill(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class WarmParent:
    """A warm parent, started when it is first asked; its methods return None where it cannot do what is asked.

    log: its standard error.  owner: the process that has it.
    """

    def __init__(self) -> None:
        self.log: IO[bytes] = TemporaryFile("a+b")  # noqa: SIM115 (closed with it)
        self.owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: dict[str, socket.socket] = {}  # by library; "" is the first
        self._watchdogs: set[Watchdog] = set()
        self._lock = Lock()
        self._mark = f"samplerproof-warm-{secrets.token_hex(8)}"
        self._environment = _environment()

    @property
    def process(self) -> int | None:
        """Its process number, once it is started."""
        return None if self._process is None else self._process.pid

    def watchdog(self, folder: Path, target: str) -> Watchdog | None:
        """A watchdog for a target, in a fork that has its library where it can be loaded."""
        library, name, _ = split(target)
        asked = {"do": "watch", "folder": str(folder), "library": library, "name": name, **surroundings()}
        for of in (library, "") if library in LIBRARIES else ("",):
            found = self._forked(of, asked)
            if found is not None:
                return found
        return None

    def call(self, function: Callable[..., Result], *arguments: Any, stop: Event) -> Result | None:
        """The result of a function in a fork that has run no sampler; None where it raises.

        Raises KeyboardInterrupt when `stop` is set.
        """
        request, answer = os.pipe(), os.pipe()
        sent = self._send("", {"do": "call"}, request[0], answer[1])
        os.close(request[0])
        os.close(answer[1])
        with open(answer[0], "rb") as file:
            with suppress(BrokenPipeError), open(request[1], "wb") as asked:
                pickle.dump((function, arguments), asked)
            content = file.read() if sent and _ready(answer[0], START, stop) else b""
        found: Result | None = pickle.loads(content) if content else None
        return found

    def forget(self, ended: Watchdog) -> None:
        """Note that a watchdog has ended; where this process had to find out by itself, end what that could not."""
        self._watchdogs.discard(ended)
        if ended.returncode == UNKNOWN:
            end_marked(self._mark, [one.pid for one in self._watchdogs])

    def close(self) -> None:
        """End it."""
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()
        if self._process is not None:
            try:
                self._process.wait(ENDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.log.close()

    def _forked(self, library: str, asked: dict[str, Any]) -> Watchdog | None:
        control, status = os.pipe(), os.pipe()
        found: Watchdog | None = None
        try:
            sent = self._send(library, asked, control[0], status[1])
            os.close(status[1])
            line = _line(status[0]) if sent and _ready(status[0], START) else b""
            if line.strip().isdigit():
                stdin = open(control[1], "wb", buffering=0)  # noqa: SIM115 (closed by Child.close)
                found = Watchdog(int(line), stdin, status[0], self)
                self._watchdogs.add(found)
        finally:
            os.close(control[0])
            if found is None:  # without its control a watchdog ends
                os.close(control[1])
                os.close(status[0])
        return found

    def _send(self, library: str, message: dict[str, Any], *numbers: int) -> bool:
        """Send a message; whether the warm parent is there to read it, with the environment of this process."""
        if _environment() != self._environment:
            return False
        with self._lock:
            try:
                socket.send_fds(self._socket(library), [json.dumps(message).encode()], numbers)
            except OSError:
                gone = self._sockets.pop(library, None)
                if gone is not None:
                    gone.close()
                return False
            return True

    def _socket(self, library: str) -> socket.socket:
        """The socket of the process that has a library loaded, which is started where there is none."""
        if library not in self._sockets:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                if library:
                    socket.send_fds(self._socket(""), [json.dumps({"do": "load"}).encode()], [theirs.fileno()])
                else:
                    self._start(theirs)
            self._sockets[library] = ours
        return self._sockets[library]

    def _start(self, theirs: socket.socket) -> None:
        if self._process is not None:  # it was ended from outside
            self._process.kill()
            self._process.wait()
        self._process = subprocess.Popen(
            # -P: modules in the current folder must not replace those that it imports itself.
            [sys.executable, "-P", "-m", "samplerproof.numerics.conformance.process.fork_server"],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=self.log,
            env=environment(self._mark),
            start_new_session=True,
        )


_shared: list[WarmParent] = []


@contextmanager
def warm_parent() -> Iterator[WarmParent | None]:
    """Context with a warm parent, which those inside it share; None where the system has none."""
    if not WARM:
        yield None
        return
    if _shared and _shared[0].owner == os.getpid():  # a fork of this process needs one of its own
        yield _shared[0]
        return
    _shared[:] = [WarmParent()]
    try:
        yield _shared[0]
    finally:
        _shared.pop().close()


def environment(mark: object) -> dict[str, str]:
    """The environment of a process that this one starts.  mark: the name in it by which it is found."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(_path()), MARK: str(mark)}


def surroundings() -> dict[str, Any]:
    """What a child takes over from this process beside its environment."""
    return {"here": os.getcwd(), "modules": _path()}


def _path() -> list[str]:
    return [entry for entry in sys.path if entry]


def _environment() -> dict[str, str]:
    """The variables that the warm parent was started with, without those that change in between."""
    return {name: value for name, value in os.environ.items() if name not in (MARK, *PASSING)}


def _ready(number: int, timeout: float, stop: Event | None = None) -> bool:
    """Whether there is something to read within a time.  Raises KeyboardInterrupt when `stop` is set."""
    deadline = time.monotonic() + timeout
    while not select.select([number], [], [], max(0, min(POLL if stop else timeout, deadline - time.monotonic())))[0]:
        if stop is not None and stop.is_set():
            raise KeyboardInterrupt
        if time.monotonic() >= deadline:
            return False
    return True


def _line(number: int) -> bytes:
    """The first line that is written to a pipe, or what there is of it at its end."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(number, 1)):
        line += byte
    return line
