"""What low precision adds to a sampler on a network: the distance of its run from the same run in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..content import digest
from ..denoisers import Denoiser
from ..errors import SamplingError
from ..grids import Grid
from ..metrics import trajectory
from ..sample import sample
from ..support.manifest import fingerprint
from ..support.progress import Progress
from ..tableau import Tableau
from .network_problem import NetworkMeasurement
from .samplers import CatalogueMethod
from .store import Store, Value

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def distances(
    measurement: NetworkMeasurement, tableau: Tableau, grid: Grid, denoise: Denoiser, state: torch.dtype, exact: Tensor
) -> tuple[float, float]:
    """Root mean squares over the first piece of samples: from the reference, and from the run in float64, `exact`.

    denoise, state: the network and the dtype of the state, in low precision.  NaN where the run diverged.
    """
    piece = next(measurement.pieces())
    end = measurement.reference(piece, grid.point(0), grid.point(grid.steps))
    try:
        low = sample(denoise, measurement.given(tableau, grid, piece), tableau, dtype=state).double()
    except SamplingError:
        return math.nan, math.nan
    return trajectory(low, end), trajectory(low, exact)


def floors_of(
    measurement: NetworkMeasurement, records: Sequence[Mapping[str, Any]], store: Store, progress: Progress
) -> list[dict[str, Any]]:
    """Rows {"method", "grid", "steps", "dtype", "error", "apart", "reason"} of the sampler that came nearest.

    It is the catalogue's with the least error of the records, on that grid, with network and state in the dtype.
    error: distance from the reference; apart: from the run in float64, below which no number of steps brings the
    error.  Both are None, with a reason, where the run diverged or the device does not compute in the dtype.
    """
    problem = measurement.problem
    samplers = {s.name: s for s in problem.samplers if isinstance(s, CatalogueMethod)}
    found = [r for r in records if r["value"] is not None and r["method"] in samplers]
    if not found:
        return []
    best = min(found, key=lambda r: r["value"])
    name, steps = str(best["method"]), int(best["steps"])
    key = next(k for k in problem.grids if k[1] == steps and k[0] == best.get("grid", k[0]))
    grid, tableau = problem.grids[key], problem.tableau(samplers[name], key)
    run = problem.study.run
    common = {"floor_of": name, "start": run.start, "seed": run.seed, "points": problem.count, **problem.target}
    common |= {"grid": digest(grid.points), "device": str(measurement.device), "code": fingerprint((name,))}
    exact: Tensor | None = None
    rows = []
    for n, (called, dtype) in enumerate(DTYPES.items()):
        spec = {**common, "dtype": called}
        value = store.get(spec)
        if value is None:
            progress(n, len(DTYPES), f"{name} in {called}, N = {steps}")
            exact = measurement.sampled(tableau, grid, next(measurement.pieces())) if exact is None else exact
            value = _floor(measurement, tableau, grid, dtype, exact).finite
            store.put([(spec, value)])
        row = {"method": name, "grid": best.get("grid"), "steps": steps, "dtype": called}
        rows.append({**row, "error": value.value, "apart": value.floor, "reason": value.reason})
    return rows


def _floor(measurement: NetworkMeasurement, tableau: Tableau, grid: Grid, dtype: torch.dtype, exact: Tensor) -> Value:
    denoise = measurement.problem.checkpoint.denoiser(dtype, measurement.device)
    try:
        error, apart = distances(measurement, tableau, grid, denoise, dtype, exact)
    except RuntimeError as fault:  # torch has no such kernel for the dtype
        return Value(tableau.nfe, None, reason=str(fault).splitlines()[0][:160])
    return Value(tableau.nfe, error, floor=apart, reason=None if math.isfinite(apart) else "the run diverged")
