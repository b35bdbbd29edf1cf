"""Figures as SVG in a page: lines and letters have the colour of the text around them, in any theme and in print."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .style import COLOURS, GREY, HOLLOW, STYLE

INK = "#010203"  # replaced by the colour of the text
INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
NOTHING = ("Date", "Creator", "Format", "Type")  # of the metadata of a file
PAGE: dict[Any, Any] = {
    **STYLE,
    **dict.fromkeys(INKED, INK),
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def inline_svg(figure: Figure, prefix: str = "") -> str:
    """The figure, made under the style PAGE, as an element <svg>.  prefix: of its ids, which differ in one page."""
    text = io.StringIO()
    with mpl.rc_context(PAGE):
        figure.savefig(text, format="svg", metadata=dict.fromkeys(NOTHING))
    drawn = text.getvalue()
    svg = drawn[drawn.index("<svg") :].strip()
    for ink in (INK, COLOURS[-1].lower()):
        svg = svg.replace(ink, "currentColor")
    svg = svg.replace(HOLLOW, "Canvas")
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", svg) if prefix else svg
