"""The model that a TARGET names: a network, the target of a study file, or a denoiser in Python, with its process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..numerics.checkpoints.checkpoint import Checkpoint
from ..numerics.checkpoints.load import load
from ..numerics.conformance.adapters.objects import object_at
from ..numerics.conformance.adapters.target import parted
from ..numerics.content import digest
from ..numerics.denoisers import Denoiser
from ..numerics.errors import InputError
from ..numerics.points import Point
from ..numerics.schedules import Schedule, named, usual_ends
from ..numerics.studies.config import NetworkStudy, Study, Verification, read
from ..numerics.studies.problem import grids_of
from ..numerics.support.consent import Consent
from ..numerics.targets.mixture import GaussianMixture

USUAL = "edm"


@dataclass(frozen=True, eq=False)
class ModelTarget:
    """A model with the process between two points.  shape: of a sample; None for a mixture.  name: with its hash."""

    denoise: Denoiser
    schedule: Schedule
    begin: Point
    end: Point
    shape: tuple[int, ...] | None
    name: str


def model_target(target: str, schedule: str | None, device: str, consent: Consent) -> ModelTarget:
    """The model of a study file (FILE.toml), of a name, folder or owner/name of a checkpoint, or of FILE.py:name.

    schedule: as typed; by default that of the study file, else "edm". The ends are those of the study's grid, else the
    usual ones of the schedule, within the levels that a network was trained on.
    Raises InputError, with the argument, on anything else.
    """
    if target.endswith(".toml"):
        return _of_study(Path(target), schedule, device, consent)
    process = named(schedule or USUAL, "--schedule")
    module = parted(target)[0] if ":" in target else ""
    found: Any = load(target, consent) if not module else object_at(module, target[len(module) + 1 :])
    return _with_process(found, target, process, usual_ends(process), device)


def _of_study(file: Path, schedule: str | None, device: str, consent: Consent) -> ModelTarget:
    study = read(file)
    if isinstance(study, Verification):
        raise InputError("TARGET", str(file), "a study file with a [target]")
    if schedule is not None:
        raise InputError("--schedule", schedule, "left out: the study file has a schedule")
    grids = grids_of(study)
    if grids.schedule is None:
        raise InputError("schedule.kind", study.schedule.kind, "a schedule with levels between its grid points")
    longest = max(grids.made.values(), key=lambda made: made.steps)
    found = load(study.target.checkpoint, consent) if isinstance(study, NetworkStudy) else _mixture(study)
    return _with_process(found, str(file), grids.schedule, (longest.points[0], longest.points[-1]), device)


def _mixture(study: Study) -> GaussianMixture:
    target = study.target
    return GaussianMixture(target.weights, target.means, target.stds, target.covariances)


def _with_process(found: Any, typed: str, schedule: Schedule, ends: tuple[Point, Point], device: str) -> ModelTarget:
    begin, end = ends
    if isinstance(found, GaussianMixture):
        return ModelTarget(found, schedule, begin, end, None, f"{typed} {digest(found.parts)[:16]}")
    if isinstance(found, Checkpoint):
        low, high = found.span
        begin, end = (_within(schedule, at, low, high) for at in ends)
        denoise = found.denoiser(device=device)
        return ModelTarget(denoise, schedule, begin, end, found.shape, f"{found.name} {found.sha256[:16]}")
    shape = getattr(found, "shape", None)
    if not callable(found) or not isinstance(shape, tuple):
        allowed = "a mixture, a checkpoint, or a function (x, at, prediction) with an attribute shape, of a sample"
        raise InputError("TARGET", typed, allowed)
    return ModelTarget(found, schedule, begin, end, shape, typed)


def _within(schedule: Schedule, at: Point, low: float, high: float) -> Point:
    """The point, or the nearest whose lambda a network was trained on."""
    if low <= at.lam <= high:
        return at
    lam = torch.tensor(min(max(at.lam, low), high), dtype=torch.float64)
    return schedule.point(float(schedule.time(lam)))
