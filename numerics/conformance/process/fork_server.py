"""The warm parent: a process with torch and the verifier loaded that forks one process for every request.

    python -m samplerproof.numerics.conformance.process.fork_server

Standard input is a socket. A message is an object in JSON with file descriptors:
- {"do": "watch", "folder", "library", "name", "here", "modules"} with (control, status): forks a watchdog, whose
  standard input is `control`. Lines on `status`: its process number, then its exit code; "no" where it has to be
  started anew, since modules that are loaded here come from elsewhere there.
- {"do": "call"} with (request, answer): forks a process that reads a pickled function and its arguments from `request`
  and writes the pickled result to `answer`; nothing where the function raises.
- {"do": "load"} with (socket,): forks another such process, which is to load a library.

This process runs no sampler and no computation of torch, so that a fork has one thread and no state of a run. It ends
with its socket. Orphans whose watchdog was ended become its children, and it ends them.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pickle
import select
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from .watchdog import PAUSE, adopt_orphans, descendants, kill, watch

PRELOADED = (
    "samplerproof.numerics.conformance.process.child",
    "samplerproof.numerics.conformance.process.collect",
    "samplerproof.numerics.conformance.judge.verdict",
)
LONGEST = 1 << 20  # bytes of a message
LOOKS = 3  # for orphans, in a row, that find none


def _diffusers(name: str) -> None:
    getattr(import_module("diffusers.schedulers"), name, None)  # loads the module of that class


def _k_diffusion(name: str) -> None:
    from ..adapters.k_diffusion import sampling

    sampling()


LIBRARIES = {"diffusers": _diffusers, "k-diffusion": _k_diffusion}  # what loads the module of a sampler, by its name


class _Server:
    """own: the packages that the first warm parent has loaded; None in that one.

    live: the process numbers of forks, and where to write their ends.  calls: those of them that call a function.
    looks: how often it still looks for orphans.
    """

    def __init__(self, control: socket.socket, own: frozenset[str] | None = None) -> None:
        self.control, self.own = control, own
        self.live: dict[int, int | None] = {}
        self.calls: set[int] = set()
        self.looks = 0

    def serve(self) -> None:
        """Answer requests until the socket ends."""
        adopt_orphans()
        while True:
            ready, _, _ = select.select([self.control], [], [], PAUSE if self.live or self.looks else None)
            if ready:
                message, given, _, _ = socket.recv_fds(self.control, LONGEST, 3)
                if not message:
                    break
                try:
                    self._answer(json.loads(message), given)
                finally:
                    for number in given:
                        with suppress(OSError):
                            os.close(number)
            self._reap()
        for process in self.calls:
            kill(process)
        with suppress(ChildProcessError):  # watchdogs end with their control, the others with their sockets
            while True:
                os.wait()

    def _answer(self, request: dict[str, Any], given: list[int]) -> None:
        if request["do"] == "watch":
            control, status = given
            if self.own is not None and not self._loads(request):
                os.write(status, b"no\n")
                return
            kept = os.dup(status)
            process = self._fork(lambda: _watch(control, status, Path(request["folder"])), kept)
            os.write(kept, f"{process}\n".encode())
        elif request["do"] == "call":
            self.calls.add(self._fork(lambda: _call(*given), None))
        else:
            self._fork(lambda: _Server(socket.socket(fileno=os.dup(given[0])), _packages()).serve(), None)

    def _loads(self, request: dict[str, Any]) -> bool:
        """Load the module of a sampler; whether what is loaded here is what it would import in its own folder."""
        assert self.own is not None
        with suppress(Exception):  # the sampler's own process raises it
            LIBRARIES[request["library"]](request["name"])
        return not _found(request["here"], request["modules"]) & (_packages() - self.own)

    def _fork(self, work: Callable[[], object], status: int | None) -> int:
        """Fork a process that does some work and ends; status: where its end is to be written."""
        gc.freeze()  # collections in the fork would copy pages of this process
        process = os.fork()
        if process:
            self.live[process] = status
            return process
        code = 1
        try:
            self.control.close()
            for other in {*self.live.values(), status} - {None}:
                os.close(other)  # type: ignore[arg-type]
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            _end(code)

    def _reap(self) -> None:
        """Note the ends of forks; end orphans of those that could not."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                process, code = ended[0], os.waitstatus_to_exitcode(ended[1])
                self.calls.discard(process)
                status = self.live.pop(process, None)
                if status is None:
                    continue
                if code:
                    self.looks = LOOKS
                    self._end_orphans()
                with suppress(OSError):
                    os.write(status, f"{code}\n".encode())
                os.close(status)
        if self.looks:
            self._end_orphans()

    def _end_orphans(self) -> None:
        """End them; one look may miss a process whose parent changes meanwhile."""
        found = descendants(os.getpid(), self.live)
        for orphan in found:
            kill(orphan)
        self.looks = LOOKS if found else self.looks - 1


def _end(code: int) -> NoReturn:
    """End this process without the ends of others that it is a copy of."""
    with suppress(Exception):
        sys.stdout.flush()
    with suppress(Exception):
        sys.stderr.flush()
    os._exit(code)


def _watch(control: int, status: int, folder: Path) -> None:
    """The work of a watchdog, as that of one which is started anew.

    status: stays open as long as it runs, but not in its child.
    """
    os.setsid()
    os.dup2(control, 0)
    os.close(control)

    def prepare(request: dict[str, Any]) -> None:
        os.close(status)
        _as_there(request)

    watch(folder, prepare)


def _as_there(request: dict[str, Any]) -> None:
    """Give a child the environment, the folder and the path of the process that verifies, and random numbers anew."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["here"])
    sys.path[:] = [*request["modules"], *(entry for entry in _OWN_PATH if entry not in request["modules"])]
    importlib.invalidate_caches()
    import numpy as np

    np.random.seed()  # noqa: NPY002 (as in a process that is started; Python does it itself)


def _call(request: int, answer: int) -> None:
    """Call a function."""
    with open(request, "rb", closefd=False) as file:
        function, arguments = pickle.load(file)
    result = pickle.dumps(function(*arguments))
    with open(answer, "wb", closefd=False) as file:
        file.write(result)


def _packages() -> frozenset[str]:
    """The packages that are loaded."""
    return frozenset(name.partition(".")[0] for name in sys.modules)


def _found(here: str, path: Iterable[str]) -> set[str]:
    """What can be imported from a folder, and from those of a path that this process does not have."""
    found = set()
    for folder in (here, *(entry for entry in path if entry not in _PATH)):
        with suppress(OSError):
            found |= {name.partition(".")[0] for name in os.listdir(folder)}
    return found


_PATH: tuple[str, ...] = ()  # of this process
_OWN_PATH: tuple[str, ...] = ()  # its part that every process of this Python has


def main() -> None:
    """Run the warm parent; see the module."""
    global _PATH, _OWN_PATH
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    _PATH, _OWN_PATH = tuple(sys.path), tuple(entry for entry in sys.path if entry not in given)
    control, nothing = socket.socket(fileno=os.dup(0)), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for module in PRELOADED:
        import_module(module)
    _Server(control).serve()


if __name__ == "__main__":
    main()
