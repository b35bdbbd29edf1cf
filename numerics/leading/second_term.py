"""The term after the leading one, e(N) = C/N^p (1 + c/N + …), computed before a run on grids uniform in lambda.

In lambda the flow is dz/dlambda = g, with J = dg/dz, and all steps have one length h. From exact values a step is off
by h^{p+1} d_1 + h^{p+2} d_2 + …; d_1 and d_2 are coefficients of Taylor series in h of the step and of the exact path,
without trees. For p >= 2 the error e = h^p E + h^{p+1} E_2 + … obeys, with ' along the exact path,

    E' = J E + d_1,    E_2' = J E_2 + d_2 - d_1'/2 + (theta - 1/2) J d_1,    theta = -sum_k k b_k,

where b_k is the weight of the output k steps back: there the error was that of another time. From exact start values
E = 0 and E_2 = -q d_1 at the start, as the first q steps, the history, have no error.

A predictor-corrector has its outputs at predicted points, off by h^p H + h^{p+1} H_2. Let the predictor be off by
h^p a_1 + h^{p+1} a_2, and the corrector by h^{p+1} d_1 + h^{p+2} d_2, both with outputs on the exact path:

    H = E + a_1,    E' = J H + d_1,    H_2 = E_2 + a_2 - d_1 - a_1',    E_2' = J H_2 + d_2 - d_1'/2.

Its first outputs are exact: E_2 = -q (J a_1 + d_1) - sum_k (k + 1) b_k J a_1 at the start. It ends with a predicted
point, and H and H_2 are the terms there. (Expand e(lambda + h) and e(lambda - k h) in h.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import factorial
from torch import Tensor

from ..catalogue import resolve
from ..errors import InputError, whole
from ..generated import weight_functions
from ..generated.frame_functions import FRAMES
from ..records import Record
from . import jets
from .differentials import right_side
from .exact_path import Path
from .jets import Jet
from .leading_error import BLOCK, has_leading_error

RATES = {"lam": 0, "rho": -1, "rho2": -2}  # of the clocks lambda and e^{rate lambda}
# Lengths of steps in [-REACH, REACH] from whose weights their series follow, to h^6 good to 1e-7.
SAMPLES, REACH = 24, 0.5

Coefficients = NDArray[np.float64]  # of h^0, h^1, …


@dataclass(frozen=True)
class TwoTerms:
    """The root mean square error over the start law, leading / N^order (1 + share / N) up to terms of 1/N^{order+2}."""

    order: int
    leading: float
    share: float

    def next(self, steps: int) -> float:
        """The second term for a run of N = `steps` steps.

        Raises InputError where `steps` is not a whole number of at least 1.
        """
        whole("steps", steps)
        if steps < 1:
            raise InputError("steps", steps, "at least 1")
        return self.leading * self.share / float(steps) ** (self.order + 1)


class NodeSeries(NamedTuple):
    """An output of a row, (back, stage) as in GeneratedRow, and its weight as a series in h."""

    back: int
    stage: int
    weight: Coefficients


class RowSeries(NamedTuple):
    """A row of a step: how far it moves the clock, over the clock itself if that is no lambda, and its outputs."""

    moved: Coefficients
    nodes: tuple[NodeSeries, ...]


def two_terms(name: str, path: Path) -> TwoTerms:
    """The first two terms of the root mean square error of a method from exact start values.

    path: of a kind of grids uniform in lambda (exact_path.along_kind), in any dimension. In one the samples are
    equidistant nodes of the start law (metrics.nodes).
    Raises InputError for an unknown method, and where the terms are not known (why_unknown).
    """
    record = resolve(name)
    if path.count is not None or not torch.allclose(path.steps["lam"], path.steps["lam"][0], rtol=1e-9):
        raise InputError("path", "other steps", "along_kind of a grid uniform in lambda")
    if why := why_unknown(record):
        raise InputError("method", name, why)
    first, second = error_terms(record, path)
    square, product = first.square().sum(dim=1), (first * second).sum(dim=1)
    if path.mixture.dim == 1:
        x, density = path.x[0, :, 0], path.mixture.log_density(path.x[0], path.source).exp()
        mean_square, mean_product = (float(torch.trapezoid(f * density, x)) for f in (square, product))
    else:
        mean_square, mean_product = float(square.mean()), float(product.mean())
    return TwoTerms(record.order, mean_square**0.5, mean_product / mean_square)


def why_unknown(record: Record) -> str | None:
    """Which methods have a known second term, for one that has none."""
    if record.order < 2 or not has_leading_error(record, "exact"):
        return "one of order 2 or higher with a leading error"
    numbers = {"h", *record.numbers, *(f"r{k}" for k in range(1, record.history + 1))}
    if any(row.states is not None or not numbers.issuperset(row.arguments) for row in record.rows):
        return "one that carries one state, with weights that depend on the lengths of steps alone"
    return None


def error_terms(record: Record, path: Path) -> tuple[Tensor, Tensor]:
    """The first two terms of the error x_N - x_end, times N^p and N^{p+1}: [n, d] each."""
    made = torch.zeros(2, *path.x.shape, dtype=torch.float64)
    width = path.end.numel() * (path.mixture.components if path.mixture.dim > 1 else 1)
    for indices in torch.split(torch.arange(len(path.weights)), max(1, BLOCK // width)):
        made[:, indices] = _errors_made(record, path, indices)
    length = float(path.steps["lam"][0])
    first, second = (path.carried(errors) for errors in made)
    return first * length**record.order, second * length ** (record.order + 1)


def _errors_made(record: Record, path: Path, indices: Tensor) -> Tensor:
    """What points of the path add to E and E_2 at the end, in x where it is made: [2, q, n, d].

    The integral of d_1', carried to the end, is by parts that of J d_1 and d_1 itself at both ends.
    """
    p, q, rows, at = record.order, record.history, step_series(record), ExactSeries(path, record, indices)
    past = [(node.back, node.weight[1]) for node in rows[-1].nodes if not node.stage]  # k, b_k
    if record.kind == "predictor-corrector":
        a, d = at.residual(rows[:1], at.z), at.residual(rows, at.z, stages=False)
        a1, d1 = a[p], d[p + 1]
        late = a[p + 1] - at.residual(rows[:1], derivative(at.z))[p]  # a_2 - a_1'
        inside = at.times_jacobian(a1) + d1, at.times_jacobian(late - 1.5 * d1) + d[p + 2]
        begin = d1 / 2 - q * inside[0] - sum((k + 1) * b for k, b in past) * at.times_jacobian(a1)
        end = a1, late - 1.5 * d1
    else:
        d = at.residual(rows, at.z)
        d1, theta = d[p + 1], -sum(k * b for k, b in past)
        inside = d1, d[p + 2] + (theta - 1) * at.times_jacobian(d1)
        begin = (0.5 - q) * d1
        end = torch.zeros_like(d1), -d1 / 2
    shares = path.weights[indices] * path.steps["lam"][indices]  # of the integral over lambda
    terms = torch.stack([torch.stack(inside), torch.stack([torch.zeros_like(begin), begin]), torch.stack(end)])
    ends = [(indices == k).double() for k in (0, len(path.weights) - 1)]
    parts = torch.stack([shares, *ends])[:, None, :, None, None]
    return at.scale * (parts * terms.transpose(2, 3).reshape(3, 2, *path.x[indices].shape)).sum(dim=0)


class ExactSeries:
    """Points on exact paths: z = x/m there and on, a Taylor series in lambda, to the degree that two terms need."""

    def __init__(self, path: Path, record: Record, indices: Tensor) -> None:
        self._mixture, self._frame, self.degree = path.mixture, FRAMES[record.frame], record.order + 2
        self._rate, columns = RATES[self._frame.clock], path.columns.take(indices)
        scale = self._frame.functions(columns.alpha, columns.sigma)[0]
        self.scale = torch.as_tensor(scale, dtype=torch.float64)[:, None, None]
        z, self._u = path.differentials.points(indices, self._frame)
        # The exact path: coefficient k + 1 from that of h^k in its derivative.
        degrees = np.arange(self.degree + 1)
        clock = self._clock(self._rate**degrees / factorial(degrees) if self._rate else (degrees == 1) * 1.0)
        self.z: Jet = {(0,): z}
        for k in range(self.degree):
            self.z[k + 1,] = self._slope(self.z, clock, k).get((k,), torch.zeros_like(z)) / (k + 1)

    def _clock(self, moved: Coefficients) -> Jet:
        """The clock at a place near the points, from how far it is moved (RowSeries)."""
        unit = self._u if self._rate else torch.ones_like(self._u)
        near: Jet = {(k,): unit * float(moved[k]) for k in range(1, self.degree + 1)}
        return {(0,): self._u, **near}

    def _slope(self, z: Jet, clock: Jet, degree: int) -> Jet:
        """g = G du/dlambda."""
        of_clock = right_side(self._mixture, self._frame, z, clock, degree)
        return jets.multiply(of_clock, jets.scale(clock, self._rate), degree) if self._rate else of_clock

    def times_jacobian(self, v: Tensor) -> Tensor:
        """J v."""
        return self._slope({(0,): self.z[0,], (1,): v}, {(0,): self._u}, 1)[1,]

    def residual(self, rows: tuple[RowSeries, ...], z: Jet, stages: bool = True) -> list[Tensor]:
        """How far a step from z(0) is off z(h), with outputs z' at grid points: the coefficients of h^0, h^1, ….

        stages: whether outputs of stages are made there, or else taken on the exact path, at the next grid point.
        """
        outputs, made = derivative(z), z
        at_stages: list[Jet] = []
        for row in rows:
            made = {(0,): z[0,]}
            for node in row.nodes:
                steps = 1 if node.stage else -node.back
                on_path: Jet = {k: v * float(steps) ** k[0] for k, v in outputs.items()}
                output = at_stages[node.stage - 1] if node.stage and stages else on_path
                weight: Jet = {(k,): torch.tensor(w) for k, w in enumerate(node.weight[: self.degree + 1])}
                made = jets.add(made, jets.multiply(weight, output, self.degree))
            if row is not rows[-1] and stages:
                at_stages.append(self._slope(made, self._clock(row.moved), self.degree - 1))
        return [made[k,] - z[k,] for k in range(max(z)[0] + 1)]


def derivative(z: Jet) -> Jet:
    """z' of a Taylor series in one variable."""
    return {(k - 1,): k * v for (k, *_), v in z.items() if k}


@cache
def step_series(record: Record) -> tuple[RowSeries, ...]:
    """The rows of a step of length h in lambda for outputs g, from the generated weights, with equal steps before."""
    x, frame = REACH * torch.from_numpy(np.cos(_angles())), FRAMES[record.frame]
    rate = RATES[frame.clock]

    def moved(steps: int) -> Tensor:
        return torch.expm1(rate * steps * x) if rate else steps * x

    h = moved(1)
    numbers = {"h": h} | {f"r{k}": (moved(1 - k) - moved(-k)) / h for k in range(1, record.history + 1)}
    numbers |= {symbol: torch.tensor(float(value), dtype=torch.float64) for symbol, value in record.numbers.items()}
    places: list[Tensor] = []
    rows = []
    for row in record.rows:
        share = numbers[row.to] if isinstance(row.to, str) else row.to
        places.append(moved(share) if isinstance(share, int) else float(share) * h)
        weights = getattr(weight_functions, row.weights)(*(numbers[a] for a in row.arguments))
        nodes = []
        for (back, stage), weight in zip(row.nodes, weights, strict=True):
            there = places[stage - 1] if stage else moved(-back)
            # The row multiplies F; c e^{kappa u} F = G, and G du/dlambda = g.
            growth = torch.exp(frame.kappa * (places[-1] - there))
            nodes.append(NodeSeries(back, stage, _taylor(weight * growth / (rate * (1 + there) if rate else 1.0))))
        rows.append(RowSeries(_taylor(places[-1]), tuple(nodes)))
    return tuple(rows)


def _angles() -> Coefficients:
    """Of the Chebyshev points of [-1, 1], none of which is 0."""
    return np.asarray(np.pi * (np.arange(SAMPLES) + 0.5) / SAMPLES)


def _taylor(values: Tensor) -> Coefficients:
    """Taylor coefficients at 0 of a function with these values at the Chebyshev points, times REACH."""
    shares = 2 / SAMPLES * np.cos(np.outer(np.arange(SAMPLES), _angles())) @ values.expand(SAMPLES).numpy()
    shares[0] /= 2
    found = np.polynomial.chebyshev.cheb2poly(shares)
    return np.asarray(np.pad(found, (0, SAMPLES - len(found))) / REACH ** np.arange(SAMPLES))
