"""The figures of a study: error against evaluations (work-precision) and against steps (convergence), a panel a metric.

Colours and markers stand for methods, in all figures of a study; the style of a line for a grid, where a study has few
curves, and else every grid has a panel of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..catalogue import resolve
from ..errors import InputError
from ..rates import FEW, FLOOR, TURNING, UNDEFINED
from ..records import Record
from ..support.files import write_text
from .config import LI
from .convergence_figure import draw, figure_of, styles_of
from .figure_panel import EVALUATIONS, Curve, Panel, against_evaluations, power
from .fits import Curve as RecordCurve
from .fits import curve_of, curves, points
from .samplers import EXACT
from .style import LINES

AXES = {"nfe": "work-precision", "steps": "convergence"}  # the name of a figure, by its horizontal axis
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
STEPS, LEVELS = "steps N", "steps N = T - 1"
EXACT_START = "from exact start values"
ONE_PANEL = 6  # curves up to which all grids are in one panel, each with a style of line
WORDS = {TURNING: "still turning", FLOOR: "at its floor", UNDEFINED: "not defined"}
UNCERTAIN = "uncertain"  # of an exponent whose curve has no other status


def draw_study(answer: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw the figures of a study into a folder, as SVG, PNG and PDF; returns the paths.

    A figure for every metric and axis, work-precision-METRIC and convergence-METRIC, as wide as a column: its panels
    are below each other. And the captions. No file if no value is positive.
    """
    figures = {
        f"{name}-{metric}": panels
        for metric in answer["manifest"]["run"]["metrics"]
        for against, name in AXES.items()
        if (panels := [panel for panel in panels_of(answer, metric, against) if panel.drawable])
    }
    if not figures:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    every = [panel for panels in figures.values() for panel in panels]
    styles = styles_of(every)
    paths = [path for stem, panels in figures.items() for path in draw(panels, folder / stem, styles, columns=1)]
    write_text(folder / CAPTIONS, captions(every))
    return [*paths, folder / CAPTIONS]


def plot_study(
    answer: Mapping[str, Any], metric: str | None = None, against: str = "nfe", grid: str | None = None
) -> Figure:
    """A figure of one metric of a study, or of all of them, on one of its grids, or on all.

    Raises InputError on a metric or a grid that the study does not have, on another axis, and where no value is
    positive.
    """
    metrics = answer["manifest"]["run"]["metrics"]
    if metric is not None and metric not in metrics:
        raise InputError("metric", metric, f"one of {', '.join(metrics)}, or None for all")
    if against not in AXES:
        raise InputError("against", against, "nfe or steps")
    grids = list(dict.fromkeys(record["grid"] for record in answer["records"] if record["grid"]))
    if grid is not None and grid not in grids:
        raise InputError("grid", grid, f"one of {', '.join(grids)}, or None for all" if grids else "None")
    records = [record for record in answer["records"] if grid in (None, record["grid"])]
    wanted = metrics if metric is None else [metric]
    every = {name: panels_of({**answer, "records": records}, name, against) for name in metrics}
    panels = [panel for name in wanted for panel in every[name] if panel.drawable]
    if not panels:
        raise InputError("metric", metric, "a metric with a positive value; the records have the reasons")
    return figure_of(panels, styles_of([panel for found in every.values() for panel in found]))


def captions(panels: Iterable[Panel]) -> str:
    """The captions of the panels, each under the name of its files."""
    return "\n\n".join(f"**{panel.name}**. {panel.caption}" for panel in panels) + "\n"


def panels_of(answer: Mapping[str, Any], metric: str, against: str) -> list[Panel]:
    """The panels of one metric against steps or evaluations: one for all grids, or one a grid."""
    found = {curve: of for curve, of in curves(answer["records"]).items() if curve.metric == metric}
    grids = list(dict.fromkeys(curve.grid for curve in found))
    if not found:
        return []
    few = len(found) <= ONE_PANEL and len(grids) <= len(LINES)
    lines = all(len(of) > 1 for of in found.values())  # points alone have no style of line
    together = len(grids) == 1 or (few and lines)
    panels = [_panel(answer, found, chosen) for chosen in ([grids] if together else [[g] for g in grids])]
    if against == "nfe":
        panels = [against_evaluations(p, p.name.replace(AXES["steps"], AXES["nfe"], 1)) for p in panels]
    return [replace(panel, caption=caption(panel)) for panel in panels]


def _panel(
    answer: Mapping[str, Any],
    records: Mapping[RecordCurve, Sequence[Mapping[str, Any]]],
    grids: Sequence[str | None],
) -> Panel:
    """The curves on these grids against steps: of several grids, each has a style of line."""
    every = list(dict.fromkeys(curve.grid for curve in records))
    fits = {curve_of(fit): fit for fit in answer["fits"]}
    external = external_names(answer)
    lines = dict(zip(grids, LINES, strict=False))
    drawn: list[Curve] = []
    slopes = defaultdict[int, list[tuple[float, int]]](list)
    shown = [key for key in records if key.grid in grids]
    for key in shown:
        fit = fits.get(key, {})
        curve = curve_from(records[key], fit)
        curve = replace(curve, label=label_of(key.method, external), line=lines[key.grid])
        if equal := _equal(answer, key):
            curve = replace(curve, note="; ".join(filter(None, [curve.note, f"equals {equal}"])))
        if len(grids) > 1:
            curve = replace(curve, label=f"{curve.label}, {_grid_label(key.grid, every)}")
        known = fit.get("predicted")
        if known is not None and curve.points:
            slopes[_slope(fit)].append((curve.points[-1][1], len(drawn)))
        drawn.append(curve)
    methods = [_record(key.method) for key in records if key.method not in external]
    exact = answer["manifest"]["run"]["start"] == EXACT and any(r is not None and r.start is not None for r in methods)
    metric, grid = next(iter(records)).metric, _grid_label(grids[0], every) if len(grids) == 1 else ""
    if grids == [None] and answer["manifest"]["grid"]:
        grid = answer["manifest"]["grid"]["kind"]
    return Panel(
        name=_file_name("-".join([AXES["steps"], metric, *([grid] if len(every) > len(grids) else [])])),
        title=", ".join(part for part in (answer["manifest"]["schedule"]["kind"], grid) if part),
        xlabel=steps_label(drawn, answer["manifest"]["schedule"]["kind"]),
        ylabel=METRICS[metric],
        curves=drawn,
        slopes=[(slope, min(ends)[1]) for slope, ends in sorted(slopes.items())],
        subtitle=EXACT_START if exact else "",
        numbers=numbers_of(list(fits.values())) if any(note_of(fits.get(k, {})) for k in shown) else "",
    )


def steps_label(curves: Sequence[Curve], schedule: str) -> str:
    """The name of the axis of N: with T, where numbers of levels T = N + 1 are given, as they are round or on "li"."""
    steps = [x for curve in curves for x in curve.x]
    return LEVELS if schedule == LI or all((n + 1) % 5 == 0 for n in steps) else STEPS


def curve_from(records: Sequence[Mapping[str, Any]], fit: Mapping[str, Any]) -> Curve:
    """The records of one method, in the order of N, with the note of their fit."""
    of = sorted(records, key=lambda r: r["steps"])
    expected = [r.get("predicted") for r in of]
    intervals = any(r.get("low") is not None for r in of)
    return Curve(
        method=records[0]["method"],
        label=label_of(records[0]["method"]),
        x=[r["steps"] for r in of],
        values=[r["value"] for r in of],
        note=note_of(fit),
        nfe=[r.get("nfe") for r in of],
        leading_error=expected if any(e is not None for e in expected) else None,
        low=[r.get("low") for r in of] if intervals else None,
        high=[r.get("high") for r in of] if intervals else None,
        noise=[p.value is not None and not p.usable for p in points(of)],
    )


def numbers_of(fits: Sequence[Mapping[str, Any]]) -> str:
    """What the numbers in the notes of these fits are."""
    logarithm = "(log N)\u1d47 " if any(fit.get("log_power") for fit in fits) else ""
    return f"exponent a of {logarithm}{power('N', '-a')}, and its status"


def note_of(fit: Mapping[str, Any]) -> str:
    """The exponent of a fit with its status as a word; nothing without a status."""
    status = fit.get("status")
    if not status or fit.get("reason") == FEW:
        return ""
    word = WORDS.get(status, status)
    exponent = fit["compensated_exponent" if fit.get("log_power") else "exponent"]
    return word if exponent is None else f"{exponent:.2f}, {UNCERTAIN if status == UNDEFINED else word}"


def _slope(fit: Mapping[str, Any]) -> int:
    """The proved exponent that is drawn: with the start-up of the study, or steady where the last local order is nearer
    to that.
    """
    known, local = fit["predicted"], fit["local_orders"][-1:]
    orders: tuple[int, int] = known["start_up"], known["steady"]
    return min(orders, key=lambda order: abs(order - local[0])) if local else orders[0]


def _grid_label(grid: str | None, every: Sequence[str | None]) -> str:
    """The kind of a grid, or its whole name where another grid of the study has the same kind."""
    kinds = [name.partition("?")[0] for name in every if name]
    kind = (grid or "").partition("?")[0]
    return kind if kinds.count(kind) <= 1 else (grid or "")


def external_names(answer: Mapping[str, Any]) -> set[str]:
    """The names of a study's external samplers: such a name may also be the alias of a record."""
    return {entry["method"] for entry in answer.get("external", ())}


def _equal(answer: Mapping[str, Any], curve: RecordCurve) -> str | None:
    """The label of the method that an external sampler equals on all numbers of steps of a grid."""
    own = [e for e in answer.get("external", ()) if (e["method"], e.get("grid")) == (curve.method, curve.grid)]
    names: set[str | None] = {entry["equals"] for entry in own}
    if len(names) != 1 or (name := names.pop()) is None:
        return None
    method, bracket, ending = name.partition(" (")
    return label_of(method) + bracket + ending


def label_of(method: str, external: Collection[str] = ()) -> str:
    """The label of a method's record, with the name of another method where it was called so; of an external sampler
    its name.
    """
    record = None if method in external else _record(method)
    if record is None:
        return method
    base = method.partition("?")[0]
    other = base in record.aliases and ":" not in base
    return f"{record.label} ({base})" if other else record.label


def _record(method: str) -> Record | None:
    try:
        return resolve(method)
    except InputError:
        return None


def caption(panel: Panel) -> str:
    """What the panel shows, in sentences."""
    against = panel.xlabel if panel.xlabel == EVALUATIONS else "number of steps N"
    parts = [f"{panel.ylabel[0].upper()}{panel.ylabel[1:]} against {against}; {panel.title}."]
    if panel.subtitle:
        parts.append(f"Runs are {panel.subtitle}.")
    if panel.xlabel == LEVELS:
        parts.append("N steps lead through T = N + 1 noise levels.")
    if any(curve.leading_error is not None for curve in panel.curves):
        parts.append(
            "Full lines are leading errors, computed before the runs and not fitted; pale lines join measured points."
        )
    if panel.slopes:
        parts.append("Dashed lines have the slopes of the proved orders; their heights mean nothing.")
    noted = [f"{curve.label} {curve.note}" for curve in panel.curves if curve.note and curve.points]
    if noted:
        parts.append(f"Exponents a of {power('N', '-a')}: {'; '.join(noted)}.")
    empty = [curve.label for curve in panel.curves if not curve.points]
    if empty:
        parts.append(f"No value of {', '.join(empty)}.")
    return " ".join(parts)


def _file_name(name: str) -> str:
    """The name with letters that every file system takes."""
    return "".join(c if c.isalnum() or c in "-+._" else "-" for c in name)[:120]
