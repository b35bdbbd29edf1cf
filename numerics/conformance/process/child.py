"""Child process: builds the target, traces it once per job and writes each result as soon as it is ready."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError, NonFiniteError, SamplingError
from ...external_run import Draw, Finish, Model, Run
from ...points import Point
from ...readback import Trace, trace
from ..adapters.external_sampler import ExternalSampler
from ..adapters.in_float64 import Precision, with_precision
from ..adapters.placed import placed
from ..adapters.target import NoSteps, NoTable
from ..on_yours import read, run_as_it_is
from ..placement import Placement
from ..report import Departure
from . import given_grid
from .expected_calls import ExpectedCalls
from .fault_origin import with_origin
from .global_state import guarded
from .launch import Job
from .option_sweep import troubles_of
from .probes import departures
from .replaced_code import Code, replaced_message
from .taken_together import GIB, TASKS
from .trace_transfer import plain_trace
from .watchdog import tasks_of_user

MEMORY = 4 * GIB  # address space that a target may take in addition to torch's
FILES = GIB // 4  # the longest file that it may write: an endless print ends
LONGEST = 300  # characters of a message


def main(folder: Path, request: dict[str, Any]) -> None:
    """Do all jobs of a request; write the files ready, target, settings, job-0, job-1, …, sweep-0, …, done."""
    write = partial(_write, request["nonce"])
    _limit()
    replaced = Code().replaced  # held here: it may be replaced itself
    (folder / "ready").touch()
    sys.path.insert(0, os.getcwd())  # as `python -m` does: the user's own modules
    try:
        module, _, name = request["resolve"].partition(":")
        resolve = getattr(import_module(module), name)
        if request["library_path"] is not None:
            resolve = partial(resolve, path=request["library_path"])
        sampler: ExternalSampler = placed(resolve(request["target"]), _where(request["where"]))
    except BaseException as fault:
        write(folder / "target", {"failure": _failure(fault, None)})
    else:
        info, changed = sampler.info, replaced()
        write(folder / "target", {"info": asdict(info)})
        settings = (info.name, *info.variants) if request["sweep"] else ()
        (folder / "settings").write_text(str(len(settings)), encoding="utf-8")
        expected = ExpectedCalls()
        for k, job in enumerate(Job(*fields) for fields in request["jobs"]):
            exists = job.grid is None or info.grid(job.grid) is not None
            notes, of_own = _Notes(folder, k), job.given is None
            work = partial(_work, expected=expected) if of_own else _work_on_given
            answer = work(sampler, job, notes) if exists else {}
            changed += replaced()
            write(folder / f"job-{k}", _unread(answer, changed) if answer and changed else answer)
        for k, setting in enumerate(settings):
            notes = _Notes(folder, len(request["jobs"]) + k)
            write(folder / f"sweep-{k}", asdict(troubles_of(setting, resolve, notes.note)))
    (folder / "done").touch()


def _where(plain: dict[str, Any]) -> Placement:
    """The placement in a request, whose tuples JSON has made lists."""
    given = plain["grid"]
    return Placement(**{**plain, "grid": tuple(given) if isinstance(given, list) else given})


def _limit() -> None:
    """Limit memory, processes and the length of files and forbid core dumps, where the system allows it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    with suppress(OSError, ValueError):
        taken = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    limits = [(resource.RLIMIT_FSIZE, FILES), (resource.RLIMIT_CORE, 0)]
    if tasks := tasks_of_user():
        limits.append((resource.RLIMIT_NPROC, tasks + TASKS))
    for kind, most in limits:
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


def _write(nonce: str, path: Path, answer: dict[str, Any]) -> None:
    """Write a file whole or not at all: the process may end at any time.

    nonce: distinguishes it from files that a target writes by accident.
    """
    part = path.with_suffix(".part")
    torch.save({"nonce": nonce, **answer}, part)
    part.replace(path)


class _Notes:
    """Progress of a job, written to a file that survives a crash."""

    def __init__(self, folder: Path, job: int) -> None:
        self.folder, self.job = folder, job
        self.file = os.open(folder / "progress", os.O_WRONLY | os.O_CREAT, 0o600)
        self.step: int | None = None

    def note(self, step: int) -> None:
        self.step = step
        os.lseek(self.file, 0, os.SEEK_SET)
        os.write(self.file, f"{self.job} {step}".ljust(40).encode())


def _work(sampler: ExternalSampler, job: Job, notes: _Notes, expected: ExpectedCalls) -> dict[str, Any]:
    """The result of a job in plain containers: the trace on one grid, and departures where the job has other inputs."""
    dtype = torch.float64 if job.float64 else torch.float32
    found: Trace | None = None
    failure, state = None, []
    departed: tuple[Departure, ...] = ()
    printed = (notes.folder / "stdout").stat().st_size
    try:
        with _precision(sampler, job) as precision, guarded() as changed:
            try:
                grid = None if job.grid is None else sampler.info.grid(job.grid)
                run = _noted(sampler.on(job.steps, grid), notes.note)
                calls = expected.on(job.steps, job.grid)
                traced = trace(run, sampler.prediction, dtype, calls, at_once=not job.other_inputs)
                expected.note(job.steps, job.grid, traced)
                found = with_precision(traced, precision)
                if job.other_inputs:
                    departed = departures(run, found, sampler.direct)
            except BaseException as fault:
                failure = _failure(fault, notes.step)
        state += changed
    except BaseException as fault:  # from the contexts: state that cannot be restored
        failure, found = _failure(fault, notes.step), None
    state += _printed(notes.folder / "stdout", printed)
    plain = plain_trace(found) if found else None
    return {"trace": plain, "failure": failure, "state": state, "departures": [tuple(d) for d in departed]}


def _precision(sampler: ExternalSampler, job: Job) -> AbstractContextManager[Precision | None]:
    """The context that raises the precision of a run, or notes it as shipped: on the steps asked for and on other
    grids; what is narrower there is so in longer runs, which would take twice as long.
    """
    if job.float64:
        return sampler.float64()
    return Precision(torch.float32) if job.other_inputs or job.grid is not None else nullcontext()


def _unread(answer: dict[str, Any], changed: list[str]) -> dict[str, Any]:
    """The result of a job after functions were replaced: none."""
    none: dict[str, Any] = {"trace": None, "failure": ("error", replaced_message(changed), None)}
    of_kind: dict[str, Any] = {"departures": []} if "departures" in answer else {}
    return answer | none | (of_kind or {"sample": None, "counts": (0, 0)})


def _work_on_given(sampler: ExternalSampler, job: Job, notes: _Notes) -> dict[str, Any]:
    """The result of a job on a grid of yours: the trace there and why it is not linear, or the sample of a run."""
    assert job.given is not None
    found, sample, bent, failure = None, None, "", None
    try:
        given = given_grid.load(Path(job.given))
        with guarded():
            if given.start is None:
                found, bent = read(sampler, given.grid)
            else:
                sample = run_as_it_is(sampler, given.grid, given.denoiser(), given.start, given.seed)
    except BaseException as fault:
        failure = _failure(fault, notes.step)
    return {
        "trace": plain_trace(found) if found else None,
        "failure": failure,
        "state": [],
        "bent": bent,
        "sample": None if sample is None else sample.sample,
        "counts": (0, 0) if sample is None else (sample.nfe, sample.draws),
    }


def _noted(run: Run, note: Callable[[int], None]) -> Run:
    """The run with a note of the step before every evaluation."""

    def noting(start: Tensor, model: Model, draw: Draw) -> Finish:
        def evaluated(x: Tensor, at: Point, to: int, channel: str = "") -> Tensor:
            note(to)
            return model(x, at, to, channel)

        return run(start, evaluated, draw)

    return noting


def _failure(fault: BaseException, step: int | None) -> tuple[str, str, int | None]:
    """The fields of a Failure for an exception."""
    try:
        text = " ".join(str(fault).split())
    except Exception:
        text = "an exception that cannot be shown"
    kind, message = "error", with_origin(fault, text)
    if isinstance(fault, SamplingError):
        kind, message = "non-finite" if isinstance(fault, NonFiniteError) else "error", text
    elif isinstance(fault, NoTable):
        kind = "no-steps" if isinstance(fault, NoSteps) else "no-table"
        message = " ".join(fault.allowed.split())
    elif isinstance(fault, InputError):
        kind, message = "input", text
    elif isinstance(fault, SystemExit):
        kind, message = "exit", f"calls sys.exit({text})"
    elif isinstance(fault, MemoryError) or "can't allocate memory" in text:
        kind, message = "memory", f"asks for more than {MEMORY // GIB} GiB of memory"
    return kind, message if len(message) <= LONGEST else message[:LONGEST] + "…", step


def _printed(path: Path, before: int) -> list[str]:
    """A line on standard output that was written since the file had a length of `before`, if there is any."""
    with suppress(Exception):
        sys.stdout.flush()
    with path.open("rb") as file:
        file.seek(before)
        text = file.read(LONGEST).decode(errors="replace")
    return [f"prints on standard output: {text.splitlines()[0]}"] if text else []
