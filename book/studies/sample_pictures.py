"""Figures of samples: one row a sampler, from the same start samples, with more evaluations to the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ...numerics.catalogue import resolve
from ...numerics.checkpoints.checkpoint import Checkpoint
from ...numerics.checkpoints.load import load
from ...numerics.errors import SamplingError
from ...numerics.grids import Grid, grid
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.studies.convergence_figure import save
from ...numerics.studies.study_figure import label_of
from ...numerics.studies.style import STYLE
from ...numerics.tableau import tabulate

EVALUATIONS = (5, 10, 20)
ACROSS = 6  # samples of each
FINE = ("dpm-solver++-3s", 20)  # sampler and steps of the first row, close enough to the exact flow for a figure


def grid_for(
    method: str, evaluations: int, noise_schedule: Mapping[str, Any], spacing: Mapping[str, Any]
) -> Grid | None:
    """The grid with the largest number of steps for the evaluations; None if they are too few for the history."""
    record = resolve(method)
    steps = evaluations // record.nfe_per_step
    if steps < 1 or steps <= record.history:
        return None
    made = schedule(noise_schedule["kind"], **{key: value for key, value in noise_schedule.items() if key != "kind"})
    return grid(made, spacing["kind"], steps, **{key: value for key, value in spacing.items() if key != "kind"})


def samples_of(
    checkpoint: Checkpoint, method: str, way: Grid | None, count: int, device: torch.device
) -> Tensor | None:
    """Samples in float32 [count, *shape] from the same start; None without a grid, or where a value is not finite."""
    if way is None:
        return None
    generator = torch.Generator().manual_seed(0)
    start = torch.randn((count, *checkpoint.shape), generator=generator).to(device)
    denoise = checkpoint.denoiser(torch.float32, device)
    try:
        end = sample(denoise, start, tabulate(method, way), dtype=torch.float32)
    except SamplingError:
        return None
    return end.cpu() if bool(torch.isfinite(end).all()) else None


def draw_pictures(
    name: str,
    methods: Sequence[str],
    noise_schedule: Mapping[str, Any],
    spacing: Mapping[str, Any],
    stem: Path,
    device: torch.device,
) -> list[Path]:
    """Draw stem.svg, stem.png and stem.pdf: samples of each method at EVALUATIONS, on a schedule and a grid."""
    checkpoint = load(name)
    fine = grid_for(FINE[0], FINE[1] * resolve(FINE[0]).nfe_per_step, noise_schedule, spacing)
    rows = [("as good as exact", [samples_of(checkpoint, FINE[0], fine, ACROSS, device)] * len(EVALUATIONS))]
    for method in methods:
        grids = [grid_for(method, count, noise_schedule, spacing) for count in EVALUATIONS]
        rows.append((label_of(method), [samples_of(checkpoint, method, way, ACROSS, device) for way in grids]))
    # One row of axes a method, one column a number of evaluations; an empty cell where a run failed.
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(9.2, 0.62 * len(rows) + 0.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(rows), len(EVALUATIONS), squeeze=False)
        for row, (line, (name, cells)) in enumerate(zip(axes, rows, strict=True)):
            for place, cell, count in zip(line, cells, EVALUATIONS, strict=True):
                if cell is not None:
                    place.imshow(_strip(cell), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                place.set_xticks([])
                place.set_yticks([])
                for spine in place.spines.values():
                    spine.set_visible(False)
                if row == 0:
                    place.set_title(f"{count} evaluations")
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        return save(figure, stem)


def _strip(samples: Tensor) -> Any:
    """Images side by side, with a line between them: [height, width] or [height, width, 3], in [0, 1]."""
    images = ((samples + 1) / 2).clamp(0, 1)
    framed = torch.nn.functional.pad(images, (0, 1), value=1.0)
    strip = torch.cat(list(framed), dim=2)
    return (strip[0] if len(strip) == 1 else strip.permute(1, 2, 0)).numpy()
