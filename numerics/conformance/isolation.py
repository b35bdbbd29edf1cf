"""Other people's samplers in a process of their own, with a time limit: whatever they do, an answer comes."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..points import Point, Told
from ..progress import Progress, silent
from ..readback import Trace
from .answers import Failure, Setting, Subject, Trouble
from .launch import RESOLVE, Child, Job, launched
from .probes import Departure


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
class Answer:
    """about: None if the target could not be built; then every outcome is that failure.

    sweep: as far as it came, the settings in order: the target and its variants.
    """

    about: About | None
    outcomes: tuple[Outcome, ...]
    sweep: tuple[Setting, ...] = ()


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
    found = _answer(child.folder, child.jobs, ending)
    return replace(found, sweep=_sweep(child, found.about, ending)) if child.sweep and found.about else found


def _ending(child: Child) -> Failure:
    """What is to be said of a job without an answer, from how the child ended."""
    code = child.process.returncode
    if not (child.folder / "ready").exists():
        lines = (child.folder / "stderr").read_text(encoding="utf-8", errors="replace").splitlines()
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
        if job.grid is not None and job.grid >= len(about.grids):
            continue
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
        return About(**{**plain, **{name: tuple(plain[name]) for name in ("nonlinear", "variants", "grids")}})
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
        if (found is None) == (failure is None):
            return None
        return Outcome(job, found, failure, tuple(plain["state"]), tuple(Departure(*d) for d in plain["departures"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _sweep(child: Child, about: About, ending: Failure) -> tuple[Setting, ...]:
    """What it came to; a setting that ended the process, or the time, is the last."""
    found: list[Setting] = []
    for k, target in enumerate((about.name, *about.variants)):
        plain = _load(child.folder / f"sweep-{k}")
        try:
            troubles = tuple(Trouble(t["kind"], tuple(t["steps"]), t["what"]) for t in plain["troubles"])
            found.append(Setting(plain["target"], plain["refused"], troubles))
        except (KeyError, TypeError):
            steps = _progress(child.folder, len(child.jobs) + k)
            if steps is not None:
                found.append(Setting(target, None, (Trouble("exception", (steps,), ending.message),)))
            break
    return tuple(found)


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
    told = tuple(found.told) if found.told else None
    return {**vars(found), **points, "numbers": dict(found.numbers), "told": told}


def _trace(plain: dict[str, Any]) -> Trace:
    points = {name: tuple(Point(*p) for p in plain[name]) for name in ("points", "grid")}
    told = Told(*plain["told"]) if plain["told"] else None
    return Trace(**{**plain, **points, "told": told})
