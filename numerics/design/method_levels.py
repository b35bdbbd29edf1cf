"""Levels for a record: those that minimise its signed error at the end on recorded trajectories.

Two routes: the cheapest path through many levels, whose costs are local errors of a density e(lambda), carried to the
end (optimal_grids), and least squares on the linearised model from the best of these and of all kinds of levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..advice.carry import carried
from ..advice.recording import Recording, ended
from ..catalogue import resolve
from ..errors import InputError
from ..grids import Grid
from ..optimal_grids.cheapest_path import optimal_grid
from ..tableau import Tableau, tabulate
from .least_errors import least_errors
from .linearised_model import LinearisedModel
from .rivals import Rival, grids_between, rival_on

QUOTIENT = 1e-4  # step of a log step in a difference quotient
RIDGE = 1e-6  # of a log step, relative to the mean square of the data
CANDIDATES = 120  # levels that a cheapest path chooses among


@dataclass(frozen=True, eq=False)
class LevelFamily:
    """A record on all levels of N steps between the ends of a recording; its parameters are log steps [N]."""

    recording: Recording
    model: LinearisedModel
    method: str
    steps: int

    def grid(self, parameters: Tensor) -> Grid:
        begin, end = self.recording.begin, self.recording.end
        inside = torch.softmax(parameters, dim=0).cumsum(0)
        lam = begin.lam + torch.cat([inside.new_zeros(1), inside]) * (end.lam - begin.lam)
        schedule = self.recording.schedule
        return ended(schedule, schedule.time(lam), begin, end)

    def table(self, parameters: Tensor) -> Tableau:
        return tabulate(self.method, self.grid(parameters))

    def errors(self, parameters: Tensor) -> Tensor:
        off = carried(self.table(parameters), self.recording, self.model.jacobian) / self.recording.end.alpha
        return off.flatten(1) / math.sqrt(off[0].numel())

    def fitted(self, grid: Grid) -> Tensor:
        """The parameters that minimise the errors, from those of a grid."""

        def slope(parameters: Tensor) -> Tensor:
            units = QUOTIENT * torch.eye(len(parameters), dtype=torch.float64)
            pairs = [self.errors(parameters + unit) - self.errors(parameters - unit) for unit in units]
            return torch.stack(pairs, dim=2) / (2 * QUOTIENT)

        return least_errors(self.errors, slope, grid.columns.lam.diff().log(), RIDGE * self.model.scale**2)

    def rivals(self) -> list[tuple[Rival, Grid]]:
        """The record on every kind of levels and on the cheapest path, the least predicted error first."""
        recording = self.recording
        named = [
            (levels.name, grid)
            for levels, grid in grids_between(recording.schedule, recording.begin, recording.end, self.steps)
        ]
        order = min(3, resolve(self.method).order)
        named.append(("cheapest path", cheapest_grid(recording, self.model, order, self.steps)))
        found = []
        for name, grid in named:
            try:
                found.append((rival_on(self.method, name, grid, recording, self.model), grid))
            except InputError:
                continue
        if not found:
            raise InputError("method", self.method, f"a method that takes {self.steps} steps on these levels")
        return sorted(found, key=lambda pair: pair[0].predicted)


def steps_within(method: str, recording: Recording, nfe: int) -> int:
    """The most steps of a record whose evaluations are at most nfe.  Raises InputError where there are none."""
    record = resolve(method, "method")
    if record.stochastic:
        raise InputError("method", method, "a method without noise: a recording is of a flow")
    schedule, begin, end = recording.schedule, recording.begin, recording.end
    fault: InputError | None = None
    for steps in range(nfe // record.nfe_per_step + 1, 0, -1):
        try:
            lam = torch.linspace(begin.lam, end.lam, steps + 1, dtype=torch.float64)
            if tabulate(method, ended(schedule, schedule.time(lam), begin, end)).nfe <= nfe:
                return steps
        except InputError as reason:
            fault = reason
    raise fault or InputError("nfe", nfe, f"evaluations for one step of {method}")


def cheapest_grid(recording: Recording, model: LinearisedModel, order: int, steps: int) -> Grid:
    """The grid of the least sum of local errors (integral of e^{1/(p+1)} d lambda)^{p+1} of a record of order p.

        e(lambda) = rms |D^{(p)}(lambda)| (s^2 + rho_N^2)^{1/2} / (s^2 + rho^2)^{1/2},   rho = e^-lambda

    with the derivatives of the recorded data prediction, and the carry of a Gaussian with the deviation s of the data.
    Raises InputError as optimal_grid.
    """
    pieces = model.data.coefficients[order]  # of every piece of the spline, up to a factor
    size = pieces.square().sum(dim=-1).mean(dim=-1).sqrt()
    knots = model.data.knots
    lam = torch.linspace(model.begin, model.end, CANDIDATES + 1, dtype=torch.float64)
    piece = (torch.searchsorted(knots, lam, right=True) - 1).clamp(0, len(size) - 1)
    spread = (model.scale**2 + torch.exp(-2 * lam)).sqrt()
    density = (size[piece] * spread[-1] / spread) ** (1 / (order + 1))
    inner = (density[1:] + density[:-1]) / 2 * lam.diff()
    sums = torch.cat([inner.new_zeros(1), inner.cumsum(0)])
    costs = (sums[None] - sums[:, None]).clamp(min=0) ** (order + 1)
    schedule = recording.schedule
    levels = ended(schedule, schedule.time(lam), recording.begin, recording.end)
    return optimal_grid(levels, costs, steps)
