"""The page on short runs: why iPNDM leads at few evaluations, from the kept signed errors."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...numerics.studies.convergence_figure import save
from ...numerics.studies.study_figure import label_of
from ...numerics.studies.style import STYLE
from ..markup import table
from ..records.kept_records import Entry
from ..studies.signed_errors import GRIDS, LEADERS, METHODS, SEEDS, SHORT_RUNS, STARTS
from .myst import ONE_SIDEBAR, link, origin

FILE, PICTURE = "short_runs.md", "short_runs.svg"
DIMS = (1, 2)  # of the mixtures

PAGE = """# Why iPNDM leads at few evaluations

`ipndm-3` and `ipndm-4` have proved order 2, and yet one of them has the least error of the samplers below in {leads} of
{cases} cases, which are of five to ten evaluations. On mixtures the reason can be computed. To first order the error
of a sample is a sum over the rows of the table,

$$
e = \\sum_i G_i \\, \\delta_i , \\qquad G = \\text{{last row of }} (1 - S - O J)^{{-1}} ,
$$

with $\\delta_i$ the defect of row $i$ on the exact path, $S$ and $O$ the coefficients of states and data predictions,
and $J$ the Jacobian of the data prediction. The *size* is $\\sum_i |G_i \\delta_i|$; the share of it that is *left* is
what the signs of the rows do not cancel. The tables have geometric means over {mixtures} random mixtures of five
components in each dimension, {starts} starts each, on the schedule `edm` between sigma = {noisy} and {clean}, the ends
of Stable Diffusion's levels; each sampler is on the best of three grids for it (equal in lambda, Karras with rho 3 and
7), with its own start-up.

## One dimension

{one}

## Two dimensions

{two}

```{{figure}} {picture}
:alt: Sizes and errors of samplers on mixtures at 5, 8 and 10 evaluations

Pale: the sum of the sizes of the rows. Dark: the error, measured. One dimension, each sampler on its best grid.
```

## What is true

In one dimension, with three numbers for 5, 8 and 10 evaluations:

- **The order explains little of it.** `exp-adams-noise-3` has the same frame, the same clock and the same nodes as
  `ipndm-3`, and weights that are right for unequal steps, order 3. On steps equal in lambda, from exact start values,
  its size is {same} and its error {exact} times that of `ipndm-3`.
- **The frame makes the rows small.** `exp-adams-3`, the same rule on the data prediction, has {frame} times the size
  of `ipndm-3` on steps equal in lambda.
- **Signs make the sum small.** In the noise frame over lambda most of the size cancels. The rows of `deis-tab2`, over
  t, have {sizes} times the size, each sampler on its best grid, but less of it cancels: {deis} of the size is left,
  against {left} with `ipndm-3`.
- **Its start-up helps, most at five evaluations.** With it `ipndm-3` has {ramp} times the error that it has from exact
  start values, on steps equal in lambda, though its first steps have order one: part of their error cancels too.

## Limits

The first order explains the error in one dimension, where the error is {near} times the prediction; in two dimensions
it is {far} times the prediction, so that the decomposition may be less than half of it. The signs depend on the
target: on a law for which the rows do not cancel nothing remains but the frame. No network is decomposed here.

Made {origin}, by `python -m samplerproof.book.records signed-errors`.
"""


def short_runs(entry: Entry) -> dict[str, str | bytes]:
    """File -> content: the page and its picture.  entry: the kept signed errors."""
    rows: list[dict[str, Any]] = entry["rows"]
    cases = [(dim, nfe) for dim in DIMS for nfe in SHORT_RUNS]
    page = PAGE.format(
        one=_table(rows, 1),
        two=_table(rows, 2),
        picture=PICTURE,
        leads=sum(min(METHODS, key=lambda m: _best(rows, *case, m)["measured"]) in LEADERS for case in cases),
        cases=len(cases),
        noisy=GRIDS["karras rho=7"]["sigma_max"],
        clean=GRIDS["karras rho=7"]["sigma_min"],
        mixtures=len(SEEDS),
        starts=STARTS,
        same=_ratios(rows, ("exp-adams-noise-3", "exact"), ("ipndm-3", "exact"), "sizes"),
        exact=_ratios(rows, ("exp-adams-noise-3", "exact"), ("ipndm-3", "exact"), "measured"),
        frame=_ratios(rows, ("exp-adams-3", "ramp"), ("ipndm-3", "ramp"), "sizes"),
        ramp=_ratios(rows, ("ipndm-3", "ramp"), ("ipndm-3", "exact"), "measured"),
        deis=_several(f"{_best(rows, 1, nfe, 'deis-tab2')['left']:.2f}" for nfe in SHORT_RUNS),
        left=_several(f"{_best(rows, 1, nfe, 'ipndm-3')['left']:.2f}" for nfe in SHORT_RUNS),
        sizes=_several(
            f"{_best(rows, 1, nfe, 'deis-tab2')['sizes'] / _best(rows, 1, nfe, 'ipndm-3')['sizes']:.2f}"
            for nfe in SHORT_RUNS
        ),
        near=_beside_first_order(rows, 1),
        far=_beside_first_order(rows, 2),
        origin=origin(entry["manifest"]),
    )
    return {FILE: ONE_SIDEBAR + page, PICTURE: _figure(rows)}


def _best(rows: list[dict[str, Any]], dim: int, nfe: int, method: str) -> dict[str, Any]:
    """The row of the grid on which the error measured is smallest."""
    of = [r for r in rows if (r["dim"], r["nfe"], r["method"], r["start"]) == (dim, nfe, method, "ramp")]
    return min(of, key=lambda r: float(r["measured"]))


def _ratios(rows: list[dict[str, Any]], first: tuple[str, str], second: tuple[str, str], part: str) -> str:
    """The ratio of a part of two samplers on steps equal in lambda, in one dimension, at each number of evaluations."""
    found = []
    for nfe in SHORT_RUNS:
        values = [
            next(
                r[part]
                for r in rows
                if (r["dim"], r["nfe"], r["grid"], r["method"], r["start"]) == (1, nfe, "uniform-lambda", *of)
            )
            for of in (first, second)
        ]
        found.append(f"{values[0] / values[1]:.2f}")
    return _several(found)


def _beside_first_order(rows: list[dict[str, Any]], dim: int) -> str:
    """The least and the largest ratio of the error measured to its first order, as in the table of a dimension."""
    best = [_best(rows, dim, nfe, method) for nfe in SHORT_RUNS for method in METHODS]
    found = [b["measured"] / b["first_order"] for b in best]
    return f"{min(found):.2f} to {max(found):.2f}"


def _several(texts: Any) -> str:
    *most, last = texts
    return f"{', '.join(most)} and {last}"


def _table(rows: list[dict[str, Any]], dim: int) -> str:
    lines = []
    for method in METHODS:
        for nfe in SHORT_RUNS:
            best = _best(rows, dim, nfe, method)
            numbers = [f"{best[part]:.3f}" for part in ("measured", "first_order", "sizes")]
            lines.append((link(method, "methods/"), str(nfe), best["grid"], *numbers, f"{best['left']:.2f}"))
    return table(("sampler", "evaluations", "best grid", "error", "first order", "size", "left"), lines)


def _figure(rows: list[dict[str, Any]]) -> bytes:
    """Sizes and errors as bars, a panel a number of evaluations, as SVG."""
    with mpl.rc_context({**STYLE, "axes.grid": False}), tempfile.TemporaryDirectory() as folder:
        figure = Figure(figsize=(9.2, 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, len(SHORT_RUNS), sharey=True)
        for place, nfe in zip(axes, SHORT_RUNS, strict=True):
            best = [_best(rows, 1, nfe, method) for method in METHODS]
            place.barh(range(len(best)), [b["sizes"] for b in best], color="#b8c7d9", label="sum of sizes")
            place.barh(range(len(best)), [b["measured"] for b in best], color="#1f4e79", height=0.4, label="error")
            place.set_title(f"{nfe} evaluations")
        axes[0].set_yticks(range(len(METHODS)), [label_of(method) for method in METHODS])
        axes[0].invert_yaxis()
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        (path,) = save(figure, Path(folder) / "short_runs", [".svg"])
        return path.read_bytes()
