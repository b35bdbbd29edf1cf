"""Exact samples near those of a sampler: their law is exact for every noise, and they are near."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import Tensor

from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.laws.coupled_samples import StepNoise, exact_samples, exact_start, flow_to, noise_of_steps
from samplerproof.numerics.laws.estimators import Estimate, coupled_moment_error, energy, moment_error, sliced_w2
from samplerproof.numerics.laws.gaussian import Gaussian, moments
from samplerproof.numerics.noise import seeded
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

ONE = GaussianMixture([1.0], [[-1.0, 0.5]], stds=[0.5])
TWO = GaussianMixture([0.4, 0.6], [[-2.0, 0.5], [1.8, -0.3]], stds=[0.5, 0.4])


def levels(steps: int) -> Grid:
    return grid(schedule("vp-linear"), "uniform-lambda", steps, t_min=1e-3, t_max=1.0)


def pair(name: str, mixture: GaussianMixture, steps: int, n: int = 400) -> tuple[Tensor, Tensor]:
    """Samples of a sampler and exact samples near them."""
    on = levels(steps)
    tableau, x = tabulate(name, on), mixture.sample(n, on.point(0), torch.Generator().manual_seed(0))
    y = sample(mixture, x, tableau, noise=seeded(5))
    return y, exact_samples(mixture, x, on.points, noise_of_steps(tableau, on.points, mixture), seeded(5))


def apart(name: str, steps: int) -> float:
    y, x = pair(name, ONE, steps, n=100)
    return float((y - x).square().sum(dim=1).mean().sqrt())


OTHERS = ("seeds-2", "ddim-eta?eta=1/2", "sde-dpm-solver++-2m", "edm-churn")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in OTHERS]


@pytest.mark.parametrize("name", ["ddpm", *SLOW])
def test_pairs_approach_each_other_like_one_over_n(name: str) -> None:
    """Assert the strong order 1 at least on a single mode, for one noise a step, two, and noise before evaluation."""
    few, many = apart(name, 12), apart(name, 36)
    assert many < 0.25
    assert few / many > 2.2


@pytest.mark.parametrize(
    "noises", ["ddpm", "before", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("large", "none"))]
)
def test_the_law_is_exact_whatever_the_noise(noises: str) -> None:
    """Assert the moments of a Gaussian target to 5 standard deviations, for sizes of noise that no sampler has."""
    on, n = levels(4), 2000
    drawn = [StepNoise((k,), (1.0,), 0.5 * (p.sigma / p.alpha) ** 2) for k, p in enumerate(on.points[1:])]
    of = {
        "ddpm": noise_of_steps(tabulate("ddpm", on), on.points, ONE),
        "large": [step._replace(delta=1.9 * step.delta) for step in drawn],
        "before": [step._replace(delta=50 * step.delta, before=True) for step in drawn],
        "none": [],
    }[noises]
    x = exact_samples(ONE, ONE.sample(n, on.point(0), torch.Generator().manual_seed(1)), on.points, of, seeded(2))
    goal = moments(ONE, on.points[-1])
    deviation = float(goal.covariance[0, 0].sqrt())
    assert float((x.mean(dim=0) - goal.mean).abs().max()) < 5 * deviation / math.sqrt(n)
    assert float((x.T.cov() / deviation**2 - torch.eye(2)).abs().max()) < 5 * math.sqrt(2 / n)


def test_exact_starts_follow_their_noise() -> None:
    """Assert that alpha mu + V^{1/2} z of one component is returned, along turned axes too."""
    turned = GaussianMixture([1.0], [[1.0, -2.0]], covariances=[[[0.5, 0.2], [0.2, 0.3]]])
    at, z = Point(0.8, 0.6), torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = exact_start(turned, z, at, torch.Generator().manual_seed(1)) - 0.8 * turned.means[0]
    root = torch.linalg.lstsq(z, x).solution
    torch.testing.assert_close(root, root.T)
    torch.testing.assert_close(root @ root, moments(turned, at).covariance)


def test_the_flow_starts_at_pure_noise_and_ends_at_data() -> None:
    """Assert, on a Gaussian, the flow from alpha = 0 to sigma = 0 by its standard scores."""
    x = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (end,) = flow_to(ONE, x, Point(0.0, 1.0), [Point(1.0, 0.0)])
    torch.testing.assert_close(end, ONE.means[0] + 0.5 * x, rtol=1e-7, atol=1e-7)


def test_coupled_moments_are_the_mean_over_different_samples() -> None:
    """Assert the estimate by loops over pairs and fours, whose squares have no bias."""
    g = torch.Generator().manual_seed(0)
    y = torch.randn(100, 2, dtype=torch.float64, generator=g)
    x = 1.2 * y + 0.3 + 0.1 * torch.randn(100, 2, dtype=torch.float64, generator=g)
    unit = Gaussian(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    a = (x - y).numpy()
    mean = ((a.sum(0) ** 2).sum() - (a**2).sum()) / (100 * 99)
    # |C - I|^2 from fours, by random ones: within its own noise
    outer = lambda v, i, j: np.einsum("ni,nj->nij", v[i] - v[j], v[i] - v[j]) / 2  # noqa: E731
    fours = np.array([np.random.default_rng(k).permutation(100)[:4] for k in range(20_000)]).T
    one, other = (outer(x.numpy(), *p) - outer(y.numpy(), *p) for p in (fours[:2], fours[2:]))
    products = (one * other).sum(axis=(1, 2))
    got = coupled_moment_error(x, y, unit).value ** 2
    assert abs(got - mean - products.mean()) < 5 * products.std() / math.sqrt(20_000)


def test_the_unbiased_square_is_that_of_all_fours() -> None:
    """Assert the covariances' part by loops over all different i, j, k, l."""
    from samplerproof.numerics.laws.estimators import _fours

    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 7, 3, dtype=torch.float64, generator=g)
    a, s = (v - v.mean(dim=0) for v in (x - y, x + y))

    def between(i: int, j: int) -> Tensor:
        return (torch.outer(x[i] - x[j], x[i] - x[j]) - torch.outer(y[i] - y[j], y[i] - y[j])) / 2

    all_fours = [float((between(i, j) * between(k, m)).sum()) for i, j, k, m in itertools.permutations(range(7), 4)]
    assert _fours(a, s, s.T @ a / 6) == pytest.approx(np.mean(all_fours), rel=1e-10)


K2 = 2 * math.gamma(1.5) / math.gamma(1.0) / math.sqrt(2)  # E|Z| for Z ~ N(0, I) in the plane
EXACT = {  # of N(0, size^2 I) against N(0, I) in the plane
    "energy": lambda size: K2 * (2 * math.sqrt(1 + size**2) - math.sqrt(2) * (1 + size)),
    "sliced-w2": lambda size: abs(1 - size),
    "moments": lambda size: math.sqrt(2) * abs(size**2 - 1),
}


def estimates(kind: str, size: float, noise: float, n: int, count: int) -> list[Estimate]:
    """Estimates between n pairs (x, y), y ~ N(0, I), x ~ N(0, size^2 I), with a correlation left by `noise`."""
    generator = torch.Generator().manual_seed(7)
    unit = Gaussian(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    of = {"energy": energy, "sliced-w2": sliced_w2, "moments": lambda x, y: coupled_moment_error(x, y, unit)}[kind]
    found = []
    for _ in range(count):
        y, z = torch.randn(2, n, 2, generator=generator, dtype=torch.float64)
        found.append(of(size * (math.sqrt(1 - noise**2) * y + noise * z), y))
    return found


def holds(kind: str, size: float, noise: float, n: int, count: int) -> int:
    slack = 5e-3 * EXACT[kind](size) if kind == "sliced-w2" else 0.0  # its bias: order statistics of n/2
    return sum(e.low - slack <= EXACT[kind](size) <= e.high + slack for e in estimates(kind, size, noise, n, count))


@pytest.mark.parametrize("kind", ["energy", "moments", pytest.param("sliced-w2", marks=pytest.mark.slow)])
def test_few_intervals_of_pairs_hold(kind: str) -> None:
    """Assert coverage over 100 repeats; pairs have ten times narrower intervals than separate samples, at least."""
    assert holds(kind, 1.05, 0.05, 200, 100) >= binom.ppf(1e-4, 100, 0.95)
    near, far = (np.mean([e.high - e.low for e in estimates(kind, 1.05, noise, 200, 10)]) for noise in (0.02, 1.0))
    assert near < far / 10


@pytest.mark.slow
@pytest.mark.parametrize(("size", "noise"), [(1.05, 0.0), (1.05, 0.05), (1.2, 0.3), (0.98, 0.02)])
@pytest.mark.parametrize("kind", EXACT)
def test_intervals_of_pairs_hold(kind: str, size: float, noise: float) -> None:
    """Assert coverage over 1,000 repeats, of more samples for sliced W2, whose bias falls with them."""
    assert holds(kind, size, noise, 400 if kind == "sliced-w2" else 200, 1000) >= binom.ppf(1e-4, 1000, 0.95)


def test_moments_of_pairs_have_less_noise() -> None:
    """Assert, for a sampler's own pairs, an interval a tenth as wide as without control variates."""
    y, x = pair("dpm-solver++-2m", TWO, 12)
    goal = moments(TWO, levels(12).points[-1])
    coupled, plain = coupled_moment_error(y, x, goal), moment_error(y, goal)
    assert coupled.low > 0
    assert coupled.high - coupled.low < (plain.high - plain.low) / 10


def test_a_value_in_the_noise_says_how_many_samples_it_needs() -> None:
    """Assert that the number puts the interval above zero in most cases, and that a value above zero needs none."""
    found = [e for e in estimates("moments", 1.05, 1.0, 200, 40) if e.needed is not None]
    assert len(found) > 20
    needed = int(np.median([e.needed for e in found if e.needed is not None]))
    assert needed > 200
    assert np.mean([e.low > 0 for e in estimates("moments", 1.05, 1.0, 4 * needed, 20)]) > 0.7
    assert all(e.needed is None for e in estimates("moments", 1.05, 0.0, 200, 5))
