"""Noise schedules at given parameters: columns at t, t at lambda, points."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property

import torch
from torch import Tensor

from ..names.lookup import Domain, Entry, Names
from .content import ATOL, RTOL, ByContent, close
from .errors import InputError, nearest, number, of_type, positive
from .generated.schedule_functions import SCHEDULES
from .points import Point
from .records import ScheduleRecord
from .text_table import described


@dataclass(frozen=True, eq=False)
class Columns(ByContent):
    """The values of a schedule at times t: float64 tensors of one shape.

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
        """The columns at an index."""
        return Columns(*self._side_by_side[:, index].unbind())

    @cached_property
    def _side_by_side(self) -> Tensor:
        """All columns in one tensor, of which a coefficient takes a few entries at once."""
        return torch.stack([getattr(self, f.name) for f in fields(self)])

    def points(self) -> tuple[Point, ...]:
        """Every point of one-dimensional columns."""
        rows = zip(*(v.tolist() for v in (self.alpha, self.sigma, self.t, self.dalpha, self.dsigma)), strict=True)
        return tuple(Point(*row) for row in rows)


@dataclass(frozen=True, eq=False)
class Schedule(ByContent):
    """A schedule of theory/schedule_formulas.py with its parameters set: alpha(t), sigma(t) of the forward process.

    == compares exactly, isclose to a tolerance.
    """

    kind: str
    parameters: dict[str, float]
    record: ScheduleRecord

    def __repr__(self) -> str:
        return f"schedule({', '.join([repr(self.kind), *(f'{k}={v:g}' for k, v in self.parameters.items())])})"

    def __str__(self) -> str:
        ends = f"{self.t_min:g} <= t" + (f" <= {self.t_max:g}" if math.isfinite(self.t_max) else "")
        parameters = ", ".join(f"{name} = {value:g}" for name, value in self.parameters.items())
        start = "N(0, 1)" if self.record.prior == "unit" else "N(0, sigma^2)"
        return described(self.kind, [("parameters", parameters or "none"), ("times", ends), ("start law", start)])

    def isclose(self, other: Schedule, *, rtol: float = RTOL, atol: float = ATOL) -> bool:
        """Whether the kinds are the same and the parameters agree to |a - b| <= atol + rtol |b|."""
        return close(self, other, rtol, atol)

    @property
    def t_min(self) -> float:
        """The least time of the domain."""
        return self.record.domain[0]

    @property
    def t_max(self) -> float:
        """The largest time of the domain, infinite if it has no end."""
        return self.record.domain[1]

    def _arguments(self) -> list[Tensor]:
        return [_float64(self.parameters[p]) for p in self.record.parameters]

    def columns(self, t: Tensor) -> Columns:
        """alpha, sigma and the clocks at times t (float64, any shape).  Raises InputError outside the domain."""
        of_type("t", t, Tensor, "a tensor of times; point(t) takes a number")
        outside = ~((t >= self.t_min) & (t <= self.t_max))
        if bool(outside.any()):
            bad = float(t[outside].flatten()[0])
            raise InputError("t", bad, f"{self.kind} is defined for {self.t_min} <= t <= {self.t_max}")
        values = self.record.columns(t, *self._arguments())
        alpha, sigma, lam, rho2, dalpha, dsigma = (torch.as_tensor(v, dtype=t.dtype).expand(t.shape) for v in values)
        return Columns(t, alpha, sigma, lam, rho2.sqrt(), rho2, dalpha, dsigma)

    def time(self, lam: Tensor) -> Tensor:
        """t at which log(alpha/sigma) = lam (float64, any shape)."""
        of_type("lam", lam, Tensor, "a tensor of log(alpha/sigma)")
        time = self.record.time(lam, *self._arguments())
        assert isinstance(time, Tensor)
        return time

    def point(self, t: float) -> Point:
        """The point of the forward process at time t."""
        number("t", t)
        c = self.columns(_float64(t))
        return Point(float(c.alpha), float(c.sigma), float(t), float(c.dalpha), float(c.dsigma))

    def prior_std(self, at: Point) -> float:
        """Standard deviation of the usual start law: 1 where variance is preserved, sigma elsewhere."""
        return 1.0 if self.record.prior == "unit" else at.sigma


def _float64(value: float) -> Tensor:
    return torch.tensor(float(value), dtype=torch.float64)


# What a schedule is also called, for the hint at an unknown name.
MEANT = {"vp": "vp-linear", "linear": "vp-linear", "ddpm": "vp-linear", "karras": "edm", "rectified-flow": "flow"}


def schedule(kind: str, **parameters: float) -> Schedule:
    """The noise schedule of that kind: alpha(t), sigma(t) of the forward process x = alpha x0 + sigma eps.

        kind         parameters                        alpha, sigma
        "vp-linear"  beta_min = 0.1, beta_max = 20     alpha^2 = exp(-I), sigma^2 = 1 - exp(-I), I = integral of beta
        "cosine"     offset = 0.008                    alpha = cos(pi/2 (t + offset)/(1 + offset)), scaled to 1 at t = 0
        "ve"         sigma_min = 0.01, sigma_max = 50  alpha = 1, sigma = sigma_min (sigma_max/sigma_min)^t
        "edm"        none                              alpha = 1, sigma = t
        "flow"       none                              alpha = 1 - t, sigma = t

    with beta(t) = beta_min + (beta_max - beta_min) t. The defaults are those of Song et al. 2021 (vp-linear and ve) and
    Nichol and Dhariwal 2021 (cosine); "edm" is of Karras et al. 2022, "flow" of Lipman et al. 2023.
    `columns(t)` has alpha, sigma, lambda = log(alpha/sigma) and rho = sigma/alpha at a tensor of times; `time(lam)` is
    the inverse of lambda(t), `point(t)` one point.
    Raises InputError on an unknown kind, and on unknown or bad parameters.

    >>> import samplerproof as sp
    >>> sp.schedule("vp-linear")
    schedule('vp-linear', beta_min=0.1, beta_max=20)
    >>> sp.schedule("edm").point(2.0).sigma
    2.0
    """
    of_type("schedule.kind", kind, str, f"the name of a schedule: {', '.join(SCHEDULES)}")
    if kind not in SCHEDULES:
        raise InputError("schedule.kind", kind, f"not a known schedule; {nearest(kind, SCHEDULES, MEANT)}")
    record = SCHEDULES[kind]
    for name in parameters:
        if name not in record.parameters:
            allowed = ", ".join(record.parameters) or "none"
            raise InputError(
                f"schedule.{name}", parameters[name], f"not a parameter of {kind}; its parameters: {allowed}"
            )
    values = {}
    for name in record.parameters:
        values[name] = positive(f"schedule.{name}", parameters.get(name, record.defaults[name]))
    for low, high in (("beta_min", "beta_max"), ("sigma_min", "sigma_max")):
        if low in values and values[low] >= values[high]:
            raise InputError(f"schedule.{low}", values[low], f"below {high} = {values[high]}")
    return Schedule(kind, values, record)


def named(text: str, field: str = "schedule") -> Schedule:
    """The schedule of NAME or NAME?parameter=value&….  Raises InputError as names/lookup.py does."""
    entries = (
        Entry(name, (), tuple(Domain(p, Fraction(r.defaults[p]), 0, math.inf, closed=False) for p in r.parameters))
        for name, r in SCHEDULES.items()
    )
    choice = Names(entries, "schedule").parse(text, field)
    return schedule(choice.base, **{name: float(value) for name, value in choice.values})
