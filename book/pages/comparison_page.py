"""The page that compares samplers: kept errors over evaluations, drawn in the browser, and the least of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...numerics.catalogue import METHODS
from ...numerics.studies.style import COLOURS
from ..markup import table
from ..records.kept_records import ROOT
from .myst import ONE_SIDEBAR, link, sampler_page

BUDGETS = (10, 20, 50)  # evaluations
FIRST = ("ddim", "dpm-solver++-2m", "unipc-2")  # shown when the page is opened
TARGETS = {
    "exact": "the mixture on the line, from exact start values",
    "ramp": "the mixture on the line",
    "noise": "the mixture on the line, samplers with noise",
    "gaussian": "one Gaussian, samplers with noise and history",
}
UNIFORM = "uniform-lambda"
TRAJECTORY, RELATIVE, VARIATION = "trajectory error", "relative trajectory error", "total variation"
# Evaluations, measured error, leading error before the run or None.
Point = tuple[int, float, float | None]


@dataclass(frozen=True)
class Setting:
    """A target and a grid, with the points of every sampler that was measured there."""

    target: str
    grid: str
    metric: str
    series: dict[str, list[Point]] = field(default_factory=dict)

    def best(self, budget: int) -> tuple[str, Point] | None:
        """The sampler with the least error of all runs of at most that many evaluations, and its run.

        None where no run has more than half as many: shorter runs do not answer for longer ones.
        """
        runs = [(name, p) for name, points in self.series.items() for p in points if p[0] <= budget]
        if not any(2 * p[0] > budget for _, p in runs):
            return None
        return min(runs, key=lambda run: run[1][1], default=None)


def comparison(
    convergence: Iterable[Mapping[str, Any]], signed: Mapping[str, Any], networks: Mapping[str, Any]
) -> dict[str, str]:
    """File -> text.  The kept errors of samplers, of short runs and of networks, as the other pages show them."""
    settings = [
        *_of_mixtures(convergence),
        *_of_short_runs(signed["rows"]),
        *_of_networks(networks),
    ]
    data = {
        "settings": [{**vars(s), "series": {n: _rounded(p) for n, p in s.series.items()}} for s in settings],
        "pages": {name: sampler_page(name) for name in METHODS},
        "colours": [*COLOURS[:-1], "currentColor"],
        "budgets": BUDGETS,
        "first": FIRST,
    }
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    script = (ROOT / "book" / "scripts" / "compare.js").read_text(encoding="utf-8")
    html = f'{FORM}<script type="application/json" id="compare-data">{text}</script>\n<script>\n{script}</script>\n'
    intro = (
        "Choose a target, a grid and samplers. Points are measured, from the records that other pages show; a solid "
        "line is the leading error, which is computed before a run; a dotted line only joins points for which none is "
        "known. The address of the page changes with the choice, so that it can be kept. Everything is on this page: "
        "nothing is fetched."
    )
    page = ["# Compare samplers", intro, "```{raw} html\n:file: comparison.html\n```", *_answers(settings)]
    return {"comparison.md": ONE_SIDEBAR + "\n\n".join(page) + "\n", "comparison.html": html}


def _answers(settings: Iterable[Setting]) -> Iterator[str]:
    yield "## Which sampler at 10, 20 and 50 evaluations?"
    yield (
        "The least error among the kept runs of at most so many evaluations, for each target and grid, over all "
        "samplers of the catalogue that were measured there. A sampler that was not measured is not in the running, "
        "and a first place by a few per cent decides nothing."
    )
    rows = []
    for setting in settings:
        cells = [f"{link(won[0], 'methods/')} {won[1][1]:.2g}" if (won := setting.best(b)) else "-" for b in BUDGETS]
        rows.append((setting.target, setting.grid, setting.metric, *cells))
    yield table(("target", "grid", "error", *map(str, BUDGETS)), rows)


def _of_mixtures(entries: Iterable[Mapping[str, Any]]) -> list[Setting]:
    """A sampler without start-up is the same with its own start as from exact start values."""
    settings = {k: Setting(t, UNIFORM, TRAJECTORY if k in ("exact", "ramp") else VARIATION) for k, t in TARGETS.items()}
    for entry in entries:
        own = [entry["kind"]] + ["ramp"] * (entry["kind"] == "exact" and not METHODS[entry["method"]].history)
        for kind in own:
            point = (entry["nfe"], entry["value"], entry["predicted"])
            _add(settings[kind], entry["method"], point)
    return [settings[kind] for kind in TARGETS]


def _of_short_runs(rows: Iterable[Mapping[str, Any]]) -> list[Setting]:
    settings: dict[tuple[int, str], Setting] = {}
    for row in rows:
        if row["start"] == "ramp":
            target = f"random mixtures in {row['dim']} dimension{'s' * (row['dim'] > 1)}, short runs"
            setting = settings.setdefault((row["dim"], row["grid"]), Setting(target, row["grid"], TRAJECTORY))
            _add(setting, row["method"], (row["nfe"], row["measured"], None))
    return list(settings.values())


def _of_networks(answer: Mapping[str, Any]) -> list[Setting]:
    """With each sampler's own start-up; errors over the root mean square of a sample."""
    settings: dict[str, Setting] = {}
    for cost in answer["costs"]:
        name = cost["network"]
        setting = settings.setdefault(name, Setting(f"the network {name}", UNIFORM, RELATIVE))
        for count, value in cost["points"]:
            _add(setting, cost["method"], (count, value, None))
    return list(settings.values())


def _add(setting: Setting, method: str, point: tuple[int, float | None, float | None]) -> None:
    count, value, predicted = point
    if value:
        setting.series.setdefault(method, []).append((count, value, predicted))


def _rounded(points: Iterable[Point]) -> list[list[float | None]]:
    return [[n, float(f"{e:.4g}"), None if p is None else float(f"{p:.4g}")] for n, e, p in sorted(points)]


FORM = """<form id="compare" class="compare">
<div class="compare-choices">
<label for="compare-target">Target</label> <select id="compare-target" name="target"></select>
<label for="compare-grid">Grid</label> <select id="compare-grid" name="grid"></select>
<button type="button" id="compare-none">Choose none</button>
</div>
<fieldset><legend>Samplers</legend><div id="compare-names" class="compare-names"></div></fieldset>
</form>
<noscript><p>The picture is drawn by a script of this page; the table below answers without it.</p></noscript>
<p id="compare-status" role="status"></p>
<div id="compare-picture" class="compare-picture"></div>
<div class="compare-table" tabindex="0" role="region" aria-label="The numbers of the picture">
<table class="table"><thead><tr><th scope="col">sampler</th><th scope="col">evaluations: measured error</th>
<th scope="col">evaluations: leading error</th></tr></thead><tbody id="compare-rows"></tbody></table></div>
"""
