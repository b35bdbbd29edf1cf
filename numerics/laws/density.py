"""The law of a sampler's output in one dimension, without Monte Carlo."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..denoisers import Denoiser
from ..errors import InputError, SamplingError
from ..metrics import Law
from ..points import Point
from ..tableau import Tableau
from ..targets.mixture import GaussianMixture
from .chebyshev import Array
from .elimination import Move, Symbol, moves, reaches
from .forms import Form
from .transported_law import REACH, Mesh, Misses, State

GAUSSIAN, POLES = 12.0, 30.0  # exponents: the modes of a normal law are 3e-18 at wavenumber 9/v
TOLERANCE = 1e-10
NEGLIGIBLE = 1e-17  # size of modes that need not be kept
REFINEMENTS = 8


@dataclass(frozen=True, eq=False)
class Density:
    """A density whose mass lies in [low, high) up to rounding, as a trigonometric polynomial.

    values: p [n] float64 at low + g (high - low)/n.  error: estimated error as mass: truncated modes, quadrature and
    tails, over all rows.
    """

    low: float
    high: float
    values: Tensor
    error: float

    @property
    def grid(self) -> Tensor:
        """The points of the values [n]."""
        n = len(self.values)
        return self.low + (self.high - self.low) / n * torch.arange(n, dtype=torch.float64)

    @property
    def mass(self) -> float:
        """The integral of p."""
        return float(self.values.mean()) * (self.high - self.low)

    def finer(self, factor: int) -> Density:
        """The same polynomial on a grid `factor` times as fine."""
        n = factor * len(self.values)
        return replace(self, values=torch.fft.irfft(torch.fft.rfft(self.values), n) * factor)


def propagate(tableau: Tableau, mixture: GaussianMixture, start: Law, denoise: Denoiser | None = None) -> Density:
    """The law of the last vector of a run from a start law; float64.

    denoise: replaces the exact predictions of the mixture.  The meshes follow the widths of the mixture at the points
    of the tableau, and are refined until the estimated error is below 1e-10.
    Raises InputError for more than one dimension or start vector, and for noises that fresh ones cannot replace
    (laws/elimination.py); SamplingError where no mesh suffices: for a law without a density, for long steps, and for
    three-step methods, which carry too many outputs (laws/backward.py computes their means).
    """
    for name, law in (("mixture", mixture), ("start", start[0])):
        if law.dim != 1:
            raise InputError(name, f"d = {law.dim}", "a mixture in one dimension")
    todo = moves(tableau)
    meshes = [Mesh(_cutoff(mixture, at), 4) for at in tableau.points]
    meshes[0] = Mesh(_cutoff(*start), 4)
    for _ in range(REFINEMENTS):
        density, misses = run(tableau, todo, denoise or mixture, start, meshes)
        if density.error <= TOLERANCE:
            return density
        meshes = _finer(meshes, misses)
    raise SamplingError(f"{tableau.method}: the density is not resolved; error estimate {density.error:.1e}")


def _finer(meshes: list[Mesh], misses: dict[int, Misses]) -> list[Mesh]:
    """Meshes with more modes where they were too few, and with more points where the quadrature was not accurate."""
    finer, share, source = list(meshes), TOLERANCE / len(misses) / 4, 0
    for vector, missed in misses.items():
        if missed.tail > share:
            more = min(max(math.log(NEGLIGIBLE) / math.log(min(missed.tail, 0.5)), 1.2), 2.0)
            finer[vector] = finer[vector]._replace(cutoff=more * meshes[vector].cutoff)
        if missed.rule > share:
            finer[source] = finer[source]._replace(points=2 * meshes[source].points)
        source = vector
    return finer


def run(
    tableau: Tableau, todo: list[Move], denoise: Denoiser, start: Law, meshes: list[Mesh]
) -> tuple[Density, dict[int, Misses]]:
    """The law on given meshes, one for each vector, and the estimated errors of every move by its vector."""
    points = tableau.points
    used = {symbol for move in todo for terms in (move.terms, *move.carried.values()) for symbol in terms}
    state = _start(start, meshes[0]).trimmed()
    misses: dict[int, Misses] = {}

    def add_forms(vector: int, form: Form) -> None:
        """Make a vector and, if it is used, its output known to the state."""
        state.forms[Symbol("v", vector)] = form
        if Symbol("d", vector) in used:
            x = torch.from_numpy(form.values)[:, None]
            state.forms[Symbol("d", vector)] = Form(
                denoise(x, points[vector], tableau.prediction_at(vector))[:, 0].numpy(), {}
            )

    add_forms(0, Form(state.grid, {}))
    for move, reach in zip(todo, reaches(todo, [mesh.cutoff for mesh in meshes]), strict=True):
        form = state.total(move.terms)
        if not move.remade:
            add_forms(move.vector, form)
            continue
        carry = {symbol: (state.total(terms), reach[symbol]) for symbol, terms in move.carried.items()}
        whole = state.moved(form, move.noise, carry, meshes[move.vector])
        state = whole.trimmed()
        misses[move.vector] = state.misses
        add_forms(move.vector, Form(state.grid, {}))
    spacing = whole.grid[1] - whole.grid[0]
    high = float(whole.grid[-1] + spacing)
    error = sum(sum(missed) for missed in misses.values())
    return Density(float(whole.grid[0]), high, torch.from_numpy(whole.weights / spacing), error), misses


def _cutoff(mixture: GaussianMixture, at: Point) -> float:
    """A first guess of the wavenumber beyond which a law near that of alpha x0 + sigma eps has no modes.

    The modes of a normal law decay as exp(-v^2 k^2/2), those of a sampler more slowly: its outputs have poles where
    the density vanishes, for means at a distance d about pi v^2/d off the real line. That gives exp(-pi v^2 k/d), times
    the density there, exp(-d^2/(8 v^2)).
    """
    v = math.sqrt(at.alpha**2 * float(mixture.variances.min()) + at.sigma**2)
    d = at.alpha * float(mixture.means.max() - mixture.means.min()) / v
    return max(GAUSSIAN, (POLES - d * d / 8) * d / math.pi) / v


def _start(start: Law, mesh: Mesh) -> State:
    """The start law on a grid with the resolution of the mesh."""
    law = start[0].marginal(start[1])
    reach = REACH * law.variance.sqrt()
    low, high = float((law.high - reach).min()), float((law.high + reach).max())
    points = mesh.points * math.ceil(mesh.cutoff * (high - low) / (2 * math.pi))
    grid: Array = np.linspace(low, high, points, endpoint=False, dtype=np.float64)
    density = start[0].log_density(torch.from_numpy(grid)[:, None], start[1]).exp().numpy()
    return State(grid, density * ((high - low) / points), {}, Misses(0.0, 0.0, 0.0), 0.0)
