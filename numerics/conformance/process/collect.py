"""Run an external sampler in a child process with a time limit: always returns a result, even on a crash or timeout.

The files that the child leaves are not trusted: anything but a well-formed answer is reported as such.
"""

from __future__ import annotations

import os
import signal
from dataclasses import astuple, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...readback import Trace
from ...support.progress import Progress, silent
from ..forward_processes import PROCESSES
from ..report import Departure, Failure, Setting, TargetInfo, Trouble
from . import watchdog
from .checked_values import checked, shown
from .launch import MESSAGES, Child, Job, Outcome, contents
from .taken_together import OVER
from .trace_transfer import check_shapes

LONGEST_ANSWER = 1 << 28  # bytes: the longest file that the child may write
MESSAGE = 400  # characters of a failure


@dataclass(frozen=True)
class JobResult:
    """The result of a job: its trace or its failure.

    state: changes of global state and output, a line each; see guarded.
    departures: differences on other inputs, where the job has any.
    bent: of a job on a given grid, why it is not linear.  sample, counts: of a run there on a model, with its calls and
    draws, in place of a trace.
    """

    job: Job
    trace: Trace | None
    failure: Failure | None
    state: tuple[str, ...]
    departures: tuple[Departure, ...] = ()
    bent: str = ""
    sample: Tensor | None = None
    counts: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ChildResults:
    """The results of a child process.

    info: None if the target could not be built; then every job has that failure.
    sweep: the settings that were run, in order: the target and its variants.
    folder_changes: in the folder in which the child was started, a line each.
    """

    info: TargetInfo | None
    jobs: tuple[JobResult, ...]
    sweep: tuple[Setting, ...] = ()
    folder_changes: tuple[str, ...] = ()


def collect(child: Child, timeout: float, progress: Progress = silent) -> ChildResults:
    """The results of a child, once it is done or its time is over; ends the child.  timeout: as in Child.outcome."""
    return results_of(child.outcome(timeout, progress))


def results_of(outcome: Outcome) -> ChildResults:
    """The results in what a child has left."""
    over = outcome.limit is not None
    ending = Failure("timeout", f"still running after {outcome.limit:g} s") if over else _ending(outcome)
    found = replace(_job_results(outcome, ending), folder_changes=outcome.changes)
    return replace(found, sweep=_sweep(outcome, found.info, ending)) if outcome.sweep and found.info else found


def _ending(child: Outcome) -> Failure:
    """Failure reported for an unfinished job, from the child's exit status."""
    written = contents(child.folder / "ended", 20)
    if child.folder.is_symlink() or not child.folder.is_dir():
        return Failure("error", "it has removed or renamed the folder with its answers")
    passed = (written or b"").decode(errors="replace")
    if passed in OVER:
        return Failure("memory" if passed == "memory" else "exit", OVER[passed])
    try:
        code = child.code if written is None else int(written)
    except ValueError:
        code = None
    if not (child.folder / "ready").exists():
        text = contents(child.folder / "stderr", MESSAGES) or child.log
        lines = text.decode(errors="replace").splitlines()
        last = shown(lines[-1]) if lines else f"exit code {code}"
        return Failure("start", f"the child process did not start: {last}")
    if written is None and watchdog.FORKS:
        return Failure("crash", f"the process that watches it was ended{'' if code is None else _by(code)}")
    if code is not None and code < 0:
        return Failure("crash", f"the process was ended{_by(code)}")
    return Failure("exit", f"ended the process with code {code}")


def _by(code: int) -> str:
    try:
        return f" by {signal.Signals(-code).name}"
    except ValueError:
        return f" with code {code}"


def _job_results(child: Outcome, ending: Failure) -> ChildResults:
    """The results that the child left; the first job without one is the job in which it ended."""
    try:
        built = _load(child, "target")
        info = checked(TargetInfo, built["info"], "info") if built is not None and "failure" not in built else None
        if info is not None and info.process not in PROCESSES:
            raise ValueError(f"info.process is none of {', '.join(PROCESSES)}")
        at = "" if ending.kind in ("start", "error") else "in its import: "
        failed = Failure(ending.kind, at + ending.message) if built is None else None
        failed = failed or (checked(Failure, built["failure"], "failure") if built and info is None else None)
    except (ValueError, KeyError) as fault:
        info, failed = None, _malformed(child.folder / "target", fault)
    if info is None:
        assert failed is not None
        return ChildResults(None, tuple(JobResult(job, None, failed, ()) for job in child.jobs))
    results = []
    later = Failure(ending.kind, f"not run; the job before: {ending.message}")
    for k, job in enumerate(child.jobs):
        if job.grid is not None and info.grid(job.grid) is None:
            continue
        result = _job_result(child, k, job)
        if result is None:
            result = JobResult(job, None, replace(ending, step=_progress(child.folder, k)), ())
            ending = later
        results.append(result)
    return ChildResults(info, tuple(results))


def _malformed(path: Path, fault: Exception) -> Failure:
    return Failure("error", f"its answer {path.name} is malformed: {' '.join(str(fault).split())}"[:MESSAGE])


def _load(child: Outcome, name: str) -> dict[str, Any] | None:
    """An answer in plain containers and tensors; no code in it is executed. None where there is no such answer.

    Raises ValueError on anything else, and on files that this child did not write.
    """
    path = child.folder / name
    if not os.path.lexists(path):
        return None
    content = contents(path, LONGEST_ANSWER)
    if content is None:
        raise ValueError(f"not a file of at most {LONGEST_ANSWER >> 20} MiB")
    try:
        found = torch.load(BytesIO(content), weights_only=True)
    except Exception as fault:  # torn, or made by the target: torch raises many types
        raise ValueError(f"not readable ({type(fault).__name__})") from None
    if not isinstance(found, dict) or found.pop("nonce", None) != child.nonce:
        raise ValueError("probably written by the target")
    return found


def _job_result(child: Outcome, k: int, job: Job) -> JobResult | None:
    try:
        plain = _load(child, f"job-{k}")
        if plain is None:
            return None
        if "job" in plain:
            raise ValueError("it has a job of its own")
        found = checked(JobResult, {**plain, "job": astuple(job)}, "answer")
        if [found.trace, found.failure, found.sample].count(None) != 2:
            raise ValueError("not one of a trace, a sample and a failure")
        if found.trace is not None:
            check_shapes(found.trace)
    except ValueError as fault:
        return JobResult(job, None, _malformed(child.folder / f"job-{k}", fault), ())
    return found


def _sweep(child: Outcome, info: TargetInfo, ending: Failure) -> tuple[Setting, ...]:
    """The settings that were run; one in which the process or the time ended is the last."""
    found: list[Setting] = []
    for k, target in enumerate((info.name, *info.variants)):
        try:
            plain = _load(child, f"sweep-{k}")
            if plain is not None:
                found.append(checked(Setting, plain, "setting"))
                continue
            steps, what = _progress(child.folder, len(child.jobs) + k), ending.message
        except ValueError as fault:
            steps, what = 0, _malformed(child.folder / f"sweep-{k}", fault).message
        if steps is not None:
            found.append(Setting(target, None, (Trouble("exception", (steps,), what),)))
        break
    return tuple(found)


def _progress(folder: Path, job: int) -> int | None:
    """The step of a job that the child noted last."""
    at, _, step = (contents(folder / "progress", MESSAGES) or b"").strip().partition(b" ")
    return int(step[:9]) if at == str(job).encode() and step.isdigit() else None
