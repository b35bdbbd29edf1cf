"""The style of all figures: of `reproduce`, of studies, of the chapters and of the samplers' pages.

The colours are Okabe and Ito's, which remain distinct with colour blindness; the markers differ as well, for print
without colour.
"""

from __future__ import annotations

from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = "os^Dv<>P"
GREY = "#8A8A8A"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "svg.hashsalt": "samplerproof",  # the same file for the same data
}
