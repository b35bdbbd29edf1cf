"""Runs a study: records, exponents and a manifest; finished records are not computed again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Protocol

import torch

from ..content import digest
from ..errors import InputError
from ..grids import Grid
from ..leading.of_study import beside, leading_errors
from ..support.consent import NONE, Consent
from ..support.devices import device_of
from ..support.files import check_writable, write_text
from ..support.manifest import fingerprint, manifest
from ..support.progress import Progress, silent
from ..tableau import Tableau
from .config import NetworkStudy, Study
from .fits import fits_of, table_csv
from .invariants import consistent
from .measure import Measurement
from .mixture_problem import prepare
from .network_problem import NetworkMeasurement, prepare_network
from .problem import Problem
from .read_function import External
from .routes import ESTIMATED
from .samplers import Sampler
from .shared_work import Claims, claiming, shared
from .store import Store, Value, key, none, opened


class Measures(Protocol):
    """Runs samplers and measures them: Measurement on a mixture, NetworkMeasurement on a network."""

    @property
    def problem(self) -> Problem: ...

    def measure(self, tableau: Tableau, grid: Grid, wanted: Sequence[str], /) -> dict[str, Value]:
        """A value for every metric wanted."""
        ...

    def echo(self) -> dict[str, Any]:
        """Entries of the manifest beside those of the study."""
        ...


def run(
    study: Study | NetworkStudy,
    out: Path | None,
    progress: Progress = silent,
    consent: Consent = NONE,
    device: str = "cpu",
    external: Mapping[str, External] = MappingProxyType({}),
) -> dict[str, Any]:
    """Run a study in the folder `out`, which is made if it is not there; None: nothing is kept.

    Returns {"records", "fits", "manifest"} as JSON will hold them, and writes the same to records.json, the fits to
    exponents.csv; records.sqlite keeps each finished run at once.  consent: to what a network's files ask for, and
    to a large cost.  device: where a network computes.  external: samplers that are not of the catalogue, by their
    names in run.methods (read_function.External).  Raises InputError before anything is computed.
    """
    if out is None:
        with TemporaryDirectory() as folder:
            return run(study, Path(folder), progress, consent, device, external)
    started = datetime.now(UTC)
    # Validation: no file is written before it has passed.
    measurement = _measurement(study, out, consent, device_of(device), external)
    problem = measurement.problem
    check_writable(out)
    # Records: from the store, from other processes in this folder, or computed now.
    with opened(out) as store, claiming(out) as claims:
        records, computed = _records(measurement, store, claims, progress)
    leading = leading_errors(problem)
    records = beside(records, leading)
    fits = fits_of(problem, records, leading)
    answer = {
        "records": records,
        "fits": fits,
        "manifest": {
            **manifest(study.run.seed, started),
            "target": study.target.model_dump(exclude_none=True),
            "schedule": study.schedule.model_dump(),
            "grid": None if study.grid is None else study.grid.model_dump(),
            "run": {**study.run.model_dump(exclude={"samples"}), "points": problem.count},
            **measurement.echo(),
            "computed": computed,
            "reused": len(records) - computed,
            "recomputed": len(store.damaged),
        },
    }
    write_text(out / "records.json", json.dumps(answer, indent=1, allow_nan=False) + "\n")
    write_text(out / "exponents.csv", table_csv(fits))
    return answer


def _measurement(
    study: Study | NetworkStudy, out: Path, consent: Consent, device: torch.device, external: Mapping[str, External]
) -> Measures:
    match study:
        case Study():
            if device.type != "cpu":
                raise InputError("--device", str(device), "cpu; only networks compute elsewhere")
            return Measurement(prepare(study, consent, external))
        case NetworkStudy():
            return NetworkMeasurement(prepare_network(study, consent, external), out, device)


def _records(
    measurement: Measures, store: Store, claims: Claims, progress: Progress
) -> tuple[list[dict[str, Any]], int]:
    """The records in the order of the file, and how many of them this process computed."""
    problem = measurement.problem
    # A run is one sampler with one number of steps; every metric of it has a key of its own in the store.
    runs = [(sampler, steps) for sampler in problem.samplers for steps in problem.study.run.steps]
    common = [_spec(problem, sampler, steps) for sampler, steps in runs]
    specs: list[dict[str, Any]] = [
        {metric: {**spec, "metric": metric} for metric in problem.study.run.metrics} for spec in common
    ]
    found: dict[int, dict[str, Value]] = {}
    computed = 0

    def stored(k: int) -> dict[str, Value]:
        return {metric: value for metric, spec in specs[k].items() if (value := store.get(spec)) is not None}

    def finished(k: int) -> dict[str, Value] | None:
        values = stored(k)
        return values if len(values) == len(specs[k]) else None

    def compute(k: int) -> dict[str, Value]:
        nonlocal computed
        sampler, steps = runs[k]
        progress(len(found), len(runs), f"{sampler.name}, N = {steps}")
        earlier = stored(k)
        missing = [metric for metric in specs[k] if metric not in earlier]
        try:
            made = measurement.measure(problem.tableau(sampler, steps), problem.grids[steps], missing)
        except InputError as fault:  # no table on this grid, or not from these start values
            made = none(missing, str(fault))
        fresh = {metric: value.finite for metric, value in made.items()}
        values = consistent(earlier | fresh)  # a new value must agree with the reused ones too
        store.put([(specs[k][metric], value) for metric, value in values.items() if value != earlier.get(metric)])
        computed += len(missing)
        return {metric: values[metric] for metric in specs[k]}

    # The runs in the order of completion, their records in the order of the file.
    for k, values in shared(claims, [key(spec) for spec in specs], finished, compute):
        found[k] = values
    records = [
        _entry(sampler.name, steps, metric, value)
        for k, (sampler, steps) in enumerate(runs)
        for metric, value in found[k].items()
    ]
    progress(len(runs), len(runs), "")
    return records, computed


def _entry(method: str, steps: int, metric: str, value: Value) -> dict[str, Any]:
    """A record of the answer."""
    entry = {"method": method, "steps": steps, "nfe": value.nfe, "metric": metric, "value": value.value}
    if metric in ESTIMATED:
        entry |= {"low": value.low, "high": value.high, "floor": value.floor}
    entry |= {"error": value.error}
    return entry if value.value is not None else entry | {"reason": value.reason}


def _spec(problem: Problem, sampler: Sampler, steps: int) -> dict[str, Any]:
    """All that determines the values of a run, with defaults and the source code; with the metric the key of one."""
    study = problem.study
    schedule = study.schedule.parameters if problem.schedule is None else problem.schedule.parameters
    return {
        "target": problem.target,
        "schedule": {"kind": study.schedule.kind, **schedule},
        "grid": None if study.grid is None else study.grid.model_dump(),
        "points": digest(problem.grids[steps].points),  # a kind may name a scheduler, whose code is not in the key
        "method": sampler.identity(problem.grids[steps]),
        "steps": steps,
        "init": study.run.init,
        "start": study.run.start,
        "count": problem.count,
        "seed": study.run.seed,
        "code": fingerprint(sampler.methods),
    }
