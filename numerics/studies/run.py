"""A study, from its file to records, exponents and a manifest; what was finished before is not computed again."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from .. import rates
from ..errors import InputError
from ..records import Record
from ..support.consent import NONE, Consent
from ..support.devices import device_of
from ..support.files import check_writable, write_text
from ..support.manifest import fingerprint, manifest
from ..support.progress import Progress, silent
from .config import NetworkStudy, Study
from .cost import study_cost
from .measure import Measurement
from .network_problem import NetworkMeasurement, NetworkProblem, prepare_network
from .problem import LI, Problem, prepare, refused
from .routes import ESTIMATED
from .shared_work import Claims, claiming, shared
from .store import Store, Value, key, none, opened


class Measures(Protocol):
    """What runs a sampler, and gives a value for every metric wanted."""

    def measure(self, record: Record, steps: int, wanted: Sequence[str], /) -> dict[str, Value]: ...


def run(
    study: Study | NetworkStudy, out: Path, progress: Progress = silent, consent: Consent = NONE, device: str = "cpu"
) -> dict[str, Any]:
    """Run a study in the folder `out`, which is made if it is not there.

    Returns {"records", "fits", "manifest"} as JSON will hold them, and writes the same to records.json, the fits to
    exponents.csv; records.sqlite keeps each finished run at once.  consent: to what a network's files ask for, and
    to a large cost.  device: where a network computes.  Raises InputError before anything is computed.
    """
    started = datetime.now(UTC)
    where = device_of(device)
    if isinstance(study, Study) and where.type != "cpu":
        raise InputError("--device", device, "cpu; only networks compute elsewhere")
    if isinstance(study, Study):
        study_cost(study).check(consent)
    problem = prepare(study) if isinstance(study, Study) else prepare_network(study, consent)
    check_writable(out)
    measurement = Measurement(problem) if isinstance(problem, Problem) else NetworkMeasurement(problem, out, where)
    with opened(out) as store, claiming(out) as claims:
        records, computed = _records(problem, measurement, store, claims, progress)
    echo: dict[str, Any] = {
        "target": study.target.model_dump(exclude_none=True),
        "schedule": study.schedule.model_dump(),
        "grid": None if study.grid is None else study.grid.model_dump(),
        "run": {**study.run.model_dump(exclude={"samples"}), "points": problem.count},
    }
    if isinstance(measurement, NetworkMeasurement):
        echo |= {
            "checkpoint": {
                "folder": measurement.problem.checkpoint.folder.name,
                "sha256": measurement.problem.checkpoint.sha256,
            },
            "reference": measurement.reference_error(),
        }
        echo |= {"device": str(where)}
    fits = _fits(problem, records)
    answer = {
        "records": records,
        "fits": fits,
        "manifest": {
            **manifest(study.run.seed, started),
            **echo,
            "computed": computed,
            "reused": len(records) - computed,
            "recomputed": len(store.damaged),
        },
    }
    write_text(out / "records.json", json.dumps(answer, indent=1, allow_nan=False) + "\n")
    write_text(out / "exponents.csv", _table(fits))
    return answer


def _records(
    problem: Problem | NetworkProblem, measurement: Measures, store: Store, claims: Claims, progress: Progress
) -> tuple[list[dict[str, Any]], int]:
    """The records in the order of the file, and how many of them were computed now, by this process."""
    run = problem.study.run
    runs = [(name, record, steps) for name, record in problem.methods for steps in run.steps]
    specs: list[dict[str, Any]] = [
        {metric: _spec(problem, record, steps, metric) for metric in run.metrics} for _, record, steps in runs
    ]
    found: dict[int, dict[str, Value]] = {}
    computed = 0

    def kept(k: int) -> dict[str, Value] | None:
        values = {metric: value for metric, spec in specs[k].items() if (value := store.get(spec)) is not None}
        return values if len(values) == len(specs[k]) else None

    def compute(k: int) -> dict[str, Value]:
        nonlocal computed
        name, record, steps = runs[k]
        progress(len(found), len(runs), f"{name}, N = {steps}")
        old = {metric: value for metric, spec in specs[k].items() if (value := store.get(spec)) is not None}
        missing = [metric for metric in specs[k] if metric not in old]
        fault = refused(problem.study, name, record, problem.grids[steps])
        made = measurement.measure(record, steps, missing) if fault is None else none(missing, str(fault))
        fresh = {metric: value.finite for metric, value in made.items()}
        store.put([(specs[k][metric], value) for metric, value in fresh.items()])
        computed += len(missing)
        values = old | fresh
        return {metric: values[metric] for metric in specs[k]}

    for k, values in shared(claims, [key(of) for of in specs], kept, compute):
        found[k] = values
    records = [
        _entry(runs[k][0], runs[k][2], metric, value) for k in range(len(runs)) for metric, value in found[k].items()
    ]
    progress(len(runs), len(runs), "")
    return records, computed


def _entry(method: str, steps: int, metric: str, value: Value) -> dict[str, Any]:
    """A record as JSON has it."""
    entry = {"method": method, "steps": steps, "nfe": value.nfe, "metric": metric, "value": value.value}
    if metric in ESTIMATED:
        entry |= {"low": value.low, "high": value.high, "floor": value.floor}
    entry |= {"error": value.error}
    return entry if value.value is not None else entry | {"reason": value.reason}


def _spec(problem: Problem | NetworkProblem, record: Record, steps: int, metric: str) -> dict[str, Any]:
    """Everything that determines one value, defaults filled in and the source code included."""
    study = problem.study
    schedule = study.schedule.parameters if problem.schedule is None else problem.schedule.parameters
    return {
        "target": (
            study.target.model_dump(exclude_none=True)
            if isinstance(problem, Problem)
            else {"sha256": problem.checkpoint.sha256}  # wherever the folder lies
        ),
        "schedule": {"kind": study.schedule.kind, **schedule},
        "grid": None if study.grid is None else study.grid.model_dump(),
        "method": record.name,
        "steps": steps,
        "metric": metric,
        "init": study.run.init,
        "start": study.run.start,
        "count": problem.count,
        "seed": study.run.seed,
        "code": fingerprint((record.name,)),
    }


def _fits(problem: Problem | NetworkProblem, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Exponents a in N^-a; null where fewer than three values are there to fit.

    On Li et al.'s schedule with T = N + 1 levels a step is ~ log T / T: an order p shows as (log T)^{p+1} / T^p, or
    where noise makes a run forget its early errors as (log T / T)^p. There the exponent with that power of the
    logarithm divided out is given beside the raw one (KL, a square, has twice the power).  Estimates that do not exceed
    their noise floor, or whose interval holds zero, are left out.
    """
    fits = []
    for name, record in problem.methods:
        for metric in problem.study.run.metrics:
            of = [r for r in records if (r["method"], r["metric"]) == (name, metric)]
            steps, values = [r["steps"] for r in of], [_above_noise(r) for r in of]
            fit = rates.fit(steps, values)
            entry: dict[str, Any] = {
                "method": name,
                "metric": metric,
                "exponent": None if fit is None else fit.exponent,
                "stderr": None if fit is None else fit.stderr,
                "window": None if fit is None else list(fit.window),
            }
            if problem.study.schedule.kind == LI:
                gaussian = isinstance(problem, Problem) and problem.mixture.components == 1
                order = record.order_in_law(gaussian)
                power = (order if record.stochastic else order + 1) * (2 if metric == "kl" else 1)
                compensated = rates.fit(steps, values, log_power=power)
                entry["compensated_exponent"] = None if compensated is None else compensated.exponent
                entry["log_power"] = power
            fits.append(entry)
    return fits


def _above_noise(record: dict[str, Any]) -> float:
    """The value of a record; NaN where there is none, or where it is an estimate that noise alone may have made.

    Above that a root is biased by less than a tenth of it: its square has no bias, is two deviations or more from zero,
    and so the root is low by (deviation / square)^2 / 8 of itself, 1/32 at most.
    """
    value, low, floor = record["value"], record.get("low"), record.get("floor")
    noise = (low is not None and low <= 0) or (floor is not None and value is not None and value <= floor)
    return math.nan if value is None or noise else value


def _table(fits: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(fits[0]), lineterminator="\n")
    writer.writeheader()
    for fit in fits:
        window = fit["window"]
        writer.writerow({**fit, "window": "" if window is None else f"{window[0]}..{window[1]}"})
    return text.getvalue()
