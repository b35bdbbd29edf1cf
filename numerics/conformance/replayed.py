"""A recorded run of few components beside a named record: every row of the record, applied to what was recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..catalogue import resolve
from ..errors import InputError
from ..readback import Trace
from ..tableau import Tableau
from .adapters.recorded_run import RecordedRun
from .adapters.solved_trace import outline, placing
from .adapters.target import NoTable
from .judge.compare import same_shape, sizes
from .judge.references import Reference, candidates, where_it_evaluates
from .judge.rounding_bound import bounds
from .report import Finding, Verdict

ROUNDINGS = 4.0  # of a row, in units of eps of the sum of its absolute terms


@dataclass(frozen=True)
class _Replay:
    """A reference beside the run.  errors: of every row, over the sum of its absolute terms.  off: those that rounding
    does not explain.
    """

    reference: Reference
    errors: list[float]
    off: list[int]


def replayed(target: str, run: RecordedRun, process: str, against: str) -> Verdict:
    """The verdict on a run by the rows of a record on its grid: each is applied to the recorded states, outputs and
    noises, and must give the next recorded state.

    Raises InputError on a run without a grid, and on one with other numbers of noises than the record draws.
    """
    if not run.grid:
        raise InputError("run.grid", "nothing", "the points of its steps, where its components are few")
    name = resolve(against, "against").name
    try:
        vectors, points, step, evaluated = outline(run, run.grid)
    except NoTable as fault:
        raise InputError("run.evaluations", "points", fault.allowed) from fault
    blank = torch.zeros(len(vectors), 1 + len(run.outputs) + len(run.noises), dtype=torch.float64)
    there = placing(process, run.schedule)
    found = Trace(
        prediction=run.prediction,
        dtype=run.dtype,
        vectors=blank,
        points=tuple(map(there, points)),
        step=tuple(step),
        evaluated=tuple(evaluated),
        grid=tuple(map(there, run.grid)),
        numbers={},
        superposition=(0.0,) * len(vectors),
        mutated=(),
        schedule=run.schedule,
    )
    base = Verdict(target, "error", reference=name, coverage=[f"one recorded run: {len(run.grid) - 1} steps", FEW])
    likes = [r for r in candidates(found, process, [name]) if same_shape(found.table, r.table)]
    if not likes:
        at, where = where_it_evaluates(found, process, name)
        return _verdict(base, "different-formula", [Finding("formula", at, where, "error")])
    draws = [sum(like.table.drawn) for like in likes]
    if len(run.noises) not in draws:
        raise InputError("run.noises", f"{len(run.noises)} vectors", f"{draws[0]}, as the record draws on this grid")
    fitting = [like for like, count in zip(likes, draws, strict=True) if count == len(run.noises)]
    replays = [_replay(run, vectors, found, like, process) for like in fitting]
    best = min(replays, key=lambda r: (len(r.off), max(r.errors)))
    worst = max(best.errors)
    if not best.off:
        eps = torch.finfo(run.dtype).eps
        detail = f"{worst:.1e} of the terms of a row ({worst / eps:.1f} ulp of {str(run.dtype)[6:]})"
        return _verdict(base, "roundoff", [Finding("roundoff", None, detail)], [best.reference.name], worst)
    findings = [
        Finding(
            "formula",
            found.step[i + 1],
            f"step {found.step[i + 1]}: the row of {best.reference.name} gives another state, off by "
            f"{best.errors[i]:.1e} of its terms",
            "error",
        )
        for i in best.off[:3]
    ]
    count = f"{len(best.off)} of {len(best.errors)} rows differ from {best.reference.name}"
    many = Finding("formula", None, count, "error")
    return _verdict(base, "different-formula", [*findings, many], [], worst)


FEW = "its components do not determine its coefficients: only the rows of the named record are compared"


def _verdict(
    base: Verdict, verdict: str, findings: list[Finding], matches: Sequence[str] = (), error: float | None = None
) -> Verdict:
    more = Finding("order", None, "one grid is recorded, so that no order is observed")
    values = {**vars(base), "verdict": verdict, "matches": list(matches), "max_relative_error": error}
    return Verdict(**{**values, "findings": [*findings, more]})


def _replay(run: RecordedRun, vectors: Tensor, found: Trace, like: Reference, process: str) -> _Replay:
    """The rows of a reference, applied to what was recorded."""
    table, eps = like.table, torch.finfo(run.dtype).eps
    drawn = _drawn(table, run)
    outputs = dict(zip((i for i, made in enumerate(found.evaluated) if made), run.outputs, strict=True))
    explained = bounds(table, process, max(1, like.record.history, like.record.nfe_per_step - 1), eps)
    largest = sizes(table).amax(dim=1).tolist()
    errors, off = [], []
    for i in range(len(table.states)):
        # The terms of the row: coefficient, vector, and the size that the vector has where its point is.
        terms = [(float(c), vectors[i - k], _size(found, i - k)) for k, c in enumerate(table.states[i]) if c != 0]
        terms += [(float(c), outputs[i - k], 1.0) for k, c in enumerate(table.outputs[i]) if c != 0]
        terms += [(float(c), drawn[i + 1 - k], 1.0) for k, c in enumerate(table.noises[i]) if c != 0]
        made = [c * v for c, v, _ in terms]
        gap = vectors[i + 1] - sum(made, torch.zeros_like(vectors[0]))
        whole = sum((part.abs() for part in made), vectors[i + 1].abs())
        # What rounding of the coefficients and of the arithmetic explains, by component.
        share = (explained[i].rounded + explained[i].cancelled) * largest[i]
        spread = sum((v.abs() / size for _, v, size in terms), torch.zeros_like(vectors[0]))
        errors.append(float(gap.abs().max() / whole.max().clamp(min=1e-300)))
        if bool((gap.abs() > ROUNDINGS * eps * whole + share * spread).any()):
            off.append(i)
    return _Replay(like, errors, off)


def _size(found: Trace, i: int) -> float:
    return math.hypot(found.points[i].alpha, found.points[i].sigma)


def _drawn(table: Tableau, run: RecordedRun) -> dict[int, Tensor]:
    """The recorded noises by the vectors with which a table draws them."""
    at = [i for i, used in enumerate(table.drawn) if used]
    return dict(zip(at, run.noises, strict=True))
