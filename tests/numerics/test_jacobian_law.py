"""TV and KL in d > 1 by the change of variables: against exact laws, the quadrature on the line, their intervals."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import binom

from samplerproof.numerics import metrics
from samplerproof.numerics.errors import SamplingError
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.laws import importance
from samplerproof.numerics.laws.affine import gaussian_law
from samplerproof.numerics.laws.gaussian import Gaussian, kl, moments
from samplerproof.numerics.laws.gaussian_tv import tv
from samplerproof.numerics.laws.importance import Ratios
from samplerproof.numerics.laws.jacobian_law import log_ratios, ratios_of, with_jacobian
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture, with_tangent

PREDICTIONS = ("data", "noise", "score", "velocity", "v")
TWO = GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [0.8, -0.3]], stds=[0.5, 0.4])
ON_AXES = GaussianMixture([0.4, 0.6], [[-1.0, 0.5, 0.0], [0.8, -0.3, 1.0]], stds=[[0.5, 0.3, 0.4], [0.4, 0.6, 0.2]])
TURNED = GaussianMixture(
    [0.4, 0.6], [[-1.0, 0.5], [0.8, -0.3]], covariances=[[[0.5, 0.2], [0.2, 0.3]], [[0.2, -0.1], [-0.1, 0.4]]]
)


def levels(steps: int) -> Grid:
    return grid(schedule("vp-linear"), "uniform-lambda", steps, t_min=1e-3, t_max=1.0)


def ratios(tableau: Tableau, mixture: GaussianMixture, on: Grid, n: int, seed: int = 0) -> Ratios:
    """log p/q at n samples of a sampler that starts from the exact law, and at half as many more."""
    generator = torch.Generator().manual_seed(seed)
    x = mixture.sample(n, on.point(0), generator)
    return ratios_of(tableau, mixture, (x, (mixture, on.point(0))), on.point(0), generator)


@pytest.mark.parametrize("mixture", [TWO, ON_AXES, TURNED], ids=["round", "axes", "turned"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_jacobians_are_those_of_tangents(mixture: GaussianMixture, prediction: str) -> None:
    """Assert the matrix against directional derivatives by columns, and of the data prediction the covariance."""
    at = schedule("vp-linear").point(0.3)
    x = mixture.sample(20, at, torch.Generator().manual_seed(0))
    value, jacobian = mixture.jacobian(x, at, prediction)
    for k, axis in enumerate(torch.eye(mixture.dim, dtype=torch.float64)):
        same, column = mixture.tangent(x, axis.expand_as(x), at, prediction)
        torch.testing.assert_close(value, same, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(jacobian[..., k], column, rtol=1e-11, atol=1e-11)
    if prediction == "data":
        expected = at.alpha / at.sigma**2 * mixture.posterior(x, at)[1]
        torch.testing.assert_close(jacobian, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["ddim", "dpm-solver++-2m", "edm-heun", "unipc-2", "bdia-ddim"])
def test_the_jacobian_of_a_run_is_its_derivative(name: str) -> None:
    """Assert it by central differences of the samples, for rows with history, stages and two states."""
    on = levels(6)
    tableau, step = tabulate(name, on), 1e-5
    x = TWO.sample(10, on.point(0), torch.Generator().manual_seed(0))
    unit = torch.eye(2, dtype=torch.float64).expand(10, -1, -1)
    end = sample(with_jacobian(TWO), torch.cat([x[:, None], unit], dim=1), tableau)
    torch.testing.assert_close(end[:, 0], sample(TWO, x, tableau), rtol=1e-12, atol=1e-12)
    for k, axis in enumerate(torch.eye(2, dtype=torch.float64)):
        slope = (sample(TWO, x + step * axis, tableau) - sample(TWO, x - step * axis, tableau)) / (2 * step)
        torch.testing.assert_close(end[:, 1 + k], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("exp-adams-2", "exact"),
        pytest.param("ddim", "ramp", marks=pytest.mark.slow),
        pytest.param("dpm-solver++-2m", "ramp", marks=pytest.mark.slow),
    ],
)
def test_on_the_line_it_is_the_quadrature(name: str, start: str) -> None:
    """Assert the log ratio at the nodes against the density of the pushforward, and TV and KL in their intervals."""
    mixture, on = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35]), levels(20)
    law, tableau = (mixture, on.point(0)), tabulate(name, on, start)
    x = metrics.nodes(law, 2001)
    given = [torch.stack([x, torch.ones_like(x)])]
    given += [torch.stack(metrics.exact_flow(mixture, x, on.point(0), on.point(n))) for n in range(1, tableau.given)]
    pushed = metrics.Pushforward(x, law, *sample(with_tangent(mixture), given, tableau), (mixture, on.point(20)))
    got, sign = log_ratios(tableau, mixture, (x, law), on.point(0))
    assert bool((sign > 0).all())
    inner = slice(600, 1400)
    density = mixture.log_density(pushed.y, on.point(20)) - (
        mixture.log_density(x, on.point(0)) - pushed.dydx[:, 0].log()
    )
    torch.testing.assert_close(got[inner], density[inner], rtol=1e-8, atol=1e-8)
    found = ratios(tableau, mixture, on, 4000)
    for estimate, exact in ((importance.tv, metrics.tv(pushed)), (importance.kl, metrics.kl(pushed))):
        value, low, high = estimate(found)[:3]
        assert value - 2 * (value - low) < exact < value + 2 * (high - value)
        assert value == pytest.approx(exact, rel=0.15)


@pytest.mark.parametrize("d", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_on_a_gaussian_it_is_the_affine_law(d: int) -> None:
    """Assert the log ratio at every sample against the two Gaussian densities, and TV and KL within their intervals."""
    mixture, on = GaussianMixture([1.0], [[0.3] * d], stds=[0.5]), levels(20)
    tableau = tabulate("dpm-solver++-2m", on)
    goal, law = moments(mixture, on.point(20)), gaussian_law(tableau, mixture, (mixture, on.point(0)))
    x = mixture.sample(200, on.point(0), torch.Generator().manual_seed(3))
    y = sample(mixture, x, tableau)
    normal = torch.distributions.MultivariateNormal
    expected = normal(*goal).log_prob(y) - normal(*law).log_prob(y)
    got, _ = log_ratios(tableau, mixture, (x, (mixture, on.point(0))), on.point(0))
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-8)
    found = ratios(tableau, mixture, on, 2000)
    for estimate, exact in ((importance.tv, tv(goal, law)), (importance.kl, kl(goal, law))):
        value, low, high = estimate(found)[:3]
        assert low - (high - low) / 2 < exact < high + (high - low) / 2
        assert high - low < 0.25 * value


def test_pieces_of_the_samples_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    on = levels(8)
    whole = ratios(tabulate("ddim", on), TWO, on, 100)
    monkeypatch.setattr("samplerproof.numerics.laws.jacobian_law.NUMBERS", 6 * 30)
    pieces = ratios(tabulate("ddim", on), TWO, on, 100)
    torch.testing.assert_close(pieces.ratio, whole.ratio, rtol=1e-12, atol=1e-12)
    assert torch.equal(pieces.weight, whole.weight)


def test_a_map_that_folds_or_covers_twice_has_no_density() -> None:
    """Assert the refusal of negative determinants, and of two branches that have positive ones."""
    on = levels(20)
    table = tabulate("ddim", on)
    turned = replace(table, states=table.states.clone())
    turned.states[-1] *= -1
    mixture = GaussianMixture([0.4, 0.6], [[-1.0, 0.5, 0.0], [0.8, -0.3, 0.0]], stds=[0.5, 0.4])
    with pytest.raises(SamplingError, match=r"not positive at \d+ of 100 samples: the map of the sampler folds"):
        ratios(turned, mixture, on, 100)
    x = torch.randn(2000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    twice = torch.full_like(x[:, 0], math.log(2)) + 1e-3 * x[:, 0]  # each value of y from two of x
    with pytest.raises(SamplingError, match=r"the mean of p/q over the samples is 2, not 1: the map is not injective"):
        importance.kl(Ratios(twice, torch.zeros_like(twice), 2000))


def test_uneven_weights_leave_tv_and_no_kl() -> None:
    """Assert that p far from q gives TV near 1, as q's samples show it, and KL a reason instead of a value."""
    x = torch.randn(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    far = 4 * x - 8  # N(4, 1) over N(0, 1)
    one = Ratios(far, torch.zeros_like(far), 1000)
    got = importance.tv(one)
    exact = math.erf(2 / math.sqrt(2))
    assert got.low < exact < got.high
    with pytest.raises(SamplingError, match=r"p/q is too uneven over the samples: \d+ of 1000 are effective"):
        importance.kl(one)


def held(d: int, size: float, n: int, repeats: int, narrower: float = 1.0) -> list[int]:
    """How often the intervals of tv and kl hold between N(0, size^2 I) and N(0, I); narrower: their width, spoiled."""
    generator, normal = torch.Generator().manual_seed(1), torch.distributions.MultivariateNormal
    zero, unit = torch.zeros(d, dtype=torch.float64), torch.eye(d, dtype=torch.float64)
    wider = size * (1 + d**-0.5)
    p, q, noisier = (normal(zero, s**2 * unit) for s in (1.0, size, wider))
    goal, law = Gaussian(zero, unit), Gaussian(zero, size**2 * unit)
    exact, counts = (tv(goal, law), kl(goal, law)), [0, 0]
    for _ in range(repeats):
        z = torch.randn(n + n // 2, d, generator=generator, dtype=torch.float64)
        y = torch.cat([size * z[:n], wider * z[n:]])
        own, other = q.log_prob(y), noisier.log_prob(y)
        together = torch.logsumexp(torch.stack([own + math.log(2 / 3), other - math.log(3)]), dim=0)
        of = Ratios(p.log_prob(y) - own, own - together, n)
        for k, estimate in enumerate((importance.tv, importance.kl)):
            value, low, high = estimate(of)[:3]
            assert low <= value <= high
            counts[k] += value - narrower * (value - low) <= exact[k] <= value + narrower * (high - value)
    return counts


def test_few_intervals_hold() -> None:
    """Assert coverage over 150 repeats, of a law that is narrower than the target; half as noisier they fail."""
    assert min(held(2, 0.8, 400, 150)) >= binom.ppf(1e-4, 150, 0.95)
    assert max(held(2, 0.8, 400, 150, narrower=0.5)) < binom.ppf(1e-4, 150, 0.95)


@pytest.mark.slow
@pytest.mark.parametrize(("d", "size"), [(2, 0.8), (8, 1.05), (8, 1.15), (32, 0.97)])
def test_intervals_hold(d: int, size: float) -> None:
    """Assert coverage of tv and kl over 1,000 repeats of n = 400."""
    assert min(held(d, size, 400, 1000)) >= binom.ppf(1e-4, 1000, 0.95)
