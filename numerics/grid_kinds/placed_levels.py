"""Levels of a kind as times of a schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import InputError
from ..schedules import Schedule
from .grid_kind import FLOW, OWN, TIME, Levels

ROUNDOFF = 4 * torch.finfo(torch.float64).eps


def times(schedule: Schedule, levels: Levels, kind: str) -> Tensor:
    """The times t [N + 1] at which the schedule has these levels, float64.

    Raises InputError on a level that the schedule does not have.
    """
    flowing = levels.unit == FLOW or (levels.unit == OWN and schedule.kind == "flow")
    values = torch.tensor(levels.values, dtype=torch.float64)
    if levels.unit == TIME or (flowing and schedule.kind == "flow"):
        t = values
    else:
        t = _times(schedule, torch.where(values < 1, values / (1 - values), math.inf) if flowing else values)
    for value, level in zip(t.tolist(), levels.values, strict=True):
        if not schedule.t_min <= value <= schedule.t_max:
            where = f"{schedule.kind}, {schedule.t_min:g} <= t <= {schedule.t_max:g}"
            raise InputError(
                "grid.kind", kind, f"levels that the schedule has; {levels.unit} = {level:g} is not on {where}"
            )
    return t


def _times(schedule: Schedule, ratios: Tensor) -> Tensor:
    """The times [N + 1] at which sigma/alpha is a ratio; NaN where the schedule never has it."""
    if schedule.kind == "edm":  # t is the ratio: to the last bit, not by its logarithm
        return torch.where(ratios.isfinite(), ratios, math.nan)
    t = schedule.time(-ratios.log())
    for last in (schedule.t_min, schedule.t_max):  # an end whose ratio was computed is met to roundoff only
        if math.isfinite(last):
            t = torch.where((t - last).abs() <= ROUNDOFF * max(abs(last), 1.0), last, t)
    for ratio, end in ((0.0, schedule.t_min), (math.inf, schedule.t_max)):
        t = torch.where(ratios == ratio, _end(schedule, end, ratio), t)
    return t


def _end(schedule: Schedule, end: float, ratio: float) -> float:
    """The end of the schedule if sigma/alpha is 0, or infinite, there; else NaN."""
    if not math.isfinite(end):
        return math.nan
    at = schedule.columns(torch.tensor([end], dtype=torch.float64))
    return end if float((at.alpha if ratio else at.sigma)[0]) == 0 else math.nan
