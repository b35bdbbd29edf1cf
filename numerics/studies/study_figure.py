"""The figure of a study: the error of each method over the number of steps, a panel for each metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .convergence_figure import Curve, Panel, draw


def study_figure(answer: dict[str, Any], stem: Path) -> list[Path]:
    """Draw the answer of a study into stem.svg and stem.png; returns the paths.  No file if no value is positive."""
    panels = [_panel(answer, metric) for metric in answer["manifest"]["run"]["metrics"]]
    shown = [panel for panel in panels if any(curve.points for curve in panel.curves)]
    if not shown:
        return []
    stem.parent.mkdir(parents=True, exist_ok=True)
    return draw(shown, stem)


def _panel(answer: dict[str, Any], metric: str) -> Panel:
    """The curves of one metric, each with its fitted exponent."""
    curves, several = [], len({fit["grid"] for fit in answer["fits"]}) > 1
    for fit in answer["fits"]:
        if fit["metric"] == metric:
            of = (fit["method"], fit["grid"], metric)
            curve = [r for r in answer["records"] if (r["method"], r["grid"], r["metric"]) == of]
            curve.sort(key=lambda record: record["steps"])
            label = f"{fit['method']}, {fit['grid']}" if several else fit["method"]
            steps, values = [r["steps"] for r in curve], [r["value"] for r in curve]
            curves.append(Curve(label, steps, values, fit["exponent"]))
    return Panel(metric, f"error in {metric}", curves)
