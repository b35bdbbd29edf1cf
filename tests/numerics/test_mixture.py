"""Gaussian mixtures against 50-digit arithmetic, identities, and bad input."""

from __future__ import annotations

import math

import oracles
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import mp, mpf

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.points import Point
from samplerproof.numerics.targets import mixture as module
from samplerproof.numerics.targets.mixture import GaussianMixture, with_tangent

EPS = 2.0**-52
F64 = torch.float64


def random_mixture(seed, components, dim, kind, std, centre, spread=1.0):
    """A mixture and its law for the oracle, which gets the covariances as the numbers that were typed."""
    g = torch.Generator().manual_seed(seed)
    weights = torch.rand(components, generator=g, dtype=F64) + 0.05
    weights /= weights.sum()
    means = centre + spread * torch.randn(components, dim, generator=g, dtype=F64)
    stds = std * (1 + 2 * torch.rand(components, dim, generator=g, dtype=F64))
    if kind == "full":
        axes = torch.linalg.qr(torch.randn(components, dim, dim, generator=g, dtype=F64))[0]
        covariances = (axes * stds.square()[:, None]) @ axes.mT
        covariances = (covariances + covariances.mT) / 2
        mixture = GaussianMixture(weights, means, covariances=covariances)
        exact = covariances.tolist()
    else:
        stds = stds[:, :1] if kind == "isotropic" else stds
        mixture = GaussianMixture(weights, means, stds=stds)
        exact = [mp.diag([mpf(s) ** 2 for s in row]) for row in stds.expand(-1, dim).tolist()]
    return mixture, oracles.law(mixture.weights.tolist(), means.tolist(), exact)


def point(sigma, scaled):
    """alpha = 1, or the same noise-to-signal ratio with alpha^2 + sigma^2 = 1."""
    return Point(1.0, sigma) if not scaled else Point(1 / math.hypot(1, sigma), sigma / math.hypot(1, sigma))


def noise_error(predict, mixture, law, at, x):
    """The largest error of sigma * score over the points, and the largest that a small std allows there."""
    value = predict(x, at, "noise")
    basis = torch.eye(mixture.dim, dtype=F64)
    worst, excess = 0.0, 0.0
    for row, got in zip(x, value, strict=True):
        exact = -oracles.score(law, at.alpha, at.sigma, row.tolist()) * mpf(at.sigma)
        error = max(abs(float(mpf(float(v)) - e)) for v, e in zip(got, exact, strict=True))
        columns = [mixture.tangent(row[None], e[None], at, "noise")[1] for e in basis]
        slope = max(float(column.norm()) for column in columns)
        worst = max(worst, error)
        excess = max(excess, error / (8 * EPS * (1 + float(row.norm()) * slope)))
    return worst, excess


laws = {
    "seed": st.integers(0, 10**6),
    "components": st.integers(1, 5),
    "dim": st.integers(1, 3),
    "kind": st.sampled_from(["isotropic", "diagonal", "full"]),
    "centre": st.sampled_from([0.0, 100.0]),
    "log_sigma": st.floats(-3, 3),
    "scaled": st.booleans(),
}


@given(**laws)
def test_noise_is_exact_to_1e13_for_ordinary_stds(seed, components, dim, kind, centre, log_sigma, scaled):
    mixture, law = random_mixture(seed, components, dim, kind, 0.3, centre)
    at = point(10**log_sigma, scaled)
    x = mixture.sample(3, at, torch.Generator().manual_seed(seed))
    assert noise_error(mixture, mixture, law, at, x)[0] <= 1e-13


@pytest.mark.parametrize("near", [1e-3, -3.0])
@pytest.mark.parametrize("far", [7e7, -1e12])
def test_a_mean_far_away_takes_no_digit_from_a_near_one(far, near):
    """Assert x = alpha x0 + sigma eps to 4 eps beside the near mean; counted from the mean of both, x0 loses more."""
    mixture, at = GaussianMixture([0.5, 0.5], [far, near], stds=[1.0, 0.5]), Point(0.8, 0.6)
    x = 0.8 * near + torch.linspace(-2, 2, 41, dtype=F64)[:, None]
    data, noise = (mixture(x, at, prediction) for prediction in ("data", "noise"))
    size = 1 + x.abs()
    assert float(((0.8 * data + 0.6 * noise - x).abs() / size).max()) <= 4 * EPS
    assert float(((mixture.posterior(x, at)[0] - data).abs() / size).max()) <= 4 * EPS
    middle = (far + near) / 2
    counted = data - near + (near - middle) + middle
    assert float(((0.8 * counted + 0.6 * noise - x).abs() / size).max()) > 1e-11


@given(log_std=st.floats(-4, -0.6), **laws)
def test_noise_is_exact_to_its_condition_for_small_stds(
    seed, components, dim, kind, centre, log_sigma, scaled, log_std
):
    mixture, law = random_mixture(seed, components, dim, kind, 10**log_std, centre)
    at = point(10**log_sigma, scaled)
    x = mixture.sample(3, at, torch.Generator().manual_seed(seed))
    assert noise_error(mixture, mixture, law, at, x)[1] <= 1


def test_the_accuracy_checks_see_a_rounded_mean_and_a_rounded_eigenvalue():
    """What the double-length alpha * mu and the polished eigenvectors are for: without them the checks fail."""
    mixture, law = random_mixture(3, 2, 1, "isotropic", 0.3, 100.0)
    at = point(0.3, True)
    x = mixture.sample(50, at, torch.Generator().manual_seed(0))

    def rounded(x, at, prediction):
        means = at.alpha * mixture.means[:, 0]
        v = at.alpha**2 * mixture.variances[:, 0] + at.sigma**2
        terms = mixture.weights.log() - v.log() / 2 - (x - means) ** 2 / (2 * v)
        return (torch.softmax(terms, 1) * at.sigma * (x - means) / v).sum(1, keepdim=True)

    exact, plain = (noise_error(f, mixture, law, at, x)[0] for f in (mixture, rounded))
    assert 5 * exact < 2e-15 < plain
    shifted = GaussianMixture(mixture.weights, mixture.means + 1e-11, stds=mixture.variances.sqrt())
    assert noise_error(shifted, mixture, law, at, x)[0] > 1e-13  # the contract's own check has an edge

    thin = torch.tensor([[1.0, 1e-6]], dtype=F64)
    axes = torch.linalg.qr(torch.randn(1, 2, 2, generator=torch.Generator().manual_seed(1), dtype=F64))[0]
    covariances = (axes * thin[:, None]) @ axes.mT
    covariances = (covariances + covariances.mT) / 2
    mixture = GaussianMixture([1.0], [[0.0, 0.0]], covariances=covariances)
    law = oracles.law([1.0], [[0.0, 0.0]], covariances.tolist())
    at = Point(1.0, 1e-3)
    x = mixture.sample(20, at, torch.Generator().manual_seed(0))
    rough = GaussianMixture([1.0], [[0.0, 0.0]], covariances=covariances)
    rough.variances, rough.axes = torch.linalg.eigh(covariances)
    assert noise_error(mixture, mixture, law, at, x)[1] <= 1 < noise_error(rough, mixture, law, at, x)[1]


@given(**laws)
def test_density_and_posterior_against_the_oracle(seed, components, dim, kind, centre, log_sigma, scaled):
    mixture, law = random_mixture(seed, components, dim, kind, 0.3, centre)
    at = point(10**log_sigma, scaled)
    x = mixture.sample(2, at, torch.Generator().manual_seed(seed))
    mean, covariance = mixture.posterior(x, at)
    for row, log_density in zip(x.tolist(), mixture.log_density(x, at).tolist(), strict=True):
        exact = float(mp.log(oracles.density(law, at.alpha, at.sigma, row)))
        assert log_density == pytest.approx(exact, rel=1e-13, abs=1e-13)
    # Tweedie, and its derivative: two other ways to the moments
    noise = mixture(x, at, "noise")
    assert torch.allclose(mean, (x - at.sigma * noise) / at.alpha, rtol=1e-12, atol=1e-12 * at.sigma / at.alpha)
    for direction, column in zip(torch.eye(dim, dtype=F64), covariance.unbind(-1), strict=True):
        _, slope = mixture.tangent(x, direction.expand_as(x), at, "data")
        scale = float(covariance.abs().max())
        assert torch.allclose(column * at.alpha / at.sigma**2, slope, rtol=1e-9, atol=1e-11 * scale / at.sigma**2)


def test_posterior_against_quadrature():
    mixture, law = random_mixture(1, 3, 1, "isotropic", 0.3, 0.0)
    at, x = Point(0.8, 0.6), 0.4

    def moment(k):
        def integrand(x0):
            prior = oracles.density(law, 1.0, 0.0, [x0])
            return x0**k * prior * mp.exp(-((x - mpf(0.8) * x0) ** 2) / (2 * mpf(0.6) ** 2))

        with mp.workdps(20):
            return mp.quad(integrand, [-12, -4, -1, 0, 1, 4, 12])

    mass, first, second = moment(0), moment(1), moment(2)
    mean, covariance = mixture.posterior(torch.tensor([x], dtype=F64), at)
    assert float(mean[0]) == pytest.approx(float(first / mass), rel=1e-12)
    assert float(covariance[0, 0]) == pytest.approx(float(second / mass - (first / mass) ** 2), rel=1e-12)


@given(**laws)
def test_the_four_predictions_are_one(seed, components, dim, kind, centre, log_sigma, scaled):
    mixture, _ = random_mixture(seed, components, dim, kind, 0.3, centre)
    at = point(10**log_sigma, scaled)._replace(dalpha=-0.7, dsigma=1.3)
    x = mixture.sample(5, at, torch.Generator().manual_seed(seed))
    data, noise, score, velocity = (mixture(x, at, p) for p in ("data", "noise", "score", "velocity"))
    size = float(x.abs().max()) + at.alpha * centre + 1

    def close(a, b, scale):
        return torch.allclose(a, b, rtol=1e-12, atol=1e-13 * scale)

    assert close(at.alpha * data + at.sigma * noise, x, size)
    assert close(noise, -at.sigma * score, 1)
    assert close(velocity, at.dalpha * data + at.dsigma * noise, size)
    dx = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=F64)
    slopes = [mixture.tangent(x, dx, at, p) for p in ("data", "noise", "score", "velocity")]
    for prediction, (value, _) in zip((data, noise, score, velocity), slopes, strict=True):
        assert close(value, prediction, size)
    (_, d_data), (_, d_noise), (_, d_score), (_, d_velocity) = slopes
    steep = float(d_noise.abs().max()) + 1
    assert close(at.alpha * d_data + at.sigma * d_noise, dx, 10 * steep * (1 + at.sigma))
    assert close(d_noise, -at.sigma * d_score, steep)
    assert close(d_velocity, at.dalpha * d_data + at.dsigma * d_noise, 10 * (steep + float(d_data.abs().max())))


@given(**laws)
def test_tangent_is_the_derivative(seed, components, dim, kind, centre, log_sigma, scaled):
    mixture, law = random_mixture(seed, components, dim, kind, 0.3, centre)
    at = point(10**log_sigma, scaled)
    x = mixture.sample(1, at, torch.Generator().manual_seed(seed))
    dx = torch.randn(1, dim, generator=torch.Generator().manual_seed(seed), dtype=F64)
    _, slope = mixture.tangent(x, dx, at, "noise")
    h = mpf(10) ** -20

    def shifted(sign):
        moved = [mpf(a) + sign * h * mpf(b) for a, b in zip(x[0].tolist(), dx[0].tolist(), strict=True)]
        return [-mpf(at.sigma) * v for v in oracles.score(law, at.alpha, at.sigma, moved)]

    for got, up, down in zip(slope[0].tolist(), shifted(1), shifted(-1), strict=True):
        assert got == pytest.approx(float((up - down) / (2 * h)), rel=1e-10, abs=1e-11)
    assert torch.equal(
        with_tangent(mixture)(torch.stack([x, dx]), at, "noise"),
        torch.stack(mixture.tangent(x, dx, at, "noise")),
    )


@pytest.mark.parametrize("components", [1, 2, 4, 7])
@pytest.mark.parametrize("n", [1, 3, 4, 5, 1001, 20_000])
def test_on_the_line_parts_are_alone_and_together_the_same_to_the_bit(components, n):
    mixture, at = random_mixture(components, components, 1, "isotropic", 0.3, 2.0)[0], point(0.4, True)
    x = 3 * torch.randn(6, n, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    for prediction in ("data", "noise"):
        together = mixture.with_derivative(x, x.sin(), at, prediction)
        for k, part in enumerate(x):
            assert torch.equal(together[:, k], mixture.with_derivative(part, part.sin(), at, prediction))


@pytest.mark.parametrize("most", [2, 5, 8192])
def test_on_the_line_what_is_computed_for_many_points_is_that_of_each(most, monkeypatch):
    """To the bit, also where less is kept than is asked for; and a singular law is refused."""
    monkeypatch.setattr(module, "LINES", most)
    asked = [(point(sigma, scaled), p) for sigma in (0.1, 2.0) for scaled in (True, False) for p in ("data", "noise")]
    alone, together = (random_mixture(3, 3, 1, "isotropic", 0.3, 2.0)[0] for _ in range(2))
    x = torch.linspace(-3, 3, 9, dtype=F64)[:, None]
    together.keep_lines([*asked, *asked])
    assert len(together._lines) == min(most, len(asked))
    for at, prediction in asked:
        assert torch.equal(*(m.with_derivative(x, x, at, prediction) for m in (alone, together)))
    with pytest.raises(InputError, match="must be finite and positive"):
        together.keep_lines([*asked, (Point(0.0, 0.0), "data")] if most > 8 else [(Point(0.0, 0.0), "data")])


@given(split=st.integers(1, 39), block=st.integers(1, 400), **laws)
def test_batches_may_be_split_and_reordered(split, block, seed, components, dim, kind, centre, log_sigma, scaled):
    mixture, _ = random_mixture(seed, components, dim, kind, 0.3, centre)
    at, g = point(10**log_sigma, scaled), torch.Generator().manual_seed(seed)
    x = mixture.sample(40, at, g)
    order = torch.randperm(40, generator=g)
    whole = mixture(x, at, "noise")
    parts = torch.cat([mixture(x[:split], at, "noise"), mixture(x[split:], at, "noise")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        blocks = mixture(x, at, "noise")
        blocked_slope = mixture.tangent(x, x, at, "noise")[1]
    slope = mixture.tangent(x, x, at, "noise")[1]
    for other in (parts, blocks, mixture(x[order], at, "noise")[order.argsort()]):
        assert float((other - whole).abs().max()) <= 1e-13
    assert torch.allclose(blocked_slope, slope, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["isotropic", "diagonal", "full"])
def test_samples_have_the_moments_of_the_law(kind):
    mixture, _ = random_mixture(5, 3, 2, kind, 0.5, 2.0)
    at, n = Point(0.8, 0.6), 40_000
    x = mixture.sample(n, at, torch.Generator().manual_seed(0))
    assert torch.equal(x, mixture.sample(n, at, torch.Generator().manual_seed(0)))
    axes = torch.eye(2, dtype=F64).expand(3, 2, 2) if mixture.axes is None else mixture.axes
    within = (axes * mixture.variances.expand(3, 2)[:, None]) @ axes.mT
    mean = at.alpha * mixture.weights @ mixture.means
    offsets = mixture.means - mixture.weights @ mixture.means
    cov0 = (mixture.weights[:, None, None] * (within + offsets[:, :, None] * offsets[:, None])).sum(0)
    cov = at.alpha**2 * cov0 + at.sigma**2 * torch.eye(2, dtype=F64)
    assert bool(((x.mean(0) - mean).abs() <= 5 * (cov.diagonal() / n).sqrt()).all())
    assert torch.allclose(torch.cov(x.T), cov, rtol=0, atol=5 * float(cov.max()) * math.sqrt(3 / n))
    assert not torch.allclose(torch.cov(x.T), 1.2 * cov, rtol=0, atol=5 * float(cov.max()) * math.sqrt(3 / n))


def test_shapes_dtypes_and_extremes():
    mixture, _ = random_mixture(5, 3, 2, "full", 0.5, 2.0)
    at = Point(0.8, 0.6)
    x = mixture.sample(6, at, torch.Generator().manual_seed(0))
    value = mixture(x, at, "data")
    assert torch.equal(mixture(x.reshape(2, 3, 2), at, "data"), value.reshape(2, 3, 2))
    assert torch.equal(mixture(x[0], at, "data"), mixture(x[:1], at, "data")[0])
    single = mixture(x.float(), at, "data")
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), value, rtol=1e-5, atol=1e-6)
    assert mixture(x[:0], at, "data").shape == (0, 2)
    assert mixture.posterior(x.reshape(2, 3, 2), at)[1].shape == (2, 3, 2, 2)
    far = torch.full((1, 2), 1e8, dtype=F64)
    assert torch.isfinite(mixture(far, at, "noise")).all()
    atoms = GaussianMixture([0.5, 0.5], [-1.0, 1.0], stds=[0.0, 0.0])
    assert torch.allclose(
        atoms(torch.tensor([[0.3]], dtype=F64), Point(1.0, 0.5), "data"),
        torch.tensor([[math.tanh(0.3 / 0.25)]], dtype=F64),
        rtol=1e-14,
    )


def test_covariances_that_are_multiples_of_the_identity_agree_with_stds():
    means, stds = [[0.0, 1.0], [2.0, -1.0]], [0.5, 0.7]
    eye = torch.eye(2, dtype=F64)
    plain = GaussianMixture([0.4, 0.6], means, stds=stds)
    dense = GaussianMixture([0.4, 0.6], means, covariances=torch.stack([s * s * eye for s in stds]))
    x, at = torch.tensor([[0.3, 0.4]], dtype=F64), Point(0.8, 0.6)
    assert torch.allclose(plain(x, at, "noise"), dense(x, at, "noise"), rtol=1e-14)
    tilted = GaussianMixture([1.0], [[0.0, 0.0]], covariances=[[[1.0, 0.5], [0.5, 1.0]]])
    assert not torch.allclose(tilted(x, at, "noise"), plain(x, at, "noise"), rtol=1e-2)


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("target.weights", ([0.5, 0.6], [0, 1], [1, 1])),
        ("target.weights", ([1.5, -0.5], [0, 1], [1, 1])),
        ("target.weights", ([], [], [])),
        ("target.weights", ("half", [0, 1], [1, 1])),
        ("target.weights", ([math.nan, 1], [0, 1], [1, 1])),
        ("target.means", ([0.5, 0.5], [0, 1, 2], [1, 1])),
        ("target.means", ([0.5, 0.5], [False, 1], [1, 1])),
        ("target.means", ([0.5, 0.5], torch.tensor([True, False]), [1, 1])),
        ("target.means", ([0.5, 0.5], [[0, True], [1, 0]], [1, 1])),
        ("target.stds", ([0.5, 0.5], [0, 1], [1, True])),
        ("target.weights", ([True], [0], [1])),
        ("target.covariances", ([1.0], [[0]], None, [[[True]]])),
        ("target.means", ([0.5, 0.5], [0, math.inf], [1, 1])),
        ("target.means", ([0.5, 0.5], [[0, 1], [2]], [1, 1])),
        ("target.stds", ([0.5, 0.5], [0, 1], [1, -1])),
        ("target.stds", ([0.5, 0.5], [0, 1], [1, math.nan])),
        ("target.stds", ([0.5, 0.5], [0, 1], [1])),
        ("target.stds, target.covariances", ([1.0], [0])),
        ("target.stds, target.covariances", ([1.0], [0], [1], [[[1]]])),
        ("target.covariances", ([1.0], [[0, 0]], None, [[[1, 2], [2, 1]]])),
        ("target.covariances", ([1.0], [[0, 0]], None, [[[1, 0], [0, -1]]])),
        ("target.covariances", ([1.0], [[0, 0]], None, [[[1, 0.1], [0, 1]]])),
        ("target.covariances", ([1.0], [[0, 0]], None, [[1, 1]])),
    ],
)
def test_bad_targets_name_their_field(field, arguments):
    with pytest.raises(InputError) as caught:
        GaussianMixture(*arguments)
    assert caught.value.field == field


def test_bad_questions_are_refused():
    mixture = GaussianMixture([0.5, 0.5], [-1.0, 1.0], stds=[0.0, 1.0])
    x, at = torch.zeros(3, 1, dtype=F64), Point(0.8, 0.6)
    with pytest.raises(InputError, match="prediction"):
        mixture(x, at, "epsilon")
    with pytest.raises(InputError, match="dalpha"):
        mixture(x, at, "velocity")
    with pytest.raises(InputError, match="positive"):
        mixture(x, Point(1.0, 0.0), "data")
    with pytest.raises(InputError, match="last axis"):
        mixture(torch.zeros(3, 2, dtype=F64), at, "data")
    with pytest.raises(InputError, match="floating"):
        mixture(torch.zeros(3, 1, dtype=torch.int64), at, "data")
    with pytest.raises(InputError, match="dx"):
        mixture.tangent(x, x[:1], at, "data")
    with pytest.raises(InputError, match="tangent"):
        with_tangent(mixture)(x, at, "data")


@given(seed=st.integers(0, 10**6), dim=st.integers(2, 4), rank=st.integers(1, 3))
def test_singular_covariances_are_welcome_with_noise(seed, dim, rank):
    assume(rank < dim)
    g = torch.Generator().manual_seed(seed)
    factor = torch.randn(1, dim, rank, generator=g, dtype=F64)
    covariance = factor @ factor.mT
    mixture = GaussianMixture([1.0], torch.zeros(1, dim, dtype=F64), covariances=covariance)
    assert int((mixture.variances > 1e-12).sum()) == rank
    x = torch.randn(2, dim, generator=g, dtype=F64)
    v = covariance[0] + 0.25 * torch.eye(dim, dtype=F64)
    assert torch.allclose(mixture(x, Point(1.0, 0.5), "score"), -torch.linalg.solve(v, x.T).T, rtol=1e-9)
