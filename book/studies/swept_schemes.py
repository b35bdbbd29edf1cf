"""Measured orders of tableaux that no record of the catalogue has: sixteen stages, and implicit ones by sweeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from ...numerics.grids import Grid
from ...numerics.sample import sample
from ...numerics.targets.flow import exact_flow
from ...numerics.targets.mixture import GaussianMixture
from ...theory.collocation import chebyshev_nodes, collocation, picard_chain
from ...theory.scheme import Scheme, prove_scheme
from ..library_tableaux import library, own_fields, repaired
from ..own_tableaux import tableau_of
from ..scheme_tables import scheme_table

MIXTURES = {
    "two components": GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35]),
    "three components": GaussianMixture([0.5, 0.3, 0.2], [-1.0, 0.2, 1.5], stds=[0.6, 0.5, 0.7]),
}
LAMBDA = 2.0  # levels are uniform in lambda from -2 to 2
POINTS = 41  # start values, from -2 to 2 times the first sigma

Row = dict[str, Any]


def of_library(name: str, sweeps: int | None = None) -> Scheme:
    """A tableau of RES4LYF, repaired where it has a repair, and swept if it is implicit."""
    entry = next(entry for entry in library()["tableau"] if entry["name"] == name)
    scheme = tableau_of(repaired(entry) or own_fields(entry), name)[1]
    return scheme if sweeps is None else scheme.swept(sweeps)


def chebyshev(sweeps: int, in_turn: bool) -> Scheme:
    """Exponential collocation at four Chebyshev nodes, by sweeps."""
    return collocation("Chebyshev, 4 nodes", chebyshev_nodes(4), exponential=True).swept(sweeps, in_turn)


# What is measured: a label, the scheme, and N of the window [N, 2 N] on each mixture.
MEASURED: tuple[tuple[str, Callable[[], Scheme], tuple[int, int]], ...] = (
    ("res_16s, repaired", partial(of_library, "res_16s"), (64, 16)),
    ("res_15s", partial(of_library, "res_15s"), (64, 16)),
    *(
        (f"Gauss, 2 nodes, {m} Picard sweep{'s' * (m > 1)}", partial(of_library, "gauss-legendre_2s", m), (64, 64))
        for m in (1, 2)
    ),
    ("Gauss, 2 nodes, 3 Picard sweeps", partial(of_library, "gauss-legendre_2s", 3), (128, 128)),
    *(
        (f"Radau IIA, 2 nodes, {m} Picard sweep{'s' * (m > 1)}", partial(of_library, "radau_iia_2s", m), (64, 64))
        for m in (1, 2)
    ),
    ("Lobatto IIIA, 3 nodes, 3 Picard sweeps", partial(of_library, "lobatto_iiia_3s", 3), (64, 64)),
    *((f"Chebyshev, 4 nodes, {m} Picard sweep{'s' * (m > 1)}", partial(chebyshev, m, False), (64, 64)) for m in (2, 3)),
    ("Chebyshev, 4 nodes, 2 Gauss-Seidel sweeps", partial(chebyshev, 2, True), (64, 64)),
    ("chain of 4 Euler steps, 3 Picard sweeps", lambda: picard_chain("chain", 4).swept(3), (64, 64)),
)


def measured_schemes() -> Iterator[Row]:
    """The proved order of every scheme, and the one observed between N and 2 N steps on each mixture."""
    for label, make, windows in MEASURED:
        scheme = make()
        order = prove_scheme(scheme).order
        observed = [observed_order(scheme, m, n) for m, n in zip(MIXTURES, windows, strict=True)]
        yield {"name": label, "order": order, "stages": scheme.stages, "steps": windows, "observed": observed}


def observed_order(scheme: Scheme, mixture: str, steps: int) -> float:
    """log2 of the error with N steps over that with 2 N."""
    return math.log2(error(scheme, MIXTURES[mixture], steps) / error(scheme, MIXTURES[mixture], 2 * steps))


def error(scheme: Scheme, mixture: GaussianMixture, steps: int) -> float:
    """Root mean square distance to the exact flow at the last level."""
    grid = Grid.from_sigmas(torch.exp(-torch.linspace(-LAMBDA, LAMBDA, steps + 1, dtype=torch.float64)))
    x = torch.linspace(-2, 2, POINTS, dtype=torch.float64)[:, None] * grid.points[0].sigma
    exact, _ = exact_flow(mixture, x, grid.points[0], grid.points[-1])
    return float((sample(mixture, x, scheme_table(scheme, grid)) - exact).square().mean().sqrt())
