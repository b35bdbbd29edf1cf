"""Stages that are evaluated at another level than those of a record, in words."""

from __future__ import annotations

import math

from ...coefficients import plan
from ...generated.frame_functions import FRAMES
from ...readback import Trace
from ...records import Record
from ...repeated_evaluations import ORDER
from ...tableau import Tableau
from ..forward_processes import grid_of
from ..report import Finding

CLOSE = 1e-3  # relative: two sigma/alpha are one level


def stage_at_another_level(run: Trace, process: str, record: Record) -> Finding | None:
    """The first evaluation inside of a step that is not where the record has it; None where there is none.

    A stage whose place is a parameter belongs at the value of the record. Raises InputError where the points of the run
    are no grid.
    """
    grid, clock = grid_of(process, run.grid, run.schedule), FRAMES[record.frame].clock
    ends = getattr(grid.columns, clock)
    for n, method in enumerate(plan(record, grid)):
        places = [] if method is None else _places(method)
        seen = [at for at, to, made in zip(run.points, run.step, run.evaluated, strict=True) if made and to == n + 1]
        for k, (place, at) in enumerate(zip(places, seen, strict=False)):
            start, end = (grid.point(i).rho for i in (n, n + 1))
            if place is None or not all(map(math.isfinite, (*ends[n : n + 2].tolist(), start))) or end <= 0:
                continue
            expected = _ratio(clock, float(ends[n] + place * (ends[n + 1] - ends[n])))
            if expected is None or abs(at.rho - expected) <= CLOSE * expected:
                continue
            name, found = ORDER[k + 1], f"{at.rho:.6g}{_in_words(at.rho, start, end)}"
            detail = f"{record.name} has it at {expected:.6g}{_in_words(expected, start, end)}"
            words = f"step {n + 1}: its {name} evaluation is at sigma/alpha = {found}; {detail}"
            return Finding("formula", n + 1, words, "error")
    return None


def evaluated_elsewhere(run: Trace, table: Tableau) -> bool:
    """Whether an evaluation of a run is at another level than that of a table of the same shape: rows do not show it.

    A table with free stages has those of the run.
    """
    pairs = [(p.rho, q.rho) for p, q, made in zip(run.points, table.points, run.evaluated, strict=True) if made]
    return any(abs(here - there) > CLOSE * there for here, there in pairs if math.isfinite(there))


def _places(method: Record) -> list[float | None]:
    """The places of the stages of a step, as fractions of it in the clock; None where another rule gives one."""
    named = {name: float(value) for name, value in method.numbers.items()}
    stages = [row.to for row in method.rows[:-1] if row.evaluated]
    return [named.get(to) if isinstance(to, str) else float(to) for to in stages]


def _ratio(clock: str, value: float) -> float | None:
    """sigma/alpha at a value of a clock; None for the time of a schedule."""
    return {"lam": math.exp(-value), "rho": value, "rho2": math.sqrt(max(value, 0.0))}.get(clock)


def _in_words(ratio: float, start: float, end: float) -> str:
    """What a level is in a step between two, with a comma before it; empty where it is none of these."""
    known = {
        "the level at the start of the step": start,
        "the level that the step leads to": end,
        "the geometric mean of the ends of the step": math.sqrt(start * end),
        "the arithmetic mean of the ends of the step": (start + end) / 2,
    }
    return next((f", {words}" for words, level in known.items() if abs(ratio - level) <= CLOSE * level), "")
