"""The answer of a study on each external sampler, by grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from .problem import Key, Problem
from .samplers import ExternalSampler


def external_answer(problem: Problem) -> list[dict[str, Any]]:
    """An entry for every external sampler and grid, as JSON.

    linear       whether it has a table; one that is not linear is run as it is; None where it is neither
    equals       the record whose rows it has, up to rounding, or None
    nearest      the nearest record, or None where none evaluates its model in the same steps
    difference   the largest relative difference of a row from the nearest
    rows, rows_equal  the number of rows, and of those that agree with the nearest up to rounding
    kept         whether its values are stored, to be reused by the next run
    note         how it is put on the grid, or why it has no table
    """
    return [
        _entry(sampler, problem, key)
        for sampler in problem.samplers
        if isinstance(sampler, ExternalSampler)
        for key in problem.study.crossed
        if key in problem.grids
    ]


def _entry(sampler: ExternalSampler, problem: Problem, key: Key) -> dict[str, Any]:
    grid, (name, steps) = problem.grids[key], key
    found, near = sampler.readings[grid.points], sampler.likeness[grid.points]
    unread = sampler.as_it_is(grid)
    note = sampler.note
    if unread is not None:
        note = f"run as it is, since it is not linear: {unread.reason}"
    elif isinstance(found, InputError):
        note = f"no table: {found.allowed}"
    return {
        "method": sampler.name,
        "grid": name,
        "steps": steps,
        "linear": None if isinstance(found, InputError) else unread is None,
        "equals": near.name if near is not None and near.equal else None,
        "nearest": None if near is None else near.name,
        "difference": None if near is None else near.difference,
        "rows": None if near is None else near.rows,
        "rows_equal": None if near is None else near.agreeing,
        "kept": sampler.kept(grid),
        "note": note or None,
    }


def external_lines(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for every external sampler of an answer, and one for every note on it."""
    by_method: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        by_method.setdefault(entry["method"], []).append(entry)
    lines = []
    for name, own in by_method.items():
        lines += [f"{name}: {text}" for text in dict.fromkeys([*_likeness(own), *_notes(own)])]
    return lines


def _notes(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The notes on a sampler, that it is not linear once: the deviation differs on every grid."""
    runs = [e["note"] for e in entries if e["linear"] is False]
    return [*runs[:1], *(e["note"] for e in entries if e["note"] and e["linear"] is not False)]


def _likeness(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the table of a sampler equals, or is nearest to."""
    texts = [f"equals {name}" for name in dict.fromkeys(e["equals"] for e in entries if e["equals"])]
    other = [e for e in entries if e["linear"] and not e["equals"]]
    if not other:
        return texts
    worst = max(other, key=lambda e: e["difference"] or 0)
    if worst["nearest"] is None:
        return [*texts, "equals no method, and none calls its model in the same steps"]
    where = f"it agrees on {worst['rows_equal']} of {worst['rows']} rows, and others differ by up to"
    found = f"equals no method; the nearest is {worst['nearest']}: {where} {worst['difference']:.1e}"
    return [*texts, f"{found}, at N = {worst['steps']}"]
