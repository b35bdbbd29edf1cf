"""A study on grids with alternating step sizes in lambda: their ratios stay away from 1 for every number of steps."""

from __future__ import annotations

from typing import Any

import torch

from ...numerics.grids import Grid, from_times
from ...numerics.schedules import Schedule
from ...numerics.studies.config import Study
from ...numerics.studies.measure import Measurement
from ...numerics.studies.mixture_problem import prepare
from ...numerics.tableau import tabulate

BY = 2.0


def alternating(schedule: Schedule, steps: int, t_min: float, t_max: float, by: float = BY) -> Grid:
    """The grid from t_max to t_min whose steps in lambda have the ratios 1 : by : 1 : by …."""
    ends = torch.tensor([t_max, t_min], dtype=torch.float64)
    first, last = schedule.columns(ends).lam
    sizes = torch.ones(steps, dtype=torch.float64)
    sizes[1::2] = by
    inner = first + (last - first) * sizes.cumsum(0)[:-1] / sizes.sum()
    return from_times(schedule, torch.cat([ends[:1], schedule.time(inner), ends[1:]]))


def run_alternating(study: Study) -> list[dict[str, Any]]:
    """The records of a study in one dimension, with alternating grids in place of its grids uniform in lambda."""
    problem = prepare(study)
    assert problem.schedule is not None
    (choice,) = study.grids
    assert choice.kind == "uniform-lambda"
    grids = {n: alternating(problem.schedule, n, **choice.parameters) for n in study.run.steps}
    measurement, records = Measurement(problem), []
    for name in study.run.methods:
        for steps, grid in grids.items():
            table = tabulate(name, grid, study.run.start)
            for metric, found in measurement.measure(table, grid, study.run.metrics).items():
                entry = {"method": name, "steps": steps, "nfe": found.nfe, "metric": metric}
                records.append({**entry, "value": found.finite.value})
    return records
