"""The reference flow against closed forms: Gaussians in d dimensions, products of exact one-dimensional flows."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import DOP853

from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.points import Point
from samplerproof.numerics.targets import reference
from samplerproof.numerics.targets.flow import exact_flow
from samplerproof.numerics.targets.mixture import GaussianMixture
from samplerproof.numerics.targets.reference import reference_flow

F64 = torch.float64
NOISY = Point(math.exp(-5.025), math.sqrt(-math.expm1(-10.05)))
CLEAN = Point(1.0, 1e-3)


def gaussian(seed, dim):
    g = torch.Generator().manual_seed(seed)
    factor = torch.randn(dim, dim, generator=g, dtype=F64)
    covariance = factor @ factor.mT + 0.01 * torch.eye(dim, dtype=F64)
    mean = torch.randn(dim, generator=g, dtype=F64)
    return GaussianMixture([1.0], mean[None], covariances=covariance[None]), mean, covariance


def gaussian_flow(mean, covariance, x, source, to):
    """y = alpha' mu + V_to^{1/2} V_source^{-1/2} (x - alpha mu)."""
    values, axes = torch.linalg.eigh(covariance)
    stretch = ((to.alpha**2 * values + to.sigma**2) / (source.alpha**2 * values + source.sigma**2)).sqrt()
    return to.alpha * mean + ((x - source.alpha * mean) @ axes * stretch) @ axes.mT


@given(seed=st.integers(0, 10**6), dim=st.integers(2, 3))
def test_gaussians_in_closed_form(seed, dim):
    mixture, mean, covariance = gaussian(seed, dim)
    x = mixture.sample(20, NOISY, torch.Generator().manual_seed(seed))
    to = [Point(0.6, 0.8), Point(0.5, 0.05), CLEAN]
    for point, y in zip(to, reference_flow(mixture, x, NOISY, to), strict=True):
        exact = gaussian_flow(mean, covariance, x, NOISY, point)
        assert float((y - exact).abs().max()) <= 1e-12 * (1 + float(exact.abs().max()))


def test_products_of_mixtures_against_the_exact_flow():
    """Two independent coordinates, each with its own exact flow; and the check sees 1e-10."""
    a = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    b = GaussianMixture([0.5, 0.5], [-0.5, 1.5], stds=[0.3, 0.6])
    pairs = [(i, j) for i in range(2) for j in range(2)]
    product = GaussianMixture(
        [float(a.weights[i] * b.weights[j]) for i, j in pairs],
        [[float(a.means[i, 0]), float(b.means[j, 0])] for i, j in pairs],
        stds=[[float(a.variances[i, 0].sqrt()), float(b.variances[j, 0].sqrt())] for i, j in pairs],
    )
    x = product.sample(100, NOISY, torch.Generator().manual_seed(0))
    middle = Point(0.8, 0.6)
    for point, y in zip((middle, CLEAN), reference_flow(product, x, NOISY, [middle, CLEAN]), strict=True):
        exact = [exact_flow(law, x[:, k : k + 1], NOISY, point) for k, law in enumerate((a, b))]
        error = (y - torch.cat([flow for flow, _ in exact], 1)).abs()
        allowed = 5e-13 * (1 + torch.cat([slope for _, slope in exact], 1))
        assert bool((error <= allowed).all())
        assert not bool((error + 1e-10 <= allowed).any())
    loose = reference_flow(product, x, NOISY, [CLEAN], rtol=1e-6)[0]
    assert float((loose - y).abs().max()) > 1e-10


def test_a_point_is_as_exact_in_a_crowd_as_alone(monkeypatch):
    """The error of every point is held, not the batch's mean: one hard point among many easy ones."""
    mixture = GaussianMixture([0.5, 0.5], [-2.0, 2.0], stds=[0.3, 0.3])
    hard = torch.tensor([[1e-4]], dtype=F64)
    easy = torch.linspace(1.0, 1.5, 2000, dtype=F64)[:, None]
    to = Point(1.0, 0.3)
    exact, slope = exact_flow(mixture, hard, NOISY, to)

    def error(x):
        return float((reference_flow(mixture, x, NOISY, [to], rtol=1e-10)[0][0] - exact[0]).abs() / slope)

    alone, crowd = error(hard), error(torch.cat([hard, easy]))
    monkeypatch.setattr(reference, "_EveryPoint", DOP853)  # scipy's own norm, a root mean square
    average = error(torch.cat([hard, easy]))
    assert crowd <= 2 * alone
    assert average > 5 * crowd


def test_there_and_back_and_scale():
    mixture, _, _ = gaussian(1, 2)
    x = mixture.sample(10, NOISY, torch.Generator().manual_seed(1))
    there, back = reference_flow(mixture, x, NOISY, [CLEAN, NOISY])
    assert torch.allclose(back, x, rtol=1e-11, atol=1e-11)
    assert torch.allclose(reference_flow(mixture, x, NOISY, [NOISY])[0], x, rtol=1e-15, atol=0)
    doubled = reference_flow(mixture, 2 * x, Point(2 * NOISY.alpha, 2 * NOISY.sigma), [CLEAN])[0]
    assert torch.allclose(doubled, there, rtol=1e-11, atol=1e-12)


def test_bad_input_and_a_broken_denoiser():
    mixture, _, _ = gaussian(1, 2)
    x = mixture.sample(3, NOISY, torch.Generator().manual_seed(1))
    with pytest.raises(InputError, match="source"):
        reference_flow(mixture, x, Point(0.0, 1.0), [CLEAN])
    with pytest.raises(InputError, match=r"to\[1\]"):
        reference_flow(mixture, x, NOISY, [CLEAN, Point(1.0, 0.0)])
    with pytest.raises(InputError, match="finite"):
        reference_flow(mixture, x * math.nan, NOISY, [CLEAN])
    with pytest.raises(SamplingError, match="lambda"):
        reference_flow(lambda x, at, prediction: x * math.nan, x, NOISY, [CLEAN])
