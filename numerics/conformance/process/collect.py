"""Other people's samplers in a process of their own, with a time limit: whatever they do, an answer comes.

What the child leaves is read as a stranger's: what is not exactly an answer is said to be none.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from ...generated.prediction_functions import PREDICTIONS
from ...readback import Trace
from ...support.progress import Progress, silent
from ..report import Failure, Setting, Subject, Trouble
from . import watchdog
from .checked_values import made
from .launch import RESOLVE, Child, Job, contents, launched
from .probes import Departure

LONGEST_ANSWER = 1 << 28  # bytes: as many as the child may write
MESSAGES = 1 << 16  # bytes of what it said on standard error that are looked at
MESSAGE = 400  # characters of a failure
PROCESSES = ("vp", "ve", "flow")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class About(Subject):
    """What a target says of itself; see Target."""

    variants: tuple[str, ...]
    grids: tuple[str, ...] = ()
    zero: str | None = None


@dataclass(frozen=True)
class Outcome:
    """Of a job either the trace or the failure.  state: what it did beside its work, a line each; see guarded.

    departures: what it did on other inputs, where that was asked for.
    """

    job: Job
    trace: Trace | None
    failure: Failure | None
    state: tuple[str, ...] = ()
    departures: tuple[Departure, ...] = ()


@dataclass(frozen=True)
class _Left:
    """What the child leaves of a job."""

    trace: Trace | None
    failure: Failure | None
    state: tuple[str, ...]
    departures: tuple[Departure, ...] = ()


@dataclass(frozen=True)
class Answer:
    """about: None if the target could not be built; then every outcome is that failure.

    sweep: as far as it came, the settings in order: the target and its variants.
    around: what was changed meanwhile in the folder that it was started in, a line each.
    """

    about: About | None
    outcomes: tuple[Outcome, ...]
    sweep: tuple[Setting, ...] = ()
    around: tuple[str, ...] = ()


def probe(target: str, jobs: Sequence[Job], timeout: float, resolve: str = RESOLVE) -> Answer:
    """Trace a target in a child process; see launched and answer."""
    with launched(target, jobs, resolve) as child:
        return answer(child, timeout)


def answer(child: Child, timeout: float, progress: Progress = silent) -> Answer:
    """What a child has to say, waiting until it is done; it is ended.

    timeout: seconds for all jobs, the import of the target included, Python's and torch's own start not; and for every
    setting of a sweep as many again. What is done by then is kept.
    """
    over = child.over(timeout, progress)
    child.end()
    ending = Failure("timeout", f"still running after {timeout:g} s") if over else _ending(child)
    found = replace(_answer(child, ending), around=child.before.changes())
    return replace(found, sweep=_sweep(child, found.about, ending)) if child.sweep and found.about else found


def _ending(child: Child) -> Failure:
    """What is to be said of a job without an answer, from how the child ended."""
    said = contents(child.folder / "ended", 20)
    try:
        code = child.process.poll() if said is None else int(said)
    except ValueError:
        code = None
    if not (child.folder / "ready").exists():
        child.log.seek(0)
        text = contents(child.folder / "stderr", MESSAGES) or child.log.read(MESSAGES)
        lines = text.decode(errors="replace").splitlines()
        return Failure("start", f"the child process did not start: {lines[-1] if lines else f'exit code {code}'}")
    if said is None and watchdog.FORKS:
        return Failure("crash", f"the process that watches it was ended{'' if code is None else _by(code)}")
    if code is not None and code < 0:
        return Failure("crash", f"the process was ended{_by(code)}")
    return Failure("exit", f"ended the process with code {code}")


def _by(code: int) -> str:
    try:
        return f" by {signal.Signals(-code).name}"
    except ValueError:
        return f" with code {code}"


def _answer(child: Child, ending: Failure) -> Answer:
    """What the child left behind; the first job without an answer is the one that it ended in."""
    try:
        built = _load(child, "target")
        about = made(About, built["about"], "about") if built is not None and "failure" not in built else None
        if about is not None and about.process not in PROCESSES:
            raise ValueError(f"about.process is none of {', '.join(PROCESSES)}")
        failed = Failure(ending.kind, f"in its import: {ending.message}") if built is None else None
        failed = failed or (made(Failure, built["failure"], "failure") if built and about is None else None)
    except (ValueError, KeyError) as fault:
        about, failed = None, _garbled(child.folder / "target", fault)
    if about is None:
        assert failed is not None
        return Answer(None, tuple(Outcome(job, None, failed) for job in child.jobs))
    outcomes = []
    for k, job in enumerate(child.jobs):
        if job.grid is not None and job.grid >= len(about.grids):
            continue
        outcome = _outcome(child, k, job)
        if outcome is None:
            outcome = Outcome(job, None, Failure(ending.kind, ending.message, _progress(child.folder, k)))
            ending = Failure(ending.kind, f"not run; the job before: {ending.message}")
        outcomes.append(outcome)
    return Answer(about, tuple(outcomes))


def _garbled(path: Path, fault: Exception) -> Failure:
    return Failure("error", f"its answer {path.name} is none: {' '.join(str(fault).split())}"[:MESSAGE])


def _load(child: Child, name: str) -> dict[str, Any] | None:
    """Plain containers and tensors only, nothing is executed; None where there is no such answer.

    Raises ValueError on anything else, and on what this child was not asked for.
    """
    path = child.folder / name
    if not os.path.lexists(path):
        return None
    content = contents(path, LONGEST_ANSWER)
    if content is None:
        raise ValueError(f"no file, or one of more than {LONGEST_ANSWER >> 20} MiB")
    try:
        found = torch.load(BytesIO(content), weights_only=True)
    except Exception as fault:  # torn, or made by the target: torch raises what it likes
        raise ValueError(f"not readable ({type(fault).__name__})") from None
    if not isinstance(found, dict) or found.pop("nonce", None) != child.nonce:
        raise ValueError("written by the target, it seems")
    return found


def _outcome(child: Child, k: int, job: Job) -> Outcome | None:
    try:
        plain = _load(child, f"job-{k}")
        if plain is None:
            return None
        found = made(_Left, plain, "answer")
        if (found.trace is None) == (found.failure is None):
            raise ValueError("neither a trace nor a failure, or both")
        if found.trace is not None:
            _check_shapes(found.trace)
    except ValueError as fault:
        return Outcome(job, None, _garbled(child.folder / f"job-{k}", fault))
    return Outcome(job, found.trace, found.failure, found.state, found.departures)


def _check_shapes(found: Trace) -> None:
    """ValueError where what is counted in one place differs from what is counted in another."""
    vectors, count = found.vectors, len(found.points)
    if vectors.dtype != torch.float64 or vectors.ndim != 2 or vectors.layout != torch.strided:
        raise ValueError(f"vectors are {list(vectors.shape)} in {vectors.dtype}, not [V, columns] in float64")
    if found.dtype not in DTYPES or found.prediction not in PREDICTIONS:
        raise ValueError("its dtype or its prediction is no known one")
    lengths = {len(vectors), count, len(found.step), len(found.evaluated), len(found.superposition)}
    if lengths != {count} or count < 2:
        raise ValueError(f"of vectors, points, steps and the like there are {sorted(lengths)}")
    if found.nfe < 1:
        raise ValueError("it never asks its model")
    if vectors.shape[1] < 1 + found.nfe:
        raise ValueError(f"{vectors.shape[1]} columns, {found.nfe} evaluations")
    last = len(found.grid) - 1
    if last < 1 or not all(0 <= n <= last for n in found.step):
        raise ValueError(f"its steps are not those of a grid of {last + 1} points")
    if any(len(values) != last for values in found.numbers.values()):
        raise ValueError("its numbers are not one for every step")
    if found.told is not None and {len(part) for part in found.told[:3]} != {found.nfe}:
        raise ValueError("what the model was told is not one for every evaluation")


def _sweep(child: Child, about: About, ending: Failure) -> tuple[Setting, ...]:
    """What it came to; a setting that ended the process, or the time, is the last."""
    found: list[Setting] = []
    for k, target in enumerate((about.name, *about.variants)):
        try:
            plain = _load(child, f"sweep-{k}")
            if plain is not None:
                found.append(made(Setting, plain, "setting"))
                continue
            steps, what = _progress(child.folder, len(child.jobs) + k), ending.message
        except ValueError as fault:
            steps, what = 0, _garbled(child.folder / f"sweep-{k}", fault).message
        if steps is not None:
            found.append(Setting(target, None, (Trouble("exception", (steps,), what),)))
        break
    return tuple(found)


def _progress(folder: Path, job: int) -> int | None:
    """The step in which a job stood, as the child noted it last."""
    at, _, step = (contents(folder / "progress", MESSAGES) or b"").strip().partition(b" ")
    return int(step[:9]) if at == str(job).encode() and step.isdigit() else None


def plain_trace(found: Trace) -> dict[str, Any]:
    """A trace in plain containers."""
    points = {name: [tuple(p) for p in getattr(found, name)] for name in ("points", "grid")}
    told = tuple(found.told) if found.told else None
    return {**vars(found), **points, "numbers": dict(found.numbers), "told": told}
