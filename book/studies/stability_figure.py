"""The stability figure: usable steps under guidance by kind and frame, and the stability regions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...numerics.catalogue import resolve
from ...numerics.stability import growth, guided_gain, usable_steps
from ...numerics.studies.convergence_figure import save
from ...numerics.studies.style import GREY, STYLE, LineStyle, MethodStyle

CONDITIONAL, UNCONDITIONAL = 0.0, 1.0  # gains: with the condition the data is certain, without it unknown
SCALES = [1 + 0.25 * 1.6**k for k in range(11)]  # up to 28, denser where the limit starts
LAMBDA, RHO = "\u03bb", "\u03c1"
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
REGIONS = ("ddim", "dpm-solver++-2m", "exp-adams-3", "dpm-solver++-2s", "dpm-solver++-3s")
GROUPS = (MULTISTEP, SINGLE, REGIONS)  # the methods of each panel
NAMES = ("multistep", "singlestep", "regions")  # of the panels, in file names
BELOW: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (-0.15, -0.2), "frameon": False, "borderaxespad": 0.0}

Styles = Mapping[str, MethodStyle]


def draw_stability(stem: Path, styles: Styles, panels: Path) -> list[Path]:
    """Draw stem.svg, .png and .pdf, and every panel into files of its own in the folder `panels`; returns all paths."""
    with mpl.rc_context(STYLE):
        paths = save(_figure(GROUPS, styles), stem)
        for name, group in zip(NAMES, GROUPS, strict=True):
            paths += save(_figure((group,), styles), panels / f"{stem.name}-{name}")
    return paths


def _figure(groups: Sequence[tuple[str, ...]], styles: Styles) -> Figure:
    figure = Figure(figsize=(4.3 * len(groups), 4.9), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, group in zip(figure.subplots(1, len(groups), squeeze=False).flat, groups, strict=True):
        if group is REGIONS:
            _regions(axes, styles)
        else:
            _usable(axes, "multistep" if group is MULTISTEP else "stages inside the step", group, styles)
    return figure


def _usable(axes: Axes, title: str, methods: tuple[str, ...], styles: Styles) -> None:
    """Usable step per evaluation against the guidance scale; the style of a line is the frame."""
    gains = [guided_gain(CONDITIONAL, UNCONDITIONAL, s) for s in SCALES]
    for method in methods:
        record = resolve(method)
        steps = [h / record.nfe_per_step for h in usable_steps(method, gains)]
        finite = [h if math.isfinite(h) else math.nan for h in steps]
        style = styles[method]
        (line,) = axes.plot(SCALES, finite, FRAMES[record.frame], color=style.colour, label=record.label)
        line.set(marker=style.marker, markevery=3)
    axes.set(xscale="log", yscale="log", title=title, xlim=(1.15, SCALES[-1] * 1.1), ylim=(0.014, 2.2))
    axes.set(xlabel="guidance scale s, gain g = 1 - s", ylabel=f"usable step in {LAMBDA} per evaluation")
    ticks = [1.5, 3, 7.5, 15, 30]
    axes.set_xticks([s for s in ticks if s < SCALES[-1] * 1.1], [f"{s:g}" for s in ticks if s < SCALES[-1] * 1.1])
    axes.minorticks_off()
    names = {"data": "data frame", "noise": "noise frame", "noise-rho": f"noise frame in {RHO}"}
    frames = [Line2D([], [], color=GREY, linestyle=FRAMES[f]) for f in names]
    handles, labels = axes.get_legend_handles_labels()
    axes.legend([*handles, *frames], [*labels, *names.values()], ncols=2, handlelength=2.6, **BELOW)


def _regions(axes: Axes, styles: Styles) -> None:
    """The regions of hc = h c in which no solution of dz/du = c z grows, in the limit of short steps."""
    re, im = torch.meshgrid(
        torch.linspace(-3.0, 0.7, 150, dtype=torch.float64),
        torch.linspace(0, 2.7, 110, dtype=torch.float64),
        indexing="xy",
    )
    for method in REGIONS:
        radius = growth(method, SHORT, torch.complex(re, im).flatten() / SHORT).reshape(re.shape)
        colour, line = styles[method].colour, _line(method)
        for sign in (1, -1):
            axes.contourf(re, sign * im, radius, levels=[0.0, 1.0 + 1e-9], colors=[colour], alpha=0.1)
            axes.contour(re, sign * im, radius, levels=[1.0], colors=[colour], linestyles=[line], linewidths=1.3)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.set(title="stable h c for dz/du = c z, short steps", xlabel="Re h c", ylabel="Im h c")
    axes.set_aspect("equal", adjustable="datalim")
    handles: list[Artist] = [Line2D([], [], color=styles[m].colour, linestyle=_line(m)) for m in REGIONS]
    labels = [resolve(m).label for m in REGIONS]
    handles += [Line2D([], [], color=GREY, linestyle=line) for line in ("-", "--")] + [Patch(color=GREY, alpha=0.2)]
    axes.legend(handles, [*labels, "multistep", "stages", "shaded: stable"], ncols=2, handlelength=2.6, **BELOW)


def _line(method: str) -> LineStyle:
    return "-" if method in MULTISTEP else "--"
