"""Findings about the grids of a kind: its levels, and whether the first one depends on the number of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .conformance.report import Finding
from .errors import InputError
from .grid_kinds.all_kinds import PREFIX, checked
from .grid_kinds.grid_kind import FLOW
from .grid_kinds.model_levels import PARAMETERS, model_levels
from .grids import Grid, grid
from .level_checks import UNKNOWN, Trained, findings, first_of_each
from .points import Point
from .schedules import Schedule


def kind_findings(schedule: Schedule, kind: str, parameters: Mapping[str, Any], made: Grid) -> list[Finding]:
    """The findings about a grid of a kind on a schedule, which is compared with that of half as many steps."""
    found = level_findings(schedule.kind, kind, parameters, made.points)
    other = made.steps // 2 or 2
    try:
        firsts = {other: grid(schedule, kind, other, **parameters).points[:1], made.steps: made.points}
    except InputError:  # the kind has no such grid
        return found
    return [*found, *first_of_each(firsts, schedule.kind)]


def level_findings(
    process: str, kind: str, parameters: Mapping[str, Any], points: Sequence[Point], known: Trained | None = None
) -> list[Finding]:
    """The findings about the levels of a kind.  known: the ends of the model, in place of those that the kind has."""
    values = _values(kind, parameters)
    shift, train = float(values.get("shift", 1.0)), float(values.get("train", 1000.0))
    return findings(points, process, known or trained(values), shift, train)


def trained(values: Mapping[str, Any]) -> Trained:
    """The ends of the model whose levels a kind has, by its parameters; of the flow those one level from pure noise."""
    if not all(parameter.name in values for parameter in PARAMETERS):
        return UNKNOWN
    levels = model_levels(values)
    ends = levels.sigmas[-2 if levels.unit == FLOW else -1], levels.sigmas[0]
    ratios = [sigma / (1 - sigma) for sigma in ends] if levels.unit == FLOW else ends
    noisiest, cleanest = (-math.log(ratio) if ratio else math.inf for ratio in ratios)
    return Trained(noisiest, cleanest)


def _values(kind: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a kind, or the options of a scheduler that is read back."""
    if not kind.startswith(PREFIX):
        return checked(kind, parameters)[1]
    from .conformance.adapters.target import split

    return split(kind.removeprefix(PREFIX))[2]
