"""The page on advice: how it works, and what its choices were worth on fresh samples, from its kept results."""

from __future__ import annotations

import math

import matplotlib as mpl
from matplotlib.figure import Figure

from ...numerics.advice.question import BUDGET
from ...numerics.advice.tangents import DIRECTIONS, LEVELS
from ...numerics.studies.inline_svg import PAGE, inline_svg
from ...numerics.studies.style import COLOURS, GREY
from ..markup import table
from ..records.kept_records import Entry
from ..studies.advice_regret import EVALUATIONS, FEW, FRESH, ITEMS, NETWORKS, WITHIN
from .myst import ONE_SIDEBAR, link, origin

FILE = "advice.md"
SHARES = ", ".join(f"{count} on {network}" for network, count in FEW.items())
TOP = f"""# Advice

`samplerproof advise` chooses a sampler and its levels for a model and a number of evaluations
([the manual](manual.md) has its options). A row of a table is linear in states $x$ and data predictions $D$, so its
defect on a recorded trajectory is exact and needs no further evaluation:

$$\\delta_i = \\sum_k S_{{ik}} x(p_k) + \\sum_k O_{{ik}} D(x(p_k), p_k) - x(p_i).$$

The recursion of the table, linearised about the trajectory, carries the defects to the end with their signs,

$$e_i = \\sum_k S_{{ik}} e_k + \\sum_k O_{{ik}} J_k e_k + \\delta_i,$$

with $J$ the derivative of the data prediction, measured by differences along at most {DIRECTIONS} leading directions of
each trajectory, at {LEVELS} levels. Where the data prediction is affine in $x$, as on a Gaussian law, and $J$ is exact,
$e$ is the error; elsewhere it is the error to first order. Without $J$ the feedback of a corrector is missed, and the
error of UniPC is predicted wrongly.

## What its choices are worth

On networks of the project, with at most {BUDGET} evaluations for an answer; errors are medians over {FRESH} fresh
samples, with the standard error of the choice's median as of a normal law. *Regret* is the choice's error over that of
the best candidate on these very samples: all candidates are run on a few of them ({SHARES}), and those within a
factor {WITHIN} of the best there on all. *First* is the regret of the first answer, by prediction alone. *Gain* is the
error of `dpm-solver++-2m` on `karras?rho=7` over the choice's. *Asked* are the evaluations of the model for the answer.
"""
NONE = "No result is kept; `python -m samplerproof.book.records advice` makes them."
HEAD = (
    *("network", "evaluations", "choice", "error", "predicted / confirmed"),
    *("best", "regret", "first", "gain", "asked"),
)


def advice_of_networks(results: dict[str, Entry]) -> dict[str, str]:
    """The page as {file: text}."""
    if not results:
        return {FILE: ONE_SIDEBAR + TOP + "\n" + NONE + "\n"}
    entries = list(results.values())
    regrets = [entry["regret"] for entry in entries]
    mean = math.exp(sum(map(math.log, regrets)) / len(regrets))
    last = entries[-1]
    parts = [
        ONE_SIDEBAR + TOP,
        table(HEAD, map(_row, entries)),
        f"The geometric mean of these regrets is {mean:.2f}, the largest {max(regrets):.2f}. Of {len(ITEMS)} pairs of "
        f"networks ({', '.join(NETWORKS)}) and evaluations ({', '.join(map(str, EVALUATIONS))}) {len(entries)} were "
        "measured, each with one seed: others may have larger regrets.",
        "Predictions on the recorded samples against measured errors on the few fresh ones, of candidates of all "
        "ranks; the samples differ, and so do the errors:",
        f'<div class="drawn" role="img" aria-label="Predicted against measured errors">\n{_drawn(entries)}\n</div>',
        f"Made {origin(last['manifest'])}, by `python -m samplerproof.book.records advice`; the seed is made of the "
        "hash of the commit.",
    ]
    return {FILE: "\n\n".join(parts) + "\n"}


def _row(entry: Entry) -> tuple[str, ...]:
    network, _, evaluations = entry["name"].rpartition("-")
    choice, best = entry["choice"], entry["best"]
    return (
        network,
        evaluations,
        f"{link(choice['method'], 'methods/')} on `{choice['grid']}`",
        f"{entry['median']:.2g} ± {entry['standard_error']:.1g}",
        f"{choice['predicted'] / choice['confirmed']:.2f}",
        f"{link(best['method'], 'methods/')} on `{best['grid']}`",
        f"{entry['regret']:.2f}",
        f"{entry['first_regret']:.2f}",
        f"{entry['gain']:.2g}",
        str(entry["evaluations"]),
    )


def _drawn(entries: list[Entry]) -> str:
    with mpl.rc_context(PAGE):
        figure = Figure(figsize=(5.2, 4.2), layout="constrained")
        axes = figure.subplots()
        for n, entry in enumerate(entries):
            x, y = zip(*entry["points"], strict=True)
            axes.plot(x, y, "os^DvP*X<>ph"[n % 12], color=COLOURS[n % len(COLOURS)], ms=3, label=entry["name"])
        ends = [value for entry in entries for point in entry["points"] for value in point]
        axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color=GREY, lw=0.8)
        axes.set(xscale="log", yscale="log", xlabel="predicted error", ylabel="measured error")
        axes.legend(frameon=False)
    return inline_svg(figure, "advice-")
