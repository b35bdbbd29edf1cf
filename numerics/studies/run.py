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

from ..conformance.process.warm_parent import warm_parent
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
from .external_answer import external_answer
from .fits import fits_of, table_csv
from .grid_findings import findings_of
from .invariants import consistent
from .measure import Measurement
from .mixture_problem import prepare
from .named_samplers import Named, named_of
from .network_problem import NetworkMeasurement, prepare_network
from .problem import Key, Problem
from .read_function import AsItIs, External
from .routes import ESTIMATED
from .samplers import Sampler
from .shared_work import Claims, claiming, shared
from .store import Store, Value, none, opened
from .store import key as key_of
from .study_table import study_csv, study_markdown


class Measures(Protocol):
    """Runs samplers and measures them: Measurement on a mixture, NetworkMeasurement on a network."""

    @property
    def problem(self) -> Problem: ...

    def measure(self, tableau: Tableau, grid: Grid, wanted: Sequence[str], /) -> dict[str, Value]:
        """A value for every metric wanted."""
        ...

    def measure_as_it_is(self, sampler: AsItIs, grid: Grid, wanted: Sequence[str], /) -> dict[str, Value]:
        """The same for a sampler that has no table."""
        ...

    def echo(self) -> dict[str, Any]:
        """Entries of the manifest beside those of the study."""
        ...


@warm_parent()
def run(
    study: Study | NetworkStudy,
    out: Path | None,
    progress: Progress = silent,
    consent: Consent = NONE,
    device: str = "cpu",
    external: Mapping[str, External | Named] = MappingProxyType({}),
    base: Path = Path(),
) -> dict[str, Any]:
    """Run a study in the folder `out`, which is made if it is not there; None: nothing is kept.

    Returns {"records", "fits", "external", "grids", "manifest"} as JSON will hold them, and writes the same to
    records.json, the fits to exponents.csv, and tables of both to table.csv and table.md; records.sqlite keeps each
    finished run at once.  consent: to what a network's files ask for, and to a large cost.  device: where a network
    computes.  external: samplers that are not of the catalogue, by their names in run.methods (read_function.External).
    base: the folder to which paths in run.methods are relative.  Raises InputError before anything is computed.
    """
    if out is None:
        with TemporaryDirectory() as folder:
            return run(study, Path(folder), progress, consent, device, external, base)
    started = datetime.now(UTC)
    others = {place: name for place, name in enumerate(study.run.methods) if name not in external}
    external = {**named_of(others, base), **external}
    if external:
        progress(0, len(study.run.methods) * len(study.crossed), f"reading back {', '.join(external)}")
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
    answer: dict[str, Any] = {
        "records": records,
        "fits": fits,
        "external": external_answer(problem),
        "grids": findings_of(problem),
        "manifest": {
            **manifest(study.run.seed, started),
            "target": study.target.model_dump(exclude_none=True),
            "schedule": study.schedule.model_dump(),
            "grid": _echoed([choice.plain() for choice in study.grids]),
            "run": {**study.run.model_dump(exclude={"samples"}), "points": problem.count},
            **measurement.echo(),
            "computed": computed,
            "reused": len(records) - computed,
            "recomputed": len(store.damaged),
        },
    }
    write_text(out / "records.json", json.dumps(answer, indent=1, allow_nan=False) + "\n")
    write_text(out / "exponents.csv", table_csv(fits))
    write_text(out / "table.csv", study_csv(answer))
    write_text(out / "table.md", study_markdown(answer))
    return answer


def _echoed(grids: list[dict[str, Any]]) -> Any:
    """The grids as the file has them: nothing, one table, or a list."""
    return grids if len(grids) > 1 else grids[0] if grids else None


def _measurement(
    study: Study | NetworkStudy,
    out: Path,
    consent: Consent,
    device: torch.device,
    external: Mapping[str, External | Named],
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
    # A run is one sampler on one grid; every metric of it has a key of its own in the store. The samplers of a grid run
    # one after another: they share what is kept of its points.
    crossed = [(sampler, key) for sampler in problem.samplers for key in problem.study.crossed]
    runs = [(sampler, key) for key in problem.study.crossed if key in problem.grids for sampler in problem.samplers]
    specs: list[dict[str, Any]] = []
    points = {key: digest(grid.points) for key, grid in problem.grids.items()}
    for sampler, key in runs:
        common = _spec(problem, sampler, key, points[key])
        specs.append({metric: {**common, "metric": metric} for metric in problem.study.run.metrics})
    found: dict[int, dict[str, Value]] = {}
    computed = 0

    def stored(k: int) -> dict[str, Value]:
        return {metric: value for metric, spec in specs[k].items() if (value := store.get(spec)) is not None}

    def finished(k: int) -> dict[str, Value] | None:
        values = stored(k)
        return values if len(values) == len(specs[k]) else None

    def compute(k: int) -> dict[str, Value]:
        nonlocal computed
        sampler, (name, steps) = runs[k]
        where = f", {name}" if len(problem.study.grids) > 1 else ""
        progress(len(found), len(runs), f"{sampler.name}{where}, N = {steps}")
        earlier = stored(k)
        missing = [metric for metric in specs[k] if metric not in earlier]
        grid = problem.grids[name, steps]
        try:
            unread = sampler.as_it_is(grid)
            if unread is not None:
                made = measurement.measure_as_it_is(unread, grid, missing)
            else:
                made = measurement.measure(problem.tableau(*runs[k]), grid, missing)
        except InputError as fault:  # no table on this grid, or not from these start values
            made = none(missing, str(fault))
        fresh = {metric: value.finite for metric, value in made.items()}
        values = consistent(earlier | fresh)  # a new value must agree with the reused ones too
        changed = [(specs[k][metric], value) for metric, value in values.items() if value != earlier.get(metric)]
        store.put(changed if sampler.kept(grid) else [])
        computed += len(missing)
        return {metric: values[metric] for metric in specs[k]}

    # The runs in the order of completion, their records in the order of the file.
    for k, values in shared(claims, [key_of(spec) for spec in specs], finished, compute):
        found[k] = values
    progress(len(runs), len(runs), "")
    made_of = {(sampler.name, key): found[k] for k, (sampler, key) in enumerate(runs)}
    records = []
    for sampler, key in crossed:
        without = none(problem.study.run.metrics, str(problem.faults.get(key)))
        for metric, value in made_of.get((sampler.name, key), without).items():
            records.append(_entry(sampler.name, key, metric, value))
    return records, computed


def _entry(method: str, on: Key, metric: str, value: Value) -> dict[str, Any]:
    """A record of the answer."""
    grid, steps = on
    entry = {"method": method, "grid": grid, "steps": steps, "nfe": value.nfe, "metric": metric, "value": value.value}
    if metric in ESTIMATED:
        entry |= {"low": value.low, "high": value.high, "floor": value.floor, "needed": value.needed}
    elif value.low is not None:
        entry |= {"low": value.low, "high": value.high}
    if value.groups:
        entry |= {"groups": list(value.groups)}
    entry |= {"error": value.error}
    return entry if value.value is not None else entry | {"reason": value.reason}


def _spec(problem: Problem, sampler: Sampler, on: Key, points: str) -> dict[str, Any]:
    """All that determines the values of a run, with defaults and the source code; with the metric the key of one.

    points: the digest of the grid's points.
    """
    study, grid = problem.study, problem.grids[on]
    chosen = {choice.called: choice for choice in study.grids}.get(on[0])
    schedule = study.schedule.parameters if problem.schedule is None else problem.schedule.parameters
    return {
        "target": problem.target,
        "schedule": {"kind": study.schedule.kind, **schedule},
        "grid": None if chosen is None else {"kind": chosen.kind, **chosen.parameters},
        "points": points,  # a kind may name a scheduler, whose code is not in the key
        "method": sampler.identity(grid),
        "steps": grid.steps,
        "init": study.run.init,
        "start": study.run.start,
        "count": problem.count,
        "seed": study.run.seed,
        "code": fingerprint(sampler.methods),
    }
