"""`samplerproof study --html`: a study as one self-contained HTML page, its figures beside its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ..numerics.studies.convergence_figure import figure_of, styles_of
from ..numerics.studies.figure_panel import Panel
from ..numerics.studies.fits import Curve, curve_of, curves, points
from ..numerics.studies.inline_svg import PAGE, inline_svg
from ..numerics.studies.study_figure import METRICS, label_of, note_of, panels_of
from .offline_page import document, table

Answer = Mapping[str, Any]
NOISE = "*"  # marks a value that may be noise, bias or rounding


def page(answer: Answer, title: str) -> str:
    """The page as HTML: settings, and for every metric its figures and its table; then what has no value, and why."""
    metrics = answer["manifest"]["run"]["metrics"]
    panels = {m: [p for against in ("nfe", "steps") for p in panels_of(answer, m, against)] for m in metrics}
    styles = styles_of([panel for of in panels.values() for panel in of])
    parts = [f"<h1>{escape(title)}</h1>", table(("", ""), list(_settings(answer)), "settings")]
    for metric, of in panels.items():
        name = METRICS[metric]
        parts.append(f"<h2>{escape(name[0].upper() + name[1:])}</h2>")
        shown = [panel for panel in of if panel.drawable]
        drawn = [_figure(panel, inline_svg(figure_of([panel], styles, look=PAGE), f"{panel.name}-")) for panel in shown]
        parts.append(f"<div class=panels>{''.join(drawn)}</div>" if drawn else "<p>No value can be drawn.</p>")
        parts += _tables(answer, metric)
    reasons = list(_reasons(answer))
    if reasons:
        parts += ["<h2>Without a value</h2>", table(("method", "metric", "N", "reason"), reasons, "without a value")]
    versions = ", ".join(f"{name} {version}" for name, version in answer["manifest"]["versions"].items())
    parts.append(f"<p>Made by samplerproof study, with {escape(versions)}.</p>")
    return document(title, parts)


def tables(answer: Answer) -> str:
    """The tables of all metrics as HTML."""
    return "\n".join(part for metric in answer["manifest"]["run"]["metrics"] for part in _tables(answer, metric))


def _figure(panel: Panel, svg: str) -> str:
    """A figure with its caption; a screen reader reads the caption and passes over the drawing."""
    return f"<figure><div aria-hidden=true>{svg}</div><figcaption>{escape(panel.caption)}</figcaption></figure>"


def _settings(answer: Answer) -> Iterator[tuple[str, str]]:
    """The settings of the study, each on a line."""
    manifest = answer["manifest"]
    for name in ("target", "schedule", "grid"):
        found = manifest[name]
        for choice in found if isinstance(found, list) else [found] if found else []:
            yield name, _plain(choice)
    run = manifest["run"]
    yield "run", _plain({key: run[key] for key in ("init", "start", "points", "seed") if key in run})


def _plain(choice: Mapping[str, Any]) -> str:
    """The entries of a table, on one line; a long list is counted."""
    parts = []
    for key, value in choice.items():
        text = str(value)
        shown = f"{len(value)} entries" if isinstance(value, list) and len(text) > 120 else text
        parts.append(shown if key == "kind" else f"{key} {shown}")
    return ", ".join(parts)


def _tables(answer: Answer, metric: str) -> list[str]:
    """Error by N of every curve of a metric, the number of evaluations on the last N, the exponent and its status."""
    found = {curve: of for curve, of in curves(answer["records"]).items() if curve.metric == metric}
    fits = {curve_of(fit): fit for fit in answer["fits"]}
    several = len({curve.grid for curve in found}) > 1
    numbers = sorted({record["steps"] for of in found.values() for record in of})
    rows, noisy = [], False
    for curve, of in found.items():
        cells = {p.steps: _cell(p.value, p.value is not None and not p.usable) for p in points(of)}
        noisy = noisy or any(cell.endswith(NOISE) for cell in cells.values())
        names = [label_of(curve.method), *([curve.grid] if several else [])]
        rows.append([*names, *(cells.get(n) for n in numbers), _evaluations(of), *_orders(fits.get(curve, {}))])
    head = ["method", *(["grid"] if several else []), *(f"N = {n}" for n in numbers)]
    head += [f"NFE at N = {numbers[-1]}", "exponent", "status", "proved"]
    made = table(head, rows, f"{METRICS[metric]} by number of steps", numbers=True)
    return [made, f"<p>{NOISE} may be noise, bias or rounding.</p>"] if noisy else [made]


def _cell(value: float | None, noise: bool) -> str:
    return "-" if value is None else f"{value:.3g}{NOISE if noise else ''}"


def _evaluations(records: Sequence[Mapping[str, Any]]) -> int | None:
    """The evaluations on the most steps."""
    last: int | None = max(records, key=lambda record: record["steps"])["nfe"]
    return last


def _orders(fit: Mapping[str, Any]) -> list[str | None]:
    """Exponent, status and proved exponent of a fit: no exponent without its status."""
    exponent, _, status = note_of(fit).rpartition(", ")
    known = fit.get("predicted")
    return [exponent or None, status or None, None if known is None else str(known["start_up"])]


def _reasons(answer: Answer) -> Iterator[tuple[str, str, str, str]]:
    """Method, metric, numbers of steps and reason of the records without a value."""
    found: dict[tuple[Curve, str], list[int]] = {}
    for record in answer["records"]:
        if record["value"] is None:
            found.setdefault((curve_of(record), record.get("reason") or "not known"), []).append(record["steps"])
    for (curve, reason), steps in found.items():
        where = f", {curve.grid}" if curve.grid else ""
        yield label_of(curve.method) + where, METRICS[curve.metric], ", ".join(map(str, steps)), reason
