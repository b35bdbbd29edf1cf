"""The time argument of an external network at lambda: the inverse of its own lambda(t)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.interpolate import make_interp_spline

from ..errors import InputError
from ..points import Point
from ..schedules import Schedule
from .checkpoint import Native, unit_point

DEGREE = 5
Span = tuple[float, float]


def continuous(schedule: Schedule, t_min: float, t_max: float, time_scale: float = 1.0) -> tuple[Native, Span]:
    """Native points and lambda span of a network trained on a schedule, t_min <= t <= t_max; it takes time_scale t.

    Raises InputError where lambda is infinite at an end, and on ends outside the schedule.
    """
    ends = schedule.columns(torch.tensor([t_max, t_min], dtype=torch.float64)).lam.tolist()
    for name, t, lam in (("t_max", t_max, ends[0]), ("t_min", t_min, ends[1])):
        if not math.isfinite(lam):
            raise InputError(f"schedule.{name}", t, "lambda is infinite there; give the ends of the trained interval")
    if not ends[0] < ends[1]:
        raise InputError("schedule.t_min", t_min, f"below t_max = {t_max}")

    def native(lam: float) -> Point:
        at = schedule.point(float(schedule.time(torch.tensor(lam, dtype=torch.float64))))
        return at._replace(t=at.t * time_scale)

    return native, (ends[0], ends[1])


def discrete(alpha_bar: Sequence[float]) -> tuple[Native, Span]:
    """Native points and lambda span of a network trained at levels 0, 1, … with alpha^2 = alpha_bar = 1 - sigma^2.

    The network takes the level. Between levels, the level is interpolated in lambda by a spline of degree 5, so
    t(lambda) has four continuous derivatives. A sampler of order p assumes p derivatives along the trajectory; linear
    interpolation has a kink at every level, and each kink in a step costs an error of h^2, for every order. On 20
    levels exp-adams-3 measures 3.0 with the spline and 2.0 with linear interpolation (tests).
    Raises InputError unless alpha_bar has DEGREE + 1 values that fall, between 1 and 0.
    """
    bar = np.asarray(alpha_bar, dtype=np.float64)
    if bar.ndim != 1 or len(bar) <= DEGREE or not (bar.min() > 0 and bar.max() < 1 and (np.diff(bar) < 0).all()):
        raise InputError("schedule.alpha_bar", f"{bar.size} numbers", f"more than {DEGREE}, falling between 1 and 0")
    lam = (np.log(bar) - np.log1p(-bar)) / 2
    spline = make_interp_spline(lam[::-1], np.arange(len(bar), dtype=np.float64)[::-1], k=DEGREE)
    fine = np.linspace(lam[-1], lam[0], 8 * len(bar))
    if not (np.diff(spline(fine)) < 0).all():
        raise InputError(
            "schedule.alpha_bar", f"{bar.size} numbers", "smooth enough that the level decreases with lambda"
        )
    return lambda level: unit_point(level)._replace(t=float(spline(level))), (float(lam[-1]), float(lam[0]))


def linear_betas(start: float, end: float, levels: int, of_roots: bool = False) -> list[float]:
    """alpha_bar of betas equally spaced from start to end, or of roots of betas equally spaced (scaled-linear)."""
    power = 0.5 if of_roots else 1.0
    betas = np.linspace(start**power, end**power, levels) ** (1 / power)
    return [float(value) for value in np.cumprod(1 - betas)]
