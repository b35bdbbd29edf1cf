"""Runs a study: records, exponents and a manifest; finished records are not computed again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import torch

from ..conformance.process.warm_parent import warm_parent
from ..errors import InputError
from ..leading.of_study import beside, leading_errors
from ..support.consent import NONE, Consent
from ..support.devices import device_of
from ..support.files import check_writable, write_text
from ..support.manifest import manifest
from ..support.progress import Progress, silent
from .config import NetworkStudy, Study
from .external_answer import external_answer
from .fits import fits_of, table_csv
from .grid_findings import findings_of
from .measure import Measurement
from .mixture_problem import MixtureProblem, prepare
from .named_samplers import Named, named_of
from .network_floors import floors_of
from .network_problem import NetworkMeasurement, prepare_network
from .network_record import check_record, keep_study
from .problem import Problem
from .read_function import External
from .shared_work import claiming
from .store import opened
from .study_records import Elsewhere, Measures, records_of
from .study_table import study_csv, study_markdown
from .workers import elsewhere, refuse_others


@warm_parent()
def run(
    study: Study | NetworkStudy,
    out: Path | None,
    progress: Progress = silent,
    consent: Consent = NONE,
    device: str = "cpu",
    external: Mapping[str, External | Named] = MappingProxyType({}),
    base: Path = Path(),
    workers: int = 1,
    scheduler: str | None = None,
    portable: bool = True,
) -> dict[str, Any]:
    """Run a study in the folder `out`, which is made if it is not there; None: nothing is kept.

    Returns {"records", "fits", "external", "grids", "manifest"} as JSON will hold them, and writes the same to
    records.json, the fits to exponents.csv, and tables of both to table.csv and table.md; records.sqlite keeps each
    finished run at once, and network-*.json is the portable record of a network (network_record.py).  consent: to what
    a network's files ask for, and to a large cost.  device: where a network computes.
    external: samplers that are not of the catalogue, by their names in run.methods (read_function.External).
    base: the folder to which paths in run.methods are relative.  workers: processes of this machine; scheduler: the
    address of one of dask.distributed, whose workers measure samplers of the catalogue on a mixture (workers.py).
    portable: whether the record of a network is written, which takes runs in low precision.
    Raises InputError before anything is computed.
    """
    if out is None:
        with TemporaryDirectory() as folder:
            return run(study, Path(folder), progress, consent, device, external, base, workers, scheduler, False)
    started = datetime.now(UTC)
    others = {place: name for place, name in enumerate(study.run.methods) if name not in external}
    external = {**named_of(others, base), **external}
    if external:
        progress(0, len(study.run.methods) * len(study.crossed), f"reading back {', '.join(external)}")
    # Validation: no file is written before it has passed.
    measurement = _measurement(study, out, consent, device_of(device), external)
    problem = measurement.problem
    network = measurement if portable and isinstance(measurement, NetworkMeasurement) else None
    if network is not None:
        check_record(out, network.problem.checkpoint)
    computed: list[int] = []
    with _others(problem, workers, scheduler) as others_measure:
        check_writable(out)
        # Records: from the store, from other processes in this folder, or computed now.
        with opened(out) as store, claiming(out) as claims:
            records = records_of(measurement, store, claims, progress, computed.append, others_measure)
            floors = floors_of(network, records, store, progress) if network is not None else []
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
            "computed": sum(computed),
            "reused": len(records) - sum(computed),
            "recomputed": len(store.damaged),
        },
    }
    write_text(out / "records.json", json.dumps(answer, indent=1, allow_nan=False) + "\n")
    write_text(out / "exponents.csv", table_csv(fits))
    write_text(out / "table.csv", study_csv(answer))
    write_text(out / "table.md", study_markdown(answer))
    if network is not None:
        keep_study(out, network, answer, floors)
    return answer


def _others(problem: Problem, workers: int, scheduler: str | None) -> AbstractContextManager[Elsewhere | None]:
    if isinstance(problem, MixtureProblem):
        return elsewhere(problem, workers, scheduler)
    refuse_others(workers, scheduler, "left out for a network, whose evaluations use all cores")
    return nullcontext()


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
