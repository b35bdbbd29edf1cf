"""Where the texts and the lines of a figure lie: labels over lines, and texts over each other."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    """The text of a drawn figure, each with its box in pixels."""
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    ticks = [t for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for t in axis.get_ticklabels(which="both")]
    drawn = [t for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for t in _drawn(axis)]
    shown = [text for text in texts if text not in ticks or text in drawn]
    return [(text.get_text(), text.get_window_extent()) for text in shown]


def _drawn(axis: Axis) -> list[Text]:
    """The tick labels of an axis within its range: the others are not drawn."""
    low, high = sorted(axis.get_view_interval())
    return [
        label
        for tick, label in zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
        if low <= tick <= high
    ]


def over_a_line(figure: Figure) -> list[str]:
    """The texts whose box a line crosses; lines end at their axes."""
    found = boxes(figure)
    points = [np.zeros((0, 2))]
    for axes in figure.axes:
        for line in axes.lines:
            path = line.get_transform().transform(np.asarray(line.get_xydata(), dtype=float))
            parts = [np.linspace(a, b, 200) for a, b in pairwise(path) if np.isfinite([*a, *b]).all()]
            points += [part[np.all((part >= axes.bbox.min) & (part <= axes.bbox.max), axis=1)] for part in parts]
    drawn = np.concatenate(points)
    return [text for text, box in found if box.count_contains(drawn)]


def over_a_text(figure: Figure) -> list[tuple[str, str]]:
    """The pairs of texts whose boxes overlap."""
    found = boxes(figure)
    return [(one, other) for (one, a), (other, b) in combinations(found, 2) if _smaller(a).overlaps(_smaller(b))]


def _smaller(box: Bbox) -> Bbox:
    """The box without its edge, where a font leaves room."""
    return box.padded(-2)


def outside(figure: Figure) -> list[str]:
    """The texts that reach beyond the figure."""
    whole = figure.bbox.padded(1)
    return [
        text
        for text, box in boxes(figure)
        if box.x0 < whole.x0 or box.x1 > whole.x1 or box.y0 < whole.y0 or box.y1 > whole.y1
    ]
