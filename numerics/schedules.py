"""Noise schedules at given parameters: columns at t, t at lambda, points."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .errors import InputError, nearest
from .generated.schedule_functions import SCHEDULES
from .points import Point
from .records import ScheduleRecord


@dataclass(frozen=True)
class Columns:
    """What a schedule says at times t: float64 tensors of one shape.

    lam = log(alpha/sigma), rho = sigma/alpha, rho2 = rho^2; dalpha, dsigma: derivatives in t.
    """

    t: Tensor
    alpha: Tensor
    sigma: Tensor
    lam: Tensor
    rho: Tensor
    rho2: Tensor
    dalpha: Tensor
    dsigma: Tensor

    def take(self, index: Tensor) -> Columns:
        """The columns at some of their points."""
        return Columns(*(getattr(self, f.name)[index] for f in fields(self)))

    def points(self) -> tuple[Point, ...]:
        """Every point of one-dimensional columns."""
        rows = zip(*(v.tolist() for v in (self.alpha, self.sigma, self.t, self.dalpha, self.dsigma)), strict=True)
        return tuple(Point(*row) for row in rows)


@dataclass(frozen=True)
class Schedule:
    """A schedule of theory/schedule_formulas.py with its parameters set."""

    kind: str
    parameters: dict[str, float]
    record: ScheduleRecord

    @property
    def t_min(self) -> float:
        return self.record.domain[0]

    @property
    def t_max(self) -> float:
        return self.record.domain[1]

    def _arguments(self) -> list[Tensor]:
        return [_float64(self.parameters[p]) for p in self.record.parameters]

    def columns(self, t: Tensor) -> Columns:
        """alpha, sigma and the clocks at times t (float64, any shape).  Raises InputError outside the domain."""
        outside = ~((t >= self.t_min) & (t <= self.t_max))
        if bool(outside.any()):
            bad = float(t[outside].flatten()[0])
            raise InputError("t", bad, f"{self.kind} is defined for {self.t_min} <= t <= {self.t_max}")
        values = self.record.columns(t, *self._arguments())
        alpha, sigma, lam, rho2, dalpha, dsigma = (torch.as_tensor(v, dtype=t.dtype).expand(t.shape) for v in values)
        return Columns(t, alpha, sigma, lam, rho2.sqrt(), rho2, dalpha, dsigma)

    def time(self, lam: Tensor) -> Tensor:
        """t at which log(alpha/sigma) = lam (float64, any shape)."""
        time = self.record.time(lam, *self._arguments())
        assert isinstance(time, Tensor)
        return time

    def point(self, t: float) -> Point:
        """The point of the forward process at time t."""
        c = self.columns(_float64(t))
        return Point(float(c.alpha), float(c.sigma), float(t), float(c.dalpha), float(c.dsigma))

    def prior_std(self, at: Point) -> float:
        """Standard deviation of the usual start law: 1 where variance is preserved, sigma elsewhere."""
        return 1.0 if self.record.prior == "unit" else at.sigma


def _float64(value: float) -> Tensor:
    return torch.tensor(float(value), dtype=torch.float64)


def schedule(kind: str, **parameters: float) -> Schedule:
    """The schedule of that kind.  Raises InputError on an unknown kind, and on unknown, missing or bad parameters."""
    if kind not in SCHEDULES:
        raise InputError("schedule.kind", kind, f"not a known schedule; {nearest(kind, SCHEDULES)}")
    record = SCHEDULES[kind]
    for name in parameters:
        if name not in record.parameters:
            allowed = ", ".join(record.parameters) or "none"
            raise InputError(
                f"schedule.{name}", parameters[name], f"not a parameter of {kind}; its parameters: {allowed}"
            )
    values = {}
    for name in record.parameters:
        if name not in parameters and name not in record.defaults:
            raise InputError(f"schedule.{name}", None, f"{kind} needs a number > 0")
        values[name] = float(parameters.get(name, record.defaults.get(name, 0.0)))
        if not 0 < values[name] < float("inf"):
            raise InputError(f"schedule.{name}", values[name], "a number > 0")
    for low, high in (("beta_min", "beta_max"), ("sigma_min", "sigma_max")):
        if low in values and values[low] >= values[high]:
            raise InputError(f"schedule.{low}", values[low], f"below {high} = {values[high]}")
    return Schedule(kind, values, record)
