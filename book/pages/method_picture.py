"""The pictures of a method's page: its error over the number of steps, its longest usable step and its stability.

They are inline SVG: lines and letters have the colour of the text, in any theme and in print.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from html import escape
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ...numerics.catalogue import METHODS
from ...numerics.records import Record
from ...numerics.stability import growth
from ...numerics.studies.inline_svg import INK, PAGE, inline_svg
from ...numerics.studies.style import COLOURS, GREY
from ..records.method_results import SCALES
from .measured import picture_file

SHORT = 1e-6  # a step so short that every frame has the region of the classical method
METRIC = {"trajectory": "trajectory error (rms)", "tv": "total variation"}

Entries = Sequence[dict[str, Any]]


def all_pictures(answers: dict[str, Any]) -> dict[str, str]:
    """File -> HTML of the pictures of all methods, drawn in parallel.  answers: the kept results of all methods."""
    of: dict[str, list[dict[str, Any]]] = {name: [] for name in METHODS}
    for entry in answers["convergence"]:
        of[entry["method"]].append(entry)
    usable = answers["stability"]
    flow = [METHODS[name] for name in usable]
    # One thread each: the threads of this process do not exist in its forks, which would wait for them for ever.
    with ProcessPoolExecutor(initializer=torch.set_num_threads, initargs=(1,)) as drawers:
        errors = drawers.map(error_picture, METHODS.values(), of.values(), chunksize=8)
        steps = drawers.map(stability_picture, flow, usable.values(), [usable["ddim"]] * len(flow), chunksize=8)
        found = {picture_file(record, "error"): html for record, html in zip(METHODS.values(), errors, strict=True)}
        return found | {picture_file(r, "stability"): html for r, html in zip(flow, steps, strict=True)}


def error_picture(record: Record, measured: Entries) -> str:
    """The error over the number of steps, as HTML.  measured: the method's kept errors."""
    own = [e for e in measured if e["kind"] != "ramp" and e["value"]]
    first, last = own[0], own[-1]
    description = (
        f"Error of {record.label} over the number of steps: {first['value']:.1e} at {first['steps']} steps, "
        f"{last['value']:.1e} at {last['steps']}; beside it a slope of order {_order(record, own)}."
    )
    return figure(description, drawn(lambda axes: _errors(axes, record, measured)))


def stability_picture(record: Record, usable: Sequence[float | None], reference: Sequence[float | None]) -> str:
    """The longest usable step under guidance and the region of stability, as HTML.

    usable, reference: its longest stable step and that of DDIM at the scales of guidance (method_results.SCALES).
    """
    description = f"The longest usable step of {record.label} over the guidance scale, and its region of stability."
    panels = [drawn(lambda axes: _steps(axes, record, usable, reference)), drawn(lambda axes: _region(axes, record))]
    return figure(description, *panels)


def figure(text: str, *panels: str) -> str:
    """Panels side by side where the page is wide enough; text: their description for screen readers."""
    return "\n".join([f'<div class="drawn" role="img" aria-label="{escape(text)}">', *panels, "</div>"])


def drawn(draw: Callable[[Axes], None], height: float = 2.8) -> str:
    """One panel as SVG, in the colour of the text around it.  height: in inches."""
    with mpl.rc_context(PAGE):
        figure = Figure(figsize=(3.4, height))
        axes = figure.add_axes((0.2, 0.17, 0.78, 0.8))
        draw(axes)
    return inline_svg(figure)


def _errors(axes: Axes, record: Record, measured: Entries) -> None:
    """Measured points, the leading error as a line, and with the term after it, and below them a slope of the order."""
    own = [e for e in measured if e["kind"] != "ramp" and e["value"]]
    steps, values = [e["steps"] for e in own], [e["value"] for e in own]
    colour = COLOURS[0]
    leading = [e["predicted"] for e in own]
    if all(leading):
        axes.plot(steps, leading, color=colour, linewidth=1.0, label="leading error, not fitted")
    both = [(e["steps"], e["predicted"] + e["next"]) for e in own if e.get("next") and abs(e["next"]) < e["predicted"]]
    if both:
        axes.plot(*zip(*both, strict=True), ":", color=colour, linewidth=1.2, label="its first two terms")
    started = [(e["steps"], e["value"]) for e in measured if e["kind"] == "ramp" and e["value"]]
    if started:
        axes.plot(*zip(*started, strict=True), "x", color=COLOURS[1], markersize=6, label="with its own start-up")
    axes.plot(steps, values, "o", color=colour, label="from exact start values" if started else "measured")
    order = _order(record, own)
    line = [values[-1] / 3 * (steps[-1] / n) ** order for n in steps[-4:]]
    axes.plot(steps[-4:], line, "--", color=GREY, linewidth=1.0, label=f"slope of order {order}")
    axes.set(xscale="log", yscale="log", xlabel="steps $N$", ylabel=METRIC[own[0]["metric"]])
    _ticks(axes, steps[::2])
    axes.legend(frameon=False, fontsize=7.5, loc="lower left")


def _order(record: Record, entries: Entries) -> int:
    """The order that these entries should show."""
    return record.order_in_law(entries[0]["kind"] == "gaussian")


def _steps(axes: Axes, record: Record, usable: Sequence[float | None], reference: Sequence[float | None]) -> None:
    """The longest stable step in lambda over the guidance scale, beside that of DDIM."""
    if record.name != "ddim":
        axes.plot(SCALES, _drawable(reference), "--", color=GREY, label="DDIM")
    axes.plot(SCALES, _drawable(usable), color=COLOURS[0], label=record.label)
    axes.set(xscale="log", yscale="log", xlim=(SCALES[0] / 1.05, SCALES[-1] * 1.05))
    axes.set(xlabel="guidance scale $s$", ylabel=r"longest usable step in $\lambda$")
    _ticks(axes, [1.5, 3, 7.5, 15, 30])
    axes.legend(frameon=False, fontsize=7.5, loc="lower left")


def _region(axes: Axes, record: Record) -> None:
    """The region of h c in which no solution of dz/du = c z grows, for short steps."""
    re, im = torch.meshgrid(
        torch.linspace(-5.2, 1.0, 156, dtype=torch.float64),
        torch.linspace(0, 3.6, 91, dtype=torch.float64),
        indexing="xy",
    )
    radius = growth(record.name, SHORT, torch.complex(re, im).flatten() / SHORT).reshape(re.shape)
    for sign in (1, -1):
        axes.contourf(re, sign * im, radius, levels=[0, 1 + 1e-9], colors=[COLOURS[0]], alpha=0.35)
    axes.axhline(0, color=INK, linewidth=0.5)
    axes.axvline(0, color=INK, linewidth=0.5)
    axes.set(xlabel=r"Re $hc$", ylabel=r"Im $hc$")
    axes.set_aspect("equal")


def _drawable(steps: Sequence[float | None]) -> list[float]:
    return [float("nan") if step is None else step for step in steps]


def _ticks(axes: Axes, at: Sequence[float]) -> None:
    axes.set_xticks(at, [f"{n:g}" for n in at])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
