"""The law of a sampler on a Gaussian: the loop on coefficients against dense algebra, 40 digits, samples and papers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import mpmath
import pytest
import torch
from kinds import DETERMINISTIC
from shapes import by_shape
from stochastic_tables import ddpm, li_accelerated_sde, li_ddpm
from torch import Tensor

from samplerproof.numerics import rates
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.laws.affine import gaussian_law, weak_errors
from samplerproof.numerics.laws.gaussian import Gaussian, kl, moments, w2
from samplerproof.numerics.laws.gaussian_tv import tv
from samplerproof.numerics.noise import seeded
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture
from samplerproof.numerics.targets.reference import reference_flow

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
G = GaussianMixture([1.0], [0.7], stds=[0.5])
SPACE = GaussianMixture([1.0], [[0.7, -1.0]], covariances=[[[0.5, 0.2], [0.2, 0.3]]])
STOCHASTIC = [ddpm, li_ddpm, li_accelerated_sde]


def levels(count: int) -> Grid:
    """Fixed time with so many noise levels."""
    return grid(VP, "uniform-t", count - 1, t_min=1e-3, t_max=1.0)


def close(law: Gaussian, mean: Tensor, covariance: Tensor, rel: float) -> None:
    size = float(covariance.abs().max())
    assert float((law.mean - mean).abs().max()) <= rel * max(1.0, float(mean.abs().max()))
    assert float((law.covariance - covariance).abs().max()) <= rel * size


def run_on_a_basis(tableau: Tableau, mixture: GaussianMixture) -> tuple[Tensor, Tensor]:
    """(y(0), y' [d, d]) of a deterministic sampler, from samples at 0 and at the unit vectors."""
    x = torch.cat([torch.zeros(1, mixture.dim, dtype=torch.float64), torch.eye(mixture.dim, dtype=torch.float64)])
    start = [x, *reference_flow(mixture, x, tableau.points[0], tableau.points[1 : tableau.given])]
    y = sample(mixture, start, tableau)
    return y[0], (y[1:] - y[0]).T


@pytest.mark.parametrize("start", ["ramp", "exact"])
@pytest.mark.parametrize("name", by_shape(DETERMINISTIC))
def test_a_deterministic_sampler_is_the_affine_map_that_samples_show(name: str, start: str) -> None:
    g = grid(VP, "uniform-lambda", 8, t_min=0.01, t_max=1.0)
    tableau = tabulate(name, g, start)
    origin, slope = run_on_a_basis(tableau, SPACE)
    m, c = moments(SPACE, g.points[0])
    close(gaussian_law(tableau, SPACE, (SPACE, g.points[0])), origin + slope @ m, slope @ c @ slope.T, 1e-10)


def dense_law(tableau: Tableau, mixture: GaussianMixture, start: Gaussian) -> Gaussian:
    """d = 1, one given vector: all vectors at once, v = L v + rest, by one triangular solve."""
    count = len(tableau.points)
    matrix, rest = torch.eye(count, dtype=torch.float64), torch.zeros(count, 2 + count, dtype=torch.float64)
    rest[0, 0], rest[0, 1] = start.mean, start.covariance[0, 0].sqrt()
    for row in range(count - 1):
        i = row + 1
        for k, c in enumerate(tableau.states[row].tolist()):
            if c:
                matrix[i, i - 1 - k] -= c
        for k, c in enumerate(tableau.outputs[row].tolist()):
            if c:
                made = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
                at_zero, at_one = mixture(made, tableau.points[i - 1 - k], tableau.prediction)[:, 0].tolist()
                matrix[i, i - 1 - k] -= c * (at_one - at_zero)
                rest[i, 0] += c * at_zero
        for lag, c in enumerate(tableau.noises[row].tolist()):
            if c:
                rest[i, 2 + i - lag] += c
    solved = torch.linalg.solve_triangular(matrix, rest, upper=False)[-1]
    return Gaussian(solved[:1], solved[1:].square().sum()[None, None])


@pytest.mark.parametrize("make", STOCHASTIC)
def test_against_dense_algebra(make: Callable[[Grid], Tableau]) -> None:
    g = levels(40)
    tableau, start = make(g), moments(G, g.points[0])
    close(gaussian_law(tableau, G, (G, g.points[0])), *dense_law(tableau, G, start), 1e-12)


def scrambled(seed: int) -> Tableau:
    """A table of three states, outputs and noises a row, all random: rows share noises, most evaluate."""
    generator, g = torch.Generator().manual_seed(seed), levels(12)
    states, outputs, noises = (0.4 * torch.randn(11, 3, generator=generator, dtype=torch.float64) for _ in range(3))
    for i in range(2):  # a row sees what is there
        states[i, i + 1 :] = outputs[i, i + 1 :] = noises[i, i + 2 :] = 0
    outputs[5:8, 1] = 0
    return Tableau(
        "scrambled", "noise", g.points, tuple(range(12)), (True,) * 11 + (False,), 1, states, outputs, noises
    )


@pytest.mark.parametrize("seed", range(5))
def test_noises_shared_by_rows_are_correlated(seed: int) -> None:
    tableau = scrambled(seed)
    start = Point(1.0, 0.0), moments(GaussianMixture([1.0], [0.3], stds=[1.2]), Point(1.0, 0.0))
    law = gaussian_law(tableau, G, (GaussianMixture([1.0], [0.3], stds=[1.2]), start[0]))
    close(law, *dense_law(tableau, G, start[1]), 1e-12)


def test_ddpm_against_40_digits() -> None:
    """v' = (kept + output f')^2 v + noise^2 and m' likewise, exact sums of the table's own numbers."""
    g = levels(100)
    tableau, mp = ddpm(g), mpmath.mp.clone()
    mp.dps = 40
    first = g.points[0]
    mean, variance = first.alpha * mp.mpf(0.7), mp.mpf(first.alpha) ** 2 / 4 + mp.mpf(first.sigma) ** 2
    rows = torch.cat([tableau.states, tableau.outputs, tableau.noises], dim=1).tolist()
    for point, (kept, output, noise) in zip(g.points, rows, strict=False):
        gain = mp.mpf(point.alpha) / 4 / (mp.mpf(point.alpha) ** 2 / 4 + mp.mpf(point.sigma) ** 2)
        predicted = mp.mpf(0.7) + gain * (mean - point.alpha * mp.mpf(0.7))
        mean, variance = kept * mean + output * predicted, (kept + output * gain) ** 2 * variance + mp.mpf(noise) ** 2
    law = gaussian_law(tableau, G, (G, first))
    assert float(law.mean) == pytest.approx(float(mean), rel=2e-15)
    assert float(law.covariance) == pytest.approx(float(variance), rel=2e-15)


def test_against_samples_in_the_plane() -> None:
    """A start law with axes of its own, a target with others: every moment within four standard errors."""
    g, n = levels(12), 100_000
    other = GaussianMixture([1.0], [[1.0, 0.0]], covariances=[[[1.0, -0.6], [-0.6, 0.5]]])
    at = Point(1.0, 0.0)
    tableau = li_accelerated_sde(g)
    y = sample(SPACE, other.sample(n, at, torch.Generator().manual_seed(0)), tableau, noise=seeded(1))
    law = gaussian_law(tableau, SPACE, (other, at))
    white = torch.linalg.solve(torch.linalg.cholesky(law.covariance), (y - law.mean).T)
    assert float(white.mean(dim=1).abs().max()) < 4 / math.sqrt(n)
    assert float((white.cov() - torch.eye(2)).abs().max()) < 4 * math.sqrt(2 / n)


@pytest.mark.parametrize("make", STOCHASTIC)
def test_one_axis_is_the_line(make: Callable[[Grid], Tableau]) -> None:
    """An isotropic target in d = 16 is sixteen copies of the line; TV grows with d, KL and W2^2 are sums."""
    g = levels(50)
    tableau, wide = make(g), GaussianMixture([1.0], [[0.7] * 16], stds=[0.5])
    one = gaussian_law(tableau, G, (G, g.points[0])), moments(G, g.points[-1])
    law, target = gaussian_law(tableau, wide, (wide, g.points[0])), moments(wide, g.points[-1])
    close(law, one[0].mean.expand(16), float(one[0].covariance) * torch.eye(16, dtype=torch.float64), 1e-14)
    assert kl(target, law) == pytest.approx(16 * kl(one[1], one[0]), rel=1e-10)
    assert w2(target, law) == pytest.approx(4 * w2(one[1], one[0]), rel=1e-10)
    assert tv(one[1], one[0]) < tv(target, law) < 16 * tv(one[1], one[0])


def test_a_coefficient_off_by_a_millionth_shows() -> None:
    g = levels(50)
    tableau = li_accelerated_sde(g)
    law = gaussian_law(tableau, G, (G, g.points[0]))
    for table in ("states", "outputs", "noises"):
        altered = getattr(tableau, table).clone()
        altered[51] *= 1 + 1e-6
        other = gaussian_law(replace(tableau, **{table: altered}), G, (G, g.points[0]))
        assert 1e-9 < tv(law, other) < 1e-5


def errors(make: Callable[[Grid], Tableau], counts: list[int]) -> list[tuple[float, float, float, float]]:
    """(TV, KL, W2, variance error) at so many noise levels, from the exact marginal."""
    found = []
    for count in counts:
        g = levels(count)
        tableau = make(g)
        law, target = gaussian_law(tableau, G, (G, g.points[0])), moments(G, g.points[-1])
        off = abs(float(law.covariance / target.covariance) - 1)
        found.append((tv(target, law), kl(target, law), w2(target, law), off))
    return found


def test_weak_errors_are_those_of_mean_and_variance() -> None:
    """The mean is right by symmetry; from a start law that is off it is not."""
    g = levels(100)
    weak = weak_errors(ddpm(g), G)
    assert weak.mean < 1e-14
    assert weak.covariance == pytest.approx(errors(ddpm, [100])[0][3], rel=1e-12)
    shifted = weak_errors(tabulate("ddim", g), G, (GaussianMixture([1.0], [1.0], stds=[1.0]), Point(1.0, 0.0)))
    law = gaussian_law(tabulate("ddim", g), G, (GaussianMixture([1.0], [1.0], stds=[1.0]), Point(1.0, 0.0)))
    target = moments(G, g.points[-1])
    assert shifted.mean == pytest.approx(float((law.mean - target.mean).abs() / target.covariance[0].sqrt()), rel=1e-12)
    assert shifted.mean > 1e-3


COUNTS = [100, 400, 1600]


def slopes(of: list[tuple[float, float, float, float]]) -> list[float]:
    fits = [rates.fit(COUNTS, column) for column in zip(*of, strict=True)]
    return [fit.exponent for fit in fits if fit is not None]


def test_li_ddpm_is_of_order_one() -> None:
    """TV, W2 and variance like 1/T, KL like its square."""
    total, divergence, distance, weak = slopes(errors(li_ddpm, COUNTS))
    assert total == pytest.approx(1, abs=0.02)
    assert distance == pytest.approx(1, abs=0.02)
    assert weak == pytest.approx(1, abs=0.02)
    assert divergence == pytest.approx(2 * total, abs=0.03)


def test_ddpm_is_of_order_one_and_slow_to_show_it() -> None:
    """The slope is off by a multiple of 1/T: two slopes over doublings of T extrapolate it away."""
    counts = [400, 800, 1600]
    before, last = rates.local_exponents(counts, [tv for tv, *_ in errors(ddpm, counts)])
    assert 0.95 < before < last < 0.98
    assert 2 * last - before == pytest.approx(1, abs=0.02)


def test_the_accelerated_sde_is_of_order_two_on_a_gaussian() -> None:
    found = errors(li_accelerated_sde, COUNTS)
    total, divergence, distance, weak = slopes(found)
    assert 1.98 <= total <= 2.02
    assert 1.98 <= distance <= 2.02
    assert 1.98 <= weak <= 2.02
    assert divergence == pytest.approx(2 * total, abs=0.03)


def test_the_last_noise_outside_loses_an_order() -> None:
    """With the noise as in the authors' README the slope is about 1."""
    total, *_ = slopes(errors(lambda g: li_accelerated_sde(g, outside=True), COUNTS))
    assert total == pytest.approx(1, abs=0.05)


def test_a_normal_start_is_forgotten_by_noise() -> None:
    """The mismatch at the noisy end shows in the plain flow and not in DDPM."""
    g = levels(400)
    start = GaussianMixture([1.0], [0.0], stds=[1.0]), Point(1.0, 0.0)
    target = moments(G, g.points[-1])
    for make, forgets in ((li_ddpm, True), (lambda g: tabulate("dpm-solver++-2m", g), False)):
        exact, normal = (tv(target, gaussian_law(make(g), G, law)) for law in ((G, g.points[0]), start))
        assert (abs(normal - exact) < 1e-6) == forgets


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda t, at: gaussian_law(t, GaussianMixture([0.5, 0.5], [0.0, 1.0], stds=[1.0, 1.0]), (G, at)), "2 comp"),
        (lambda t, at: gaussian_law(t, G, (GaussianMixture([0.5, 0.5], [0, 1], stds=[1, 1]), at)), "start_law"),
        (lambda t, at: gaussian_law(t, G, (SPACE, at)), "d = 1 as for"),
        (lambda t, at: gaussian_law(replace(t, given=2), G, (G, at)), "deterministic flow"),
    ],
)
def test_bad_input_is_one_line(call: Callable[[Tableau, Point], Gaussian], said: str) -> None:
    tableau = ddpm(levels(5))
    with pytest.raises(InputError, match=said) as refused:
        call(tableau, tableau.points[0])
    assert "\n" not in str(refused.value)


def test_coefficients_that_overflow_are_said() -> None:
    tableau = ddpm(levels(50))
    with pytest.raises(SamplingError, match="non-finite"):
        gaussian_law(replace(tableau, states=tableau.states * 1e9), G, (G, tableau.points[0]))
