"""The style of all figures: of `reproduce`, of studies, of the chapters and of the samplers' pages.

The colours are Okabe and Ito's, which remain distinct with colour blindness; the markers differ as well, for print
without colour. A method has one colour and one marker in all figures of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import product
from typing import Any, Literal, NamedTuple, TypeAlias

LineStyle: TypeAlias = Literal["-", "--", ":", "-."]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#0A0A0A")
MARKERS = "os^Dv<>PXph*"
LINES: tuple[LineStyle, ...] = ("-", "--", ":", "-.")  # of grids
GREY = "#8A8A8A"
HOLLOW = "#fefefe"  # of markers, as the paper below them
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.2,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "svg.hashsalt": "samplerproof",  # the same file for the same data
}


class MethodStyle(NamedTuple):
    """The colour and the marker of a method."""

    colour: str
    marker: str


PAIRS = [MethodStyle(colour, marker) for marker, colour in product(MARKERS, COLOURS)]


def method_styles(panels: Iterable[Sequence[str]]) -> dict[str, MethodStyle]:
    """A colour and a marker for every method, given the methods of every panel of a run.

    Methods that share a panel differ in colour and in marker while there are enough of them; no two methods have both
    in common while there are pairs left. Deterministic: methods are taken in the order of their first appearance.
    """
    together: dict[str, dict[str, None]] = {}
    for panel in panels:
        for method in panel:
            together.setdefault(method, {}).update(dict.fromkeys(panel))
    found: dict[str, MethodStyle] = {}
    for method, others in together.items():
        beside = [found[other] for other in others if other in found]
        found[method] = min(PAIRS, key=partial(_repeated, beside, list(found.values())))
    return found


def _repeated(beside: Sequence[MethodStyle], taken: Sequence[MethodStyle], style: MethodStyle) -> tuple[int, ...]:
    """How often a style, its colour and its marker occur: in the whole run, in the same panels, in the whole run."""
    colour = sum(other.colour == style.colour for other in beside)
    marker = sum(other.marker == style.marker for other in beside)
    return taken.count(style), colour, marker, sum(other.colour == style.colour for other in taken)
