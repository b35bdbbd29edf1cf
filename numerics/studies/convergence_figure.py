"""Convergence figures: error against number of steps, each line named at its end, with reference slopes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..support.files import whole
from .style import COLOURS, GREY, MARKERS, STYLE

End = tuple[float, float, str, str]  # where a line ends, its name and its colour


@dataclass(frozen=True)
class Curve:
    """One line: its name, steps N, errors (None where a run failed), and its fitted exponent, if there is one.

    steps: the values on the horizontal axis.  leading_error: the leading errors at these steps, if they are known.
    bound: the exponent of a published bound, drawn dotted from the first point.
    """

    label: str
    steps: Sequence[float]
    values: Sequence[float | None]
    exponent: float | None = None
    leading_error: Sequence[float] | None = None
    bound: float | None = None

    @property
    def points(self) -> list[tuple[float, float]]:
        return [(n, v) for n, v in zip(self.steps, self.values, strict=True) if v is not None and v > 0]


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    slopes: reference lines N^-p, each with the index of the curve it is drawn below.
    note: the meaning of the numbers beside the names.  axis, symbol: name and letter of the horizontal axis.
    """

    title: str
    ylabel: str
    curves: Sequence[Curve]
    slopes: Sequence[tuple[float, int]] = ()
    note: str = "numbers: $a$ in $N^{-a}$"
    axis: str = "steps"
    symbol: str = "N"


def draw(panels: Sequence[Panel], stem: Path) -> list[Path]:
    """Draw the panels, up to three side by side, into stem.svg and stem.png (200 dpi); returns the two paths."""
    columns = len(panels) if len(panels) <= 3 else 2
    lines = -(-len(panels) // columns)
    with mpl.rc_context(STYLE):
        width = 3.9 if lines == 1 else 4.6
        figure = Figure(figsize=(0.6 + width * columns, 3.5 * lines), layout="constrained")
        FigureCanvasAgg(figure)
        ends = [
            (axes, _panel(axes, panel))
            for axes, panel in zip(figure.subplots(lines, columns, squeeze=False).flat, panels, strict=False)
        ]
        figure.draw_without_rendering()  # computes the layout, and with it the heights at which the lines end
        for axes, names in ends:
            _write_names(axes, names)
        return save(figure, stem)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write stem.svg and stem.png (200 dpi), each whole or not at all; returns the two paths."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout is computed once, for both files
    paths = [stem.with_suffix(suffix) for suffix in (".svg", ".png")]
    for path in paths:
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        with whole(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=200, metadata=metadata)
    return paths


def _panel(axes: Axes, panel: Panel) -> list[End]:
    """Draw a panel without the names of its lines; returns the ends of the lines with their names."""
    axis = f"{panel.axis} ${panel.symbol}$\n{panel.note}"
    axes.set(xscale="log", yscale="log", title=panel.title, xlabel=axis, ylabel=panel.ylabel)
    # Curves: points, the line through them or of the leading errors, and the published bound.
    ends = []
    for curve, colour, marker in zip(panel.curves, cycle(COLOURS), cycle(MARKERS), strict=False):
        if curve.points:
            steps, values = zip(*curve.points, strict=True)
            if curve.leading_error is None:
                axes.plot(steps, values, marker=marker, color=colour)
            else:  # points: measured errors; line: leading errors
                axes.plot(steps, values, marker, color=colour)
                axes.plot(curve.steps, curve.leading_error, color=colour, linewidth=1.0)
            if curve.bound is not None:
                bound = [values[0] * (n / steps[0]) ** -curve.bound for n in steps]
                axes.plot(steps, bound, ":", color=colour, linewidth=1.0)
            exponent = "" if curve.exponent is None else f"  {curve.exponent:.2f}"
            ends.append((steps[-1], values[-1], curve.label + exponent, colour))
    # Reference slopes, and ticks at the numbers of steps that occur.
    for slope, index in panel.slopes:
        if panel.curves[index].points:
            _reference(axes, slope, panel.curves[index].points, panel.symbol)
    shown = sorted({n for curve in panel.curves for n, _ in curve.points})
    axes.set_xlim(shown[0] / 1.25, shown[-1] * 1.12)
    axes.minorticks_off()
    ticks = shown[:: 1 + len(shown) // 6]
    axes.set_xticks(ticks, [f"{n:g}" for n in ticks])
    return ends


def _reference(axes: Axes, slope: float, points: list[tuple[float, float]], symbol: str) -> None:
    """A dashed line of the given slope below the second half of a curve, apart from it."""
    part = points[-max(3, len(points) // 2) :]
    steps = [n for n, _ in part]
    level = min(v * n**slope for n, v in part) / 2
    axes.plot(
        [steps[0], steps[-1]], [level * n**-slope for n in (steps[0], steps[-1])], "--", color=GREY, linewidth=0.9
    )
    middle = math.sqrt(steps[0] * steps[-1])
    anchor = (middle, level * middle**-slope)
    axes.annotate(
        f"${symbol}^{{{-slope:g}}}$", anchor, (-3, -3), textcoords="offset points", color=GREY, ha="right", va="top"
    )


def name_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Write the names to the right of the last points, without overlaps."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # the layout determines the height of the axes
    _write_names(axes, ends)


def _write_names(axes: Axes, ends: Sequence[End], line: float = 9.0) -> None:
    """Write the names to the right of the last points, at least `line` points apart; the layout is known."""
    scale = 72 / axes.figure.dpi
    heights = sorted((axes.transData.transform((n, v))[1] * scale, n, v, text, c) for n, v, text, c in ends)
    lowest = -math.inf
    for height, n, value, text, colour in heights:
        shifted = max(height, lowest + line)
        lowest = shifted
        offset = (6, shifted - height)
        axes.annotate(text, (n, value), offset, textcoords="offset points", color=colour, va="center", fontsize=8)
