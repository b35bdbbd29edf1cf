"""The error that low precision adds to a sampler on a network: the distance from the same run in float64, by cause.

One cause at a time, with everything else in float64: rounded weights, a rounded lambda, a rounded state. `network` is
the whole network in the dtype, `all` the state as well. This error does not decrease with the number of steps: it is
the floor of the error.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...numerics.checkpoints.checkpoint import Checkpoint
from ...numerics.denoisers import Denoiser
from ...numerics.studies.config import NetworkStudy
from ...numerics.studies.network_floors import DTYPES, distances
from ...numerics.studies.network_problem import NetworkMeasurement, prepare_network
from ...numerics.studies.store import Store, Value
from ...numerics.support.manifest import fingerprint
from ...numerics.tableau import tabulate
from . import STUDIES

PRECISE = "digits"
METHOD = "exp-adams-3"  # of high order, so that few steps reach the floor
DOUBLE = torch.float64


def causes(checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device) -> dict[str, tuple[Denoiser, torch.dtype]]:
    """By cause, (denoiser, dtype of the state)."""
    rounded = copy.deepcopy(checkpoint.network)
    for parameter in rounded.parameters():
        parameter.data = parameter.data.to(dtype).float()
    native = checkpoint.native

    def rounded_time(lam: float) -> Any:
        at = native(lam)
        return at._replace(t=float(torch.tensor(at.t, dtype=DOUBLE).to(dtype)))

    return {
        "weights": (replace(checkpoint, network=rounded).denoiser(device=device), DOUBLE),
        "lambda": (replace(checkpoint, native=rounded_time).denoiser(device=device), DOUBLE),
        "state": (checkpoint.denoiser(device=device), dtype),
        "network": (checkpoint.denoiser(dtype, device), DOUBLE),
        "all": (checkpoint.denoiser(dtype, device), dtype),
    }


def floors(study: NetworkStudy, folder: Path, store: Store, device: torch.device) -> list[dict[str, Any]]:
    """Rows {"network", "method", "dtype", "cause", "steps", "error", "apart"}: root mean squares over one piece.

    error: distance from the reference, for cause "all" only.  apart: distance from the run in float64 with the same
    number of steps.  None where a run diverged.  "all" is run with every number of steps, the causes with two of them.
    """
    problem = prepare_network(study)
    measurement = NetworkMeasurement(problem, folder, device)
    exact: dict[int, Tensor] = {}
    rows = []
    for name, dtype in DTYPES.items():
        for cause, (denoise, state) in causes(problem.checkpoint, dtype, device).items():
            every = sorted(study.run.steps)
            for steps in every if cause == "all" else every[2::2][:2]:
                spec = {"precision": name, "cause": cause, "steps": steps, "study": study.run.model_dump()}
                spec |= {
                    "sha256": problem.checkpoint.sha256,
                    "code": fingerprint((METHOD,), (STUDIES,)),
                    "method": METHOD,
                }
                found = store.get(spec)
                if found is None:
                    error, apart = _distances(measurement, denoise, state, steps, exact)
                    found = Value(steps, error, floor=apart).finite
                    store.put([(spec, found)])
                row = {"network": problem.checkpoint.name, "method": METHOD, "dtype": name, "cause": cause}
                rows.append({**row, "steps": steps, "error": found.value, "apart": found.floor})
    return rows


def _distances(
    measurement: NetworkMeasurement, denoise: Denoiser, state: torch.dtype, steps: int, exact: dict[int, Tensor]
) -> tuple[float, float]:
    """Distances of a run in low precision: network_floors.distances, from exact start values.

    exact: the runs in float64 by number of steps, added when they are needed.
    """
    problem = measurement.problem
    grid = problem.grids[problem.on(steps)]
    tableau = tabulate(METHOD, grid, problem.study.run.start)
    if steps not in exact:
        exact[steps] = measurement.sampled(tableau, grid, next(measurement.pieces()))
    return distances(measurement, tableau, grid, denoise, state, exact[steps])
