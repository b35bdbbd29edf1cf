"""Laws of runs on the line, by their density: against Gaussians, quadrature, the exact map, and known numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from samplerproof.numerics import metrics
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.laws import distances
from samplerproof.numerics.laws.affine import gaussian_law
from samplerproof.numerics.laws.density import Density, propagate
from samplerproof.numerics.laws.elimination import moves
from samplerproof.numerics.laws.gaussian import kl, moments, w2
from samplerproof.numerics.laws.gaussian_tv import tv
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture, with_tangent

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
G = GaussianMixture([1.0], [0.7], stds=[0.5])
ONE_OUTPUT = [
    *("ddpm", "ddpm-large", "ddim-eta?eta=1/2", "sde-dpm-solver-1", "sde-dpm-solver++-2m", "sa-solver-2?tau=1/2"),
    *("sde-dpm-solver++-2s", "dpmpp-sde", "seeds-2", "sa-solver-p1c1", "edm-churn", "li-ddpm", "li-accelerated-sde"),
]


def uniform(steps: int, kind: str = "uniform-lambda", t_min: float = 1e-2) -> Grid:
    return grid(VP, kind, steps, t_min=t_min, t_max=1.0)


def law(name: str, g: Grid, mixture: GaussianMixture = M1) -> Density:
    return propagate(tabulate(name, g), mixture, (mixture, g.points[0]))


@pytest.mark.parametrize("name", ONE_OUTPUT)
def test_on_a_gaussian_it_is_the_law_of_the_affine_form(name: str) -> None:
    g = uniform(30)
    density, exact = law(name, g, G), gaussian_law(tabulate(name, g), G, (G, g.points[0]))
    x, variance = density.grid, float(exact.covariance)
    normal = torch.exp(-((x - float(exact.mean)) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    assert float((density.values - normal).abs().max()) < 1e-9
    assert density.mass == pytest.approx(1, abs=1e-10)
    target, goal = (G, g.points[-1]), moments(G, g.points[-1])
    assert distances.tv(density, target) == pytest.approx(tv(goal, exact), abs=1e-10)
    assert distances.kl(density, target) == pytest.approx(kl(goal, exact), abs=1e-9)
    assert distances.w2(density, target) == pytest.approx(w2(goal, exact), abs=1e-5)


def test_three_steps_by_kernels_on_a_grid() -> None:
    """DDPM as a Markov chain: transition densities on a fine grid, multiplied."""
    g = uniform(3, t_min=0.3)  # later the noise of so long a step is narrower than the grid's spacing
    table = tabulate("ddpm", g)
    x = np.linspace(-9.0, 9.0, 1501)
    p = M1.log_density(torch.from_numpy(x)[:, None], g.points[0]).exp().numpy()
    for row in range(3):
        output = M1(torch.from_numpy(x)[:, None], g.points[row], "data")[:, 0].numpy()
        mean = float(table.states[row, 0]) * x + float(table.outputs[row, 0]) * output
        c = float(table.noises[row, 0])
        kernel = np.exp(-((x[:, None] - mean) ** 2) / (2 * c * c)) / (c * math.sqrt(2 * math.pi))
        p = kernel @ p * (x[1] - x[0])
    density = law("ddpm", g)
    ours = np.interp(x, density.finer(64).grid.numpy(), density.finer(64).values.numpy(), left=0.0, right=0.0)
    assert np.abs(ours - p).max() < 1e-6


@pytest.mark.parametrize(
    ("name", "levels", "expected"),
    [
        ("li-ddpm", 25, 0.08881),
        ("li-ddpm", 100, 0.02253),
        ("li-ddpm", 400, 0.005638),
        ("li-accelerated-sde", 25, 0.03465),
        ("li-accelerated-sde", 100, 0.007036),
        ("li-accelerated-sde", 400, 0.001697),
    ],
)
def test_known_numbers_of_li_et_al(name: str, levels: int, expected: float) -> None:
    g = uniform(levels - 1, "uniform-t", 1e-3)
    assert distances.tv(law(name, g), (M1, g.points[-1])) == pytest.approx(expected, rel=2e-4)


def test_without_noise_it_is_the_law_of_the_map() -> None:
    g = uniform(20)
    start = metrics.nodes((M1, g.points[0]), 6001)
    y, slope = sample(with_tangent(M1), torch.stack([start, torch.ones_like(start)]), tabulate("ddim", g))
    pushed = metrics.Pushforward(start, (M1, g.points[0]), y, slope, (M1, g.points[-1]))
    assert distances.tv(law("ddim", g), (M1, g.points[-1])) == pytest.approx(metrics.tv(pushed), abs=1e-7)


def test_a_coefficient_off_by_a_millionth_shows() -> None:
    g = uniform(40)
    table, target = tabulate("sde-dpm-solver++-2m", g), (M1, g.points[-1])
    for part in ("states", "outputs", "noises"):
        off = replace(table, **{part: getattr(table, part) * (1 + 1e-6)})
        good, bad = (distances.tv(propagate(t, M1, (M1, g.points[0])), target) for t in (table, off))
        assert 1e-8 < abs(bad - good) < 1e-4


def test_another_model_than_the_exact_one() -> None:
    """A model that answers with the mixture's mean: every step is linear, and the law a Gaussian's image."""
    g = uniform(5)

    def constant(x: Tensor, at: object, prediction: str) -> Tensor:
        return torch.zeros_like(x)

    density = propagate(tabulate("ddpm", g), G, (G, g.points[0]), constant)
    first, last = g.points[0], g.points[-1]
    decay = math.exp(-float(g.columns.lam[-1] - g.columns.lam[0])) * last.sigma / first.sigma
    kept = decay**2 * (first.alpha**2 * 0.25 + first.sigma**2)
    fresh = last.sigma**2 * (1 - math.exp(-2 * float(g.columns.lam[-1] - g.columns.lam[0])))
    second = distances.expectation(density, lambda x: x**2) - (decay * first.alpha * 0.7) ** 2
    assert second == pytest.approx(kept + fresh, abs=1e-10)


def test_what_cannot_be_carried_is_refused() -> None:
    g = uniform(12)
    plane = GaussianMixture([1.0], [[0.0, 0.0]], stds=[1.0])
    with pytest.raises(InputError, match="mixture: got 'd = 2'"):
        propagate(tabulate("ddpm", g), plane, (plane, g.points[0]))
    with pytest.raises(InputError, match="one start vector"):
        moves(tabulate("exp-adams-2", g, start="exact"))
    with pytest.raises(SamplingError, match="too rough"):
        law("sa-solver-3", g)


def test_a_noise_of_the_past_is_solved_for() -> None:
    """The two-stage solver shares its path: each row then follows from the one before with fresh noise alone."""
    table = tabulate("sde-dpm-solver++-2s", uniform(4))
    found = moves(table)
    assert all(move.noise > 0 for move in found)
    assert not any(symbol.kind == "v" and symbol.number < move.vector - 1 for move in found for symbol in move.terms)


def test_slopes_of_li_et_al() -> None:
    """Windows of the acceptance: DDPM [.99, 1.01], accelerated SDE [.99, 1.03]; and order 2 is refuted."""
    for name, low, high in (("li-ddpm", 0.99, 1.01), ("li-accelerated-sde", 0.99, 1.03)):
        grids = [uniform(levels - 1, "uniform-t", 1e-3) for levels in (200, 800)]
        errors = [distances.tv(law(name, g), (M1, g.points[-1])) for g in grids]
        assert low < math.log(errors[0] / errors[1]) / math.log(4) < high
