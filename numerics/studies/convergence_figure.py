"""Figures of panels: error against number of steps or of evaluations, the names of the curves below each panel.

All lengths are fixed in points, so that the axes of one run have one size, and only the names take more or less room.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D, ScaledTranslation, Transform

from ..support.files import whole
from .figure_panel import Panel, draw_panel, entries
from .style import STYLE, MethodStyle, method_styles

SUFFIXES = (".svg", ".png", ".pdf")
# In points. A panel alone has the width of a column, two beside each other that of a page.
COLUMN, HALF_PAGE = 310.0, 245.0
LEFT, RIGHT, HEIGHT = 52.0, 32.0, 172.0  # around the axes, and their height
TITLE, SUBTITLE, XLABEL = 10.0, 13.0, 38.0
TITLE_LINE = 12.5
LINE, HANDLE, FOOT = 11.3, 34.0, 8.0  # of the names: a line of text, the room of a handle, the room below all
LONG, GAP, RAISED = 17.0, 5.0, 2.9  # a handle: its length, its distance from the text, its height above the base line
TITLE_LETTER, LETTER = 5.4, 4.1  # width of a letter of a title and of a name, on average
UNBROKEN = "\u2011"  # a hyphen at which no line ends
FONT = FontProperties(family="sans-serif", size=STYLE["legend.fontsize"])


def styles_of(panels: Sequence[Panel]) -> dict[str, MethodStyle]:
    """The colours and markers of the methods in all panels of a run."""
    return method_styles([[curve.method for curve in panel.curves] for panel in panels])


def figure_of(
    panels: Sequence[Panel],
    styles: Mapping[str, MethodStyle] | None = None,
    columns: int = 2,
    look: Mapping[Any, Any] = STYLE,
) -> Figure:
    """A figure of these panels, in rows of up to `columns` side by side.

    styles: of a whole run; by default of these panels.  look: parameters of matplotlib.  The names of a panel whose
    neighbour has no legend of its own are written below both.
    """
    styles = styles_of(panels) if styles is None else styles
    rows = [panels[k : k + columns] for k in range(0, len(panels), columns)]
    width = COLUMN if columns == 1 or len(panels) == 1 else HALF_PAGE
    with mpl.rc_context(dict(look)):
        names = [[_names(row, k, width, styles) for k in range(len(row))] for row in rows]
        below = [max(lines for _, _, lines in row) * LINE + FOOT for row in names]
        above = [max(_above(panel, width) for panel in row) for row in rows]
        heights = [title + HEIGHT + XLABEL + extra for title, extra in zip(above, below, strict=True)]
        size = (width * max(map(len, rows)), sum(heights))
        figure = Figure(figsize=(size[0] / 72, size[1] / 72))
        FigureCanvasAgg(figure)
        top = size[1]
        for row, row_names, title, height in zip(rows, names, above, heights, strict=True):
            drawn: Axes | None = None
            for k, (panel, (found, across, _)) in enumerate(zip(row, row_names, strict=True)):
                left, bottom, axes_width = k * width + LEFT, top - title - HEIGHT, width - LEFT - RIGHT
                axes = figure.add_axes((left / size[0], bottom / size[1], axes_width / size[0], HEIGHT / size[1]))
                draw_panel(axes, panel, styles, None if panel.legend else drawn)
                _write_around(axes, panel, width, found, across)
                drawn = axes
            top -= height
    return figure


def _names(
    row: Sequence[Panel], k: int, width: float, styles: Mapping[str, MethodStyle]
) -> tuple[list[tuple[Line2D, str]], int, int]:
    """The names below panel k of a row, in how many columns, and how many lines that takes."""
    if not row[k].legend:
        return [], 1, 0
    panels = next((n for n in range(k + 1, len(row)) if row[n].legend), len(row)) - k
    found = [(handle, _fitted(text, width - LEFT / 2 - HANDLE)) for handle, text in entries(row[k], styles)]
    longest = max(_width(line) for _, text in found for line in text.split("\n"))
    across = max(1, min(len(found), int((width * panels - LEFT / 2) / (HANDLE + longest))))
    deep = math.ceil(len(found) / across)
    columns = [found[c * deep : (c + 1) * deep] for c in range(across)]
    lines = max(sum(text.count("\n") + 1 for _, text in column) for column in columns)
    return found, across, lines + (1 if row[k].numbers else 0)


@cache
def _width(text: str) -> float:
    """The width of a name in points."""
    width: float = text_to_path.get_text_width_height_descent(text, FONT, ismath=False)[0]
    return width


def _fitted(text: str, width: float) -> str:
    """A name in lines of at most this width in points."""
    for letters in range(max(12, int(width / LETTER)), 11, -2):
        lines = wrapped(text, letters, "  ")
        if max(map(_width, lines.split("\n"))) <= width:
            break
    return lines


def wrapped(text: str, letters: int, indent: str = "") -> str:
    """The text in lines of at most that many letters.

    A spelling such as karras?rho=7&zero=1 is broken between its parameters, and a name such as DPM-Solver++(2M) at a
    hyphen only where it is longer than a line.
    """
    parts = re.sub("([?&])", r"\1 ", text).split(" ")
    kept = [part if len(part) > letters - len(indent) else part.replace("-", UNBROKEN) for part in parts]
    lines = textwrap.fill(" ".join(kept), letters, subsequent_indent=indent)
    return re.sub("([?&]) ", r"\1", lines).replace(UNBROKEN, "-")


def _title(panel: Panel, width: float) -> str:
    """The title in lines that fit."""
    return wrapped(panel.title, int((width - LEFT) / TITLE_LETTER))


def _above(panel: Panel, width: float) -> float:
    """The room of the title and the subtitle."""
    lines = _title(panel, width).count("\n") + 1
    return TITLE + lines * TITLE_LINE + (SUBTITLE if panel.subtitle else 0)


def _write_around(axes: Axes, panel: Panel, width: float, names: list[tuple[Line2D, str]], across: int) -> None:
    """Write the title above a panel, and its names below it."""
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "parse_math": False}
    under = SUBTITLE if panel.subtitle else 0
    axes.annotate(_title(panel, width), (0, 1), (0, under + 5), fontsize=10, va="bottom", **place)
    axes.annotate(panel.subtitle, (0, 1), (0, 4), fontsize=8.5, **place)
    _write_names(axes, panel.numbers, names, across)


def _write_names(axes: Axes, numbers: str, names: list[tuple[Line2D, str]], across: int) -> None:
    """Write the names in columns below a panel, each after its handle; a line of its own before them for the numbers.

    The lines are placed here, by the lengths above: a legend of matplotlib computes them anew at every drawing, which
    takes longer than the rest of a figure.
    """
    where = _offset(axes)
    left, top = -LEFT / 2, -XLABEL + 4 - LINE
    if numbers:
        axes.text(left, top, numbers, fontsize=STYLE["legend.fontsize"], transform=where, parse_math=False)
        top -= LINE
    deep = math.ceil(len(names) / across) or 1  # a figure may have no name
    for first in range(0, len(names), deep):
        column, height = names[first : first + deep], top
        for handle, text in column:
            middle = height + RAISED
            handle.set_data([left, left + LONG / 2, left + LONG], [middle] * 3)
            handle.set(transform=where, clip_on=False, markevery=[1])
            axes.figure.add_artist(handle)
            for line in text.split("\n"):
                axes.text(
                    left + LONG + GAP,
                    height,
                    line,
                    fontsize=STYLE["legend.fontsize"],
                    transform=where,
                    parse_math=False,  # a name may have any sign
                )
                height -= LINE
        left += HANDLE + max(_width(line) for _, text in column for line in text.split("\n"))


def _offset(axes: Axes) -> Transform:
    """Points from the lower left corner of the axes."""
    points = Affine2D().scale(1 / 72) + axes.figure.dpi_scale_trans
    return points + ScaledTranslation(0, 0, axes.transAxes)  # type: ignore[arg-type]  # any transform will do


def draw(
    panels: Sequence[Panel],
    stem: Path,
    styles: Mapping[str, MethodStyle] | None = None,
    suffixes: Sequence[str] = SUFFIXES,
    columns: int = 2,
) -> list[Path]:
    """Draw the panels into one figure in stem.svg, stem.png (200 dpi) and stem.pdf; returns the paths."""
    return save(figure_of(panels, styles, columns), stem, suffixes)


def draw_each(panels: Sequence[Panel], folder: Path, styles: Mapping[str, MethodStyle]) -> list[Path]:
    """Draw every panel into files of its own, by its name, for one column of a paper."""
    return [path for panel in panels for path in draw([replace(panel, legend=True)], folder / panel.name, styles)]


def save(figure: Figure, stem: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Write the figure as SVG, PNG (200 dpi) and PDF, each whole or not at all, without a date; returns the paths."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is computed once, for all files
    paths = [stem.with_name(stem.name + suffix) for suffix in suffixes]
    # Two thirds of the time of zlib's default for a PNG, and 1 % more bytes.
    options: dict[str, dict[str, Any]] = {
        ".svg": {"metadata": {"Date": None}},
        ".pdf": {"metadata": {"CreationDate": None}},
        ".png": {"pil_kwargs": {"compress_level": 3}},
    }
    for path in paths:
        with mpl.rc_context(STYLE), whole(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=200, **options.get(path.suffix, {}))
    return paths
