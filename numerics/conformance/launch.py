"""The process that other people's samplers run in: started before torch is loaded here, and gone when we are done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..progress import Progress, silent

RESOLVE = "samplerproof.numerics.conformance.resolve:resolve"
START = 120.0  # seconds that Python and torch may take to start, which are not the target's
GLANCE = 0.01  # seconds between two looks at the child


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
    """A process at work on jobs, and a sweep after them.  folder: where it leaves its answers one by one."""

    process: subprocess.Popen[bytes]
    folder: Path
    jobs: tuple[Job, ...]
    sweep: bool

    def over(self, timeout: float, progress: Progress = silent) -> bool:
        """Wait until it is done; whether the time is over before.

        timeout: seconds from when Python and torch have started there; once the jobs are done, for every setting of
        the sweep.  progress(done, total, label): told whenever an answer has come.
        """
        deadline, ready, come = time.monotonic() + START, False, 0
        while self.process.poll() is None and not (self.folder / "done").exists():
            now = time.monotonic()
            if not ready and (self.folder / "ready").exists():
                ready, deadline = True, now + timeout
            if (answers := self._answers()) > come:
                come = answers
                progress(come, int((self.folder / "total").read_text(encoding="utf-8")), "")
                if come >= len(self.jobs):
                    deadline = now + timeout
            if now > deadline:
                return True
            time.sleep(GLANCE)
        return False

    def _answers(self) -> int:
        names = os.listdir(self.folder)
        return sum(name.startswith(("job-", "sweep-")) and not name.endswith(".part") for name in names)

    def end(self) -> None:
        """End the child and what it started, and collect it."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # the group is gone; macOS says the second of a dead one
            self.process.kill()
        self.process.wait()


@contextmanager
def launched(target: str, jobs: Sequence[Job], resolve: str = RESOLVE, sweep: bool = False) -> Iterator[Child]:
    """A child process that traces a target, once for every job, the sampler built afresh for each.

    resolve: "module:function", from the target's name to a Target.  sweep: whether its variants are run afterwards.
    Its standard output is kept from ours; its process group and folder are gone in the end. It keeps a target from
    harming this process by accident: it is no sandbox against malice.
    """
    with tempfile.TemporaryDirectory(prefix="samplerproof-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        request = {
            "target": target,
            "resolve": resolve,
            "folder": name,
            "sweep": sweep,
            "jobs": [[j.steps, j.wide, j.again, j.grid] for j in jobs],
        }
        (folder / "request").write_text(json.dumps(request), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        with (
            (folder / "request").open("rb") as stdin,
            (folder / "stdout").open("wb") as stdout,
            (folder / "stderr").open("wb") as stderr,
        ):
            process = subprocess.Popen(
                # -P: what lies in the current folder must not stand in for what the child itself imports.
                [sys.executable, "-P", "-m", "samplerproof.numerics.conformance.child"],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                start_new_session=True,
            )
            child = Child(process, folder, tuple(jobs), sweep)
            try:
                yield child
            finally:
                child.end()
