"""Means by backward recursion agree with those by the density, by affine forms and by samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from kinds import STOCHASTIC
from shapes import by_shape

from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.laws.affine import gaussian_law
from samplerproof.numerics.laws.backward import DEFAULT, Resolution, TestFunction, means
from samplerproof.numerics.laws.density import propagate
from samplerproof.numerics.laws.distances import expectation
from samplerproof.numerics.noise import from_generator
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
G = GaussianMixture([1.0], [0.7], stds=[0.5])
FUNCTIONS: list[TestFunction] = [lambda x: x, lambda x: x**2, lambda x: np.cos(2 * x)]


def uniform(steps: int, t_min: float) -> Grid:
    return grid(VP, "uniform-lambda", steps, t_min=t_min, t_max=1.0)


def found(name: str, g: Grid, target: GaussianMixture = M1, resolution: Resolution = DEFAULT) -> list[float]:
    return means(tabulate(name, g), target, (target, g.points[0]), FUNCTIONS, resolution)


# A density that is joint with several numbers is found in few and not too long steps only.
@pytest.mark.parametrize(
    ("name", "steps", "t_min"),
    [
        ("ddpm", 30, 0.01),
        ("sde-dpm-solver++-2m", 30, 0.01),
        ("sde-dpm-solver-2m", 30, 0.01),
        ("sa-solver-2?tau=1/2", 30, 0.01),
        ("sa-solver-p1c1", 30, 0.01),
        ("li-accelerated-sde", 30, 0.05),
        ("dpmpp-sde", 12, 0.05),
        ("seeds-2", 12, 0.05),
        ("sa-solver-3", 8, 0.25),
        ("sa-solver-p2c1", 8, 0.2),
        ("sa-solver-p2c2", 8, 0.2),
        ("sa-solver-p3c3", 5, 0.25),
        ("sde-dpm-solver++-3m-published", 8, 0.25),
    ],
)
def test_the_density_has_the_same_means(name: str, steps: int, t_min: float) -> None:
    g = uniform(steps, t_min)
    density = propagate(tabulate(name, g), M1, (M1, g.points[0]))
    theirs = [expectation(density, lambda x, f=f: torch.from_numpy(f(x.numpy()))) for f in FUNCTIONS]
    assert found(name, g) == pytest.approx(theirs, abs=2e-6)


def on_gaussian(name: str, g: Grid) -> list[float]:
    """E x = m, E x^2 = m^2 + v, E cos 2x = cos(2m) e^{-2v} of the exact N(m, v)."""
    law = gaussian_law(tabulate(name, g), G, (G, g.points[0]))
    m, v = float(law.mean), float(law.covariance)
    return [m, m**2 + v, math.cos(2 * m) * math.exp(-2 * v)]


@pytest.mark.parametrize("name", by_shape(STOCHASTIC))
def test_the_law_on_a_gaussian_has_the_same_means(name: str) -> None:
    g = uniform(160 if name.startswith(("sa-solver-p3c2", "sa-solver-p3c3")) else 40, 0.05)
    assert found(name, g, G) == pytest.approx(on_gaussian(name, g), abs=5e-7)


def test_a_start_that_is_far_wider_than_the_next_vector_is_covered() -> None:
    """Assert it where sigma halves in the first step: of 3 standard deviations 3e-3 of the law would be left out."""
    g = Grid.from_sigmas([80.0, *np.geomspace(40.0, 0.1, 40).tolist()])
    assert found("ddpm", g, G) == pytest.approx(on_gaussian("ddpm", g), abs=5e-7)


def test_samples_of_a_sampler_that_carries_three_numbers_have_the_same_means() -> None:
    """Within four standard errors of 4e5 runs, which see that the law is off the target."""
    g = uniform(10, 0.05)
    table, generator = tabulate("sa-solver-p3c3", g), torch.Generator().manual_seed(0)
    start = M1.sample(400_000, g.points[0], generator)
    x = sample(M1, start, table, noise=from_generator(generator))[:, 0].numpy()
    end = M1.sample(400_000, g.points[-1], generator)[:, 0].numpy()
    distances = []
    for f, mean in zip(FUNCTIONS, found("sa-solver-p3c3", g), strict=True):
        error = f(x).std() / math.sqrt(len(x))
        assert abs(f(x).mean() - mean) < 4 * error
        distances.append(abs(f(end).mean() - mean) / error)
    assert max(distances) > 20


@pytest.mark.parametrize("name", ["sa-solver-p2c1", "seeds-3"])
def test_a_finer_resolution_changes_little(name: str) -> None:
    g = uniform(40, 0.05)
    fine = found(name, g, resolution=Resolution(spacing=0.1, wave=4.0, tolerance=1e-6))
    assert found(name, g) == pytest.approx(fine, abs=5e-6)
    assert found(name, g, resolution=DEFAULT._replace(spacing=0.5)) != pytest.approx(fine, abs=5e-6)


def test_what_is_beyond_the_grids_is_refused() -> None:
    with pytest.raises(SamplingError, match=r"sde-dpm-solver-1: .* of the law leaves the grids"):
        found("sde-dpm-solver-1", uniform(6, 0.05))
    with pytest.raises(SamplingError, match="need too many nodes"):
        found("sa-solver-p3c3", uniform(8, 0.05), resolution=DEFAULT._replace(wave=60.0))
    plane = GaussianMixture([1.0], [[0.0, 0.0]], stds=[1.0])
    with pytest.raises(InputError, match="one dimension"):
        found("ddpm", uniform(4, 0.05), plane)
