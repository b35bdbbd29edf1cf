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
    if levels.unit == TIME or (flowing and schedule.kind == "flow"):
        t = torch.tensor(levels.values, dtype=torch.float64)
    else:
        ratios = [_ratio_on_flow(s) for s in levels.values] if flowing else levels.values
        t = torch.cat([_time(schedule, ratio) for ratio in ratios])
    for value, level in zip(t.tolist(), levels.values, strict=True):
        if not schedule.t_min <= value <= schedule.t_max:
            where = f"{schedule.kind}, {schedule.t_min:g} <= t <= {schedule.t_max:g}"
            raise InputError(
                "grid.kind", kind, f"levels that the schedule has; {levels.unit} = {level:g} is not on {where}"
            )
    return t


def _ratio_on_flow(sigma: float) -> float:
    return sigma / (1 - sigma) if sigma < 1 else math.inf


def _time(schedule: Schedule, ratio: float) -> Tensor:
    """The time [1] at which sigma/alpha is the ratio; NaN where the schedule never has it."""
    if schedule.kind == "edm":  # t is the ratio: to the last bit, not by its logarithm
        return torch.tensor([ratio if math.isfinite(ratio) else math.nan], dtype=torch.float64)
    if ratio == 0 or ratio == math.inf:
        end = torch.tensor([schedule.t_max if ratio else schedule.t_min], dtype=torch.float64)
        at = schedule.columns(end) if bool(end.isfinite()) else None
        reached = at is not None and float((at.alpha if ratio else at.sigma)[0]) == 0
        return end if reached else torch.full_like(end, math.nan)
    t = schedule.time(-torch.tensor([ratio], dtype=torch.float64).log())
    for last in (schedule.t_min, schedule.t_max):  # an end whose ratio was computed is met to roundoff only
        if math.isfinite(last) and abs(float(t[0]) - last) <= ROUNDOFF * max(abs(last), 1.0):
            return torch.tensor([last], dtype=torch.float64)
    return t
