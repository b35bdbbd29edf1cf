"""Tables and golden vectors of the catalogue for ports to other languages, as the texts of files.

A golden vector is a recorded run: start, outputs and noises are drawn, inputs and end follow. A port that is passed
these outputs and noises must arrive at these inputs and this end. Start, outputs and noises have at most 8 significant
bits, so that they are exact in float32, float16 and bfloat16 too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .catalogue import resolve
from .errors import InputError
from .grids import Grid
from .points import Point
from .sample import sample
from .schedules import Schedule
from .support.limits import LIMITS
from .support.strict_json import read_object, written
from .table_file import layout, plain_point, table_of, table_text
from .tableau import Tableau, tabulate

SEED = 0
SPARE = 8  # components more than a run has coefficients: with them a residual shows what is no linear image
STEP, LARGEST = 1 / 32, 4.0  # of the numbers drawn


def exported(name: str, grid: Grid, kind: str | None = None, vectors: bool = False, seed: int = SEED) -> dict[str, str]:
    """The files of a method on a grid, {name: text}: its table, and with `vectors` a run of it.

    kind: the grid as it was typed, for the provenance.  Raises InputError as tabulate does, and on a table or run that
    is too large for a file.
    """
    tableau, stem = tabulate(name, grid), file_stem(resolve(name).name)
    made: dict[str, Any] = {"samplerproof": version("samplerproof"), "method": tableau.method, "steps": grid.steps}
    made |= {"grid": kind} if kind else {}
    if grid.schedule is not None:
        made["schedule"] = spelled_schedule(grid.schedule)
    files = {f"{stem}.table.json": table_text(tableau, made)}
    if vectors:
        made |= {"seed": seed, "table": f"{stem}.table.json"}
        files[f"{stem}.run.json"] = layout(golden_run(tableau, grid.points, seed) | {"provenance": made})
    return files


def exported_file(path: str, vectors: bool = False, seed: int = SEED) -> dict[str, str]:
    """The files of the table in a file, as `exported` has them: its levels are its own, its provenance stays.

    Raises InputError on a file that is no table, or that was altered, and on a run that is too large for a file.
    """
    data = read_object(Path(path), path)
    tableau, made = table_of(data, path), dict(data.get("provenance", {}))
    stem = file_stem(Path(path).name.removesuffix(".json").removesuffix(".table"))
    files = {f"{stem}.table.json": table_text(tableau, made)}
    if vectors:
        ends = {step: point for step, point in zip(tableau.step, tableau.points, strict=True)}
        made |= {"seed": seed, "table": f"{stem}.table.json"}
        files[f"{stem}.run.json"] = layout(golden_run(tableau, [*ends.values()], seed) | {"provenance": made})
    return files


def spelled_schedule(schedule: Schedule) -> str:
    """A schedule as NAME?parameter=value&…."""
    values = "&".join(f"{key}={value!r}" for key, value in schedule.parameters.items())
    return f"{schedule.kind}?{values}" if values else schedule.kind


def file_stem(name: str) -> str:
    """A record's name as part of a file's: dpm-solver-pp-2m, and hyphens for signs that shells and systems reserve."""
    return re.sub(r"[^\w.-]+", "-", name.replace("++", "-pp"))


def golden_run(tableau: Tableau, grid: Sequence[Point], seed: int = SEED) -> dict[str, Any]:
    """A run of a table with outputs that are drawn, as adapters/recorded_run.py reads it.

    Its vectors have SPARE components more than the run has coefficients: start, outputs and noises.
    """
    nfe, draws = tableau.nfe, sum(tableau.drawn)
    width = 1 + nfe + draws + SPARE
    most = int(LIMITS["run.numbers"].high)
    if (2 * nfe + draws + 2) * width > most:
        raise InputError("steps", len(grid) - 1, f"a run of at most {most} numbers; vectors need {width} components")
    drawn = torch.randn(1 + nfe + draws, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = (drawn / STEP).round().mul(STEP).clamp(-LARGEST, LARGEST)
    # Start and outputs are as large as a state and a prediction there, by powers of 2.
    first = tableau.points[0]
    start = drawn[0] * _power(math.hypot(first.alpha, first.sigma))
    outputs, noises = iter(drawn[1 : 1 + nfe]), drawn[1 + nfe :]
    steps = iter([step for step, made in zip(tableau.step, tableau.evaluated, strict=True) if made])
    evaluations: list[dict[str, Any]] = []

    def model(x: Tensor, at: Point, prediction: str) -> Tensor:
        output: Tensor = next(outputs) * _size(prediction, at)
        found = {"point": plain_point(at), "step": next(steps), "input": _plain(x), "output": _plain(output)}
        evaluations.append(found if prediction == tableau.prediction else found | {"prediction": prediction})
        return output

    end = sample(model, start, tableau, noise=lambda like, k: noises[k])
    return {
        "format": 1,
        "prediction": tableau.prediction,
        "grid": [plain_point(point) for point in grid],
        "start": _plain(start),
        "noises": [_plain(z) for z in noises],
        "evaluations": evaluations,
        "end": _plain(end),
    }


def _size(prediction: str, at: Point) -> float:
    """The size of a prediction, as a power of 2: a score grows like 1/sigma."""
    return _power(1 / at.sigma) if prediction == "score" and at.sigma > 0 else 1.0


def _power(size: float) -> float:
    return math.ldexp(1.0, round(math.log2(size)))


def _plain(vector: Tensor) -> list[str | int]:
    return [written(value) for value in vector.tolist()]
