"""The local error of any record as a cost: what a step adds to the error at the end, to leading order."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..catalogue import resolve
from ..errors import InputError, of_type
from ..generated.frame_functions import FRAMES
from ..grids import Grid
from ..leading.exact_path import MOST_POINTS, along_grid
from ..leading.leading_error import defects_of, has_leading_error, local_errors
from ..metrics import node_weights, nodes
from ..targets.mixture import GaussianMixture

NODES = 401  # of the start law, in one dimension
SAMPLES = 400  # in more


def local_error_costs(name: str, mixture: GaussianMixture, levels: Grid, seed: int = 0) -> Tensor:
    """(integral of e^{1/(p+1)} |du| from i to j)^{p+1}: float64 [L + 1, L + 1], the step from i to the cleaner j > i.

    e(u) = rms |J delta| is the density of the error: h^{p+1} delta is the leading local error of a method of order p in
    its clock u, from the proof of its order, J carries it to the end along the exact flow, and the root mean square is
    over the start law. A short step costs h^{p+1} e; the integral keeps long ones comparable, and makes the cost the
    same in every clock. The sum over a path bounds the leading error of the run.
    Its cheapest grids are known: N steps of equal integrals, with the sum S^{p+1}/N^p, S the integral over all levels.
    Raises InputError on a method without a leading error, more than 200 steps between the levels, and levels where
    lambda is not finite.
    """
    record = resolve(name)
    of_type("mixture", mixture, GaussianMixture, "a GaussianMixture")
    of_type("levels", levels, Grid, "a grid of candidates, as sp.grid makes it")
    if not has_leading_error(record, "exact"):
        raise InputError("method", name, "a method whose leading error is known")
    if levels.steps > MOST_POINTS:
        raise InputError("levels", f"{levels.steps} steps", f"at most {MOST_POINTS}")
    if not bool(levels.columns.lam.isfinite().all()):
        raise InputError("levels", levels.columns.sigma.tolist(), "levels with alpha > 0 and sigma > 0")
    first = levels.points[0]
    if mixture.dim == 1:
        x = nodes((mixture, first), NODES)
        share = node_weights((mixture, first), x)
    else:
        x = mixture.sample(SAMPLES, first, torch.Generator().manual_seed(seed))
        share = torch.full((SAMPLES,), 1 / SAMPLES, dtype=torch.float64)
    path = along_grid(mixture, levels, x)
    # Steps of the record as if all were equal; the clock's own length is put in below.
    unit = {name: torch.ones_like(steps) for name, steps in path.steps.items()}
    equal = {name: torch.zeros_like(rates) for name, rates in path.ratio_rates.items()}
    path = replace(path, steps=unit, ratio_rates=equal)
    moved, _ = local_errors(defects_of(record), record.order, path, record, torch.arange(levels.steps))
    at_the_end = (path.carry @ moved[..., None])[..., 0]
    size = (at_the_end.square().sum(dim=2) @ share).sqrt()
    # A trapezoid rule in lambda for e^{1/(p+1)} du/dlambda; at the last level e is that of the one before.
    lam = levels.columns.lam
    rate = torch.cat([size, size[-1:]]) ** (1 / (record.order + 1)) * _rate(levels, FRAMES[record.frame].clock)
    inner = (rate[1:] + rate[:-1]) / 2 * lam.diff()
    sums = torch.cat([torch.zeros(1, dtype=torch.float64), inner.cumsum(0)])
    return (sums[None] - sums[:, None]).clamp(min=0) ** (record.order + 1)


def _rate(levels: Grid, clock: str) -> Tensor:
    """|du/dlambda| at every level: lambda itself, rho = e^-lambda and its square."""
    c = levels.columns
    return {"lam": torch.ones_like(c.lam), "rho": c.rho, "rho2": 2 * c.rho2}[clock]
