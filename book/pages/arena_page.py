"""The page on the arena: what theorems state, what is true of targets whose laws are known, and what is not known."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...numerics.studies.convergence_figure import figure_of, save
from ...numerics.studies.figure_panel import EVALUATIONS, Curve, Panel
from ..markup import number, scientific, table
from ..records.kept_records import Entry
from ..studies.arena import AT_BUDGET, AT_FREQUENCY, BUDGETS, DIMENSIONS, MOST_TV, SIZES, power, value_of
from ..studies.bounds import FIXED_TIME, LOW_RANK, NARROW, PRODUCT
from ..studies.provable_systems import SYSTEMS, THEOREMS, System
from .myst import ONE_SIDEBAR, origin

FILE, PICTURE = "arena.md", "arena.svg"
HIGH = DIMENSIONS[-1]

PAGE = """# The arena of theorems

Papers prove how fast samplers approach the law of the data. Here their samplers run side by side on targets whose laws
are known, so that nothing is estimated: in d dimensions the targets are products, {product} and {low_rank}, the second
near a line, and the law of a run is a product too. Total variation comes from the law of the log ratio, KL and the
square of W2 are sums over coordinates, and samplers with noise are as exact as those without. Grids are uniform in t on
VP-linear from {t_max:g} to {t_min:g}; runs start from the exact law, so that there is no error of the start.

## What each theorem states

Up to logarithms; N is the number of steps, eps the error asked for. *From*: whether the statement was read in the
abstract of the paper or in a summary of it. Bodies of these papers could not be had, so no constant of a bound is here.

{theorems}

## What is true of these targets

The power that a distance follows between {low} and {high} evaluations, those of N in one dimension and in {top}, that
of d from {middle} to {top} at {budget} evaluations, on the product and near a line, and that of the size of an error
eps sin({frequency:g} x) of the score from {small:g} to {large:g}, at {budget} evaluations. *Order* is the proved
order of the table, in law for samplers with noise. A dash is an error below rounding, a total variation above {most},
which is near its largest value 1, or a run that folds the line or spreads far beyond the target. A bound holds for
any target: a smaller power here contradicts no theorem.

{powers}

## At {budget} evaluations

The smallest number of evaluations above or near {budget} that is a whole number of steps. *Constant* is TV N^p/d^q in
{top} dimensions with the powers p and q that the theorem has in N and d: what the constant of the bound must be at
least, logarithms left out.

{values}

```{{figure}} {picture}
:alt: Total variation of fourteen samplers against evaluations of the model in one and in {top} dimensions

Total variation against evaluations, in one dimension and on the product in {top}.
```

## Where the formulas come from

{formulas}

[Published figures, redone](figures.md) has what papers print of exactly known targets beside the same numbers by our
routes. On a Gaussian with a covariance of one's own, `samplerproof study` has W2 without sampling.

## What is not known

- Whether the exponents of d in the bounds are needed. Near a line of spread {narrow:g} and on products TV grows more
  slowly with d here than the bounds allow; of these papers one alone has a lower bound, of KL for DDPM.
- What the samplers of {chosen} are to the letter.
  Nodes, sweeps and clocks above are choices, marked so; orders and rates of the tables are facts about these choices.
  Where a power is steeper than the order, the error has not settled at these evaluations.
- Laws of samplers with noise on targets in d > 1 that are no product: samples estimate them
  ([measures of a study](manual.md)), and no such number is here.
- Errors of the Jacobian of the score, which two of the bounds contain: the error of the score here is one wave, whose
  Jacobian error is its frequency times as large.

Not in the arena:

{outside}

Renewed by `python -m samplerproof.book.records arena`, made {origin}, in {seconds:.0f} seconds.
"""


def arena(entry: Entry) -> dict[str, str | bytes]:
    """File -> content: the page and its figure.  entry: the kept result."""
    rows = entry["rows"]
    page = PAGE.format(
        product=PRODUCT.replace("^", "\\^"),
        low_rank=LOW_RANK.replace("^", "\\^"),
        theorems=_theorems(),
        powers=_powers(rows),
        values=_values(rows),
        formulas="\n".join(f"- {s.label}: {s.formula}." for s in SYSTEMS),
        outside="\n".join(f"- {_paper(t.arxiv)}, {t.title}: {t.outside}." for t in THEOREMS if t.outside),
        **{"low": BUDGETS[-2], "high": BUDGETS[-1], "top": HIGH, "middle": DIMENSIONS[-2], "budget": AT_BUDGET},
        **{"frequency": AT_FREQUENCY, "small": SIZES[-2], "large": SIZES[-1], "narrow": NARROW, "most": MOST_TV},
        picture=PICTURE,
        **FIXED_TIME,
        chosen=", ".join(map(_paper, dict.fromkeys(a for s in SYSTEMS if s.chosen for a in s.arxiv))),
        origin=origin(entry["manifest"]),
        seconds=entry["manifest"]["seconds"],
    )
    return {FILE: ONE_SIDEBAR + page, PICTURE: _figure(rows)}


def _paper(arxiv: str) -> str:
    return f"[{arxiv}](https://arxiv.org/abs/{arxiv})"


def _theorems() -> str:
    lines = [(_paper(t.arxiv), t.title, t.assumes, t.states, t.read) for t in THEOREMS]
    return table(("paper", "title", "assumes", "states", "from"), lines)


def _powers(rows: Sequence[dict[str, Any]]) -> str:
    lines = []
    for system in SYSTEMS:
        of = [row for row in rows if row["system"] == system.name]
        by_steps = [
            power(value_of(of, target=PRODUCT, dimension=d, metric=metric), "steps")
            for d, metric in ((1, "tv"), (1, "kl"), (1, "w2"), (HIGH, "tv"))
        ]
        at = [row for row in of if _near(row, system, rows)]
        by_dimension = [power(value_of(at, target=target, metric="tv"), "dimension") for target in (PRODUCT, LOW_RANK)]
        off = [row for row in at if row["size"]]
        numbers = [*by_steps, *by_dimension, power(sorted(off, key=lambda row: row["size"]), "size")]
        lines.append((system.label, number(system.order, "d"), *(number(value, ".2f") for value in numbers)))
    head = ("sampler", "order", "TV, N", "KL, N", "W2, N", f"TV, N, d = {HIGH}", "TV, d", "near a line, d", "TV, eps")
    return table(head, lines)


def _values(rows: Sequence[dict[str, Any]]) -> str:
    lines = []
    for system in SYSTEMS:
        at = [row for row in rows if row["system"] == system.name and _near(row, system, rows)]
        tv = [_value(at, PRODUCT, d, "tv") for d in DIMENSIONS]
        beside = [_value(at, LOW_RANK, HIGH, "tv"), _value(at, PRODUCT, HIGH, "kl"), _value(at, PRODUCT, HIGH, "w2")]
        lines.append(
            (
                system.label,
                str(at[0]["nfe"]),
                *map(scientific, (*tv, *beside)),
                _constant(system, at[0]["steps"], tv[-1]),
            )
        )
    dims = [f"TV, d = {d}" for d in DIMENSIONS]
    head = ("sampler", "evaluations", *dims, f"near a line, {HIGH}", f"KL, {HIGH}", f"W2, {HIGH}", "constant")
    return table(head, lines)


def _constant(system: System, steps: int, tv: float | None) -> str:
    parts = [
        f"{tv / (steps**t.steps * HIGH**t.dimension):.2g} ({t.arxiv})"
        for t in THEOREMS
        if tv is not None and t.arxiv in system.arxiv and t.steps is not None and t.dimension is not None
    ]
    return "; ".join(parts) or "-"


def _near(row: dict[str, Any], system: System, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether a record is of the run in whose place the budget is AT_BUDGET."""
    steps = list(dict.fromkeys(other["steps"] for other in rows if other["system"] == system.name))
    return bool(row["steps"] == steps[BUDGETS.index(AT_BUDGET)])


def _value(rows: Sequence[dict[str, Any]], target: str, dimension: int, metric: str) -> float | None:
    found = value_of(rows, target=target, dimension=dimension, metric=metric)
    return found[0]["value"] if found else None


def _figure(rows: Sequence[dict[str, Any]]) -> bytes:
    """TV against evaluations in the lowest and the highest dimension, as SVG."""
    panels = []
    for d in (DIMENSIONS[0], HIGH):
        curves = []
        for system in SYSTEMS:
            of = [r for r in rows if r["system"] == system.name]
            line = value_of(of, target=PRODUCT, dimension=d, metric="tv")
            if line:
                curves.append(Curve(system.name, system.label, [r["nfe"] for r in line], [r["value"] for r in line]))
        title = "one dimension" if d == 1 else f"{d} dimensions"
        panels.append(Panel(f"arena-{d}", title, EVALUATIONS, "total variation", curves, legend=d == 1))
    with tempfile.TemporaryDirectory() as folder:
        (path,) = save(figure_of(panels), Path(folder) / "arena", [".svg"])
        return path.read_bytes()
