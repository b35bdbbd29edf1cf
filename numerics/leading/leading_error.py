"""The leading term C / N^p of the error e(N) of a method, computed before a run, without a fitted parameter.

A step of size h makes the local error h^{p+1} delta(z, u), a sum of elementary differentials of G that follows from the
order proof (generated/defects.py). The exact flow transports it to the end, where the errors of all steps add up. On
grids with u_n = u(n/N) the sum is N^-p times the integral over i in [0, 1] of (du/di)^{p+1} dz_N/dz delta. With exact
start values every step has the full order of the method. A start-up of lower order adds its own local error at the
start, at the same rate or at a slower one, which then leads. A predictor-corrector ends with its predictor, and the
local error of that step is added at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..catalogue import resolve
from ..errors import InputError, whole
from ..generated.defects import ARGUMENTS, DEFECTS
from ..generated.frame_functions import FRAMES
from ..records import Record
from .differentials import total
from .exact_path import Path

BLOCK = 1 << 14  # numbers in one working array: those of a jet fit the cache of a core
STEEPEST = 1e6  # largest ratio of du/di to its mean: with fewer steps than this ratio one step spans the whole path


@dataclass(frozen=True)
class LeadingError:
    """Leading errors by metric: C / N^p, and C / N^{2p} for KL.

    order: p.  constants: C by metric. In one dimension: tv, kl, w2 and trajectory (root mean square, equal to w2) over
    the start law. In d > 1: the root mean square `trajectory` and the `mean` of |e| over the samples of the path.
    later: where p is the order of the start-up, the leading errors of all steps after it, of a higher order.
    """

    order: int
    constants: dict[str, float]
    later: LeadingError | None = None

    def __str__(self) -> str:
        power = {metric: 2 * self.order if metric == "kl" else self.order for metric in self.constants}
        return "\n".join(f"{metric:<10}  {value:.4g} / N^{power[metric]}" for metric, value in self.constants.items())

    def at(self, metric: str, steps: int) -> float | None:
        """The leading error of a run of N = `steps` steps; None for a metric without a constant.

        Raises InputError where `steps` is not a whole number of at least 1.
        """
        whole("steps", steps)
        if steps < 1:
            raise InputError("steps", steps, "at least 1")
        rate = 2 * self.order if metric == "kl" else self.order
        return self.constants[metric] / steps**rate if metric in self.constants else None

    def larger(self, metric: str, steps: int) -> float | None:
        """The larger of the leading error and that of `later`: with few steps the latter may lead."""
        found = [of.at(metric, steps) for of in (self, self.later) if of is not None]
        return max((error for error in found if error is not None), default=None)

    def beyond(self, metric: str, steps: int) -> float | None:
        """The error of `later` on N = `steps` steps, in units of the leading error; None where it is not known."""
        leading, later = self.at(metric, steps), None if self.later is None else self.later.at(metric, steps)
        return later / leading if leading and later is not None else None


def leading_error(name: str, path: Path, start: str = "exact") -> LeadingError:
    """The leading errors of a method along a path, from "exact" start values or with the record's "ramp".

    In one dimension the samples of the path are equidistant nodes of the start law (metrics.nodes). On the path of one
    grid (exact_path.along_grid) the constants hold for the number of steps of that grid.
    Raises InputError for an unknown method or start, for a method without a known leading error (see
    has_leading_error), and for a path along which the steps of the method do not become short (see resolved).
    """
    record = resolve(name)
    if start not in ("ramp", "exact"):
        raise InputError("start", start, 'one of "ramp", "exact"')
    if not has_leading_error(record, "exact"):
        known = [n for n in DEFECTS if not n.endswith(("-start", "-end"))]
        raise InputError("method", name, f"no leading error is known; one of {', '.join(known)}")
    if not has_leading_error(record, start):
        raise InputError("start", start, f"the leading error of {record.name} is known for exact start values only")
    if not resolved(record, path):
        raise InputError(
            "grid", FRAMES[record.frame].clock, f"no leading error of {record.name}: steps stay long at an end"
        )
    if start == "exact" or record.order_asymptotic == record.order:
        return _of_order(record, path, start == "ramp")
    return replace(_of_order(record, path, True), later=_of_order(record, path, False))


def _of_order(record: Record, path: Path, ramp: bool) -> LeadingError:
    """The leading errors of the order that the method has with its own start-up, or without."""
    order = record.order_asymptotic if ramp else record.order
    error, dilution = leading_terms(record, path, ramp)
    rate = float(path.count or 1) ** order
    if path.mixture.dim == 1:
        return LeadingError(order, _on_the_line(path, error[:, 0] * rate, dilution[:, 0] * rate))
    distance = error.square().sum(dim=1) * rate**2
    return LeadingError(order, {"trajectory": float(distance.mean().sqrt()), "mean": float(distance.sqrt().mean())})


def has_leading_error(record: Record, start: str) -> bool:
    """Whether the leading error of a method is known.

    It is not where a method of two states has the second root -1 (there its order is exceptional) and a start-up: half
    of the error of the start-up then changes its sign at every step.
    """
    return defects_of(record) in DEFECTS and (start == "exact" or "?" not in defects_of(record))


def resolved(record: Record, path: Path) -> bool:
    """Whether the steps of the method become short along the path: its clock is finite and not too steep at the ends.

    A step h = du/di / N is longer than the whole path until N exceeds the ratio of the largest du/di to its mean.
    """
    clock, needed = FRAMES[record.frame].clock, ARGUMENTS.get(defects_of(record), ())
    steps = path.steps[clock].abs()
    steepest = float(steps.max() / ((path.weights * steps).sum() / path.weights.sum()))
    rates = [of[clock] for symbol, of in (("e1", path.ratio_rates), ("l1", path.alpha_rates)) if symbol in needed]
    return steepest <= STEEPEST and all(bool(rate.isfinite().all()) for rate in rates)


def defects_of(record: Record) -> str:
    """The key of a record in DEFECTS: its full name, or its name without parameters."""
    return record.name if record.name in DEFECTS else record.name.partition("?")[0]


def leading_terms(record: Record, path: Path, ramp: bool) -> tuple[Tensor, Tensor]:
    """The leading terms of the error x_N - x_end [n, d] and, in one dimension, of the dilution of the density [n, 1].

    Both times N^p on the path of a kind of grid. A displacement e lowers the density of a law with score s by the
    relative amount div e + s . e, the dilution, which the flow leaves unchanged.
    """
    order, steps = (record.order_asymptotic if ramp else record.order), torch.arange(len(path.weights))
    own, size = defects_of(record), path.end.numel() * (path.mixture.components if path.mixture.dim > 1 else 1)
    parts: list[tuple[str, int, Tensor]] = []  # name of the defects, their order, indices on the path
    if order == record.order:
        parts += [(own, order, block) for block in torch.split(steps, max(1, BLOCK // size))]
        parts += [(f"{own}-end", order - 1, steps[-1:])]
    if ramp:
        parts += [(f"{own}-start", order - 1, steps[:1])]
    error, dilution = torch.zeros_like(path.x), torch.zeros(len(path.end), 1, dtype=torch.float64)
    for name, q, indices in parts:
        if name in DEFECTS:
            shares = path.weights[indices, None, None] if name == own else 1.0
            moved, diluted = local_errors(name, q, path, record, indices)
            error[indices] += shares * moved
            dilution += (shares * diluted).sum(dim=0)
    return path.carried(error), dilution


def local_errors(name: str, order: int, path: Path, record: Record, indices: Tensor) -> tuple[Tensor, Tensor]:
    """At q points of the path the local errors h^{order+1} delta in x [q, n, d] and, if d = 1, their dilution."""
    c, x, frame = path.columns.take(indices), path.x[indices], FRAMES[record.frame]
    scale = torch.as_tensor(frame.functions(c.alpha, c.sigma)[0], dtype=torch.float64)[:, None, None]
    power = path.steps[frame.clock][indices, None, None] ** (order + 1)

    def at_every_sample(column: Tensor) -> Tensor:
        return column[:, None].expand(x.shape[:2]).flatten()

    # The coefficients of the defects: parameters of the method, and numbers that change along the path.
    numbers: dict[str, float | Tensor] = {symbol: float(value) for symbol, value in record.numbers.items()}
    for symbol, of in (("e1", path.ratio_rates), ("l1", path.alpha_rates)):
        numbers[symbol] = at_every_sample(of[frame.clock][indices])
    numbers["rho"] = at_every_sample(c.rho)
    terms = DEFECTS[name](*(numbers[a] for a in ARGUMENTS.get(name, ())))
    # Elementary differentials of G at every sample and point, and the way back from z to x.
    if path.mixture.dim > 1:
        in_space = path.differentials.in_space(indices, frame)
        in_space.make(tree for _, tree in terms)
        return power * scale * total(in_space, terms).T.reshape(x.shape), torch.zeros(1, 1, 1, dtype=torch.float64)
    # One more derivative for the dilution div e + s . e.
    found = path.differentials.on_the_line(indices, frame, order + 1)
    moved = power * scale * total(found, terms).view(x.shape)
    return moved, power * found.divergence(terms).view(x.shape) + path.scores[indices] * moved


def _on_the_line(path: Path, error: Tensor, dilution: Tensor) -> dict[str, float]:
    """The leading terms of the metrics for a displacement `error` [n] of the law at the end.

    x: equidistant nodes of the start law. The density p becomes p - (error p)' = p - dilution p: TV is half the total
    variation of error p, KL half the mean of dilution^2, and W2 the root mean square of the error of the quantiles.
    """
    x = path.x[0, :, 0]
    density = path.mixture.log_density(path.x[0], path.source).exp()
    end_density = path.mixture.log_density(path.end, path.to).exp()
    root_mean_square = float(torch.trapezoid(error.square() * density, x).sqrt())
    return {
        "tv": _variation(error * end_density) / 2,
        "kl": float(torch.trapezoid(dilution.square() * density, x)) / 2,
        "w2": root_mean_square,
        "trajectory": root_mean_square,
    }


def _variation(f: Tensor) -> float:
    """Total variation of a function that vanishes at both ends, from equidistant values; extremes by parabolas."""
    rises = f.diff()
    at = torch.nonzero(rises[:-1] * rises[1:] < 0)[:, 0] + 1
    before, here, after = f[at - 1], f[at], f[at + 1]
    tops = here - (after - before).square() / (8 * (after - 2 * here + before))
    ends = f.new_zeros(1)
    return float(torch.cat([ends, tops, ends]).diff().abs().sum())
