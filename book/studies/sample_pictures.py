"""Samples to look at: one row a sampler, the same start samples throughout, more evaluations to the right."""

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
from ...numerics.studies.style import STYLE
from ...numerics.tableau import tabulate

EVALUATIONS = (5, 10, 20)
ACROSS = 6  # samples of each
FINE = ("dpm-solver++-3s", 20)  # sampler and steps of what stands above, as good as exact here


def grid_for(method: str, evaluations: int, told: Mapping[str, Any], spaced: Mapping[str, Any]) -> Grid | None:
    """The grid of as many steps as the evaluations pay for; None where they are too few for the method's history."""
    record = resolve(method)
    steps = evaluations // record.nfe_per_step
    if steps < 1 or steps <= record.history:
        return None
    made = schedule(told["kind"], **{key: value for key, value in told.items() if key != "kind"})
    return grid(made, spaced["kind"], steps, **{key: value for key, value in spaced.items() if key != "kind"})


def drawn(checkpoint: Checkpoint, method: str, way: Grid | None, count: int, device: torch.device) -> Tensor | None:
    """Samples in float32 [count, *shape], always from the same start; None where there is no grid or no finite end."""
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
    told: Mapping[str, Any],
    spaced: Mapping[str, Any],
    stem: Path,
    device: torch.device,
) -> list[Path]:
    """Draw stem.svg and stem.png: samples of each method at EVALUATIONS; told, spaced: the schedule, the grid."""
    checkpoint = load(name)
    fine = grid_for(FINE[0], FINE[1] * resolve(FINE[0]).nfe_per_step, told, spaced)
    rows = [("as good as exact", [drawn(checkpoint, FINE[0], fine, ACROSS, device)] * len(EVALUATIONS))]
    for method in methods:
        ways = [grid_for(method, count, told, spaced) for count in EVALUATIONS]
        rows.append((method, [drawn(checkpoint, method, way, ACROSS, device) for way in ways]))
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(9.2, 0.62 * len(rows) + 0.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(rows), len(EVALUATIONS), squeeze=False)
        for row, (line, (method, cells)) in enumerate(zip(axes, rows, strict=True)):
            for place, cell, count in zip(line, cells, EVALUATIONS, strict=True):
                if cell is not None:
                    place.imshow(_strip(cell), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                place.set_xticks([])
                place.set_yticks([])
                for spine in place.spines.values():
                    spine.set_visible(False)
                if row == 0:
                    place.set_title(f"{count} evaluations")
            line[0].set_ylabel(method, rotation=0, ha="right", va="center")
        return save(figure, stem)


def _strip(samples: Tensor) -> Any:
    """Pictures side by side, with a line between them: [height, width] or [height, width, 3], in [0, 1]."""
    pictures = ((samples + 1) / 2).clamp(0, 1)
    framed = torch.nn.functional.pad(pictures, (0, 1), value=1.0)
    strip = torch.cat(list(framed), dim=2)
    return (strip[0] if len(strip) == 1 else strip.permute(1, 2, 0)).numpy()
