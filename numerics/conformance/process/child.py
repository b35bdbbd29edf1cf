"""What the child process of probe does: builds a target, traces it job by job, leaves every answer as it comes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError, NonFiniteError, SamplingError
from ...points import Point
from ...readback import Draw, Finish, Model, Stranger, Trace, trace
from ..adapters.target import NoTable, Target
from .collect import plain_trace
from .fault_origin import blamed
from .global_state import guarded
from .launch import Job
from .option_sweep import runs
from .probes import Departure, departures

GIB = 1 << 30
MEMORY = 4 * GIB  # address space that a target may take beyond what torch has taken
FILES = GIB // 4  # the longest file that it may write: an endless print ends
LONGEST = 300  # characters of a message


def main(folder: Path, request: dict[str, Any]) -> None:
    """Do what is asked for, and leave in the folder: ready, target, settings, job-0, job-1, …, sweep-0, …, done."""
    leave = partial(_leave, request["nonce"])
    _limit()
    (folder / "ready").touch()
    sys.path.insert(0, os.getcwd())  # as `python -m` has it: the user's own modules
    try:
        module, _, name = request["resolve"].partition(":")
        resolve = getattr(import_module(module), name)
        target: Target = resolve(request["target"])
    except BaseException as fault:
        leave(folder / "target", {"failure": _said(fault, None)})
    else:
        names = ("name", "process", "reference", "promises", "nonlinear", "variants", "zero")
        about = {**{key: getattr(target, key) for key in names}, "grids": tuple(target.grids)}
        leave(folder / "target", {"about": about})
        settings = (target.name, *target.variants) if request["sweep"] else ()
        (folder / "settings").write_text(str(len(settings)), encoding="utf-8")
        for k, job in enumerate(Job(*fields) for fields in request["jobs"]):
            there = job.grid is None or job.grid < len(target.grids)
            leave(folder / f"job-{k}", _work(target, job, _Notes(folder, k)) if there else {})
        for k, setting in enumerate(settings):
            notes = _Notes(folder, len(request["jobs"]) + k)
            leave(folder / f"sweep-{k}", asdict(runs(setting, resolve, notes.note)))
    (folder / "done").touch()


def _limit() -> None:
    """Where the system allows it: no more memory than is reasonable, no endless files, no core dumps."""
    try:
        import resource
    except ImportError:  # Windows
        return
    with suppress(OSError, ValueError):
        taken = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    for kind, most in ((resource.RLIMIT_FSIZE, FILES), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


def _leave(nonce: str, path: Path, answer: dict[str, Any]) -> None:
    """Whole or not at all: the process may end at any time.  nonce: tells it from what a target writes by accident."""
    part = path.with_suffix(".part")
    torch.save({"nonce": nonce, **answer}, part)
    part.replace(path)


class _Notes:
    """Where a job stands, on a file that outlives the process."""

    def __init__(self, folder: Path, job: int) -> None:
        self.folder, self.job = folder, job
        self.file = os.open(folder / "progress", os.O_WRONLY | os.O_CREAT, 0o600)
        self.step: int | None = None

    def note(self, step: int) -> None:
        self.step = step
        os.lseek(self.file, 0, os.SEEK_SET)
        os.write(self.file, f"{self.job} {step}".ljust(40).encode())


def _work(target: Target, job: Job, notes: _Notes) -> dict[str, Any]:
    """Trace the target on one grid: its answer, and what it does on other inputs where that is asked for."""
    dtype = torch.float64 if job.wide else torch.float32
    found: Trace | None = None
    failure, state = None, []
    departed: tuple[Departure, ...] = ()
    printed = (notes.folder / "stdout").stat().st_size
    try:
        with target.wide() if job.wide else nullcontext(), guarded() as changed:
            try:
                on = target.on if job.grid is None else [*target.grids.values()][job.grid]
                stranger = _watched(on(job.steps), notes.note)
                found = trace(stranger, dtype)
                if job.again:
                    departed = departures(stranger, found)
            except BaseException as fault:
                failure = _said(fault, notes.step)
        state += changed
    except BaseException as fault:  # from what surrounds the run: state that cannot be put back
        failure, found = _said(fault, notes.step), None
    state += _prints(notes.folder / "stdout", printed)
    plain = plain_trace(found) if found else None
    return {"trace": plain, "failure": failure, "state": state, "departures": [tuple(d) for d in departed]}


def _watched(stranger: Stranger, note: Callable[[int], None]) -> Stranger:
    """The sampler, noting the step of every evaluation."""

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        def watching(x: Tensor, at: Point, to: int) -> Tensor:
            note(to)
            return model(x, at, to)

        return stranger.run(start, watching, draw)

    return replace(stranger, run=run)


def _said(fault: BaseException, step: int | None) -> tuple[str, str, int | None]:
    """A Failure's fields of what was raised."""
    try:
        text = " ".join(str(fault).split())
    except Exception:
        text = "an exception that cannot be shown"
    kind, message = "error", blamed(fault, text)
    if isinstance(fault, SamplingError):
        kind, message = "non-finite" if isinstance(fault, NonFiniteError) else "error", text
    elif isinstance(fault, NoTable):
        kind, message = "no-table", " ".join(fault.allowed.split())
    elif isinstance(fault, InputError):
        kind, message = "input", text
    elif isinstance(fault, SystemExit):
        kind, message = "exit", f"calls sys.exit({text})"
    elif isinstance(fault, MemoryError) or "can't allocate memory" in text:
        kind, message = "memory", f"asks for more than {MEMORY // GIB} GiB of memory"
    return kind, message if len(message) <= LONGEST else message[:LONGEST] + "…", step


def _prints(path: Path, before: int) -> list[str]:
    """What is to be said of what went to standard output, a file, since it was that long."""
    with suppress(Exception):
        sys.stdout.flush()
    with path.open("rb") as file:
        file.seek(before)
        text = file.read(LONGEST).decode(errors="replace")
    return [f"prints on standard output: {text.splitlines()[0]}"] if text else []
