"""The page on what a step and a study cost, from the records of the benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...numerics.targets.plain_products import LOSS
from ..markup import table
from .myst import ONE_SIDEBAR, origin

FILE = "costs.md"
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

PAGE = """# What it costs

A sampler costs what its model costs, and a little more. This page has the little more: the time of a step on a model
that costs nothing, and the time of a study. Figures are of one machine; the ratios to the peers, which ran in turn in
the same process, carry over better than the microseconds.

## Goals

What these figures should be, what they are on the machine of the records, and why one is missed.

{goals}

## A step

DPM-Solver++(2M), {steps} steps, {dtype}, {threads} thread. The *floor* is one pass that reads the sample and two
outputs and writes the sample: no update of two outputs can take less memory traffic.

{step}

A row of a small tensor is one product of its coefficients with a matrix that holds the vector and the last outputs; an
output is copied into the matrix when the model has made it. A row of a large one is a call a coefficient, in the place
of the oldest vector that it uses, and the output is kept in the place of the oldest: a run takes its history and no
more, and a small one two tensors more. So do states of less precision than float32 and states on a device, so that no
coefficient is rounded. Every value is looked at, for what is not finite, before it is overwritten: with four outputs of
history every fourth vector is summed, or every third of a large one. *Unchecked* is `sp.sample(..., checked=False)`.
*Compiled* is `sp.sample(..., compiled=True)`: one kernel of `torch.compile` a step, which sums its vector too. To sum
states in float64 on a model that computes in float32, leave `dtype` at its default and wrap the model with
`sp.adapt(model, ..., dtype=torch.float32)`.

Made {step_origin}, by `python benchmarks/step.py --record benchmarks/step.json`, at a load of {step_load} on
{step_cores} cores.

## A study

Eight methods on four grids with six numbers of steps, in four metrics, on a mixture of two components on the line:
{values} values and {files} figures, in CPU seconds of one thread. A *unit* is a loop of two million passes on the same
machine, which takes {unit:.3f} s.

{study}

Made {study_origin}, by `python benchmarks/study.py --record benchmarks/study.json`, at a load of {study_load} on
{study_cores} cores.
{growth}
## Scores, flows and proofs

Microseconds a point of the exact score of {components} components in {dimensions} dimensions, beside those of its
exponentials and two matrix products of its size:

{score}

Distances from the means, and sums of differences from them, are the two products, which cancel where they are
multiplied out. The sizes of the points and of the components bound what is lost by that. Where the relative error of
shares is at most {loss:.0e} by this bound, or a sixteenth of the rounding of states in float32, the products are plain
ones in float64. Exponentials are powers of two, which take least, here and in the limit. Elsewhere points, means and
shares are split into an upper part and a rest: products of upper parts have no rounding, and those of the rests are
small. That takes longer, and the score is right to rounding. Full covariances, variances that differ between axes, and
components narrower than a thousandth of their distance take differences number by number, which is as accurate.

An exact flow on the line takes {flow:.1f} microseconds a point. A study of ten methods on three schedules with eight
numbers of steps takes {of_study:.1f} CPU seconds; a loop over the same {evaluations:,} evaluations of a score written
in three lines, of 10,000 samples, takes {loop:.0f}. One proof takes {one:.1f} CPU seconds with what it loads, and all
{proofs} together {every:.0f}.

`verify` of one scheduler takes {target:.1f} seconds, and the import of torch and of its library alone {imports:.1f}.
The list of verifications of this book takes {listed:.0f} seconds, and `reproduce` {reproduced:.0f}. These are seconds
of the clock, on {waits_cores} cores.

Made {waits_origin}, by `python benchmarks/waits.py --record benchmarks/waits.json`, at a load of {waits_load} on
{waits_cores} cores.

## A study on a cluster

A study of {records:,} records on {workers} [workers](cluster.md) of this machine, of which {killed} are killed with
`kill -9` on the way, has the records of one process, to the bit. A task without work takes the scheduler {task:.1f} ms,
and a kept record {bytes} bytes. The study took {of_one:.0f} s in one process and {of_many:.0f} s on the workers, on
{cluster_cores} cores with other work at a load of {cluster_load}: no speed is claimed there.

100,000 records of this kind are at most {runs:,} tasks: {overhead:.0f} s of the scheduler, {megabytes:.0f} MB in the
file, and {hours:.1f} hours of one core like this one, or {share:.0f} minutes on 16 of them. Runs of this length keep
about {most:.0f} workers of one scheduler busy.

Made {cluster_origin}, by `python benchmarks/cluster.py --record benchmarks/cluster.json`.

## A device

`python benchmarks/gpu.py` measures the same step on a CUDA device, with a U-Net, CUDA graphs and kernels a step, and
writes a record to `book/records/gpu/`. None was available: no figure of a device is claimed.
"""

FEWER = 76  # records that there were when the goal was set
BUSY = "the machine of the records is slower, or did other work"

GROWTH = """
## How a study grows

One size is doubled at a time, from {base} on, with deterministic samplers on a mixture; the metric is the error of
trajectories, and of three runs the fastest counts. The exponent is that of the last doubling: 1 where the cost is
proportional, less where a part of it does not grow. The last column is the largest size, in doublings, that fits into
{memory:.0f} GB, or that a file may have.

{rows}

Made {origin}, by `python benchmarks/growth.py --record benchmarks/growth.json`, at a load of {load} on {cores} cores.
"""


def costs() -> dict[str, str | bytes]:
    """File -> content: the page."""
    step, study, cluster, waits = (_record(name) for name in ("step", "study", "cluster", "waits"))
    many, metrics, commands = 100_000, 4, waits["commands"]  # records, of a run
    seconds = cluster["seconds"]["one process"] / cluster["records"]  # of a record
    task = cluster["milliseconds_of_a_task"] / 1000
    parts = [[name, f"{value:.1f}", str(study["units"][name])] for name, value in study["cpu_seconds"].items()]
    scores = [
        [name, f"{row['ours']:.2f}", f"{row['limit']:.2f}", f"{row['share']:.0%}"] for name, row in _scores(waits)
    ]
    page = PAGE.format(
        goals=table(["", "goal", "reached", "why it is missed"], _goals(step, waits)),
        score=table(["", "score", "limit", "share"], scores),
        loss=LOSS,
        components=waits["size"]["components"],
        dimensions=waits["size"]["dimensions"],
        flow=waits["flow"],
        of_study=waits["study"]["seconds"],
        evaluations=waits["study"]["evaluations"],
        loop=waits["study"]["loop"],
        one=waits["proofs"]["one"],
        proofs=waits["proofs"]["records"],
        every=waits["proofs"]["all"],
        target=commands["one target"],
        imports=commands["imports"],
        listed=commands["list of targets"],
        reproduced=commands["reproduce"],
        waits_origin=origin(waits),
        waits_load=waits["load"][0],
        waits_cores=waits["machine"]["cores"],
        steps=step["steps"],
        dtype=step["dtype"],
        threads=step["threads"],
        step="\n\n".join(map(_step, step["rows"])),
        step_origin=origin(step),
        step_load=step["load"][0],
        step_cores=step["machine"]["cores"],
        values=study["values"],
        files=study["files"],
        unit=study["unit_seconds"],
        study=table(["part", "CPU seconds", "units"], parts),
        study_origin=origin(study),
        study_load=study["load"][0],
        study_cores=study["machine"]["cores"],
        growth=_growth(),
        records=cluster["records"],
        workers=cluster["workers"],
        killed=cluster["killed"],
        task=1000 * task,
        bytes=cluster["bytes_of_a_record"],
        of_one=cluster["seconds"]["one process"],
        of_many=cluster["seconds"]["workers"],
        cluster_cores=cluster["machine"]["cores"],
        cluster_load=cluster["load"][0],
        runs=many // metrics,
        overhead=many / metrics * task,
        megabytes=many * cluster["bytes_of_a_record"] / 1e6,
        hours=many * seconds / 3600,
        share=many * seconds / 16 / 60,
        most=metrics * seconds / task,
        cluster_origin=origin(cluster),
    )
    return {FILE: ONE_SIDEBAR + page}


def _scores(waits: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    return list(waits["score"].items())


def _goals(step: dict[str, Any], waits: dict[str, Any]) -> list[list[str]]:
    """A line for each goal: what was reached, and the reason where it is missed."""
    small, large = ({name: value["median"] for name, value in row["microseconds"].items()} for row in step["rows"])
    beside = f"the values are looked at: unchecked it is {small['diffusers'] / small['unchecked']:.1f} and"
    beside += f" {small['k-diffusion'] / small['unchecked']:.1f} times"
    copied = "an output is copied into the history, and a row is a call a coefficient, no fused pass"
    called = "to call the kernel takes longer than its work; the plain path is faster there"
    exact = "products are summed in float64, also of states in float32; see below"
    newton = "the distribution function is inverted in its logarithm, to rounding in both tails"
    each = waits["study"]["seconds"] / waits["study"]["evaluations"]
    law = "with nodes added where maps are steep, exact flows and leading errors,"
    law += f" {1e6 * each:,.0f} microseconds an evaluation; the goal is {2e6 / waits['study']['evaluations']:.0f}"
    algebra = "each order is decided anew in exact algebra, and no proof is kept between commands"
    commands, share = waits["commands"], FEWER / waits["proofs"]["records"]
    beyond = max(0.0, commands["one target"] - commands["imports"])
    # Its words, the bound, whether it is the least, the value, how it is written, and the reason.
    rows: list[tuple[str, float, bool, float, str, str]] = [
        ("small step, times as fast as diffusers", 10, True, small["diffusers"] / small["ours"], "{:.1f}", beside),
        ("small step, times as fast as k-diffusion", 4, True, small["k-diffusion"] / small["ours"], "{:.1f}", beside),
        ("large step, of the floor", 2, False, large["ours"] / large["floor"], "{:.1f}", copied),
        ("compiled large step, of the floor", 1.3, False, large["compiled"] / large["floor"], "{:.1f}", copied),
        ("compiled small step, of the floor", 2, False, small["compiled"] / small["floor"], "{:.1f}", called),
        *(
            (f"score, {name}, share of its limit", 0.6, True, row["share"], "{:.0%}", exact)
            for name, row in _scores(waits)
        ),
        ("flow on the line, microseconds a point", 1.5, False, waits["flow"], "{:.1f}", newton),
        ("ten methods, three schedules, seconds", 2, False, waits["study"]["seconds"], "{:.1f}", law),
        (f"proofs of {FEWER} records, seconds", 10, False, waits["proofs"]["all"] * share, "{:.1f}", algebra),
        ("one proof, seconds", 1, False, waits["proofs"]["one"], "{:.1f}", "sympy and all records are loaded for it"),
        ("`verify` of one target, seconds beside imports", 1.5, False, beyond, "{:.1f}", BUSY),
        ("list of targets, seconds", 150, False, commands["list of targets"], "{:.0f}", BUSY),
        ("`reproduce`, seconds", 60, False, commands["reproduce"], "{:.0f}", BUSY),
    ]
    lines = []
    for words, bound, least, value, form, reason in rows:
        met = value >= bound if least else value <= bound
        goal = f"at {'least' if least else 'most'} {form.format(bound) if '%' in form else f'{bound:g}'}"
        lines.append([words, goal, form.format(value), "" if met else reason])
    return lines


def _growth() -> str:
    """The section on growth; nothing before its benchmark was recorded."""
    if not (BENCHMARKS / "growth.json").exists():
        return ""
    found = _record("growth")
    lines = []
    for row in found["rows"]:
        taken = ", ".join(f"{n}: {s:.2f}" for n, s in zip(row["values"], row["cpu_seconds"], strict=True))
        largest = f"{row['largest']:,} ({row['ended_by']})" if row["largest"] else row["ended_by"]
        lines.append([row["size"], taken, f"{row['exponent']:.2f}", largest])
    return GROWTH.format(
        base=", ".join(f"{name} {value}" for name, value in found["base"].items()),
        memory=found["memory"] / 1e9,
        rows=table(["size", "CPU seconds", "exponent", "largest"], lines),
        origin=origin(found),
        load=found["load"][0],
        cores=found["machine"]["cores"],
    )


def _step(row: dict[str, Any]) -> str:
    """The table of one shape: microseconds, and what they are of the floor and beside the peers, by the medians."""
    medians = {name: value["median"] for name, value in row["microseconds"].items()}
    lines = []
    for name, median in medians.items():
        beside = [f"{medians[peer] / median:.1f}" for peer in ("diffusers", "k-diffusion")]
        quartile = row["microseconds"][name]["quartile"]
        lines.append([name, f"{median:.1f}", f"{quartile:.1f}", f"{median / medians['floor']:.2f}", *beside])
    head = ["", "median, microseconds", "first quartile", "of the floor", "times diffusers", "times k-diffusion"]
    return f"Of shape {' x '.join(map(str, row['shape']))}, {row['rounds']} rounds:\n\n{table(head, lines)}"


def _record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((BENCHMARKS / f"{name}.json").read_text(encoding="utf-8"))
    return found
