"""Matrix products in place of differences: against 50-digit and extended arithmetic, and where they are not taken."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
import torch
from oracles import mp, mpf

from samplerproof.numerics.points import Point
from samplerproof.numerics.targets import split_products as module
from samplerproof.numerics.targets.mixture import GaussianMixture

EPS = 2.0**-52
F64 = torch.float64
DIM, COMPONENTS, COUNT = 8, 16, 300
NOISY, CLEAN = Point(0.1, 3.0), Point(1.0, 1e-3)


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def law(kind, std=0.05):
    """Components that are far apart, of two widths, or in narrow clusters far apart."""
    means, stds = 5 * drawn(1, COMPONENTS, DIM), torch.full((COMPONENTS,), std, dtype=F64)
    if kind == "two widths":
        stds[::2] *= 3
    if kind == "clusters":
        means = means[:4].repeat(COMPONENTS // 4, 1) + std * drawn(2, COMPONENTS, DIM)
    weights = 1 + torch.arange(COMPONENTS, dtype=F64)
    return GaussianMixture(weights / weights.sum(), means.tolist(), stds=stds.tolist())


def points(mixture, at):
    return mixture.sample(COUNT, at, torch.Generator().manual_seed(3))


def by_differences(mixture, x, at, prediction, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "NUMBERS", 10**9)
        return mixture(x, at, prediction)


def products_of(mixture, at, prediction):
    return mixture._images_at(at, prediction, torch.device("cpu"))[1].products


def by_split_products(mixture, x, at, prediction):
    products = products_of(mixture, at, prediction)
    assert float(x.abs().max()) <= products.reach
    return module.by_split_products(products, x)


def errors(mixture, x, at, prediction, value):
    """Errors of a prediction in eps times the deviation of the law there over that of a score, in 64-bit mantissas."""
    wide = np.longdouble
    alpha, sigma, points = wide(at.alpha), wide(at.sigma), x.numpy().astype(wide)
    means, stds = (of.numpy().astype(wide) for of in (mixture.means, mixture.variances))
    v, away = alpha**2 * stds + sigma**2, points[:, None] - alpha * means
    logits = np.log(mixture.weights.numpy().astype(wide)) - DIM * np.log(v[:, 0]) / 2 - (away**2 / v).sum(-1) / 2
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = (shares / shares.sum(axis=1, keepdims=True))[..., None]
    if prediction == "data":
        return (value.numpy() - (shares * (means + alpha * stds * away / v)).sum(1)) / EPS
    score = -(shares * away / v).sum(1)
    return (value.numpy() - score) * np.sqrt(v.min()) / EPS


def size(of):
    return float(np.sqrt((of**2).mean()))


@pytest.mark.parametrize("prediction", ["score", "data"])
@pytest.mark.parametrize("at", [NOISY, Point(0.8, 0.6), CLEAN], ids=["noisy", "middle", "clean"])
@pytest.mark.parametrize("kind", ["far apart", "two widths", "clusters"])
def test_products_are_as_accurate_as_differences(kind, at, prediction, monkeypatch):
    """Their errors are at most twice those of differences, as root mean square; without the split they are larger."""
    mixture = law(kind)
    x = points(mixture, at)
    ours = by_split_products(mixture, x, at, prediction)
    theirs = by_differences(mixture, x, at, prediction, monkeypatch)
    error, other = (size(errors(mixture, x, at, prediction, value)) for value in (ours, theirs))
    assert error <= 2 * other
    if kind == "clusters" and at is CLEAN and prediction == "score":
        monkeypatch.setattr(module, "upper_part", lambda values, unit, out=None: torch.add(values, 0, out=out))
        again = GaussianMixture(mixture.weights, mixture.means, stds=mixture.variances.sqrt())
        unsplit = by_split_products(again, x, at, prediction)
        assert size(errors(mixture, x, at, prediction, unsplit)) > 10 * other


@pytest.mark.parametrize(("kind", "at"), [("two widths", NOISY), ("clusters", CLEAN)])
def test_products_against_50_digits(kind, at):
    mixture = law(kind)
    exact = oracles.law(
        mixture.weights.tolist(),
        mixture.means.tolist(),
        [mp.diag([mpf(float(v))] * DIM) for v in mixture.variances[:, 0]],
    )
    x = points(mixture, at)
    value, single = by_split_products(mixture, x, at, "score"), mixture(x.float(), at, "score")
    deviation = float((at.alpha**2 * mixture.variances + at.sigma**2).min().sqrt())
    for row, got, rounded in zip(x[:2], value[:2], single[:2], strict=True):
        for point, answer, most in ((row, got, 60 * EPS), (row.float(), rounded, 2.0**-20)):
            found = oracles.score(exact, at.alpha, at.sigma, point.tolist())
            error = max(abs(float(mpf(float(a)) - b)) * deviation for a, b in zip(answer, found, strict=True))
            assert error <= most * max(1.0, float(answer.abs().max()) * deviation)


def test_upper_parts_and_their_sums_are_exact():
    """Squared distances of upper parts have no rounding, in the units of the products: they are integers."""
    mixture = law("far apart")
    products = products_of(mixture, CLEAN, "score")
    upper = module.upper_part(points(mixture, CLEAN), products.unit) / products.unit
    means = products.upper[:-1].T / products.unit
    assert torch.equal(upper, upper.round())
    assert float(upper.abs().max()) > 2**19
    found = (upper.square().sum(1)[:, None] - 2 * upper @ means.T) + means.square().sum(1)
    exact = [
        [sum((int(a) - int(b)) ** 2 for a, b in zip(x, m, strict=True)) for m in means.tolist()] for x in upper[:9]
    ]
    assert [[int(v) for v in row] for row in found[:9].tolist()] == exact


def test_where_products_are_not_taken(monkeypatch):
    """Narrow components far away, points beyond their reach, few points, and variances that differ between axes."""
    mixture = law("far apart")
    x = points(mixture, CLEAN)
    far = torch.cat([x, torch.full((1, DIM), 1e6, dtype=F64)])
    narrow = law("far apart", std=1e-5)
    diagonal = GaussianMixture(mixture.weights, mixture.means, stds=0.05 + 0.01 * drawn(4, COMPONENTS, DIM).abs())
    for of, question in ((mixture, far), (mixture, x[:1]), (narrow, points(narrow, CLEAN)), (diagonal, x)):
        assert torch.equal(of(question, CLEAN, "data"), by_differences(of, question, CLEAN, "data", monkeypatch))
    assert torch.isnan(mixture(torch.full_like(x, torch.nan), CLEAN, "data")).all()
    assert torch.allclose(mixture(far, CLEAN, "data")[:-1], mixture(x, CLEAN, "data"), rtol=1e-12, atol=1e-12)


def test_other_shapes_and_blocks_give_the_same(monkeypatch):
    mixture = law("two widths")
    x = points(mixture, NOISY)
    whole = mixture(x, NOISY, "noise")
    assert torch.equal(mixture(x.reshape(2, -1, DIM), NOISY, "noise"), whole.reshape(2, -1, DIM))
    monkeypatch.setattr(module, "BLOCK", 37 * COMPONENTS)
    assert torch.allclose(mixture(x, NOISY, "noise"), whole, rtol=1e-13, atol=1e-14)
    single = mixture(x.float(), NOISY, "noise")
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), mixture(x.float().double(), NOISY, "noise"), rtol=2.0**-23, atol=2.0**-30)
