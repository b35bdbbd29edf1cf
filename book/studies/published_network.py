"""A network that others trained and published: observed orders, cost and floors, against a fine run of its own.

The reference is a run of REFERENCE over FINE steps equal in lambda, and its error the distance from a run over half of
them. Every grid of the study is part of that grid, so that the start values of a method are states of the reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ...numerics.catalogue import METHODS
from ...numerics.checkpoints.checkpoint import Checkpoint
from ...numerics.denoisers import Denoiser
from ...numerics.errors import SamplingError
from ...numerics.grids import Grid, grid
from ...numerics.metrics import trajectory
from ...numerics.points import Point
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.studies.convergence_figure import save
from ...numerics.studies.network_floors import DTYPES
from ...numerics.studies.study_figure import label_of
from ...numerics.studies.style import STYLE
from ...numerics.support.progress import Progress, silent
from ...numerics.tableau import tabulate
from .low_precision import METHOD as PRECISE
from .low_precision import causes
from .network_study import ABOVE, GRID, SCHEDULE, asymptotic_from, local_orders, price

PUBLISHED = ("21cmpsdenoiser",)
REFERENCE, FINE = "exp-adams-4", 640
SAMPLES = 2
STEPS = (5, 10, 20, 40, 80)
EVALUATIONS = (5, 8, 10, 15, 20)  # of the runs with their own start-up
RUN = ("ddim", "dpm-solver++-2m", "exp-adams-3", "unipc-2", "ipndm-3")
LOW = 20  # steps in low precision
SHOWN = ("ddim", "dpm-solver++-2m", "unipc-2", "ipndm-3")
EXACT = "as good as exact"  # the first row of the picture
COUNTS = (5, 10, 20)  # evaluations in the picture
CPU = torch.device("cpu")


def measure_published(checkpoint: Checkpoint, progress: Progress = silent) -> dict[str, Any]:
    """{"rates", "costs", "floors", "reference"} of a network, in the form of network_study.run_checkpoints."""
    generator, way = torch.Generator().manual_seed(0), _grid(FINE)
    start = way.point(0).sigma * torch.randn(SAMPLES, *checkpoint.shape, generator=generator, dtype=torch.float64)
    denoise = checkpoint.denoiser()
    states, half = _states(denoise, start, way), _states(denoise, start, _grid(FINE // 2))
    error, size = trajectory(half[-1], states[-1]), math.sqrt(float(states[-1].square().flatten(1).sum(1).mean()))
    rates, costs = [], []
    for done, method in enumerate(RUN):
        progress(done, len(RUN), f"{checkpoint.name}: {method}")
        rates.append(_rate(checkpoint.name, denoise, method, states, ABOVE * error))
        costs.append(_cost(checkpoint.name, denoise, method, states, size))
    progress(len(RUN), len(RUN), "precision")
    return {
        "rates": rates,
        "costs": costs,
        "floors": _floors(checkpoint, states),
        "reference": {"method": REFERENCE, "steps": FINE, "compared_with": FINE // 2, "distance": error},
        "run": {"samples": SAMPLES, "seed": 0},
    }


def draw_published(checkpoint: Checkpoint, stem: Path) -> None:
    """Draw samples of each method of SHOWN at EVALUATIONS, from the same start: log10 of the spectrum, as PNG."""
    generator, way = torch.Generator().manual_seed(0), _grid(160)
    start = way.point(0).sigma * torch.randn(SAMPLES, *checkpoint.shape, generator=generator)
    denoise = checkpoint.denoiser(torch.float32)
    rows = {EXACT: [sample(denoise, start, tabulate(REFERENCE, way), dtype=torch.float32)] * len(COUNTS)}
    for method in SHOWN:
        tables = [tabulate(method, _grid(count)) for count in COUNTS]
        rows[label_of(method)] = [sample(denoise, start, table, dtype=torch.float32) for table in tables]
    fine = rows[EXACT][0]
    limits = {"vmin": float(fine.min()), "vmax": float(fine.max())}
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(9.2, 0.85 * len(rows) + 0.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(rows), len(COUNTS), squeeze=False)
        for line, (name, cells) in zip(axes, rows.items(), strict=True):
            for place, cell, count in zip(line, cells, COUNTS, strict=True):
                strip = torch.cat(list(torch.nn.functional.pad(cell[:, 0].mT, (0, 1), value=math.nan)), dim=1)
                image = place.imshow(strip.numpy(), origin="lower", interpolation="nearest", **limits)
                place.set_xticks([])
                place.set_yticks([])
                if name == EXACT:
                    place.set_title(f"{count} evaluations")
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        figure.colorbar(image, ax=axes, label="x: log10 of the spectrum, scaled")
        save(figure, stem, [".png"])


def _grid(steps: int) -> Grid:
    numbers = {key: value for key, value in SCHEDULE.items() if isinstance(value, float)}
    ends = {key: value for key, value in GRID.items() if isinstance(value, float)}
    return grid(schedule(str(SCHEDULE["kind"]), **numbers), str(GRID["kind"]), steps, **ends)


def _states(denoise: Denoiser, start: Tensor, way: Grid) -> list[Tensor]:
    """The state at every point of the grid, in a run of REFERENCE."""
    seen: list[Tensor] = []

    def listening(x: Tensor, at: Point, prediction: str) -> Tensor:
        seen.append(x.clone())
        return denoise(x, at, prediction)

    end = sample(listening, start, tabulate(REFERENCE, way))
    return [*seen, end]


def _end(denoise: Denoiser, method: str, steps: int, states: Sequence[Tensor], start: str) -> Tensor | None:
    """The end of a run; None where it is not finite."""
    table = tabulate(method, _grid(steps), start)
    try:
        return sample(denoise, [states[n * FINE // steps] for n in range(table.given)], table)
    except SamplingError:
        return None


def _rate(name: str, denoise: Denoiser, method: str, states: Sequence[Tensor], noise: float) -> dict[str, Any]:
    ends = {n: _end(denoise, method, n, states, "exact") for n in STEPS if n > METHODS[method].history}
    values = {n: None if end is None else trajectory(end, states[-1]) for n, end in ends.items()}
    slopes = local_orders([(n, value) for n, value in values.items() if value is not None and value > noise])
    order = METHODS[method].order
    return {
        "network": name,
        "method": method,
        "order": order,
        "steps": list(values),
        "values": list(values.values()),
        "local_orders": slopes,
        "asymptotic_from": asymptotic_from(slopes, order),
        "last": slopes[-1][2] if slopes else None,
    }


def _cost(name: str, denoise: Denoiser, method: str, states: Sequence[Tensor], size: float) -> dict[str, Any]:
    """The relative errors of runs with the method's own start-up, and the evaluations to COST."""
    points = []
    for count in EVALUATIONS:
        way = _grid(count)
        end = sample(denoise, states[0], tabulate(method, way))
        points.append((tabulate(method, way).nfe, trajectory(end, states[-1]) / size))
    return {"network": name, "method": method, "size": size, "points": points, "nfe": price(points)}


def _floors(checkpoint: Checkpoint, states: Sequence[Tensor]) -> list[dict[str, Any]]:
    """Distances of a run in low precision from that in float64, by cause; as low_precision.floors."""
    table = tabulate(PRECISE, _grid(LOW))
    exact = sample(checkpoint.denoiser(), states[0], table)
    rows = []
    for name, dtype in DTYPES.items():
        for cause, (denoise, state) in causes(checkpoint, dtype, CPU).items():
            try:
                low = sample(denoise, states[0], table, dtype=state).double()
            except SamplingError:
                low = torch.full_like(exact, math.nan)
            error, apart = (trajectory(low, to) for to in (states[-1], exact))
            row = {"network": checkpoint.name, "method": PRECISE, "dtype": name, "cause": cause, "steps": LOW}
            rows.append({**row, "error": _finite(error), "apart": _finite(apart)})
    return rows


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
