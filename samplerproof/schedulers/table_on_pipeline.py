"""The table in a file on the process and the levels that a pipeline's model was trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ..names.input_error import InputError
from ..numerics.conformance.forward_processes import at_ratio
from ..numerics.points import Point
from ..numerics.tableau import Tableau
from .pipeline_levels import PipelineLevels, spec_of, trained_levels

CLOSE = 1e-3  # in lambda: levels of the library are float32, and a grid may end at them


def carried(table: Tableau, process: str) -> Tableau:
    """The same sampler on the points of a process with the same sigma/alpha.

    A vector is v alpha'/alpha there, and a data prediction is what it was: row i is scaled by s_i = alpha'_i / alpha_i,
    and what it takes of vector j by 1/s_j.  Raises InputError on a table of another prediction on another process, and
    where alpha is 0.
    """
    points = tuple(at_ratio(process, at.rho) for at in table.points)
    if all(_same(at, here) for at, here in zip(table.points, points, strict=True)):
        return replace(table, points=points)
    if table.prediction != "data" or any(at.alpha == 0 for at in (*points, *table.points)):
        allowed = "a table of data predictions, with alpha > 0, or one on this process"
        raise InputError("method", f"{table.method}, a table of another process than {process}", allowed)
    ratios = [here.alpha / at.alpha for at, here in zip(table.points, points, strict=True)]
    scale = torch.tensor(ratios, dtype=torch.float64)
    rows = range(len(table.states))
    new = scale[table.given :, None]
    latest = [[max(table.given + row - 1 - lag, 0) for lag in range(table.states.shape[1])] for row in rows]
    return replace(
        table,
        points=points,
        states=table.states * new / scale[torch.tensor(latest)],
        outputs=table.outputs * new,
        noises=table.noises * new,
        channels={name: column * new for name, column in table.channels.items()},
    )


def table_on_pipeline(table: Tableau, own: Any, steps: int | None) -> tuple[Tableau, PipelineLevels]:
    """A table on the process of a pipeline's own scheduler, and its levels.

    Raises InputError on another number of steps than the table's, a table with several start values or several outputs,
    and evaluations outside of the levels that the model was trained on.
    """
    if steps != max(table.step):
        raise InputError("num_inference_steps", steps, f"{max(table.step)}, the steps of the table {table.method}")
    if table.given != 1 or table.channels:
        raise InputError("method", table.method, "a table with one start value and one output of the model")
    process = spec_of(own).process_for(dict(own.config))
    moved = carried(table, process)
    lams, times = trained_levels(own)
    asked = [at.lam for at, made in zip(moved.points, moved.evaluated, strict=True) if made]
    for lam in asked:
        if not lams[0] - CLOSE <= lam <= lams[-1] + CLOSE and process != "flow":
            allowed = f"evaluations at lambda in [{lams[0]:.6g}, {lams[-1]:.6g}], where the model was trained"
            raise InputError("method", f"{table.method}, lambda = {lam:.6g}", allowed)
    ends = [moved.points[max(i for i, step in enumerate(moved.step) if step == n)] for n in range(steps + 1)]
    count = float(own.config.num_train_timesteps)
    return moved, PipelineLevels(process, tuple(ends), {}, count, lams, times)


def _same(at: Point, here: Point) -> bool:
    return abs(at.alpha - here.alpha) <= 1e-12 and abs(at.sigma - here.sigma) <= 1e-12 * here.sigma
