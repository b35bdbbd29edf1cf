"""The page on advice: how it works, and what its choices were worth on fresh samples, from its kept results."""

from __future__ import annotations

import math

import matplotlib as mpl
from matplotlib.figure import Figure

from ...numerics.advice.family_of_laws import LEADING as CLOSEST
from ...numerics.advice.family_of_laws import SHIFTS
from ...numerics.advice.question import BUDGET, FIRST
from ...numerics.advice.tangents import DIRECTIONS, LEVELS
from ...numerics.studies.inline_svg import PAGE, inline_svg
from ...numerics.studies.style import COLOURS, GREY
from ..markup import table
from ..records.kept_records import Entry
from ..studies.advice_regret import DRAWN, EVALUATIONS, FEW_SAMPLES, FRESH, ITEMS, LEADING, NETWORKS
from ..studies.error_bar_study import BARRED, TABLES, WITHIN
from .myst import ONE_SIDEBAR, link, origin

FILE = "advice.md"
SAMPLES = ", ".join(f"{count} of {network}" for network, count in FRESH.items())
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

A handful of samples decides little where errors differ between samples and change their signs. A recorded trajectory
stands for a family, though: the law of $c\\,x_0$ has the trajectories of $x_0$ times $c$, at levels moved by $\\log c$,
so that the errors of a table on it follow from the same recording. Predictions are geometric means over
{len(SHIFTS)} members, $|\\log c| \\le {max(SHIFTS):g}$, and what the recorded law has beside that counts by the share
that is not chance, $1 - \\operatorname{{var}}/\\text{{mean square}}$ of its deviation for the {CLOSEST} best. The
expected error of a candidate that was run is its prediction, times what was measured over what was predicted for the
same samples. The range of $c$ was chosen on random mixtures, none of which is below. Four levels for $J$ were enough on
these; on photos they were not, and predictions were four times too large.

## What its choices are worth

On networks of the project, with at most {BUDGET} evaluations for an answer; errors are medians over fresh samples
({SAMPLES}), with the standard error of the choice's median as of a normal law. *Regret* is the choice's error over
that of the best candidate on these very samples, on which all candidates are run; those of digits and photos with the
network in float32, and the leading {LEADING} with the choice again in float64, of which the figures are; on
21cmpsdenoiser {DRAWN["21cmpsdenoiser"]} candidates are run, drawn by the seed. *First* is
the regret of the first answer, after at most {FIRST} evaluations. *Gain* is the error of `dpm-solver++-2m` on
`karras?rho=7` over the choice's. *Asked* are the evaluations of the model for the answer. *Known* is the regret of a
choice that is made in full knowledge of the errors of all candidates on {", ".join(map(str, FEW_SAMPLES))} of the
fresh samples, and judged on the others: what so few samples are worth without the family. *Expected* is the error that
the answer states over the geometric mean on the fresh samples.
"""
BARS = f"""## The error of one run

`sp.sample(denoise, x, table, error=bar)` returns the samples and an estimate of each one's error, without an
evaluation more. The bar is a second last row: a combination $\\sum_k c_k (D_{{k+1}} - D_k)$ of the outputs of the run,
of which $c$ is fitted to recorded trajectories of the model, whose errors are known. `error=True` takes, without any
trajectory, the row that integrates polynomials through all outputs of the run, and carries its difference to the end
with the slope of a Gaussian law.

Shares of fresh samples whose error is within a factor {WITHIN} of the bar, in per cent: calibrated, without
calibration, and one size for all samples, the median of the recorded trajectories' errors; the mean over
{len(TABLES)} tables ({", ".join(f"{name} with rho = {rho:g}" for name, rho in TABLES)}) and, in brackets, the least.
"""
NONE = "No result is kept; `python -m samplerproof.book.records advice` makes them."
HEAD = (
    *("network", "evaluations", "choice", "error", "predicted / confirmed", "expected"),
    *("best", "regret", "first", "known", "gain", "asked"),
)


def advice_of_networks(results: dict[str, Entry], bars: dict[str, Entry]) -> dict[str, str]:
    """The page as {file: text}."""
    if not results:
        return {FILE: "\n\n".join([ONE_SIDEBAR + TOP, NONE, *_bars(bars)]) + "\n"}
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
        "Predictions on the recorded samples against measured errors on the fresh ones, of candidates of all "
        "ranks; the samples differ, and so do the errors:",
        f'<div class="drawn" role="img" aria-label="Predicted against measured errors">\n{_drawn(entries)}\n</div>',
        f"Made {origin(last['manifest'])}, by `python -m samplerproof.book.records advice`; the seed is made of the "
        "hash of the commit.",
        *_bars(bars),
    ]
    return {FILE: "\n\n".join(parts) + "\n"}


def _bars(results: dict[str, Entry]) -> list[str]:
    """The section on the error of one run."""
    rows = []
    for name, entry in results.items():
        for nfe in dict.fromkeys(row["nfe"] for row in entry["rows"]):
            own = [row for row in entry["rows"] if row["nfe"] == nfe]
            shares = [[100 * row[key] for row in own] for key in ("within", "plain", "constant")]
            cells = (f"{sum(values) / len(values):.0f} ({min(values):.0f})" for values in shares)
            rows.append((name, f"{BARRED[name][0]}, {BARRED[name][1]}", str(nfe), *cells))
    if not rows:
        return [BARS, "No result is kept; `python -m samplerproof.book.records error-bars` makes them."]
    reached = [100 * row["within"] for entry in results.values() for row in entry["rows"]]
    made = origin(next(iter(results.values()))["manifest"])
    summary = (
        f"Of {len(reached)} pairs of tables and networks {sum(share >= 90 for share in reached)} reach 90 per cent. "
        "The polynomials of `error=True` are far from the outputs at so few levels. On rings errors differ a "
        "hundredfold between samples and cross zero; on digits one size for all is nearly as good as the fit. "
        f"Made {made}, by `python -m samplerproof.book.records error-bars`."
    )
    heads = ("network", "trajectories, samples", "evaluations", "calibrated", "`error=True`", "one size")
    return [BARS, table(heads, rows), summary]


def _row(entry: Entry) -> tuple[str, ...]:
    network, _, evaluations = entry["name"].rpartition("-")
    choice, best = entry["choice"], entry["best"]
    return (
        network,
        evaluations,
        f"{link(choice['method'], 'methods/')} on `{choice['grid']}`",
        f"{entry['median']:.2g} ± {entry['standard_error']:.1g}",
        f"{choice['predicted'] / choice['confirmed']:.2f}",
        f"{choice['expected'] / entry['mean']:.2f}",
        f"{link(best['method'], 'methods/')} on `{best['grid']}`",
        f"{entry['regret']:.2f}",
        f"{entry['first_regret']:.2f}",
        ", ".join(f"{value:.2f}" for value in entry["known"].values()),
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
