"""Plain products: their error beside its bound, in 50 digits, and split products where the bound is too large."""

from __future__ import annotations

import math

import oracles
import pytest
import torch
from oracles import mp, mpf

from samplerproof.numerics.points import Point
from samplerproof.numerics.targets import plain_products, split_products
from samplerproof.numerics.targets.mixture import GaussianMixture

F64 = torch.float64
DIM, COMPONENTS, COUNT = 8, 16, 300
AT = Point(0.8, 0.6)
EPS = 2.0**-52


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def law(distance, alike):
    """Components at about this distance of each other, of one width or of several."""
    weights = 1 + torch.arange(COMPONENTS, dtype=F64)
    stds = torch.full((COMPONENTS,), 0.3, dtype=F64) if alike else torch.linspace(0.2, 0.8, COMPONENTS, dtype=F64)
    means = distance * drawn(1, COMPONENTS, DIM) / DIM**0.5
    return GaussianMixture((weights / weights.sum()).tolist(), means.tolist(), stds=stds.tolist())


def plain_of(mixture, prediction):
    return mixture._images_at(AT, prediction, torch.device("cpu"))[1].products.plain


def at_distance(distance):
    """Points [n, d] at a distance of the origin."""
    x = drawn(2, COUNT, DIM)
    return x * distance / x.norm(dim=1, keepdim=True)


def worst(mixture, x, prediction, value):
    """The largest error over a few points, of what one may lose: errors of shares and of the sum, each of size one."""
    variances = [mp.diag([mpf(float(v))] * DIM) for v in mixture.variances[:, 0]]
    exact = oracles.law(mixture.weights.tolist(), mixture.means.tolist(), variances)
    v = AT.alpha**2 * mixture.variances[:, 0] + AT.sigma**2
    deviation, found = float(v.min().sqrt()), []
    for point, got in zip(x[:4].tolist(), value[:4].tolist(), strict=True):
        parts = oracles.components(exact, AT.alpha, AT.sigma, point)
        total = sum(mass for mass, _ in parts)
        for i in range(DIM):
            each = [-solved[i] for _, solved in parts]
            if prediction == "data":  # alpha x0 = x + sigma^2 score
                each = [(mpf(point[i]) + mpf(AT.sigma) ** 2 * one) / mpf(AT.alpha) for one in each]
            right = sum(mass * one for (mass, _), one in zip(parts, each, strict=True)) / total
            of_shares = sum(mass * abs(one) for (mass, _), one in zip(parts, each, strict=True)) / total
            pull = 1 / deviation if prediction == "score" else 1.0
            found.append(float(abs(got[i] - right) / (2 * of_shares + pull)))
    return max(found)


@pytest.mark.parametrize("prediction", ["score", "data"])
@pytest.mark.parametrize("alike", [True, False], ids=["one width", "many widths"])
@pytest.mark.parametrize("distance", [0.5, 5.0])
def test_plain_products_are_within_their_bound(distance, alike, prediction):
    """Between components and at the farthest points; the bound is of the worst case, so the error is far below it."""
    mixture = law(distance, alike)
    plain = plain_of(mixture, prediction)
    x = at_distance(0.999 * plain.near64)
    x[:2] = AT.alpha * (mixture.means[:2] + mixture.means[2:4]) / 2
    value = mixture(x, AT, prediction)
    assert torch.equal(value, plain_products.by_plain_products(plain, x, 0.0))
    assert worst(mixture, x, prediction, value) <= plain_products.LOSS
    moved = GaussianMixture(mixture.weights, mixture.means * (1 + 1e-9), stds=mixture.variances.sqrt())
    assert worst(moved, x, prediction, value) > plain_products.LOSS


def test_split_products_are_chosen_beyond():
    """Narrow components far apart: plain products would lose more than they may, and split ones do not."""
    mixture = law(400.0, True)
    near = torch.tensor(mixture.means[-1:].tolist(), dtype=F64).repeat(COUNT, 1) * AT.alpha + 0.3 * drawn(3, COUNT, DIM)
    between = (mixture.means[:1] + mixture.means[1:2]) * AT.alpha / 2 + 0 * near
    plain = plain_of(mixture, "score")
    for x, wrong in ((near, False), (between, True)):
        assert float(x.norm(dim=1).max()) > plain.near64
        value = mixture(x, AT, "score")
        products = mixture._images_at(AT, "score", x.device)[1].products
        assert torch.equal(value, split_products.by_split_products(products, x))
        assert worst(mixture, x, "score", value) <= plain_products.LOSS
        forced = plain_products.by_plain_products(plain, x, math.inf)
        assert (worst(mixture, x, "score", forced) > plain_products.LOSS) >= wrong


def test_points_just_beyond_the_bound_are_split():
    mixture = law(5.0, False)
    plain = plain_of(mixture, "score")
    products = mixture._images_at(AT, "score", torch.device("cpu"))[1].products
    near, far = at_distance(0.999 * plain.near64), at_distance(1.001 * plain.near64)
    split = split_products.by_split_products
    assert not torch.equal(mixture(near, AT, "score"), split(products, near))
    assert torch.equal(mixture(far, AT, "score"), split(products, far))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("distance", [5.0, 400.0])
def test_points_of_fewer_digits(distance, dtype):
    """They take plain products in float64 also where float64 points do not, and are rounded once."""
    mixture = law(distance, True)
    x = at_distance(distance / 2).to(dtype)
    plain = plain_of(mixture, "score")
    assert (distance == 400.0) == (float(x.double().norm(dim=1).max()) > plain.unshifted)
    value, exact = mixture(x, AT, "score"), mixture(x.double(), AT, "score")
    assert value.dtype == dtype
    assert torch.equal(value, plain_products.by_plain_products(plain, x, distance))
    assert torch.allclose(value.double(), exact, rtol=0.6 * torch.finfo(dtype).eps, atol=1e-8)
