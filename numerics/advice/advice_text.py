"""An advice as JSON, as text, and as lines to paste."""

from __future__ import annotations

from typing import Any

from ..catalogue import resolve
from ..text_table import aligned
from .advice import ERRORS, Advice, Entry
from .candidates import Candidate

SHOWN, LISTED = 8, 100  # candidates in the text and in the JSON
ONE = "one trajectory was recorded: errors of other samples can be ten times smaller or larger; --budget buys more"
STATISTIC = (
    "root mean square over the numbers of a sample, geometric mean over samples; expected: as predicted, times "
    "confirmed over the prediction for the same samples; low and high: least and largest"
)
# Spacings of levels that schedulers of diffusers have, by the kind here.
OPTIONS = {
    "karras?rho=7": "use_karras_sigmas=True",
    "uniform-lambda": "use_exponential_sigmas=True",
    "beta": "use_beta_sigmas=True",
}
# Those that have them for these levels: the ones of flows space the time of the flow.
SPACED = (
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LMSDiscreteScheduler",
    "UniPCMultistepScheduler",
)


def plain(advice: Advice) -> dict[str, Any]:
    """The answer as JSON has it."""
    q, choice = advice.question, advice.choice
    chosen = {**choice.plain(), "paste": paste(advice, choice), "diffusers": diffusers(choice.candidate)}
    return {
        "choice": chosen,
        "baseline": advice.baseline.plain(),
        "candidates": [entry.plain() for entry in advice.entries[:LISTED]],
        "evaluations": advice.evaluations,
        "calls": advice.calls,
        "kept": advice.kept,
        "compared": len(advice.entries),
        "first": {**advice.first.plain(), "evaluations": advice.first_evaluations},
        "trajectories": advice.plan.trajectories,
        "note": ONE if advice.plan.trajectories == 1 else None,
        "nfe": q.nfe,
        "budget": q.budget,
        "seed": q.seed,
        "schedule": {"kind": q.schedule.kind, **q.schedule.parameters},
        "lambda": [q.begin.lam, q.end.lam],
        "error": STATISTIC,
        "left_out": advice.left_out,
    }


def paste(advice: Advice, entry: Entry) -> list[str]:
    """Lines of Python that run the candidate; `denoise` is the model's denoiser, x the samples at the noisy end."""
    q, c = advice.question, entry.candidate
    kind = ", ".join([repr(q.schedule.kind), *(f"{key}={value!r}" for key, value in q.schedule.parameters.items())])
    top = ["import torch", "import samplerproof as sp", *q.lines]
    sides = ", ".join(map(str, (1, *q.shape)))
    start = [f"x = {q.schedule.prior_std(q.begin)!r} * torch.randn({sides}, dtype=torch.float64)"]
    if c.grid is None:
        return [*top, *start, f"y = sp.sample(denoise, x, sp.tabulate({c.method!r}))"]
    if c.named is None or c.named.stretched:
        levels = f'"list", {c.grid.steps}, timesteps={c.grid.columns.t.tolist()!r}'
    else:
        values = [f"{key}={float(value)!r}" for key, value in c.named.parameters.items()]
        levels = ", ".join([repr(c.named.kind), str(c.grid.steps), *values])
    grid = f"grid = sp.grid(sp.schedule({kind}), {levels})"
    return [*top, grid, *start, f"y = sp.sample(denoise, x, sp.tabulate({c.method!r}, grid))"]


def diffusers(candidate: Candidate) -> dict[str, str] | None:
    """The scheduler of diffusers that is this method with this spacing of levels, up to its last step to sigma = 0."""
    if candidate.grid is None or candidate.levels not in OPTIONS:
        return None
    names = {alias.partition(":")[2] for alias in resolve(candidate.method).aliases}
    scheduler = next((name for name in SPACED if name in names), None)
    if scheduler is None:
        return None
    note = "the same method and spacing; diffusers takes the ends from its training levels, and steps to sigma = 0"
    return {"scheduler": scheduler, "options": OPTIONS[candidate.levels], "note": note}


def text(advice: Advice) -> str:
    """The answer for a reader."""
    q, choice, base = advice.question, advice.choice, advice.baseline
    heads = ("", "method", "grid", "evaluations", *ERRORS)
    run = [entry for entry in advice.entries if entry.confirmed is not None]
    rows = [("choice", *_cells(choice)), *(("", *_cells(entry)) for entry in run[1:SHOWN] if entry is not base)]
    rows.append(("baseline", *_cells(base)))
    lines = [
        f"{choice.candidate.method} on {choice.candidate.levels}: error {_short(choice.expected)} expected at "
        f"{q.nfe} evaluations; {base.candidate.method} on {base.candidate.levels}: {_short(base.expected)}",
        "",
        aligned(heads, [list(row) for row in rows]),
        "",
        f"error: {STATISTIC}",
        f"{advice.evaluations} evaluations of the model in {advice.calls} calls, of a budget of {q.budget}: "
        f"trajectories recorded: {advice.plan.trajectories}; {len(run)} of {len(advice.entries)} candidates run",
    ]
    lines += [ONE] if advice.plan.trajectories == 1 else []
    if advice.kept:
        lines.append(f"{advice.kept} of them were kept from an earlier run")
    lines.append(f"{len(advice.left_out)} methods with noise are left out: a recording is of a flow")
    if (same := diffusers(choice.candidate)) is not None:
        lines.append(f"diffusers: {same['scheduler']}, {same['options']} ({same['note']})")
    return "\n".join([*lines, "", *(f"    {line}" for line in paste(advice, choice))])


def _cells(entry: Entry) -> tuple[str, ...]:
    c = entry.candidate
    return (c.method, c.levels, str(c.table.nfe), *(_short(getattr(entry, name)) for name in ERRORS))


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
