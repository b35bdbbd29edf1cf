"""Means by backward recursion and by the density agree, and show the weak order of multistep samplers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import grid
from samplerproof.numerics.laws.backward import means
from samplerproof.numerics.laws.density import propagate
from samplerproof.numerics.laws.distances import expectation
from samplerproof.numerics.laws.nodes import Array
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
FUNCTIONS: list[Callable[[Array], Array]] = [
    lambda x: x,
    lambda x: x**2,
    lambda x: np.cos(2 * x),
    lambda x: 1 / (1 + np.exp(-4 * x)),
]


def found(name: str, steps: int) -> list[float]:
    g = grid(VP, "uniform-lambda", steps, t_min=1e-2, t_max=1.0)
    return means(tabulate(name, g), M1, (M1, g.points[0]), FUNCTIONS)


def exact() -> list[float]:
    at = VP.point(1e-2)
    x = np.linspace(-9, 9, 4001)
    p = M1.log_density(torch.from_numpy(x)[:, None], at).exp().numpy() * (x[1] - x[0])
    return [float(p @ f(x)) for f in FUNCTIONS]


@pytest.mark.parametrize("name", ["ddpm", "sde-dpm-solver++-2m", "sde-dpm-solver-2m", "sa-solver-2?tau=1/2"])
def test_both_routes_agree(name: str) -> None:
    g = grid(VP, "uniform-lambda", 30, t_min=1e-2, t_max=1.0)
    density = propagate(tabulate(name, g), M1, (M1, g.points[0]))
    theirs = [expectation(density, lambda x, f=f: torch.from_numpy(f(x.numpy()))) for f in FUNCTIONS]
    assert found(name, 30) == pytest.approx(theirs, abs=5e-6)


def test_weak_order_two_shows_in_every_mean() -> None:
    """2M's error falls by four and not by two or eight; DDPM's by two."""
    goal = exact()
    for name, order in (("sde-dpm-solver++-2m", 2), ("ddpm", 1)):
        few, more = (np.abs(np.subtract(found(name, n), goal)).max() for n in (40, 80))
        assert math.log2(few / more) == pytest.approx(order, abs=0.25)


def test_stages_and_corrections_are_refused() -> None:
    for name in ("seeds-2", "sa-solver-p1c1", "li-accelerated-sde"):
        with pytest.raises(InputError, match="one row a step"):
            found(name, 5)
