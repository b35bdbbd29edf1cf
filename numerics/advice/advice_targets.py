"""From what a user names to a question: a checkpoint, a TOML file, FILE.py:name, or a denoiser in Python."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.load import load
from ..conformance.adapters.objects import object_at
from ..conformance.adapters.target import is_file, split
from ..denoisers import Denoiser
from ..errors import InputError, SamplingError, of_type, runnable
from ..points import Point
from ..schedules import Schedule, schedule
from ..studies.config import LI, NetworkStudy, parse_study
from ..studies.problem import grids_of
from ..support.consent import NONE, Consent
from ..support.devices import device_of
from ..support.reading import read_toml
from ..targets.mixture import GaussianMixture
from .question import BUDGET, Question

CLEANEST, NOISIEST = 0.002, 80.0  # sigma/alpha of the ends, where a model was trained there and the schedule has them
GRID = {"kind": "karras", "sigma_min": CLEANEST, "sigma_max": NOISIEST}
ROUNDING = 1e-9  # of lambda
SHAPE = 'a function (x, at, prediction) with an attribute "shape", that of a sample'


def question_of(
    target: str, nfe: int, budget: int = BUDGET, seed: int = 0, consent: Consent = NONE, device: str = "cpu"
) -> Question:
    """The question about a target as it is typed.

    target: what `load_checkpoint` takes, on the schedule "edm" between sigma = 0.002 and 80 as far as it was trained; a
    TOML file with [target], and perhaps [schedule] and [grid] as in a study, of which the ends are taken; or
    FILE.py:name, a mixture or a denoiser with an attribute `shape`.
    Raises InputError, naming the field, on what cannot be read, and on ends outside of the levels of training.
    """
    where = str(device_of(device))
    if target.endswith(".toml"):
        return _of_file(Path(target), nfe, budget, seed, consent, where)
    if ".py:" in target or (":" in target and not Path(target).exists()):
        library, name, _ = split(target)
        found = object_at(library, name)
        if not is_file(library) and isinstance(found, type):
            raise InputError("TARGET", target, SHAPE)
        asked = question(found, schedule("edm"), nfe, budget=budget, seed=seed)
        return replace(asked, denoise=_answering(asked.denoise, target), lines=_imported(library, name))
    checkpoint = load(target, consent)
    begin, end = default_ends(schedule("edm"), checkpoint.span)
    return _of_checkpoint(checkpoint, schedule("edm"), begin, end, nfe, budget, seed, where, target)


def question(
    denoise: Denoiser | str | Checkpoint | GaussianMixture,
    process: Schedule,
    nfe: int,
    *,
    shape: tuple[int, ...] | None = None,
    begin: float | None = None,
    end: float | None = None,
    budget: int = BUDGET,
    seed: int = 0,
) -> Question:
    """The question about a denoiser on a schedule.

    begin, end: times of the schedule, the noisy one first; by default where sigma/alpha is 80 and 0.002, or as near as
    the schedule and the training of a checkpoint allow.  shape: of a sample, where the denoiser does not have it.
    """
    of_type("schedule", process, Schedule, 'a schedule, such as sp.schedule("edm")')
    found = load(denoise) if isinstance(denoise, str) else denoise
    span = found.span if isinstance(found, Checkpoint) else None
    ends = default_ends(process, span)
    first = ends[0] if begin is None else process.point(begin)
    last = ends[1] if end is None else process.point(end)
    if isinstance(found, Checkpoint):
        return _of_checkpoint(
            found, process, first, last, nfe, budget, seed, "cpu", denoise if isinstance(denoise, str) else None
        )
    size = (found.dim,) if isinstance(found, GaussianMixture) else shape or getattr(found, "shape", None)
    runnable("denoise", found, SHAPE)
    if not isinstance(size, tuple | list | torch.Size) or not all(isinstance(n, int) and n > 0 for n in size):
        raise InputError("shape", size, SHAPE)
    return Question(found, process, first, last, tuple(size), nfe, budget, seed)


def default_ends(process: Schedule, span: tuple[float, float] | None = None) -> tuple[Point, Point]:
    """The points at sigma/alpha = 80 and 0.002, moved inside a span of lambda and inside the schedule."""
    low, high = (-math.log(NOISIEST), -math.log(CLEANEST))
    if span is not None:
        low, high = max(low, span[0]), min(high, span[1])
    noisy, clean = (float(process.time(torch.tensor(lam, dtype=torch.float64))) for lam in (low, high))
    noisy, clean = (float(f"{t:.12g}") for t in (noisy, clean))  # what 80 and 0.002 are up to rounding
    return process.point(min(noisy, process.t_max)), process.point(max(clean, process.t_min))


def _of_checkpoint(
    checkpoint: Checkpoint,
    process: Schedule,
    begin: Point,
    end: Point,
    nfe: int,
    budget: int,
    seed: int,
    device: str,
    typed: str | None,
) -> Question:
    low, high = checkpoint.span
    if not (low - ROUNDING <= begin.lam and end.lam <= high + ROUNDING):
        known = f"the network was trained on lambda from {low:.4g} to {high:.4g}"
        raise InputError("levels: lambda from noise to data", [round(p.lam, 4) for p in (begin, end)], known)
    identity = {"checkpoint": checkpoint.sha256, "device": device}
    model = checkpoint.denoiser(device=device)
    where = "" if device == "cpu" else f"device={device!r}"
    lines = (f"denoise = sp.load_checkpoint({typed!r}).denoiser({where})",) if typed else ()
    return Question(model, process, begin, end, checkpoint.shape, nfe, budget, seed, identity, lines, checkpoint)


def _of_file(file: Path, nfe: int, budget: int, seed: int, consent: Consent, device: str) -> Question:
    """The question of a study file: its target and schedule, and the ends of its grid."""
    data: dict[str, Any] = read_toml(file, "TARGET")
    if "target" not in data:
        raise InputError("TARGET", str(file), "a file with a table [target]")
    if isinstance(data.get("schedule"), dict) and data["schedule"].get("kind") == LI:
        raise InputError("schedule.kind", LI, "a schedule with points between its levels")
    lists = isinstance(data.get("grid"), dict) and data["grid"].get("kind") == "list"
    run = {"methods": ["ddim"], "metrics": ["trajectory"], "init": "normal", **({} if lists else {"steps": [nfe]})}
    tables = {"schedule": {"kind": "edm"}, "grid": GRID, **data, "run": run}
    study = parse_study(tables)
    found = grids_of(study)
    assert found.schedule is not None  # only li has none
    grid = next(iter(found.made.values()))
    begin, end = grid.points[0], grid.points[-1]
    if isinstance(study, NetworkStudy):
        checkpoint = load(study.target.checkpoint, consent)
        return _of_checkpoint(
            checkpoint, found.schedule, begin, end, nfe, budget, seed, device, study.target.checkpoint
        )
    t = study.target
    mixture = GaussianMixture(t.weights, t.means, t.stds, t.covariances)
    law = t.model_dump(exclude_none=True)
    lines = ("denoise = sp.GaussianMixture(" + ", ".join(f"{name}={value!r}" for name, value in law.items()) + ")",)
    return Question(mixture, found.schedule, begin, end, (mixture.dim,), nfe, budget, seed, {"mixture": law}, lines)


def _imported(library: str, name: str) -> tuple[str, ...]:
    """Lines of Python that bind an object of a file or a module to `denoise`."""
    if not is_file(library):
        return (f"import {library}", f"denoise = {library}.{name}")
    first, *rest = name.split(".")
    return ("import runpy", f"denoise = {'.'.join([f'runpy.run_path({library!r})[{first!r}]', *rest])}")


def _answering(denoise: Denoiser, target: str) -> Denoiser:
    """The denoiser of a file: what it raises is an InputError of one line, and so is an answer that is no tensor."""

    def asked(x: Tensor, at: Point, prediction: str) -> Tensor:
        try:
            value = denoise(x, at, prediction)
        except (InputError, SamplingError):
            raise
        except Exception as fault:
            raise InputError(target, f"{type(fault).__name__}: {fault}", SHAPE) from fault
        if not isinstance(value, Tensor):
            raise InputError(target, value, "a function that returns a tensor, shaped like x")
        return value

    return asked
