"""The process that other people's samplers run in: started before torch is loaded here, and gone when we are done."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO

from ...support.progress import Progress, silent
from .watchdog import END, FORKS, MARK, end_marked
from .working_folder import Surroundings

RESOLVE = "samplerproof.numerics.conformance.adapters.resolve:resolve"
START = 120.0  # seconds that Python and torch may take to start, which are not the target's
GLANCE = 0.01  # seconds between two looks at the child
LAST = 5.0  # seconds within which the child and all that it started are gone


@dataclass(frozen=True)
class Job:
    """A run to read back.  steps: of its grid.  wide: in float64, its module too; else as shipped, in float32.

    again: whether it is run on other inputs too.  grid: which of the other grids of the target, counted from 0; there
    may be fewer.
    """

    steps: int
    wide: bool
    again: bool = True
    grid: int | None = None


@dataclass(frozen=True)
class Child:
    """A process at work on jobs, and a sweep after them.

    process: the one that watches it; see watch.  folder: where it leaves its answers one by one.  nonce: what is in
    each of them.  log: what the process wrote before the folder was there.  before: the folder it was started in.
    stop: set to give it up.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    nonce: str
    log: IO[bytes]
    jobs: tuple[Job, ...]
    sweep: bool
    before: Surroundings
    stop: Event

    @property
    def ended(self) -> bool:
        """Whether it is gone, with all that it started."""
        return self.process.poll() is not None or (self.folder / "ended").exists()

    def over(self, timeout: float, progress: Progress = silent) -> bool:
        """Wait until it is done; whether the time is over before.

        timeout: seconds from when Python and torch have started there; once the jobs are done, for every setting of
        the sweep.  progress(done, total, label): told whenever an answer has come.
        Raises KeyboardInterrupt when it is told to stop.
        """
        deadline, ready, come = time.monotonic() + START, False, 0
        while not self.ended and not (self.folder / "done").exists():
            now = time.monotonic()
            if not ready and (self.folder / "ready").exists():
                ready, deadline = True, now + timeout
            if self._has(come):
                come += 1
                progress(come, max(come, len(self.jobs) + self._settings()), "")
                if come >= len(self.jobs):
                    deadline = now + timeout
            elif now > deadline:
                return True
            elif self.stop.wait(GLANCE):
                raise KeyboardInterrupt
        return False

    def _has(self, k: int) -> bool:
        """Whether its answer of that number is there: those to the jobs come first."""
        name = f"job-{k}" if k < len(self.jobs) else f"sweep-{k - len(self.jobs)}"
        return (self.folder / name).exists()

    def _settings(self) -> int:
        """How many settings the sweep has."""
        said = contents(self.folder / "settings", 20) or b""
        return int(said) if said.isdigit() else 0

    def end(self) -> None:
        """End the child and what it started; its answers stay until it is closed."""
        assert self.process.stdin is not None
        if FORKS:
            with suppress(OSError):
                self.process.stdin.write(END)
        else:
            self.process.kill()
        deadline = time.monotonic() + LAST
        while not self.ended and time.monotonic() < deadline:
            time.sleep(GLANCE)

    def close(self) -> None:
        """Leave nothing: no process, no folder."""
        self.end()
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(LAST)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.returncode:  # it was ended itself, and could not see to the rest
            end_marked(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)


def contents(path: Path, most: int) -> bytes | None:
    """What is in a file that a stranger may have made; None where it is none, or is longer.

    Links are not followed, and nothing is waited for, as opening a pipe would.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            now = os.fstat(file.fileno())
            if not stat.S_ISREG(now.st_mode) or now.st_size > most:
                return None
            found = file.read(most + 1)
    except OSError:
        return None
    return found if len(found) <= most else None


@contextmanager
def launched(
    target: str, jobs: Sequence[Job], resolve: str = RESOLVE, sweep: bool = False, stop: Event | None = None
) -> Iterator[Child]:
    """A child process that traces a target, once for every job, the sampler built afresh for each.

    resolve: "module:function", from the target's name to a Target.  sweep: whether its variants are run afterwards.
    stop: set from another thread to end it.
    Its standard output is kept from ours. What it starts and its folder are gone in the end, also if this process is
    killed: another one watches (watch.py). It keeps a target from harming this process by accident: it is no sandbox
    against malice.
    """
    folder, nonce = Path(tempfile.gettempdir()) / f"samplerproof-{secrets.token_hex(8)}", secrets.token_hex(8)
    request = {
        "target": target,
        "resolve": resolve,
        "nonce": nonce,
        "sweep": sweep,
        "jobs": [[j.steps, j.wide, j.again, j.grid] for j in jobs],
    }
    before = Surroundings.now()
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            # -P: what lies in the current folder must not stand in for what the child itself imports.
            [sys.executable, "-P", "-m", "samplerproof.numerics.conformance.process.watchdog", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": path, MARK: str(folder)},
            start_new_session=True,
        )
        child = Child(process, folder, nonce, log, tuple(jobs), sweep, before, stop or Event())
        try:
            with suppress(BrokenPipeError):
                assert process.stdin is not None
                process.stdin.write(json.dumps(request).encode() + b"\n")
            yield child
        finally:
            child.close()
