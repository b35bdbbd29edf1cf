"""The exact flow of start samples at places along their way, with what a displacement there becomes at the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..grids import Grid, spacing
from ..points import Point
from ..schedules import Columns, Schedule
from ..targets.flow import exact_flow
from ..targets.mixture import GaussianMixture
from ..targets.reference import reference_flow

CLOCKS = ("lam", "rho", "rho2")
PLACES = 96  # of all grids of a kind: order 4 over ten units of lambda is good to 1e-4; with 48 it is 20 % off
MOST_PLACES = 200  # of the steps of one grid: so many give the sum over thousands to some parts in ten thousand
TOLERANCE = 1e-9  # of the flow in d > 1; predictions are good to a few parts in a thousand


@dataclass(frozen=True, eq=False)
class Path:
    """Q places on the way of n samples, so that sum_q weights[q] f(q) is the sum over all steps of a grid.

    columns: the schedule at the places [Q].  steps: by clock, the step h at each place [Q].  bends: likewise e1, where
    the step before is (1 + e1 h) h; fades: likewise d log alpha/du.  x [Q, n, d];
    carry [Q, n, d, d]: dx_end/dx; end [n, d].  The first place is the start; the last begins the last step.
    count: the number of steps N, or None where f(N) ~ C / N^p is sought: then h is du/di at a fraction i of the way,
    the step of a grid of one step.
    """

    mixture: GaussianMixture
    source: Point
    to: Point
    columns: Columns
    steps: dict[str, Tensor]
    bends: dict[str, Tensor]
    fades: dict[str, Tensor]
    weights: Tensor
    x: Tensor
    carry: Tensor
    end: Tensor
    count: int | None


def along_kind(
    mixture: GaussianMixture, schedule: Schedule, kind: str, x: Tensor, places: int = PLACES, /, **parameters: float
) -> Path:
    """The path for all grids of a kind (see grids.spacing): Gauss-Legendre places, and the two ends.

    x [n, d]: samples at the noisy end.
    """
    fractions, weights = np.polynomial.legendre.leggauss(places)
    i = torch.tensor([0.0, *((fractions + 1) / 2), 1.0], dtype=torch.float64, requires_grad=True)
    columns = schedule.columns(spacing(schedule, kind, **parameters)(i))
    fading = _derivative(columns.alpha, i).detach() / columns.alpha.detach()
    steps, bends, fades = {}, {}, {}
    for clock in CLOCKS:
        first = _derivative(getattr(columns, clock), i)
        steps[clock] = first.detach()
        bends[clock] = -_derivative(first, i).detach() / steps[clock].square()
        fades[clock] = fading / steps[clock]
    fixed = Columns(*(getattr(columns, f).detach() for f in Columns.__dataclass_fields__))
    shares = torch.tensor([0.0, *(weights / 2), 0.0], dtype=torch.float64)
    points = fixed.points()
    flow = _flow(mixture, x, points, points[-1])
    return Path(mixture, points[0], points[-1], fixed, steps, bends, fades, shares, *flow, None)


def _derivative(f: Tensor, i: Tensor) -> Tensor:
    """df/di of what each i makes of itself, with a graph of its own; zero where f does not depend on i."""
    if not f.requires_grad:
        return torch.zeros_like(i)
    (slope,) = torch.autograd.grad(f.sum(), i, create_graph=True, materialize_grads=True)
    return slope


def along_grid(mixture: GaussianMixture, grid: Grid, x: Tensor) -> Path:
    """The path for one grid: its steps, or some of them that stand for those around (trapezoid rule)."""
    n = torch.linspace(0, grid.steps - 1, min(grid.steps, MOST_PLACES), dtype=torch.float64).round().long()
    gaps = n.diff().double()
    shares = torch.ones(len(n), dtype=torch.float64)
    shares[:-1] += (gaps - 1) / 2
    shares[1:] += (gaps - 1) / 2
    here = grid.columns.take(n)
    slopes = _fades(grid.columns)
    steps, bends, fades = {}, {}, {}
    for clock in CLOCKS:
        every = getattr(grid.columns, clock).diff()
        steps[clock], fades[clock] = every[n], slopes[clock][n]
        bend = (every[:-1] / every[1:] - 1) / every[1:]
        bends[clock] = torch.cat([bend[:1], bend])[n] if len(bend) else torch.zeros_like(every)
    points = here.points()
    flow = _flow(mixture, x, points, grid.points[-1])
    return Path(mixture, points[0], grid.points[-1], here, steps, bends, fades, shares, *flow, grid.steps)


def _fades(columns: Columns) -> dict[str, Tensor]:
    """d log alpha/du at the start of every step, by clock: known where variance is preserved, else by differences.

    From alpha^2 (1 + rho^2) = 1 it is -alpha^2/2 in rho^2. Else to second order from the steps on both sides.
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


def _flow(mixture: GaussianMixture, x: Tensor, points: tuple[Point, ...], to: Point) -> tuple[Tensor, Tensor, Tensor]:
    """x at every point [Q, n, d], dx_end/dx there [Q, n, d, d] and the end [n, d]."""
    if mixture.dim == 1:
        flows = [(x, torch.ones_like(x)), *(exact_flow(mixture, x, points[0], point) for point in points[1:])]
        end, slope = exact_flow(mixture, x, points[0], to)
        carry = torch.stack([slope / slope_here for _, slope_here in flows])
        return torch.stack([here for here, _ in flows]), carry[..., None], end
    unit = torch.eye(mixture.dim, dtype=torch.float64)
    start = torch.stack([x, *(axis.expand_as(x) for axis in unit)])

    def denoise(state: Tensor, at: Point, prediction: str) -> Tensor:
        """The prediction and its derivatives along d tangents: [1 + d, n, d]."""
        values, derivatives = mixture.tangent(state[:1].expand_as(state[1:]), state[1:], at, prediction)
        return torch.cat([values[:1], derivatives])

    states = torch.stack(reference_flow(denoise, start, points[0], [*points, to], TOLERANCE))
    tangents = states[:, 1:].permute(0, 2, 3, 1)  # dx/dx_start: [Q + 1, n, d, d]
    carry = torch.linalg.solve(tangents[:-1], tangents[-1].expand_as(tangents[:-1]), left=False)
    return states[:-1, 0], carry, states[-1, 0]
