"""Errors predicted before a run, without a fitted parameter: the leading term of e(N) ~ C / N^p.

A step of size h makes the local error h^{p+1} delta(z, u), a sum of elementary differentials of G that the order
proof gives (generated/defects.py). The exact flow carries it to the end, and the errors of all steps add up there. On
grids with u_n = u(n/N) the sum is N^-p times the integral over i in [0, 1] of (du/di)^{p+1} dz_N/dz delta. Every step
has the method's full order if start values are exact; a start-up of lower order adds its own local error at the
start, at the same rate or alone at a slower one, and a predictor-corrector that of its last step, which is only
predicted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..catalogue import resolve
from ..errors import InputError
from ..generated.defects import ARGUMENTS, DEFECTS
from ..generated.frame_functions import FRAMES
from ..records import Record
from .differentials import Differentials, partial_derivatives
from .exact_path import Path

BLOCK = 1 << 15  # points that are worked on at once
STEEPEST = 1e6  # steps until which a line is of use: one that is longer than so many average ones spans the whole way


@dataclass(frozen=True)
class Prediction:
    """Leading errors C / N^p, and C / N^{2p} of KL, by metric.

    In one dimension tv, kl, w2 and trajectory (root mean square; the same number as w2) over the start law; in more
    the root mean square `trajectory` and the `mean` of |e| over the samples of the path.
    later: where the order is that of the start-up, the leading errors of all steps after it, of a higher order.
    """

    order: int
    constants: dict[str, float]
    later: Prediction | None = None

    def at(self, metric: str, steps: int) -> float | None:
        """The leading error of a run of so many steps; None for a metric that is not predicted."""
        rate = 2 * self.order if metric == "kl" else self.order
        return self.constants[metric] / steps**rate if metric in self.constants else None

    def beyond(self, metric: str, steps: int) -> float | None:
        """How many times its leading error what is known to come later still is, on so many steps."""
        leading, later = self.at(metric, steps), None if self.later is None else self.later.at(metric, steps)
        return later / leading if leading and later is not None else None


def predict(name: str, path: Path, start: str = "exact") -> Prediction:
    """The leading errors of a method along a path, from "exact" start values or with the record's "ramp".

    In one dimension the samples of the path are equidistant nodes of the start law (metrics.nodes). On the path of one
    grid (targets.path.along_grid) the constants hold for its own number of steps.
    Raises InputError on an unknown start, for methods whose frame's G is not known here, for the start-up of one whose
    error then swings from step to step, and on a path along which the method's steps do not all become short.
    """
    record = resolve(name)
    if start not in ("ramp", "exact"):
        raise InputError("start", start, 'one of "ramp", "exact"')
    if not predictable(record, "exact"):
        known = [n for n in DEFECTS if not n.endswith(("-start", "-end"))]
        raise InputError("method", name, f"no prediction; one of {', '.join(known)}")
    if not predictable(record, start):
        raise InputError("start", start, f"{record.name} is predicted from exact start values only")
    if not resolved(record, path):
        raise InputError(
            "grid", FRAMES[record.frame].clock, f"no prediction of {record.name}: steps stay long at an end"
        )
    if start == "exact" or record.order_asymptotic == record.order:
        return _prediction(record, path, start == "ramp")
    return replace(_prediction(record, path, True), later=_prediction(record, path, False))


def _prediction(record: Record, path: Path, ramp: bool) -> Prediction:
    order = record.order_asymptotic if ramp else record.order
    error, dilution = leading_error(record, path, ramp)
    rate = float(path.count or 1) ** order
    if path.mixture.dim == 1:
        return Prediction(order, _on_the_line(path, error[:, 0] * rate, dilution[:, 0] * rate))
    distance = error.square().sum(dim=1) * rate**2
    return Prediction(order, {"trajectory": float(distance.mean().sqrt()), "mean": float(distance.sqrt().mean())})


def predictable(record: Record, start: str) -> bool:
    """Whether a method's leading error is known.

    The error that a method of two states starts with stays half in a part that changes its sign at every step where its
    second root is -1, as it is where the order is an exceptional one.
    """
    return _defects(record) in DEFECTS and (start == "exact" or "?" not in _defects(record))


def resolved(record: Record, path: Path) -> bool:
    """Whether the method's steps become short along the path: not where its clock is infinite at an end, or as good as.

    A step of h = du/di / N is longer than the whole way until N exceeds the steepest du/di over the average one.
    """
    clock, needed = FRAMES[record.frame].clock, ARGUMENTS.get(_defects(record), ())
    steps = path.steps[clock].abs()
    steepest = float(steps.max() / ((path.weights * steps).sum() / path.weights.sum()))
    rates = [of[clock] for symbol, of in (("e1", path.bends), ("l1", path.fades)) if symbol in needed]
    return steepest <= STEEPEST and all(bool(rate.isfinite().all()) for rate in rates)


def _defects(record: Record) -> str:
    """The name of a record's defects: its own, or those of the record that it gives other values of parameters."""
    return record.name if record.name in DEFECTS else record.name.partition("?")[0]


def leading_error(record: Record, path: Path, ramp: bool) -> tuple[Tensor, Tensor]:
    """Leading terms of x_N - x_end [n, d], and in one dimension of the share of its density lost there [n, 1].

    Times N^p on the path of a kind of grid. A displacement e thins a law of score s by the share div e + s . e, and
    the flow carries that along unchanged.
    """
    order, steps = (record.order_asymptotic if ramp else record.order), torch.arange(len(path.weights))
    own = _defects(record)
    parts: list[tuple[str, int, Tensor]] = []
    if order == record.order:
        parts += [(own, order, block) for block in torch.split(steps, max(1, BLOCK // len(path.end)))]
        parts += [(f"{own}-end", order - 1, steps[-1:])]
    if ramp:
        parts += [(f"{own}-start", order - 1, steps[:1])]
    error, dilution = torch.zeros_like(path.end), torch.zeros(len(path.end), 1, dtype=torch.float64)
    for name, q, places in parts:
        if name in DEFECTS:
            shares = path.weights[places, None, None] if name == own else 1.0
            moved, thinned = _local_errors(name, q, path, record, places)
            error += (shares * (path.carry[places] @ moved[..., None])[..., 0]).sum(dim=0)
            dilution += (shares * thinned).sum(dim=0)
    return error, dilution


def _local_errors(name: str, order: int, path: Path, record: Record, places: Tensor) -> tuple[Tensor, Tensor]:
    """At some places of the path the local errors h^{order+1} delta in x [q, n, d] and, if d = 1, by how much they
    thin the density [q, n, 1]."""
    c, x, frame = path.columns.take(places), path.x[places], FRAMES[record.frame]
    line = path.mixture.dim == 1
    scale = torch.as_tensor(frame.functions(c.alpha, c.sigma)[0], dtype=torch.float64)[:, None, None]
    power = path.steps[frame.clock][places, None, None] ** (order + 1)

    def at_every_sample(column: Tensor) -> Tensor:
        return column[:, None].expand(x.shape[:2]).flatten()

    z, u = (x / scale).flatten(0, 1), at_every_sample(getattr(c, frame.clock))
    found = Differentials(partial_derivatives(path.mixture, frame, z, u, order + line))
    numbers: dict[str, float | Tensor] = {symbol: float(value) for symbol, value in record.numbers.items()}
    for symbol, of in (("e1", path.bends), ("l1", path.fades)):
        numbers[symbol] = at_every_sample(of[frame.clock][places])[:, None]
    numbers["rho"] = at_every_sample(c.rho)[:, None]
    terms = DEFECTS[name](*(numbers[a] for a in ARGUMENTS.get(name, ())))
    moved = power * scale * found.total(terms).view(x.shape)
    if not line:
        return moved, torch.zeros(1, 1, 1, dtype=torch.float64)
    score = torch.stack([path.mixture(xi, at, "score") for xi, at in zip(x, c.points(), strict=True)])
    return moved, power * found.divergence(terms).view(x.shape) + score * moved


def _on_the_line(path: Path, error: Tensor, dilution: Tensor) -> dict[str, float]:
    """The metrics of a small displacement [n] of the law at the end; x equidistant nodes of the start law.

    The density p becomes p - (error p)' = p - dilution p: TV is half the total variation of error p, KL half the mean
    of dilution^2, and W2 moves every quantile by its error.
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
    """Total variation of a function that vanishes at both ends, from equidistant values, its extremes by parabolas."""
    rises = f.diff()
    at = torch.nonzero(rises[:-1] * rises[1:] < 0)[:, 0] + 1
    before, here, after = f[at - 1], f[at], f[at + 1]
    tops = here - (after - before).square() / (8 * (after - 2 * here + before))
    ends = f.new_zeros(1)
    return float(torch.cat([ends, tops, ends]).diff().abs().sum())
