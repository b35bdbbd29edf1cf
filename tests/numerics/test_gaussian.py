"""KL, W2 and TV between Gaussians against closed forms, quadrature and 50 digits, down to differences of 1e-11."""

from __future__ import annotations

import cmath
import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import ndtr
from torch import Tensor

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.laws.gaussian import Gaussian, kl, moments, standardised, w2
from samplerproof.numerics.laws.gaussian_tv import tv
from samplerproof.numerics.points import Point
from samplerproof.numerics.targets.mixture import GaussianMixture

mp = mpmath.mp.clone()  # our own context: other tests keep their precision
mp.dps = 50
SIZES = [1e-11, 1e-9, 1e-6, 1e-3, 0.1]


def gaussian(mean: object, covariance: object) -> Gaussian:
    return Gaussian(torch.as_tensor(mean, dtype=torch.float64), torch.as_tensor(covariance, dtype=torch.float64))


def diagonal(mean: list[float], variances: list[float]) -> Gaussian:
    return gaussian(mean, np.diag(variances))


def random_law(d: int, seed: int) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(d, d, generator=generator, dtype=torch.float64)
    mean, covariance = torch.randn(d, generator=generator, dtype=torch.float64), root @ root.mT + 0.1 * torch.eye(d)
    return Gaussian(mean, (covariance + covariance.mT) / 2)


def moved(p: Gaussian, size: float, seed: int) -> Gaussian:
    """A law whose mean and covariance differ from p's by this much, relatively, in every direction."""
    generator = torch.Generator().manual_seed(seed)
    d = len(p.mean)
    b = torch.randn(d, generator=generator, dtype=torch.float64)
    e = torch.randn(d, d, generator=generator, dtype=torch.float64) / (2 * d)
    factor = torch.linalg.cholesky(p.covariance)
    spread = factor @ (e + e.mT) @ factor.mT
    return Gaussian(p.mean + size * factor @ b, p.covariance + size * (spread + spread.mT) / 2)


def density(x: float, mean: float = 0.0, variance: float = 1.0) -> float:
    return math.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


def exactly(tensor: Tensor) -> mpmath.matrix:
    return mp.matrix(tensor.tolist())


def kl_oracle(p: Gaussian, q: Gaussian) -> mpmath.mpf:
    a, b, m = exactly(p.covariance), exactly(q.covariance), exactly(q.mean) - exactly(p.mean)
    inverse = b**-1
    trace = sum((inverse * a)[i, i] for i in range(len(m)))
    return (trace - len(m) + (m.T * inverse * m)[0] + mp.log(mp.det(b) / mp.det(a))) / 2


def root_oracle(c: mpmath.matrix) -> mpmath.matrix:
    values, axes = mp.eigsy(c)
    return axes * mp.diag([mp.sqrt(v) for v in values]) * axes.T


def w2_oracle(p: Gaussian, q: Gaussian) -> mpmath.mpf:
    a, b, m = exactly(p.covariance), exactly(q.covariance), exactly(q.mean) - exactly(p.mean)
    root = root_oracle(a)
    cross = root_oracle(root * b * root)
    return mp.sqrt((m.T * m)[0] + sum((a + b - 2 * cross)[i, i] for i in range(len(m))))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_kl_and_w2_against_50_digits(d: int, size: float) -> None:
    """With the float64 means and covariances as exact input: what is lost is their own rounding, eps / size."""
    p = random_law(d, seed=d)
    q = moved(p, size, seed=10 + d)
    conditioning = float(torch.linalg.cond(p.covariance))
    slack = 1e-13 + 4 * 2**-52 * conditioning / size
    assert slack < 0.1
    assert kl(p, q) == pytest.approx(float(kl_oracle(p, q)), rel=2 * slack)
    assert w2(p, q) == pytest.approx(float(w2_oracle(p, q)), rel=slack)


def test_w2_of_laws_far_apart_and_of_a_point_mass() -> None:
    p, q = random_law(4, seed=0), random_law(4, seed=1)
    assert w2(p, q) == pytest.approx(float(w2_oracle(p, q)), rel=1e-13)
    assert w2(p, Gaussian(q.mean, torch.zeros(4, 4, dtype=torch.float64))) == pytest.approx(
        math.sqrt(float((p.mean - q.mean).square().sum() + p.covariance.trace())), rel=1e-13
    )


def tv_on_the_line(p: Gaussian, q: Gaussian) -> float:
    """Half the integral of |p - q| at 50 digits, cut where the densities cross."""
    m, a, k, b = (mp.mpf(float(v)) for v in (p.mean, p.covariance, q.mean, q.covariance))
    cross = mp.polyroots([1 / b - 1 / a, 2 * (m / a - k / b), k * k / b - m * m / a + mp.log(b / a)], maxsteps=500)
    below = [(mp.ncdf(x, m, mp.sqrt(a)) - mp.ncdf(x, k, mp.sqrt(b))) for x in sorted(mp.re(r) for r in cross)]
    return float(sum(abs(v) for v in below))


@pytest.mark.parametrize("size", [1e-13, *SIZES, 1.0, 5.0])
@pytest.mark.parametrize("ratio", [1e-2, 1.0, -1.0, 1e2])
def test_tv_on_the_line_against_50_digits(size: float, ratio: float) -> None:
    """Mean and variance off by different amounts, both signs: twelve digits, however small the difference is."""
    p, q = gaussian([0.0], [[0.25]]), gaussian([0.5 * size], [[0.25 * (1 + max(-0.9, size * ratio))]])
    assert float(q.covariance) != 0.25
    assert tv(p, q) == pytest.approx(tv_on_the_line(p, q), rel=1e-12)
    assert tv(q, p) == pytest.approx(tv_on_the_line(p, q), rel=1e-12)


@pytest.mark.parametrize("size", [*SIZES, 1.0, 6.0])
@pytest.mark.parametrize("d", [1, 2, 7, 16])
def test_tv_with_equal_covariances(d: int, size: float) -> None:
    """erf(|L^-1 (m - m')| / (2 sqrt 2))."""
    p = random_law(d, seed=d)
    step = torch.linalg.cholesky(p.covariance) @ torch.full((d,), size / math.sqrt(d), dtype=torch.float64)
    p = Gaussian(torch.zeros_like(step), p.covariance)
    assert tv(p, Gaussian(step, p.covariance)) == pytest.approx(math.erf(size / math.sqrt(8)), rel=1e-11)


@pytest.mark.parametrize("e", [1e-11, -1e-11, 1e-8, -1e-4, 0.3, -0.9, 30.0])
@pytest.mark.parametrize("d", [1, 2, 3, 16])
def test_tv_with_equal_means_and_proportional_covariances(d: int, e: float) -> None:
    """Chi-squared laws: |G(r/(1 + e)) - G(r)|, G the law of |x|^2 / 2 and r = d (1 + e) log(1 + e) / (2 e)."""
    p, q = diagonal([0.0] * d, [1.0] * d), diagonal([0.0] * d, [1.0 + e] * d)
    given = mp.mpf(1.0 + e) - 1
    r = d * (1 + given) * mp.log1p(given) / (2 * given)
    expected = abs(mp.gammainc(mp.mpf(d) / 2, r / (1 + given), r, regularized=True))
    assert tv(p, q) == pytest.approx(float(expected), rel=1e-11)


def positive_part(b: list[float], e: list[float]) -> float:
    """The integral of (p - q)_+ over the plane: in one variable by error functions, in the other by quadrature."""
    (b0, b1), (e0, e1) = b, e

    def line(y: float) -> float:
        rest = (b1 - y) ** 2 / (1 + e1) - y * y + math.log((1 + e0) * (1 + e1))
        # l = (-x^2 + (x - b0)^2/(1 + e0) + rest)/2 > 0
        roots = np.roots([-e0, -2 * b0, b0 * b0 + (1 + e0) * rest])
        cuts = [-math.inf, *sorted(roots.real if abs(roots.imag).max() == 0 else []), math.inf]
        total = 0.0
        for low, high in pairwise(cuts):
            own = (ndtr(high) - ndtr(low)) * density(y)
            other = ndtr((high - b0) / math.sqrt(1 + e0)) - ndtr((low - b0) / math.sqrt(1 + e0))
            total += max(0.0, own - other * density(y, b1, 1 + e1))
        return total

    return float(quad(line, -12, 12, points=[-2, 0, 2], limit=500, epsabs=1e-12, epsrel=1e-11)[0])


@pytest.mark.parametrize(
    ("b", "e"),
    [
        ([0.0, 0.0], [0.4, -0.4]),
        ([0.3, -0.2], [0.5, 0.1]),
        ([1.0, 0.5], [-0.7, 2.0]),
        ([0.05, 0.0], [-0.02, 0.02]),
    ],
)
def test_tv_in_the_plane_against_quadrature(b: list[float], e: list[float]) -> None:
    p, q = diagonal([0.0, 0.0], [1.0, 1.0]), diagonal(b, [1 + v for v in e])
    assert tv(p, q) == pytest.approx(positive_part(b, e), rel=1e-8)


@pytest.mark.parametrize("size", [1e-11, 1e-9, 1e-8])
@pytest.mark.parametrize("e", [(1.0, -1.0), (2.0, 0.5), (0.0, -1.0)])
def test_tv_of_nearly_equal_laws_in_the_plane(size: float, e: tuple[float, float]) -> None:
    """To first order half the mean of |b x + sum e (x^2 - 1)/2|, to 1e-6 relatively: the next term is smaller."""
    b = (0.3, 0.7)

    def line(y: float) -> float:
        rest = b[1] * y + e[1] * (y * y - 1) / 2 - e[0] / 2
        roots = np.roots([e[0] / 2, b[0], rest])
        inside = [r for r in np.sort(roots.real) if abs(r) < 12] if not np.iscomplex(roots).any() else []
        cuts = [-12.0, *inside, 12.0]

        def signed(x: float) -> float:
            """The integral of (e x^2/2 + b x + rest) phi(x) up to x."""
            return (rest + e[0] / 2) * ndtr(x) - (e[0] / 2 * x + b[0]) * density(x)

        parts = [abs(signed(high) - signed(low)) for low, high in pairwise(cuts)]
        return float(sum(parts) * density(y))

    first_order = quad(line, -12, 12, points=[-2, 0, 2], limit=500, epsabs=1e-11, epsrel=1e-10)[0] / 2
    p, q = diagonal([0.0, 0.0], [1.0, 1.0]), diagonal([size * v for v in b], [1 + size * v for v in e])
    given = [float(v) - 1 for v in q.covariance.diagonal()]  # what is left of e in float64
    assert given == pytest.approx([size * v for v in e], abs=2**-52)
    assert tv(p, q) == pytest.approx(size * first_order, rel=max(1e-6, 3 * 2**-52 / size))


@pytest.mark.parametrize("size", [1e-9, 1e-4, 0.4])
def test_tv_on_a_straight_line_of_integration(size: float) -> None:
    """The contour integral on another line and by another quadrature, in d = 3 with both signs of e."""
    b, e = [0.3 * size, 0.0, -1.1 * size], [0.9 * size, -1.2 * size, 0.1 * size]
    p, q = diagonal([0.0] * 3, [1.0] * 3), diagonal(b, [1 + v for v in e])
    kept = [float(v) - 1 for v in q.covariance.diagonal()]  # what is left of e in float64

    def integrand(y: float) -> float:
        z, total = complex(0.3, y) / size, complex(0)
        for bi, ei in zip(b, kept, strict=True):
            g, c = ei / (1 + ei), bi / (1 + ei)
            total += z * (bi * c + math.log1p(ei)) / 2 - cmath.log(1 + z * g) / 2 + (z * c) ** 2 / (2 * (1 + z * g))
        return (cmath.exp(total) / (z * (z + 1))).real / size

    expected = quad(integrand, 0, math.inf, limit=2000, epsabs=1e-11 * size, epsrel=1e-11)[0] / math.pi
    assert tv(p, q) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [1e-12, 1e-6, 0.1, 3.0])
@pytest.mark.parametrize("e", [-0.7, 1e-3, 1.0, 20.0])
def test_an_axis_that_agrees_changes_nothing(size: float, e: float) -> None:
    """The contour integral in d = 2 and 3 gives what error functions give on the line."""
    b, v = 0.4 * size, 1 + e * min(size, 1)
    line = tv(diagonal([0.0], [1.0]), diagonal([b], [v]))
    for d in (2, 3):
        rest, ones = [0.0] * (d - 1), [1.0] * (d - 1)
        assert tv(diagonal([0.0, *rest], [1.0, *ones]), diagonal([b, *rest], [v, *ones])) == pytest.approx(
            line, rel=1e-11
        )


def test_the_order_of_the_axes_and_a_rotation_change_nothing() -> None:
    p, q = random_law(6, seed=3), random_law(6, seed=4)
    turn = torch.linalg.qr(random_law(6, seed=5).covariance).Q
    turned = [Gaussian(turn @ g.mean, turn @ g.covariance @ turn.mT) for g in (p, q)]
    for metric in (tv, kl, w2):
        assert metric(*turned) == pytest.approx(metric(p, q), rel=1e-11)
    assert tv(p, q) == pytest.approx(tv(q, p), rel=1e-10)
    assert 0 < tv(p, q) < min(1.0, math.sqrt(kl(p, q) / 2))


def test_tv_against_samples() -> None:
    """P_p(l > 0) - P_q(l > 0), with 4 standard errors."""
    p, q = random_law(5, seed=7), moved(random_law(5, seed=7), 0.3, seed=8)
    n, generator = 200_000, torch.Generator().manual_seed(0)

    def shares(g: Gaussian) -> float:
        x = (
            g.mean
            + torch.randn(n, 5, generator=generator, dtype=torch.float64) @ torch.linalg.cholesky(g.covariance).mT
        )
        heights = [torch.distributions.MultivariateNormal(*law).log_prob(x) for law in (p, q)]
        return float((heights[0] > heights[1]).double().mean())

    assert tv(p, q) == pytest.approx(shares(p) - shares(q), abs=4 / math.sqrt(2 * n))


def test_equal_and_singular_laws() -> None:
    p = random_law(3, seed=0)
    assert (tv(p, p), kl(p, p), w2(p, p)) == (0.0, 0.0, 0.0)
    flat = Gaussian(p.mean, torch.zeros(3, 3, dtype=torch.float64))
    assert (tv(p, flat), kl(p, flat)) == (1.0, math.inf)
    for far in (20.0, 1e3, 1e200):
        assert tv(p, Gaussian(p.mean + far, p.covariance)) == pytest.approx(1, rel=1e-12)
        assert tv(p, Gaussian(p.mean, p.covariance * far)) > tv(p, Gaussian(p.mean, p.covariance * 10))


@pytest.mark.parametrize(
    ("target", "law", "said"),
    [
        (gaussian([0.0], [[0.0]]), gaussian([0.0], [[1.0]]), "positive definite"),
        (gaussian([0.0], [[1.0]]), gaussian([0.0, 0.0], np.eye(2)), "one d"),
        (gaussian([0.0], [[1.0]]), gaussian([math.nan], [[1.0]]), "finite"),
    ],
)
def test_bad_laws_are_refused(target: Gaussian, law: Gaussian, said: str) -> None:
    for metric in (tv, kl, w2):
        with pytest.raises(InputError, match=said):
            metric(target, law)


def test_moments_of_a_mixture_against_its_samples() -> None:
    covariances = [[[0.3, 0.1], [0.1, 0.2]], [[0.25, -0.05], [-0.05, 0.4]]]
    mixture = GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [0.8, -0.3]], covariances=covariances)
    at = Point(0.8, 0.6)
    x = mixture.sample(200_000, at, torch.Generator().manual_seed(0))
    b, e = standardised(moments(mixture, at), Gaussian(x.mean(dim=0), x.T.cov()))
    assert float(torch.cat([b, e]).abs().max()) < 4 * math.sqrt(2 / len(x))
