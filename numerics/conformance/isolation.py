"""Other people's samplers in a process of their own, with a time limit: whatever they do, an answer comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..points import Point
from ..readback import Trace

RESOLVE = "samplerproof.numerics.conformance.resolve:resolve"
START = 120.0  # seconds that Python and torch may take to start, which are not the target's
GLANCE = 0.01  # seconds between two looks at the child


@dataclass(frozen=True)
class Job:
    """A run to read back.  steps: of its grid.  wide: in float64, its module too; else as shipped, in float32."""

    steps: int
    wide: bool


@dataclass(frozen=True)
class Failure:
    """Why there is no trace, in one line.  step: where it stood, the grid point it was on the way to, if known.

    kind: "input" (no such target, option or grid), "no-table" (it has none), "error" (an exception), "memory",
    "timeout", "exit" (it ended the process), "crash" (a signal did), "start" (Python did not start).
    """

    kind: str
    message: str
    step: int | None = None


@dataclass(frozen=True)
class About:
    """What a target says of itself; see Target."""

    name: str
    process: str
    reference: str | None
    promises: int | None
    nonlinear: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """Of a job either the trace or the failure.  state: what it did beside its work, a line each; see guarded."""

    job: Job
    trace: Trace | None
    failure: Failure | None
    state: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """about: None if the target could not be built; then every outcome is that failure."""

    about: About | None
    outcomes: tuple[Outcome, ...]


def probe(target: str, jobs: Sequence[Job], timeout: float, resolve: str = RESOLVE) -> Answer:
    """Trace a target in a child process, once for every job, the sampler built afresh for each.

    timeout: seconds for all of it, the import of the target included, Python's and torch's own start not. What is
    done by then is kept. resolve: "module:function", from the target's name to a Target.
    The child's standard output is kept from ours; its process group is gone when this returns. It keeps a target from
    harming this process by accident: it is no sandbox against malice.
    """
    with tempfile.TemporaryDirectory(prefix="samplerproof-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        request = {"target": target, "resolve": resolve, "jobs": [[j.steps, j.wide] for j in jobs], "folder": name}
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
            try:
                over = _wait(process, folder, timeout)
            finally:
                _end(process)
        ending = Failure("timeout", f"still running after {timeout:g} s") if over else _ending(process, folder)
        return _answer(folder, jobs, ending)


def _wait(process: subprocess.Popen[bytes], folder: Path, timeout: float) -> bool:
    """Whether the time is over before the child is done."""
    deadline, ready = time.monotonic() + START, False
    while process.poll() is None and not (folder / "done").exists():
        now = time.monotonic()
        if not ready and (folder / "ready").exists():
            ready, deadline = True, now + timeout
        if now > deadline:
            return True
        time.sleep(GLANCE)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the child and what it started, and collect it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # the group is gone; macOS says the second of a dead one
        process.kill()
    process.wait()


def _ending(process: subprocess.Popen[bytes], folder: Path) -> Failure:
    """What is to be said of a job without an answer, from how the child ended."""
    code = process.returncode
    if not (folder / "ready").exists():
        lines = (folder / "stderr").read_text(encoding="utf-8", errors="replace").splitlines()
        return Failure("start", f"the child process did not start: {lines[-1] if lines else f'exit code {code}'}")
    if code < 0:
        return Failure("crash", f"the process was ended by {signal.Signals(-code).name}")
    return Failure("exit", f"ended the process with code {code}")


def _answer(folder: Path, jobs: Sequence[Job], ending: Failure) -> Answer:
    """What the child left behind; the first job without an answer is the one that it ended in."""
    built = _load(folder / "target")
    about = _about(built.get("about"))
    if about is None:
        failure = _failure(built.get("failure")) or Failure(ending.kind, f"in its import: {ending.message}")
        return Answer(None, tuple(Outcome(job, None, failure) for job in jobs))
    outcomes = []
    for k, job in enumerate(jobs):
        outcome = _outcome(job, _load(folder / f"job-{k}"))
        if outcome is None:
            outcome = Outcome(job, None, Failure(ending.kind, ending.message, _progress(folder, k)))
            ending = Failure(ending.kind, f"not run; the job before: {ending.message}")
        outcomes.append(outcome)
    return Answer(about, tuple(outcomes))


def _load(path: Path) -> dict[str, Any]:
    """Plain containers and tensors only: nothing is executed.  Empty where nothing can be read."""
    try:
        found = torch.load(path, weights_only=True)
    except Exception:  # a file that is missing, torn or made by the target: there is no answer in it
        return {}
    return found if isinstance(found, dict) else {}


def _about(plain: Any) -> About | None:
    try:
        return About(**{**plain, "nonlinear": tuple(plain["nonlinear"])})
    except (TypeError, KeyError):
        return None


def _failure(plain: Any) -> Failure | None:
    try:
        return Failure(*plain)
    except TypeError:
        return None


def _outcome(job: Job, plain: dict[str, Any]) -> Outcome | None:
    try:
        found = _trace(plain["trace"]) if plain["trace"] is not None else None
        failure = _failure(plain["failure"])
        return Outcome(job, found, failure, tuple(plain["state"])) if (found is None) != (failure is None) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _progress(folder: Path, job: int) -> int | None:
    """The step in which a job stood, as the child noted it last."""
    try:
        at, step = (folder / "progress").read_text(encoding="utf-8").split()
        return int(step) if int(at) == job else None
    except (OSError, ValueError):
        return None


def plain_trace(found: Trace) -> dict[str, Any]:
    """A trace in plain containers."""
    points = {name: [tuple(p) for p in getattr(found, name)] for name in ("points", "grid")}
    return {**vars(found), **points, "numbers": dict(found.numbers)}


def _trace(plain: dict[str, Any]) -> Trace:
    points = {name: tuple(Point(*p) for p in plain[name]) for name in ("points", "grid")}
    return Trace(**{**plain, **points})
