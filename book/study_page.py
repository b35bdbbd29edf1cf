"""`samplerproof study --html`: a study as one self-contained HTML page, its figures beside its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from ..numerics.studies.convergence_figure import figure_of, styles_of
from ..numerics.studies.figure_panel import Panel
from ..numerics.studies.inline_svg import PAGE, inline_svg
from ..numerics.studies.study_figure import METRICS, external_names, label_of, panels_of
from ..numerics.studies.study_table import study_notes, study_rows
from .markup import scientific
from .offline_page import document, table

Answer = Mapping[str, Any]


def page(answer: Answer, title: str) -> str:
    """The page as HTML: settings, and for every metric its figures and tables; then notes, grids, external samplers."""
    metrics = answer["manifest"]["run"]["metrics"]
    panels = {m: [panel for pair in _pairs(answer, m) for panel in pair] for m in metrics}
    styles = styles_of([panel for of in panels.values() for panel in of])
    parts = [f"<h1>{escape(title)}</h1>", table(("", ""), list(_settings(answer)), "settings")]
    for metric, of in panels.items():
        name = METRICS[metric]
        parts.append(f"<h2>{escape(name[0].upper() + name[1:])}</h2>")
        shown = [panel for panel in of if panel.drawable]
        drawn = [_figure(panel, inline_svg(figure_of([panel], styles, look=PAGE), f"{panel.name}-")) for panel in shown]
        parts.append(f"<div class=panels>{''.join(drawn)}</div>" if drawn else "<p>No value can be drawn.</p>")
        parts += _tables(answer, metric)
    parts += _section("Notes", ("",), [(note,) for note in study_notes(answer)])
    parts += _section("Grids", ("grid", "N", "severity", "finding"), list(_findings(answer)))
    parts += _section("External samplers", ("sampler", "grids", "equals", "nearest", "note"), list(_external(answer)))
    versions = ", ".join(f"{name} {version}" for name, version in answer["manifest"]["versions"].items())
    parts.append(f"<p>Made by samplerproof study, with {escape(versions)}.</p>")
    return document(title, parts)


def _pairs(answer: Answer, metric: str) -> Iterator[tuple[Panel, Panel]]:
    """Each panel of a metric against evaluations, and the same against steps."""
    return zip(*(panels_of(answer, metric, against) for against in ("nfe", "steps")), strict=True)


def tables(answer: Answer) -> str:
    """The tables of all metrics as HTML."""
    parts = []
    for metric in dict.fromkeys(metric for metric, _ in study_rows(answer)):
        parts += [f"<h3>{escape(METRICS[metric])}</h3>", *_tables(answer, metric)]
    return "\n".join(parts)


def _tables(answer: Answer, metric: str) -> Iterator[str]:
    """The tables of a metric, one for each grid, with the labels of methods."""
    for (of, grid), (heads, *rows) in study_rows(answer).items():
        if of == metric:
            named = [[label_of(name, external_names(answer)), *cells] for name, *cells in rows]
            yield f"<h3>{escape(grid)}</h3>" if grid else ""
            yield table(heads, named, f"{METRICS[metric]} {grid}".strip(), numbers=True)


def _section(title: str, heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    """A table under a title; nothing without rows."""
    return [f"<h2>{title}</h2>", table(heads, rows, title.lower())] if rows else []


def _findings(answer: Answer) -> Iterator[tuple[Any, ...]]:
    for grid in answer.get("grids", ()):
        for found in grid["findings"]:
            yield grid["name"], found["steps"], found["severity"], found["detail"]


def _external(answer: Answer) -> Iterator[tuple[Any, ...]]:
    """A row for each sampler and what it equals or is nearest to, with its grids, and the largest difference there."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for entry in answer.get("external", ()):
        note = "run as it is" if entry["linear"] is False else entry["note"]  # the deviation differs on every grid
        found.setdefault((entry["method"], entry["equals"], entry["nearest"], note), []).append(entry)
    for (method, equals, nearest, _), entries in found.items():
        steps: dict[str, list[str]] = {}
        for entry in entries:
            steps.setdefault(entry["grid"] or "", []).append(str(entry["steps"]))
        grids = "; ".join(f"{grid} N = {', '.join(of)}".strip() for grid, of in steps.items())
        worst = max(entries, key=lambda entry: entry["difference"] or 0)
        near = None
        if nearest is not None and equals is None:
            agrees = f"agrees on {worst['rows_equal']} of {worst['rows']} rows"
            near = f"{nearest} ({agrees}, {scientific(worst['difference'])} off)"
        yield method, grids, equals, near, worst["note"]


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
