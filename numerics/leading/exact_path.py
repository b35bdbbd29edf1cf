"""The exact flow of start samples at points of a grid, with the derivative of its end in the state at each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..denoisers import Denoiser
from ..grids import Grid, spacing
from ..points import Point
from ..schedules import Columns, Schedule
from ..targets.flow import exact_flows
from ..targets.mixture import GaussianMixture
from ..targets.reference import flow_in_steps, reference_flow
from .differentials import PathDifferentials

CLOCKS = ("lam", "rho", "rho2")
POINTS = 96  # on the path of a kind of grid: order 4 over ten units of lambda is good to 1e-4; with 48, 20 % off
MOST_POINTS = 200  # on the path of one grid: they give the sum over thousands of steps to a few parts in 10^4
TOLERANCE = 1e-9  # of the flow in d > 1; leading errors are good to a few parts in a thousand
LONGEST = 0.1  # steps of lambda by which an error is carried: good to some parts in 10^5
MATRICES = 4  # dimensions up to which the derivative of the flow, d tangents, is computed once for all methods


@dataclass(frozen=True, eq=False)
class Path:
    """Q points on the exact paths of n samples; sum_q weights[q] f(q) is the sum over all steps of a grid.

    columns: the schedule at the points [Q].  steps: the step h at each point, by clock [Q].  ratio_rates: e1, where the
    step before has the length (1 + e1 h) h, likewise.  alpha_rates: d log alpha/du, likewise.  x [Q, n, d];
    matrices [Q, n, d, d]: dx_end/dx, in up to MATRICES dimensions; end [n, d].  The first point is the start; the last
    begins the last step.
    count: the number of steps N, or None for all grids of a kind, where f(N) ~ C / N^p: then h is du/di at the fraction
    i of the path, the step of a grid of one step.
    """

    mixture: GaussianMixture
    source: Point
    to: Point
    columns: Columns
    steps: dict[str, Tensor]
    ratio_rates: dict[str, Tensor]
    alpha_rates: dict[str, Tensor]
    weights: Tensor
    x: Tensor
    matrices: Tensor | None
    end: Tensor
    count: int | None

    @cached_property
    def carry(self) -> Tensor:
        """dx_end/dx at every sample and point [Q, n, d, d]."""
        if self.matrices is not None:
            return self.matrices
        matrices = _flow_with_tangents(self.mixture, self.x[0], self.columns.points(), self.to)[1]
        return matrices

    def carried(self, errors: Tensor) -> Tensor:
        """The sum at the end of errors in x that are made at every point [Q, n, d], to first order: [n, d]."""
        if self.matrices is not None:
            return (self.matrices @ errors[..., None])[..., 0].sum(dim=0)
        # From point to point as a tangent of the flow, with the error that is made there added.
        points, error = (*self.columns.points(), self.to), torch.zeros_like(self.end)
        for x, made, here, there in zip(self.x, errors, points, points[1:], strict=False):
            states = torch.stack([x, error + made])
            error = flow_in_steps(_with_tangents(self.mixture), states, here, there, LONGEST)[1]
        return error

    @cached_property
    def differentials(self) -> PathDifferentials:
        """The elementary differentials along the path, shared by methods."""
        return PathDifferentials(self)

    @cached_property
    def scores(self) -> Tensor:
        """The score at every sample and point [Q, n, d]."""
        return torch.stack([self.mixture(x, at, "score") for x, at in zip(self.x, self.columns.points(), strict=True)])


def along_kind(
    mixture: GaussianMixture, schedule: Schedule, kind: str, x: Tensor, count: int = POINTS, /, **parameters: float
) -> Path:
    """The path for all grids of a kind (see grids.spacing): Gauss-Legendre points, and the two ends.

    x [n, d]: samples at the noisy end.
    """
    # The schedule at Gauss-Legendre points of the path, as a function of the fraction i.
    fractions, weights = np.polynomial.legendre.leggauss(count)
    i = torch.tensor([0.0, *((fractions + 1) / 2), 1.0], dtype=torch.float64, requires_grad=True)
    columns = schedule.columns(spacing(schedule, kind, **parameters)(i))
    # Derivatives in i: du/di, e1 = -u''/u'^2 and d log alpha/du, by clock.
    log_alpha_rate = _derivative(columns.alpha, i).detach() / columns.alpha.detach()
    steps, ratio_rates, alpha_rates = {}, {}, {}
    for clock in CLOCKS:
        first = _derivative(getattr(columns, clock), i)
        steps[clock] = first.detach()
        ratio_rates[clock] = -_derivative(first, i).detach() / steps[clock].square()
        alpha_rates[clock] = log_alpha_rate / steps[clock]
    # The samples on the exact flow to every point.
    fixed = Columns(*(getattr(columns, f).detach() for f in Columns.__dataclass_fields__))
    shares = torch.tensor([0.0, *(weights / 2), 0.0], dtype=torch.float64)
    points = fixed.points()
    flow = _flow(mixture, x, points, points[-1])
    return Path(mixture, points[0], points[-1], fixed, steps, ratio_rates, alpha_rates, shares, *flow, None)


def _derivative(f: Tensor, i: Tensor) -> Tensor:
    """df_q/di_q for every q, with a graph of its own; zero where f does not depend on i."""
    if not f.requires_grad:
        return torch.zeros_like(i)
    (slope,) = torch.autograd.grad(f.sum(), i, create_graph=True, materialize_grads=True)
    return slope


def along_grid(mixture: GaussianMixture, grid: Grid, x: Tensor) -> Path:
    """The path for one grid: all its steps, or up to MOST_POINTS of them with weights by the trapezoid rule."""
    n = torch.linspace(0, grid.steps - 1, min(grid.steps, MOST_POINTS), dtype=torch.float64).round().long()
    gaps = n.diff().double()
    shares = torch.ones(len(n), dtype=torch.float64)
    shares[:-1] += (gaps - 1) / 2
    shares[1:] += (gaps - 1) / 2
    here = grid.columns.take(n)
    rates = _alpha_rates(grid.columns)
    steps, ratio_rates, alpha_rates = {}, {}, {}
    for clock in CLOCKS:
        every = getattr(grid.columns, clock).diff()
        steps[clock], alpha_rates[clock] = every[n], rates[clock][n]
        ratio_rate = (every[:-1] / every[1:] - 1) / every[1:]
        known = len(ratio_rate) > 0
        ratio_rates[clock] = torch.cat([ratio_rate[:1], ratio_rate])[n] if known else torch.zeros_like(every)
    points = here.points()
    flow = _flow(mixture, x, points, grid.points[-1])
    return Path(mixture, points[0], grid.points[-1], here, steps, ratio_rates, alpha_rates, shares, *flow, grid.steps)


def _alpha_rates(columns: Columns) -> dict[str, Tensor]:
    """d log alpha/du at the start of every step, by clock.

    Exact where variance is preserved: alpha^2 (1 + rho^2) = 1 gives -alpha^2/2 in rho^2. Elsewhere to second order,
    from the differences over the steps on both sides.
    """
    alpha2, rho = columns.alpha[:-1].square(), columns.rho[:-1]
    if bool(((columns.alpha.square() + columns.sigma.square() - 1).abs() < 1e-12).all()):
        return {"lam": columns.sigma[:-1].square(), "rho": -alpha2 * rho, "rho2": -alpha2 / 2}
    found = {}
    for clock in CLOCKS:
        steps = getattr(columns, clock).diff()
        ahead = columns.alpha.log().diff() / steps
        inside = (ahead[1:] * steps[:-1] + ahead[:-1] * steps[1:]) / (steps[:-1] + steps[1:])
        found[clock] = torch.cat([ahead[:1], inside])
    return found


def _flow(
    mixture: GaussianMixture, x: Tensor, points: tuple[Point, ...], to: Point
) -> tuple[Tensor, Tensor | None, Tensor]:
    """x at every point [Q, n, d], dx_end/dx there [Q, n, d, d] in few dimensions, and the end [n, d]."""
    if mixture.dim == 1:
        *later, (end, slope) = exact_flows(mixture, x, points[0], [*points[1:], to])
        flows = [(x, torch.ones_like(x)), *later]
        carry = torch.stack([slope / slope_here for _, slope_here in flows])
        return torch.stack([here for here, _ in flows]), carry[..., None], end
    if mixture.dim <= MATRICES:
        return _flow_with_tangents(mixture, x, points, to)
    states = torch.stack(reference_flow(mixture, x, points[0], [*points, to], TOLERANCE))
    return states[:-1], None, states[-1]


def _flow_with_tangents(
    mixture: GaussianMixture, x: Tensor, points: tuple[Point, ...], to: Point
) -> tuple[Tensor, Tensor, Tensor]:
    unit = torch.eye(mixture.dim, dtype=torch.float64)
    start = torch.stack([x, *(axis.expand_as(x) for axis in unit)])
    states = torch.stack(reference_flow(_with_tangents(mixture), start, points[0], [*points, to], TOLERANCE))
    tangents = states[:, 1:].permute(0, 2, 3, 1)  # dx/dx_start: [Q + 1, n, d, d]
    carry = torch.linalg.solve(tangents[:-1], tangents[-1].expand_as(tangents[:-1]), left=False)
    return states[:-1, 0], carry, states[-1, 0]


def _with_tangents(mixture: GaussianMixture) -> Denoiser:
    """The prediction at states [1 + k, n, d] and its derivatives along k tangents, which are the other states."""

    def denoise(state: Tensor, at: Point, prediction: str) -> Tensor:
        values, derivatives = mixture.tangent(state[:1].expand_as(state[1:]), state[1:], at, prediction)
        return torch.cat([values[:1], derivatives])

    return denoise
