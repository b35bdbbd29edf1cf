"""Laws given an observation, tilted by a reward, of a bank and of a fit; responsibilities and posterior draws."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from samplerproof.book.techniques.conditioned_laws import tower
from samplerproof.book.techniques.on_the_line import M1
from samplerproof.names.input_error import InputError
from samplerproof.numerics.points import Point
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.targets.from_data import bank, fitted
from samplerproof.numerics.targets.mixture import GaussianMixture

CLEAN, AT = Point(alpha=1.0, sigma=0.0), schedule("vp-linear").point(0.3)
COVARIANCES = [[[1.0, 0.4], [0.4, 0.5]], [[0.3, -0.1], [-0.1, 2.0]]]
LEANING = GaussianMixture([0.4, 0.6], [[0.0, 1.0], [2.0, -1.0]], covariances=COVARIANCES)


def test_responsibilities_are_bayes_rule() -> None:
    x = LEANING.sample(7, AT, torch.Generator().manual_seed(0))
    shares = LEANING.responsibilities(x, AT)
    each = [
        GaussianMixture([1.0], LEANING.means[k : k + 1], covariances=[COVARIANCES[k]]).log_density(x, AT)
        for k in range(2)
    ]
    joint = torch.stack(each, dim=1) + LEANING.weights.log()
    assert torch.allclose(shares, torch.softmax(joint, dim=1), atol=1e-13)
    assert torch.allclose(shares.sum(dim=1), torch.ones(7, dtype=torch.float64), atol=1e-15)


def test_a_law_given_an_observation_has_the_density_of_its_line() -> None:
    """Assert a ratio of densities that is constant on the line, in a direction that is not an axis, and no other's."""
    h, z = torch.tensor([[1.0, 2.0]], dtype=torch.float64), 0.7
    given = LEANING.given(h, [z])
    along = torch.tensor([2.0, -1.0], dtype=torch.float64)
    foot = h[0] * z / 5
    places = torch.linspace(-2, 2, 9, dtype=torch.float64)
    x = foot + places[:, None] * along
    assert torch.allclose(given.means @ h[0], torch.full((2,), z, dtype=torch.float64), atol=1e-14)
    onto = GaussianMixture(
        given.weights, (given.means - foot) @ along / 5, stds=(given.variances.sum(dim=1) / 5).sqrt()
    )
    gap = LEANING.log_density(x, CLEAN) - onto.log_density(places[:, None], CLEAN)
    assert float(gap.max() - gap.min()) < 1e-12
    other = LEANING.log_density(x + 1e-6 * h[0], CLEAN) - onto.log_density(places[:, None], CLEAN)
    assert float(other.max() - other.min()) > 1e-7


@pytest.mark.slow
def test_the_mean_over_fine_observations_is_that_given_the_coarse_one() -> None:
    """Assert the tower to 1e-10, and that an observation that is not nested moves it."""
    x = torch.tensor([[0.3, -0.2, 0.5, 0.1]], dtype=torch.float64)
    by_fine, direct = tower(x, 0.2)
    assert torch.allclose(by_fine, direct, rtol=0, atol=1e-10)
    assert float((tower(x, 0.2, 0.1)[0] - direct).abs().max()) > 1e-2


def test_a_tilted_mixture_is_one() -> None:
    """Assert the density ratio in one and two dimensions, and the notes' weight; it is no other reward's."""
    beta = 0.4
    assert M1.tilted([[0.5]], [1.5], beta).weights.tolist() == pytest.approx([0.0187, 0.9813], abs=5e-5)
    q, c = torch.tensor([[0.5, 0.2], [0.2, 0.3]], dtype=torch.float64), torch.tensor([1.5, 0.0], dtype=torch.float64)
    tilted = LEANING.tilted(q, c, beta)
    x = torch.tensor(list(product((-1.0, 0.0, 2.0), repeat=2)), dtype=torch.float64)
    reward = -((x - c) @ q * (x - c)).sum(dim=1) / 2
    gap = tilted.log_density(x, CLEAN) - LEANING.log_density(x, CLEAN) - reward / beta
    assert float(gap.max() - gap.min()) < 1e-12
    off = gap - 1e-6 * reward / beta
    assert float(off.max() - off.min()) > 1e-7


def test_posterior_draws_have_the_moments_of_the_posterior() -> None:
    count = 40_000
    x = torch.tensor([0.4, -0.3], dtype=torch.float64).expand(count, 2)
    mean, covariance = LEANING.posterior(x[:1], AT)
    draws = LEANING.posterior_sample(x, AT, torch.Generator().manual_seed(0))
    error = 5 * (covariance[0].diagonal() / count).sqrt()
    assert bool(((draws.mean(dim=0) - mean[0]).abs() < error).all())
    assert torch.allclose(draws.T.cov(), covariance[0], rtol=0.05, atol=0.02)
    assert (
        draws.shape
        == LEANING.posterior_sample(x.view(200, 200, 2), AT, torch.Generator().manual_seed(0)).view(-1, 2).shape
    )


def test_the_denoiser_of_a_bank_is_attention_and_its_truncation_bounded() -> None:
    """Assert softmax(-|x - alpha m|^2/2 sigma^2) and the error of the nearest k against weight times diameter."""
    stored = torch.randn(60, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    memory, diameter = bank(stored), float(torch.cdist(stored, stored).max())
    for t in (0.05, 0.3, 0.9):
        at = schedule("vp-linear").point(t)
        x = memory.sample(32, at, torch.Generator().manual_seed(1))
        logits = -(x[:, None] - at.alpha * stored).square().sum(dim=-1) / (2 * at.sigma**2)
        exact = memory(x, at, "data")
        assert torch.allclose(exact, torch.softmax(logits, dim=1) @ stored, rtol=0, atol=1e-12)
        assert not torch.allclose(exact, torch.softmax(logits * (1 + 1e-4), dim=1) @ stored, rtol=0, atol=1e-12)
        shares = memory.responsibilities(x, at)
        for k in (1, 4, 16):
            top = shares.topk(k, dim=1)
            kept = (top.values[..., None] * stored[top.indices]).sum(dim=1) / top.values.sum(dim=1, keepdim=True)
            left = 1 - top.values.sum(dim=1)
            assert bool(((exact - kept).norm(dim=1) <= left.clamp(min=0) * diameter + 1e-12).all())


@pytest.mark.slow
def test_a_fit_finds_the_components() -> None:
    pytest.importorskip("sklearn")
    data = GaussianMixture([0.3, 0.7], [[-3.0, 0.0], [3.0, 1.0]], stds=[0.5, 0.8]).sample(
        3000, CLEAN, torch.Generator().manual_seed(0)
    )
    found = fitted(data, 2, ridge=1e-6)
    order = found.means[:, 0].argsort()
    assert found.weights[order].tolist() == pytest.approx([0.3, 0.7], abs=0.03)
    assert found.means[order, 0].tolist() == pytest.approx([-3.0, 3.0], abs=0.1)
    assert found.variances[order].mean(dim=1).sqrt().tolist() == pytest.approx([0.5, 0.8], abs=0.05)


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("points", lambda: bank([[1.0, math.nan]])),
        ("points", lambda: bank(torch.zeros(2, 3, 4))),
        ("components", lambda: fitted([[1.0], [2.0]], 3)),
        ("ridge", lambda: fitted([[1.0], [2.0]], 1, ridge=-1.0)),
        ("H", lambda: LEANING.given([[1.0, 0.0, 0.0]], [1.0])),
        ("H", lambda: LEANING.given([[1.0, 0.0], [2.0, 0.0]], [1.0, 2.0])),
        ("z", lambda: LEANING.given([[1.0, 0.0]], [1.0, 2.0])),
        ("Q", lambda: LEANING.tilted([[1.0, 0.5], [0.4, 1.0]], [0.0, 0.0], 1.0)),
        ("Q", lambda: LEANING.tilted([[-1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], 1.0)),
        ("c", lambda: LEANING.tilted([[1.0, 0.0], [0.0, 1.0]], [0.0], 1.0)),
        ("beta", lambda: LEANING.tilted([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], 0.0)),
    ],
)
def test_what_makes_no_law_is_refused(field: str, call: object) -> None:
    """Assert one line with the field."""
    with pytest.raises(InputError, match=rf"^{field}: got") as refused:
        call()  # type: ignore[operator]
    assert "\n" not in str(refused.value)
