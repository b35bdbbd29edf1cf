"""The stability figure: usable steps under guidance by family, order and frame, and the stability regions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, TypeAlias

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...numerics.catalogue import resolve
from ...numerics.stability import growth, guided_gain, usable_steps
from ...numerics.studies.convergence_figure import name_ends, save
from ...numerics.studies.style import COLOURS, GREY, STYLE

LineStyle: TypeAlias = Literal["-", "--", ":"]

CONDITIONAL, UNCONDITIONAL = 0.0, 1.0  # gains: with the condition the data is certain, without it unknown
SCALES = [1 + 0.25 * 1.6**k for k in range(11)]  # up to 28, denser where the limit starts
FRAMES: dict[str, LineStyle] = {"data": "-", "noise": "--", "noise-rho": ":"}
MULTISTEP = (
    "ddim",
    "dpm-solver++-2m",
    "exp-adams-noise-2",
    "deis-rhoab1",
    "exp-adams-3",
    "exp-adams-noise-3",
    "deis-rhoab2",
)
SINGLE = ("ddim", "dpm-solver++-2s", "dpm-solver-2s", "edm-heun", "dpm-solver++-3s", "dpm-solver-3s", "deis-rho-kutta3")
SHORT = 1e-6  # a step so short that every frame has the region of the classical method
REGIONS: tuple[tuple[str, LineStyle], ...] = (
    ("ddim", "-"),
    ("dpm-solver++-2m", "-"),
    ("exp-adams-3", "-"),
    ("dpm-solver++-2s", "--"),
    ("dpm-solver++-3s", "--"),
)


def draw_stability(stem: Path) -> list[Path]:
    """Draw stem.svg and stem.png (200 dpi); returns the two paths."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12.3, 3.7), layout="constrained")
        FigureCanvasAgg(figure)
        multistep, single, regions = figure.subplots(1, 3)
        _usable(multistep, "multistep", MULTISTEP)
        _usable(single, "stages inside the step", SINGLE)
        _regions(regions)
        return save(figure, stem)


def _usable(axes: Axes, title: str, methods: tuple[str, ...]) -> None:
    """Usable step per evaluation against the guidance scale; colour is the order, line style the frame."""
    gains = [guided_gain(CONDITIONAL, UNCONDITIONAL, s) for s in SCALES]
    ends = []
    for method in methods:
        record = resolve(method)
        steps = [h / record.nfe_per_step for h in usable_steps(method, gains)]
        colour = COLOURS[record.order - 1]
        axes.plot(SCALES, [h if math.isfinite(h) else math.nan for h in steps], FRAMES[record.frame], color=colour)
        if record.frame == "data":
            ends.append((SCALES[-1], steps[-1], record.name, colour))
    axes.set(xscale="log", yscale="log", title=title, xlim=(1.15, 200), ylim=(0.014, 2.2))
    axes.set(xlabel="guidance scale $s$, gain $g = 1 - s$", ylabel=r"usable step in $\lambda$ per evaluation")
    ticks = [1.5, 3, 7.5, 15, 30]
    axes.set_xticks(ticks, [f"{s:g}" for s in ticks])
    axes.minorticks_off()
    name_ends(axes, ends)
    names = {"data": "data frame", "noise": "noise frame", "noise-rho": r"noise frame in $\rho$"}
    axes.legend(
        [Line2D([], [], color=GREY, linestyle=FRAMES[f]) for f in names], list(names.values()), frameon=False, loc=1
    )


def _regions(axes: Axes) -> None:
    """The curves R = 1 in the plane of hc = h c for dz/du = c z, in the limit of short steps."""
    re, im = torch.meshgrid(
        torch.linspace(-3.0, 0.7, 150, dtype=torch.float64),
        torch.linspace(0, 2.7, 110, dtype=torch.float64),
        indexing="xy",
    )
    for method, line in REGIONS:
        radius = growth(method, SHORT, torch.complex(re, im).flatten() / SHORT).reshape(re.shape)
        colour = COLOURS[resolve(method).order - 1]
        for sign in (1, -1):
            axes.contour(re, sign * im, radius, levels=[1.0], colors=[colour], linestyles=[line], linewidths=1.3)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.set(
        title=r"stable $hc$ for $dz/du = cz$, short steps",
        xlabel=r"Re $hc$",
        ylabel=r"Im $hc$",
        xlim=(-3.0, 3.4),
    )
    axes.set_aspect("equal", adjustable="datalim")
    lines = [Line2D([], [], color=COLOURS[resolve(m).order - 1], linestyle=line) for m, line in REGIONS]
    axes.legend(lines, [m for m, _ in REGIONS], frameon=False, loc=1, fontsize=8)
