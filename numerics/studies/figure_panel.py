"""One panel of a figure: curves on logarithmic axes, leading errors, bounds and reference slopes.

All text is outside of the axes: the names of curves are below them, those of slopes at their right edge. So no label
lies over a line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.markers import TICKDOWN, TICKLEFT
from matplotlib.path import Path

from .style import GREY, HOLLOW, STYLE, LineStyle, MethodStyle

Values = Sequence[float | None]
PALE = 0.4  # opacity of lines that only join measured points, beside leading errors
SUPERSCRIPTS = str.maketrans("-0123456789a", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u1d43")
EVALUATIONS = "evaluations of the model (NFE)"
# A bar with an arrow below it: an upper end, unlike the markers of methods.
UPPER_END = Path([(-1, 0), (1, 0), (0, 0), (0, -1.6), (-0.5, -1), (0, -1.6), (0.5, -1)], [1, 2, 1, 2, 1, 2, 2])
COINCIDE = 0.02  # relative difference up to which points lie on each other
SMALLER = 0.55  # the size of markers on others, and the width of lines on others, to theirs
GRID = {"color": STYLE["grid.color"], "linewidth": STYLE["grid.linewidth"], "zorder": 0.5}
MARKS = {"color": "black", "linestyle": "none", "markersize": 3.5, "markeredgewidth": 0.8, "clip_on": False}
FEW_DECADES = 300.0  # heights within this ratio have too few powers of ten for ticks


def power(base: str, exponent: float | str) -> str:
    """A power as plain text, which is set in a tenth of the time of mathematics: N^-1 with a raised -1."""
    text = exponent if isinstance(exponent, str) else f"{exponent:g}"
    return f"{base}^{text}" if "." in text else base + text.translate(SUPERSCRIPTS)


@dataclass(frozen=True)
class Curve:
    """The errors of one method.

    method: what colour and marker stand for.  label: its name as people write it.  x, values: N or another quantity,
    and the errors, None where there is none.  nfe: the evaluations at each x.  note: what is known of its exponent.
    leading_error: the computed one at each x.  low, high: the interval of each value.  noise: whether a value may be
    noise, bias or rounding: no line leads there, and one whose interval contains zero is drawn as its upper end.
    bound: the power of x in a published bound.  line: the style of its lines.
    """

    method: str
    label: str
    x: Sequence[float]
    values: Values
    note: str = ""
    nfe: Sequence[int | None] | None = None
    leading_error: Values | None = None
    low: Values | None = None
    high: Values | None = None
    noise: Sequence[bool] | None = None
    bound: float | None = None
    line: LineStyle = "-"

    @property
    def points(self) -> list[tuple[float, float]]:
        """The points that logarithmic axes can show."""
        return [
            (x, v) for x, v in zip(self.x, self.values, strict=True) if v is not None and v > 0 and math.isfinite(v)
        ]

    @property
    def limits(self) -> list[tuple[float, float]]:
        """The upper ends of the intervals that contain zero."""
        if self.low is None or self.high is None:
            return []
        ends = zip(self.x, self.low, self.high, strict=True)
        return [(x, high) for x, low, high in ends if low is not None and high is not None and low <= 0 < high]


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    name: its part of a file name.  title, subtitle: above the axes.  xlabel, ylabel: with their symbols.
    slopes: powers of x that are drawn as reference, each with the index of the curve that it is drawn below.
    symbol: the letter of the horizontal axis in the label of a slope.  numbers: the meaning of the numbers in the
    notes.  slope_name: what the reference slopes are.  caption: what the panel shows, for a text beside it.
    legend: whether the names are drawn below this panel, or below the one before it.
    """

    name: str
    title: str
    xlabel: str
    ylabel: str
    curves: Sequence[Curve]
    slopes: Sequence[tuple[float, int]] = ()
    symbol: str = "N"
    subtitle: str = ""
    numbers: str = ""
    slope_name: str = "proved order"
    caption: str = ""
    legend: bool = True

    @property
    def drawable(self) -> bool:
        return any(curve.points for curve in self.curves)


def against_evaluations(panel: Panel, name: str) -> Panel:
    """The panel with evaluations in place of steps, without slopes and bounds.  name: its own."""
    curves = []
    for curve in panel.curves:
        kept = [k for k, n in enumerate(curve.nfe or ()) if n]
        columns: dict[str, Any] = {
            key: None if (values := getattr(curve, key)) is None else [values[k] for k in kept]
            for key in ("values", "nfe", "leading_error", "low", "high", "noise")
        }
        curves.append(replace(curve, x=columns["nfe"] or (), bound=None, **columns))
    return replace(panel, name=name, xlabel=EVALUATIONS, curves=curves, slopes=())


def draw_panel(axes: Axes, panel: Panel, styles: Mapping[str, MethodStyle], beside: Axes | None = None) -> None:
    """Draw a panel without the names of its curves.  The size of the axes is known.

    beside: axes whose vertical range it takes.
    """
    axes.set(xscale="log", yscale="log", xlabel=panel.xlabel, ylabel=panel.ylabel)
    mixed = any(curve.leading_error is not None for curve in panel.curves)
    below = coinciding(panel.curves)
    for k, curve in enumerate(panel.curves):
        _draw_curve(axes, curve, styles[curve.method], PALE if mixed else 1.0, _size(below, k))
    shown = sorted({x for curve in panel.curves for x, _ in (*curve.points, *curve.limits)})
    # Axes: every point within, ticks at the values that occur, as many as fit.
    margin = 1.12 if len(shown) > 1 else 2.0
    axes.set_xlim(shown[0] / margin, shown[-1] * margin)
    bottom, top = _limits(panel.curves)
    ends = [
        end
        for slope, index in panel.slopes
        if (end := _draw_slope(axes, slope, panel.curves[index].points, (top / bottom) ** 0.5)) is not None
    ]
    heights = (min([bottom, *(low / 1.5 for _, low in ends)]), top)
    axes.set_ylim(*heights if beside is None else beside.get_ylim())
    _ticks(axes, shown)
    _name_slopes(axes, [(low, power(panel.symbol, -slope)) for slope, low in ends])


def coinciding(curves: Sequence[Curve]) -> dict[int, int]:
    """The first curve on which each one lies, by their indices; a curve that lies on no other is absent."""
    found: dict[int, int] = {}
    for k, curve in enumerate(curves):
        points = dict(curve.points)
        for j in range(k):
            others = dict(curves[j].points)
            alike = j not in found and points and points.keys() == others.keys()
            if alike and all(abs(v - others[x]) <= COINCIDE * others[x] for x, v in points.items()):
                found[k] = j
                break
    return found


def _size(below: Mapping[int, int], k: int) -> float:
    """The size of a curve's markers and the width of its lines: larger below other curves, so that all are seen."""
    others = [i for i, j in below.items() if j == below.get(k, k)]
    if not others:
        return 1.0
    return 1 / SMALLER if k not in below else SMALLER ** others.index(k)


def _draw_curve(axes: Axes, curve: Curve, style: MethodStyle, joined: float, size: float) -> None:
    """Points and a line that joins them, the line of the leading errors, intervals, and the published bound.

    joined: the opacity of a line that only joins points.  size: of markers and lines, to the usual one.
    """
    colour, marker = style
    line: dict[str, Any] = {"color": colour, "linestyle": curve.line}
    width, markersize = STYLE["lines.linewidth"] * size, STYLE["lines.markersize"] * size
    limits = dict(curve.limits)
    # Arrows from the upper ends of intervals that contain zero, instead of their values.
    for x, end in limits.items():
        axes.plot([x], [end], marker=UPPER_END, color=colour, markerfacecolor="none", markersize=9, linestyle="none")
    if not curve.points:
        return
    noise = curve.noise or [False] * len(curve.values)
    values = [
        v if v is not None and v > 0 and x not in limits else math.nan
        for x, v in zip(curve.x, curve.values, strict=True)
    ]
    sure = [math.nan if n else v for v, n in zip(values, noise, strict=True)]
    axes.plot(curve.x, sure, alpha=joined, linewidth=width, **line)
    if curve.leading_error is not None:
        expected = [math.nan if e is None else e for e in curve.leading_error]
        axes.plot(curve.x, expected, linewidth=size, marker="_" if len(expected) == 1 else "", **line)
    if curve.low is not None and curve.high is not None:
        for x, value, low, high in zip(curve.x, values, curve.low, curve.high, strict=True):
            if low is not None and high is not None and high > 0 and value > 0:
                axes.plot([x, x], [max(low, value / 1e3), high], color=colour, linewidth=0.8, alpha=PALE)
    for hollow in (False, True):
        chosen = [(x, v) for x, v, n in zip(curve.x, values, noise, strict=True) if n is hollow and v > 0]
        if chosen:
            face = HOLLOW if hollow else colour
            look: dict[str, Any] = {"color": colour, "markerfacecolor": face, "markersize": markersize}
            axes.plot(*zip(*chosen, strict=True), marker, label=curve.method, **look)
    if curve.bound is not None:
        axes.plot(*zip(*bound_line(curve.points, curve.bound), strict=True), ":", color=colour, linewidth=1.0)


def bound_line(points: Sequence[tuple[float, float]], power: float) -> list[tuple[float, float]]:
    """The bound C x^power at these points, with the smallest C for which it holds at all of them."""
    constant = max(value / x**power for x, value in points)
    return [(x, constant * x**power) for x, _ in points]


def _limits(curves: Iterable[Curve]) -> tuple[float, float]:
    """The vertical range: of the points, and within a decade of the lines and intervals beside them."""
    values = [v for curve in curves for _, v in curve.points]
    low, high = min(values), max(values)
    for curve in curves:
        expected = [e for e in curve.leading_error or () if e is not None and e > 0]
        if curve.points and curve.bound is not None:
            expected += [value for _, value in bound_line(curve.points, curve.bound)]
        expected += [v for v in curve.high or () if v is not None and v > 0]
        if expected:
            low, high = max(low / 10, min(low, *expected)), min(high * 10, max(high, *expected))
    margin = (high / low) ** 0.05 if high > low else 2.0
    return low / max(margin, 1.15), high * max(margin, 1.15)


def _draw_slope(
    axes: Axes, slope: float, points: Sequence[tuple[float, float]], drop: float
) -> tuple[float, float] | None:
    """A dashed line x^-slope below the second half of a curve; returns the slope and the height where it ends. None for
    a slope of 0.

    drop: the largest ratio of its heights.
    """
    if len(points) < 2 or slope == 0:
        return None
    part = points[-max(3, len(points) // 2) :]
    level = min(v * x**slope for x, v in part) / 2
    ends = [max(part[0][0], part[-1][0] / drop ** (1 / abs(slope))), part[-1][0]]
    heights = [level * x**-slope for x in ends]
    axes.plot(ends, heights, "--", color=GREY, linewidth=0.9, zorder=1.5)
    return slope, heights[-1]


def _name_slopes(axes: Axes, names: Sequence[tuple[float, str]]) -> None:
    """Write each slope at the right edge of the axes, at the height where it ends, the names apart from each other."""
    height = axes.get_window_extent().height * 72 / axes.figure.dpi  # in points
    apart = 11.0
    lowest = 0.0
    low, high = axes.get_ylim()
    for value, text in sorted(names):
        place = height * math.log(value / low) / math.log(high / low)
        lowest = max(place, lowest)
        axes.annotate(text, (1, 0), (4, lowest), xycoords="axes fraction", textcoords="offset points", va="center")
        lowest += apart


def _ticks(axes: Axes, shown: Sequence[float]) -> None:
    """Ticks at the values that occur, from the last one back while their labels stay apart; heights in 1, 2, 5.

    The marks and the grid of an axis are one line each, and its name has a fixed place: an axis of matplotlib has three
    lines a tick, and measures all its labels at every drawing.
    """
    axes.minorticks_off()
    scale = 72 / axes.figure.dpi
    ticks: list[float] = []
    left = math.inf
    for x in reversed(shown):
        place = axes.transData.transform((x, axes.get_ylim()[0]))[0] * scale
        half = 2.7 * len(f"{x:g}")
        if place + half + 4 <= left:
            ticks.append(x)
            left = place - half
    axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
    low, high = axes.get_ylim()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if high / low > FEW_DECADES:
        inside = [float(h) for h in axes.yaxis.get_major_locator().tick_values(low, high) if low <= h <= high]
        axes.set_yticks(inside, [power("10", round(math.log10(h))) for h in inside])
    else:
        inside = [p for k in decades for m in (1, 2, 5) if low <= (p := m * 10.0**k) <= high]
        axes.set_yticks(inside, [f"{p:g}" for p in inside])
    axes.grid(visible=False)
    axes.tick_params(bottom=False, left=False)
    for values, transform, mark, upright in (
        (ticks, axes.get_xaxis_transform(), TICKDOWN, True),
        (inside, axes.get_yaxis_transform(), TICKLEFT, False),
    ):
        ends = [0.0, 1.0, math.nan] * len(values), [value for value in values for _ in range(3)]
        feet = [0.0] * len(values), values
        for (along, across), look in ((ends, GRID), (feet, {**MARKS, "marker": mark})):
            axes.add_line(Line2D(*(across, along) if upright else (along, across), transform=transform, **look))


def entries(panel: Panel, styles: Mapping[str, MethodStyle]) -> list[tuple[Line2D, str]]:
    """A handle and a text for every curve, then for what the lines mean."""
    found: list[tuple[Line2D, str]] = []
    below = coinciding(panel.curves)
    for k, curve in enumerate(panel.curves):
        note = curve.note if curve.points else "no value"
        if k in below and "equals " not in note:
            note = "; ".join(filter(None, [note, f"same points as {panel.curves[below[k]].label}"]))
        text = f"{curve.label}: {note}" if note else curve.label
        colour, marker = styles[curve.method]
        size = _size(below, k)
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": STYLE["lines.markersize"] * size}
        handle = Line2D([], [], linestyle=curve.line, linewidth=size, **look)
        found.append((handle, text))
    drawn = [curve for curve in panel.curves if curve.points]
    if any(curve.leading_error is not None for curve in drawn):
        found.append((Line2D([], [], color=GREY), "leading error, computed before the run"))
        if any(len(curve.points) > 1 for curve in drawn):
            found.append((Line2D([], [], color=GREY, alpha=PALE), "joins measured points"))
    if any(_hollow(curve) for curve in drawn):
        hollow = Line2D([], [], color=GREY, marker="o", markerfacecolor=HOLLOW, linestyle="none")
        found.append((hollow, "hollow: may be noise, bias or rounding"))
    if any(curve.limits for curve in panel.curves):
        arrow = Line2D([], [], color=GREY, marker=UPPER_END, markerfacecolor="none", markersize=9, linestyle="none")
        found.append((arrow, "less than this, at 95 %: the interval contains 0"))
    if any(curve.bound is not None for curve in drawn):
        found.append((Line2D([], [], color=GREY, linestyle=":"), "published bound, with the smallest constant"))
    if panel.slopes:
        found.append((Line2D([], [], color=GREY, linestyle="--"), panel.slope_name))
    return found


def _hollow(curve: Curve) -> bool:
    """Whether a point of the curve is drawn hollow."""
    limits = dict(curve.limits)
    return any(n and x not in limits for x, n in zip(curve.x, curve.noise or (), strict=False))
