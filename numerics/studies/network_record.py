"""The portable record of a network: what studies and advice found on it, in one JSON file of their folder.

The file is named by the weights, network-<12 digits of their SHA-256>.json, and holds {"format", "network", "sha256",
"shape", "studies", "advice"}. A study or an advice replaces the part of an earlier one that asked the same. It holds no
weights and no path: `samplerproof reproduce --with-checkpoints` collects the records below its folder, wherever they
were made, into checkpoints.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..checkpoints.checkpoint import Checkpoint
from ..errors import InputError
from ..support.files import check_writable, write_text
from ..support.manifest import manifest
from ..support.reading import read_json
from .network_problem import NetworkMeasurement

FORMAT = 1
DIGITS = 12  # of the SHA-256, in the name of the file
DTYPE = "float64"  # of the network, in studies and advice
OF_ADVICE = ("nfe", "budget", "seed", "schedule", "lambda", "choice", "baseline", "evaluations", "trajectories")
OF_ERROR = ("method", "grid", "steps", "nfe", "value", "error")
OF_PROVENANCE = ("versions", "commit", "dirty", "platform", "cpus", "started", "seconds")
# What a part has.
PARTS = {
    "studies": ("device", "dtype", "schedule", "grid", "run", "reference", "orders", "errors", "floors", "manifest"),
    "advice": ("device", "dtype", *OF_ADVICE, "manifest"),
}
# What a part was asked: one with the same values replaces it.
ASKED = {
    "studies": ("device", "dtype", "schedule", "grid", "run"),
    "advice": ("device", "dtype", "schedule", "lambda", "nfe", "budget", "seed"),
}


def keep_study(
    folder: Path, measurement: NetworkMeasurement, answer: Mapping[str, Any], floors: Sequence[Mapping[str, Any]]
) -> Path:
    """Write what a study found on a network.  answer: that of the study; floors: of network_floors.floors_of."""
    of_run = answer["manifest"]
    part = {
        **{"device": of_run["device"], "dtype": DTYPE},
        **{key: of_run[key] for key in ("schedule", "grid", "run", "reference")},
        "orders": answer["fits"],
        "errors": [{key: record[key] for key in OF_ERROR if key in record} for record in answer["records"]],
        "floors": list(floors),
        "manifest": {key: of_run[key] for key in OF_PROVENANCE},
    }
    return _keep(folder, measurement.problem.checkpoint, "studies", part)


def keep_advice(
    folder: Path, checkpoint: Checkpoint, device: str, answer: Mapping[str, Any], started: datetime
) -> Path:
    """Write what was advised for a network.  answer: that of the advice, as JSON has it."""
    of_run = manifest(answer["seed"], started)
    part = {
        **{"device": device, "dtype": DTYPE},
        **{name: answer[name] for name in OF_ADVICE},
        "manifest": {key: of_run[key] for key in OF_PROVENANCE},
    }
    return _keep(folder, checkpoint, "advice", part)


def check_record(folder: Path, checkpoint: Checkpoint) -> None:
    """Raise InputError where the folder has a record of the network that cannot be added to."""
    _earlier(_path(folder, checkpoint))


def _path(folder: Path, checkpoint: Checkpoint) -> Path:
    return folder / f"network-{checkpoint.sha256[:DIGITS]}.json"


def _earlier(path: Path) -> list[dict[str, Any]]:
    return [read_record(path)] if path.exists() else []


def _keep(folder: Path, checkpoint: Checkpoint, kind: str, part: Mapping[str, Any]) -> Path:
    check_writable(folder)
    path = _path(folder, checkpoint)
    new = {"format": FORMAT, "network": checkpoint.name, "sha256": checkpoint.sha256, "shape": list(checkpoint.shape)}
    new |= {name: [part] if name == kind else [] for name in ASKED}
    write_text(path, json.dumps(merged([*_earlier(path), new])[0], indent=1, allow_nan=False) + "\n")
    return path


def merged(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One record for every network, in the order of the first; of parts that asked the same the last one."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        known = found.setdefault(record["sha256"], {**record, **{kind: [] for kind in ASKED}})
        for kind, names in ASKED.items():
            parts = {json.dumps([part.get(name) for name in names]): part for part in (*known[kind], *record[kind])}
            known[kind] = list(parts.values())
    return list(found.values())


def read_record(path: Path) -> dict[str, Any]:
    """A record.  Raises InputError where the file is none of this format."""
    found = read_json(path, "record of a network")
    wanted = {"network": str, "sha256": str, "shape": list, **dict.fromkeys(ASKED, list)}
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(str(path), "no such record", f'a record of a network: a JSON table with "format": {FORMAT}')
    for key, kind in wanted.items():
        if not isinstance(found.get(key), kind):
            raise InputError(f"{path}: {key}", found.get(key), f"a {kind.__name__}, as a study writes it")
    for key, names in PARTS.items():
        for n, part in enumerate(found[key]):
            missing = [name for name in names if not isinstance(part, dict) or name not in part]
            if missing:
                raise InputError(f"{path}: {key}[{n}]", f"no {missing[0]}", "a part as a study or an advice writes it")
    return found


def collected(folder: Path) -> list[dict[str, Any]]:
    """The records in a folder and below it, one for every network, each with its parts by date."""
    records = merged([read_record(path) for path in sorted(folder.rglob(f"network-{'?' * DIGITS}.json"))])
    for record in records:
        for kind in ASKED:
            record[kind].sort(key=lambda part: str(part.get("manifest", {}).get("started")))
    return records
