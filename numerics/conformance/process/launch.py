"""Start and end the child process of an external sampler; this process need not have loaded torch."""

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
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from threading import Event
from typing import IO

from ...support.progress import Progress, silent
from ..placement import Placement
from .warm_parent import UNKNOWN, Watchdog, environment, surroundings, warm_parent
from .watchdog import END, FORKS, end_marked
from .working_folder import Surroundings

RESOLVE = "samplerproof.numerics.conformance.adapters.resolve:resolve"
START = 120.0  # seconds for the start of Python and torch, which do not count for the target
POLL = 0.01  # seconds between two looks at the child
MESSAGES = 1 << 16  # bytes of standard error that are read
LAST = 5.0  # seconds for the child and all that it started to end


@dataclass(frozen=True)
class Job:
    """A run to read back.  steps: of its grid.  float64: in float64, its module too; else as shipped, in float32.

    other_inputs: whether it is run on other inputs too.  grid: another grid of the target, which may not exist, as
    TargetInfo.grid counts them; None for its own.  given: a file with a grid of yours, and what to run the target on
    there; see given_grid.
    """

    steps: int
    float64: bool
    other_inputs: bool = True
    grid: int | None = None
    given: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a child has left.  folder, nonce, jobs, sweep: as in Child.

    limit: its time limit, if that was over.  code: the exit code of its watchdog, if that has ended and is known.
    log: standard error of what started it.  changes: in the folder in which it was started, a line each.
    """

    folder: Path
    nonce: str
    jobs: tuple[Job, ...]
    sweep: bool
    limit: float | None
    code: int | None
    log: bytes
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Child:
    """A process that runs jobs, and then a sweep.

    process: its watchdog, started or forked.  folder: for its answers, a file each.  nonce: part of each answer.
    log: standard error of what started it.  before: the folder in which it was started.  stop: set to cancel it.
    """

    process: subprocess.Popen[bytes] | Watchdog
    folder: Path
    nonce: str
    log: IO[bytes]
    jobs: tuple[Job, ...]
    sweep: bool
    before: Surroundings
    stop: Event

    @property
    def ended(self) -> bool:
        """Whether it has ended, with all that it started, or has put a link in place of its folder."""
        return self.process.poll() is not None or (self.folder / "ended").exists() or self.folder.is_symlink()

    def outcome(self, timeout: float, progress: Progress = silent) -> Outcome:
        """What it has left, once it is done or its time is over; ends it.

        timeout: seconds for all jobs, which include the import of the target but not the start of Python and torch; and
        as many again for every setting of a sweep. Answers that are there by then are kept.
        """
        over = self.over(timeout, progress)
        self.end()
        code = self.process.poll()
        self.log.seek(0)
        return Outcome(
            self.folder,
            self.nonce,
            self.jobs,
            self.sweep,
            timeout if over else None,
            None if code == UNKNOWN else code,
            self.log.read(MESSAGES),
            self.before.changes(),
        )

    def over(self, timeout: float, progress: Progress = silent) -> bool:
        """Wait until it is done. Returns whether its time was over before.

        timeout: seconds from the moment at which Python and torch have started; once the jobs are done, for every
        setting of the sweep.  progress(done, total, label): called after every answer.
        Raises KeyboardInterrupt when `stop` is set.
        """
        deadline, ready, done = time.monotonic() + START, False, 0
        while not self.ended and not (self.folder / "done").exists():
            now = time.monotonic()
            if not ready and (self.folder / "ready").exists():
                ready, deadline = True, now + timeout
            if self._has(done):
                done += 1
                progress(done, max(done, len(self.jobs) + settings(self.folder)), "")
                if done >= len(self.jobs):
                    deadline = now + timeout
            elif now > deadline:
                return True
            elif self.stop.is_set():
                raise KeyboardInterrupt
            else:  # not stop.wait: an exception that a signal raises inside its lock comes out as RuntimeError
                time.sleep(POLL)
        return False

    def _has(self, k: int) -> bool:
        """Whether answer k is there: those of the jobs come first."""
        name = f"job-{k}" if k < len(self.jobs) else f"sweep-{k - len(self.jobs)}"
        return (self.folder / name).exists()

    def end(self) -> None:
        """End the child and all that it started; its answers stay until it is closed."""
        assert self.process.stdin is not None
        if FORKS:
            with suppress(OSError):
                self.process.stdin.write(END)
        else:
            self.process.kill()
        deadline = time.monotonic() + LAST
        while not self.ended and time.monotonic() < deadline:
            time.sleep(POLL)

    def close(self) -> None:
        """End all its processes and remove its folder."""
        self.end()
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(LAST)
        except subprocess.TimeoutExpired:
            self._give_up()
        if self.process.returncode:  # the watchdog was ended from outside and could not end the rest
            end_marked(str(self.folder))
        shutil.rmtree(self.folder, ignore_errors=True)

    def _give_up(self) -> None:
        """End a watchdog that does not end by itself."""
        if isinstance(self.process, Watchdog):
            self.process.give_up()
            return
        self.process.terminate()
        try:
            self.process.wait(LAST)
        except subprocess.TimeoutExpired:  # what is above it was stopped too
            self.process.kill()
            self.process.wait()


def settings(folder: Path) -> int:
    """The number of settings of the sweep that a child has noted."""
    written = contents(folder / "settings", 20) or b""
    return int(written) if written.isdigit() else 0


def contents(path: Path, most: int) -> bytes | None:
    """The content of a file that is not trusted; None where it is not a regular file, or longer than `most`.

    Links are not followed, and opening a pipe does not block.
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
    target: str,
    jobs: Sequence[Job],
    resolve: str = RESOLVE,
    sweep: bool = False,
    stop: Event | None = None,
    where: Placement | None = None,
    path: str | None = None,
) -> Iterator[Child]:
    """Context with a child process that traces a target, once for every job, the sampler built afresh for each.

    resolve: "module:function", from a target to an ExternalSampler.  sweep: whether its variants are run afterwards.
    stop: set from another thread to cancel it.  where: how the sampler is placed.  path: the folder
    with its library.
    Its standard output does not reach ours. At the end the processes that it started and its folder are gone, also if
    this process is killed: a watchdog sees to it. The separation protects this process from accidents of the target,
    not from malice: it is not a sandbox.
    """
    folder, nonce = Path(tempfile.gettempdir()) / f"samplerproof-{secrets.token_hex(8)}", secrets.token_hex(8)
    request = {
        "target": target,
        "resolve": resolve,
        "library_path": path,
        "nonce": nonce,
        "sweep": sweep,
        "jobs": [astuple(job) for job in jobs],
        "where": asdict(where or Placement()),
    }
    with warm_parent() as warm, tempfile.TemporaryFile() as log:
        before = Surroundings.now()
        process = None if warm is None else warm.watchdog(folder, target)
        if warm is not None and process is not None:
            child = Child(process, folder, nonce, warm.log, tuple(jobs), sweep, before, stop or Event())
            request |= {"environment": environment(folder), **surroundings()}
        else:
            started = _started(folder, log)
            child = Child(started, folder, nonce, log, tuple(jobs), sweep, before, stop or Event())
        try:
            with suppress(BrokenPipeError):
                assert child.process.stdin is not None
                child.process.stdin.write(json.dumps(request).encode() + b"\n")
            yield child
        finally:
            child.close()


def _started(folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """A watchdog that is started."""
    return subprocess.Popen(
        # -P: modules in the current folder must not replace those that the child itself imports.
        [sys.executable, "-P", "-m", "samplerproof.numerics.conformance.process.watchdog", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=log,
        bufsize=0,
        env=environment(folder),
        start_new_session=True,
    )
