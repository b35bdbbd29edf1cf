"""The figures of a study: error against evaluations (work-precision) and against steps (convergence), a panel a metric.

Colours and markers stand for methods, in all figures of a study; the style of a line for a grid, where a study has few
curves, and else every grid has a panel of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from ..catalogue import resolve
from ..errors import InputError
from ..records import Record
from ..support.files import write_text
from .convergence_figure import draw, draw_each, figure_of, styles_of
from .figure_panel import Curve, Panel, power
from .style import LINES

Axis = Literal["nfe", "steps"]
AXES: dict[str, str] = {"nfe": "work-precision", "steps": "convergence"}  # the name of a figure, by its horizontal axis
WHOLE = "study"  # the stem of the figure of all panels
CAPTIONS = "captions.md"
METRICS = {
    "tv": "total variation",
    "kl": "KL divergence",
    "w2": "Wasserstein distance",
    "trajectory": "trajectory error (rms)",
    "energy": "energy distance",
    "sliced-w2": "sliced Wasserstein distance",
    "moments": "error of the moments",
}
SQUARES = ("kl", "energy")  # metrics that are squares of a small error: their exponent is twice the order
EVALUATIONS = "evaluations of the model (NFE)"
ONE_PANEL = 6  # curves up to which all grids are in one panel
STATUS = {"turning": "still turning", "floor": "at its floor", "undefined": "not defined"}


def draw_study(answer: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw the figures of a study into a folder, as SVG, PNG and PDF; returns the paths.

    A file for every panel, work-precision-METRIC and convergence-METRIC, one for all of them, study, and the captions.
    No file if no value is positive.
    """
    pairs = [
        pair
        for metric in answer["manifest"]["run"]["metrics"]
        for pair in zip(panels_of(answer, metric, "steps"), panels_of(answer, metric, "nfe"), strict=True)
        if pair[0].drawable
    ]
    if not pairs:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    panels = [panel for pair in pairs for panel in pair]
    styles = styles_of(panels)
    beside = [panel for left, right in pairs for panel in (left, replace(right, legend=False))]
    paths = [*draw(beside, folder / WHOLE, styles), *draw_each(panels, folder, styles)]
    write_text(folder / CAPTIONS, captions(panels))
    return [*paths, folder / CAPTIONS]


def plot_study(answer: Mapping[str, Any], metric: str | None = None, against: Axis = "nfe") -> Figure:
    """A figure of one metric of a study, or of all of them.

    Raises InputError on a metric that the study does not have, on another axis, and where no value is positive.
    """
    metrics = answer["manifest"]["run"]["metrics"]
    if metric is not None and metric not in metrics:
        raise InputError("metric", metric, f"one of {', '.join(metrics)}, or None for all")
    if against not in AXES:
        raise InputError("against", against, "nfe or steps")
    wanted = metrics if metric is None else [metric]
    every = {name: panels_of(answer, name, against) for name in metrics}
    panels = [panel for name in wanted for panel in every[name] if panel.drawable]
    if not panels:
        raise InputError("metric", metric, "a metric with a positive value; the records have the reasons")
    return figure_of(panels, styles_of([panel for found in every.values() for panel in found]))


def captions(panels: Iterable[Panel]) -> str:
    """The captions of the panels, each under the name of its files."""
    return "\n\n".join(f"**{panel.name}**. {panel.caption}" for panel in panels) + "\n"


def panels_of(answer: Mapping[str, Any], metric: str, against: Axis) -> list[Panel]:
    """The panels of one metric against steps or evaluations: one for all grids, or one a grid."""
    records = [r for r in answer["records"] if r["metric"] == metric]
    methods = list(dict.fromkeys(r["method"] for r in records))
    grids = list(dict.fromkeys(r.get("grid") for r in records))
    together = len(grids) == 1 or len(grids) * len(methods) <= min(ONE_PANEL, len(LINES) * len(methods))
    return [_panel(answer, metric, against, methods, chosen) for chosen in ([grids] if together else [[g] for g in grids])]


def _panel(
    answer: Mapping[str, Any], metric: str, against: Axis, methods: Sequence[str], grids: Sequence[str | None]
) -> Panel:
    run, schedule = answer["manifest"]["run"], answer["manifest"]["schedule"]
    known = {name: _record(name) for name in methods}
    curves, slopes = [], {}
    for grid, line in zip(grids, LINES, strict=False):
        for method in methods:
            curve = _curve(answer, metric, against, method, grid, line if len(grids) > 1 else "-")
            curves.append(replace(curve, label=f"{curve.label}, {grid}") if len(grids) > 1 else curve)
            record = known[method]
            if against == "steps" and record is not None and curve.points:
                slope = _order(record, answer["manifest"]) * (2 if metric in SQUARES else 1)
                slopes.setdefault(slope, []).append((curve.points[-1][1], len(curves) - 1))
    where = f"{schedule['kind']} schedule" if grids == [None] else ""
    grid = answer["manifest"].get("grid")
    kind = grids[0] if len(grids) == 1 and grids[0] is not None else grid["kind"] if isinstance(grid, dict) else ""
    exact = run["start"] == "exact" and any(r is not None and r.start is not None for r in known.values())
    levels = schedule["kind"] == "li" or any(r is not None and r.family == "li" for r in known.values())
    steps = "steps N = T - 1" if levels else "steps N"
    place = ", ".join(part for part in (schedule["kind"], kind) if part)
    subtitle = "from exact start values" if exact else ""
    numbers = f"exponent a of {power('N', '-a')}, and its status" if any(curve.note for curve in curves) else ""
    name = f"{AXES[against]}-{metric}" + (f"-{kind}" if len(grids) == 1 and grids[0] is not None else "")
    panel = Panel(
        name=_file_name(name),
        title=place,
        xlabel=steps if against == "steps" else EVALUATIONS,
        ylabel=METRICS[metric],
        curves=curves,
        slopes=[(slope, min(ends)[1]) for slope, ends in sorted(slopes.items())],
        subtitle=subtitle,
        numbers=numbers,
    )
    return replace(panel, caption=_caption(panel, levels and against == "steps"))


def _curve(
    answer: Mapping[str, Any], metric: str, against: Axis, method: str, grid: str | None, line: str
) -> Curve:
    """The records of one method on one grid, in the order of N."""
    of = [r for r in answer["records"] if (r["method"], r["metric"], r.get("grid")) == (method, metric, grid)]
    of = sorted((r for r in of if against == "steps" or r["nfe"]), key=lambda r: r["steps"])
    fits = [f for f in answer["fits"] if (f["method"], f["metric"], f.get("grid", grid)) == (method, metric, grid)]
    expected = [r.get("leading_error") for r in of]
    intervals = any(r.get("low") is not None for r in of)
    return Curve(
        method=method,
        label=label_of(method),
        x=[r[against] for r in of],
        values=[r["value"] for r in of],
        note=note_of(fits[0]) if fits else "",
        leading_error=expected if any(e is not None for e in expected) else None,
        low=[r.get("low") for r in of] if intervals else None,
        high=[r.get("high") for r in of] if intervals else None,
        noise=[_noise(r) for r in of] if intervals else None,
        line=line,
    )


def note_of(fit: Mapping[str, Any]) -> str:
    """The exponent of a fit with the word that says what it is worth; nothing without that word."""
    status = fit.get("status")
    if not status:
        return ""
    word = STATUS.get(status, status)
    return word if fit["exponent"] is None else f"{fit['exponent']:.2f}, {word}"


def _noise(record: Mapping[str, Any]) -> bool:
    """Whether noise alone may explain an estimate."""
    value, low, floor = record["value"], record.get("low"), record.get("floor")
    return value is not None and ((low is not None and low <= 0) or (floor is not None and value <= floor))


def label_of(method: str) -> str:
    """The label of a method's record; of an external sampler its name, with no sign that matplotlib reads as math."""
    record = _record(method)
    return method.replace("$", r"\$") if record is None else record.label


def _record(method: str) -> Record | None:
    try:
        return resolve(method)
    except InputError:  # an external sampler
        return None


def _order(record: Record, manifest: Mapping[str, Any]) -> int:
    """The order that a study shows: with the start values of its runs, with noise in law."""
    if record.stochastic:
        return record.order_in_law(len(manifest["target"].get("weights", ())) == 1)
    return record.order if manifest["run"]["start"] == "exact" else record.order_asymptotic


def _caption(panel: Panel, levels: bool) -> str:
    """What the panel shows, in sentences."""
    parts = [f"{panel.ylabel[0].upper()}{panel.ylabel[1:]} against {panel.xlabel}, {panel.title}."]
    if panel.subtitle:
        parts.append(f"Runs are {panel.subtitle}.")
    if levels:
        parts.append("N steps lead through T = N + 1 noise levels.")
    if any(curve.leading_error is not None for curve in panel.curves):
        parts.append("Lines are leading errors, computed before the runs and not fitted.")
    if panel.slopes:
        parts.append("Dashed lines have the slopes of the proved orders; their heights mean nothing.")
    noted = [f"{curve.label} {curve.note}" for curve in panel.curves if curve.note]
    if noted:
        parts.append(f"Exponents a of N^-a: {'; '.join(noted)}.")
    return " ".join(parts)


def _file_name(name: str) -> str:
    """The name with letters that every file system takes."""
    return "".join(c if c.isalnum() or c in "-+._" else "-" for c in name)[:120]
