"""The page on designed samplers: how a table is made for a model, what it reaches, and what one for all cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from scipy.stats import spearmanr

from ...numerics.studies.style import COLOURS
from ..markup import table
from ..records.kept_records import Entry
from ..studies.advice_regret import DRAWN, NETWORKS
from ..studies.design_study import CASES, COMPONENTS, STARTS
from ..studies.transferred_tables import MIXTURES, NFE, SHAPES
from .method_picture import drawn, figure
from .myst import ONE_SIDEBAR, origin

FILE = "designs.md"
LINE, EDGES, BELOW = 0.16, 0.8, 0.5  # of the picture, in inches: a case, what is above and below all, that below
GOAL = 1.3  # of the gain over the best record
MARKED = {"dpm-solver++-2m": ("2M", "o"), "best": ("best record", "s"), "designed": ("designed", "D")}

PAGE = """# Designed samplers

`samplerproof design TARGET --nfe 8` makes a table for a model: its levels, and weights of the last four outputs,

$$
y_{{n+1}} = e^{{-h}} y_n + (1 - e^{{-h}}) \\sum_{{k=0}}^{{3}} w_{{n,k}} D_{{n-k}}, \\qquad \\sum_k w_{{n,k}} = 1,
$$

with $y = x/\\alpha$, $h$ the step in $\\lambda$ and $D$ the data prediction. The sum is the condition of order one, so
that every row integrates a constant prediction exactly. That is proved of a designed table, with a bound for the growth
of errors on Gaussian models and for the digits that rounding costs. No order beyond one is proved:
[at few evaluations](short_runs.md) the order of a sampler does not decide, but how the errors of its rows cancel.

## How it is made

A table reads nothing of a model but its outputs. Along a recorded trajectory its rows therefore have errors that are
known without running it, and an error of a state comes back through the Jacobian of the data prediction, which
difference quotients record along the few directions that a trajectory has:

$$
e_{{n+1}} = e^{{-h}} e_n + (1 - e^{{-h}}) \\sum_k w_{{n,k}} (D^*_{{n-k}} + J_{{n-k}} e_{{n-k}})
- (y^*_{{n+1}} - e^{{-h}} y^*_n).
$$

The last $e$ is the error of the sample, with its sign, as a function of levels and weights. A least-squares fit over 64
trajectories in up to eight dimensions, 24 in more, minimises it, starting from records of the catalogue; a ridge ties
to them what the trajectories do not decide. The strength of the ridge is chosen on other trajectories, and the result
is confirmed on a third set, against the best record on its best levels: that record is the answer where it is better.

## What it reaches

One random mixture in each of {count} dimensions d and {networks} networks, at N evaluations; {measured} of {cases}
cases were measured. Errors are at held-out starts, geometric means over them. The best record is the best of all
deterministic records on all kinds of levels, {compared}, chosen on the very samples that it is judged on; 2M, UniPC-2
and UniPC-3 are on their best levels likewise. On 21cmpsdenoiser, which is slow, {drawn} pairs drawn beforehand are
compared beside these three, on {starts} starts. The mixtures and the held-out starts were drawn with a seed made of the
hash of the commit that measured.

{picture}

{rows}

The last three columns have the error of the best record, of 2M and of UniPC-2 over that of the designed table.
{summary} Made {origin}, by `python -m samplerproof.book.records designs`.
A design took {seconds} seconds of one core.

## What one table for all cannot do

A table sees a model through the curves $D^*(\\lambda)$ of its trajectories alone, and weights that cancel the errors of
one family of curves do not cancel those of another. In one dimension the curves of a Gaussian are multiples of one
curve, and a few numbers leave no error; data of many scales have curves of many shapes. For the same reason weights
that are the best for each step alone are not the best of a run: they lose the cancellation between steps.
{transfer}
## Limits

The linearised model neglects the square of an error: where samples end far from their trajectory, as near a boundary
between two modes or on pictures, the predicted error is too small, and the gain is less. In the table the error is
{optimism} times the predicted one. `--tune` goes on through the model itself; what it gains is not measured here, nor
are other mixtures, other ends of the levels, and guidance. The networks are small ones,
and the errors are distances to the model's own flow, not distances of pictures to data.
"""

TRANSFER = """
Tables for N = {steps} were made for five targets, and run on all five at held-out starts: a mixture in eight
dimensions, one in 64 whose variances fall as 1/f^2, as those of pictures do, and three networks. Rows: what the table
was made for; columns: on what it runs. A number is its error over that of the best of 2M, UniPC-2 and UniPC-3 on their
best levels there.

{ratios}

{best} of {count} tables are the best on their own target, and {worse} of the {others} other errors are larger than that
of the best record. Tables made for mixtures, with the variances of pictures or without, have {least} and {most} times
its error on photos. The curves show a reason: the share, of the square of $D^*(\\lambda) - D^*(\\lambda_0)$, that lies
outside of the first {shapes} principal shapes of the curves of the target that a table was made for.

{outside}

Over the {others} pairs the rank correlation of this share with the error is {correlation:.2f}. The spectrum of pictures
alone does not bring their curves. Made {origin}, by `python -m samplerproof.book.records transferred`.
"""


def designs_page(results: Mapping[str, Entry], transferred: Mapping[str, Entry] | None = None) -> dict[str, str]:
    """File -> text.  results: what is kept of designed tables; without any the page has no figures.

    transferred: what is kept of tables on other targets than their own.
    """
    if not results:
        return {FILE: ONE_SIDEBAR + PAGE.partition("## What it reaches")[0].replace("{{", "{").replace("}}", "}")}
    head = (
        "target",
        "N",
        "designed",
        "predicted",
        "best record",
        "2M",
        "UniPC-2",
        "UniPC-3",
        "to the best",
        "to 2M",
        "to UniPC-2",
    )
    rows = [_row(name, entry) for name, entry in results.items()]
    gains, medians, roots = (_gains(results, name) for name in ("middle", "median", "rms"))
    summary = (
        f"To the best record this ratio lies between {gains[0]:.3g} and {gains[-1]:.3g}, and is {GOAL} or more in "
        f"{sum(gain >= GOAL for gain in gains)} of {len(gains)} cases; of medians it is at least {medians[0]:.3g}, of "
        f"root mean squares {roots[0]:.3g}: `design` returns the table with the smaller geometric mean on trajectories "
        "that nothing was chosen by, which the worst samples do not decide."
    )
    seconds = [entry["cpu_seconds"] for entry in results.values()]
    compared = sorted({entry["compared"] for name, entry in results.items() if not name.startswith(tuple(DRAWN))})
    counts = f"{compared[0]} pairs" if len(compared) == 1 else f"{compared[0]} to {compared[-1]} pairs"
    off = sorted(_errors(entry)["designed"] / entry["predicted"] for entry in results.values())
    first = next(iter(results.values()))
    text = PAGE.format(
        compared=counts,
        measured=len(results),
        cases=len(CASES),
        seconds=f"{min(seconds):.0f} to {max(seconds):.0f}",
        count=len(COMPONENTS),
        networks=len(NETWORKS),
        drawn=DRAWN["21cmpsdenoiser"],
        starts=STARTS["21cmpsdenoiser"],
        optimism=f"{off[0]:.2g} to {off[-1]:.2g}",
        picture=_picture(results),
        rows=table(head, rows),
        summary=summary,
        origin=origin(first["manifest"]),
        transfer="".join(map(_transfer, (transferred or {}).values())),
    )
    return {FILE: ONE_SIDEBAR + text}


def _transfer(entry: Entry) -> str:
    """The tables of what a table reaches on other targets."""
    targets = entry["targets"]

    def square(of: Mapping[str, Mapping[str, float]], form: str) -> str:
        rows = [(a, *(format(of[a][b], form) for b in targets)) for a in targets]
        return table(("made for", *targets), rows)

    pairs = [(a, b) for a in targets for b in targets if a != b]
    ratios, outside = ([entry[key][a][b] for a, b in pairs] for key in ("ratios", "outside"))
    on_photos = sorted(entry["ratios"][a]["photos"] for a in MIXTURES)
    return TRANSFER.format(
        steps=NFE,
        shapes=SHAPES,
        ratios=square(entry["ratios"], ".2g"),
        outside=square(entry["outside"], ".1e"),
        best=sum(min(targets, key=lambda a: entry["ratios"][a][b]) == b for b in targets),
        count=len(targets),
        worse=sum(ratio > 1 for ratio in ratios),
        others=len(pairs),
        least=f"{on_photos[0]:.2g}",
        most=f"{on_photos[-1]:.2g}",
        correlation=float(spearmanr(ratios, outside)[0]),
        origin=origin(entry["manifest"]),
    )


def _gains(results: Mapping[str, Entry], statistic: str) -> list[float]:
    """The errors of the best record over those of the designed table, the least first."""
    errors = [entry["errors"][statistic] for entry in results.values()]
    return sorted(of["best"] / of["designed"] for of in errors)


def _errors(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = entry["errors"]["middle"]
    return found


def _target(name: str) -> tuple[str, str]:
    """The target of a case and its evaluations: mixtures-8-5 is a mixture in eight dimensions."""
    *target, nfe = name.split("-")
    return (f"mixture, d = {target[1]}" if target[1:] else target[0]), nfe


def _row(name: str, entry: Entry) -> tuple[str, ...]:
    errors = _errors(entry)
    cells = (errors["designed"], entry["predicted"], errors["best"])
    others = (errors[key] for key in ("dpm-solver++-2m", "unipc-2", "unipc-3"))
    sizes = [f"{value:.2g}" for value in (*cells, *others)]
    sizes[2] += f", {errors['record'].split(' on ')[0]}"
    gains = (f"{errors[key] / errors['designed']:.2g}" for key in ("best", "dpm-solver++-2m", "unipc-2"))
    return (*_target(name), *sizes, *gains)


def _picture(results: Mapping[str, Entry]) -> str:
    """The errors of all cases on a logarithmic axis, a line for each, as HTML."""
    height = LINE * len(results) + EDGES

    def draw(axes: Axes) -> None:
        labels = [", ".join((target, f"N = {nfe}")) for target, nfe in map(_target, results)]
        for (key, (label, marker)), colour in zip(MARKED.items(), COLOURS, strict=False):
            values = [_errors(entry)[key] for entry in results.values()]
            axes.semilogx(values, range(len(values)), marker, color=colour, label=label)
        axes.set_position((0.5, BELOW / height, 0.48, 1 - EDGES / height))
        axes.margins(y=0.5 / len(labels))
        axes.set_yticks(range(len(labels)), labels)
        axes.invert_yaxis()
        axes.set_xlabel("error, geometric mean")
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, handletextpad=0, columnspacing=0.8
        )

    return figure("Errors of 2M, of the best record and of the designed table, for every case.", drawn(draw, height))
