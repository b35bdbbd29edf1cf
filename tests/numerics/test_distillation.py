"""Score distillation as DDIM: the identity, the only fixed noise, and what other noises lead to."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from samplerproof.book.techniques.on_the_line import M1
from samplerproof.numerics.distillation.distilled import distilled
from samplerproof.numerics.distillation.noise_finders import (
    NoiseFinder,
    cached_noise,
    fixed_noise,
    fresh_noise,
    inverted_noise,
    kappa,
    plain_iteration_factor,
)
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import grid
from samplerproof.numerics.noise import seeded
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

VP = schedule("vp-linear")
TWENTY = grid(VP, "uniform-t", 20, t_min=1e-3, t_max=1.0)
START = M1.sample(400, TWENTY.points[0], torch.Generator().manual_seed(0))
PLANE = GaussianMixture([0.5, 0.3, 0.2], [[1.5, 0.0], [-1.0, 1.0], [0.0, -1.5]], stds=[0.5, 0.4, 0.6])


@pytest.fixture(scope="module")
def of_ddim() -> Tensor:
    """The data that DDIM predicts at the end."""
    return M1(sample(M1, START, tabulate("ddim", TWENTY)), TWENTY.points[-1], "data")


def distance(finder: NoiseFinder, of_ddim: Tensor) -> float:
    return float((distilled(M1, START, TWENTY, finder) - of_ddim).square().mean().sqrt())


def test_the_cached_noise_and_kappa_are_ddim(of_ddim: Tensor) -> None:
    """Assert DDIM to rounding with the cached noise and with kappa, and not with a noise off by 1e-6."""
    assert distance(cached_noise, of_ddim) < 1e-14
    assert distance(fixed_noise(M1, TWENTY), of_ddim) < 1e-10
    assert distance(lambda y, n, cached: cached + 1e-6, of_ddim) > 1e-7


def test_kappa_is_found_from_the_data_only() -> None:
    """Assert in one and two dimensions the noise that made the data, from those alone; and its equation."""
    for law, t in ((M1, 0.9), (M1, 0.1), (PLANE, 0.4), (PLANE, 0.05)):
        at = VP.point(t)
        x = law.sample(40, at, torch.Generator().manual_seed(1))
        noise = law(x, at, "noise")
        found = kappa(law, law(x, at, "data"), at)
        assert torch.allclose(found, noise, atol=1e-9)
        assert not torch.allclose(kappa(law, law(x, at, "data") + 1e-3, at), noise, atol=1e-6)
    with pytest.raises(InputError, match=r"at: got .*a point with signal and noise"):
        kappa(M1, START, VP.point(0.0))
    with pytest.raises(InputError, match="steps: got 0; at least 1"):
        inverted_noise(M1, TWENTY, 0)


def test_where_plain_iteration_converges() -> None:
    """Assert the factor 1 - alpha^2 Var/sigma^2 against the posterior, near 1 at t = 1 and below -1 at t = 0.1."""
    x = torch.linspace(-6, 6, 801, dtype=torch.float64)[:, None]
    least = {}
    for t in (1.0, 0.4, 0.1):
        at = VP.point(t)
        factor = plain_iteration_factor(M1, x, at)
        variance = M1.posterior(x, at)[1][..., 0]
        assert torch.allclose(factor, 1 - at.alpha**2 * variance / at.sigma**2, atol=1e-12)
        least[t] = float(factor.min())
    assert least[1.0] > 0.9999
    assert least[0.1] == pytest.approx(-1.144, abs=0.002)


def test_inverted_noise_lets_the_ensemble_collapse(of_ddim: Tensor) -> None:
    """Assert that all samples end at one point, far from DDIM's, whose variance is near that of the data."""
    for steps in (5, 10):
        ends = distilled(M1, START, TWENTY, inverted_noise(M1, TWENTY, steps))
        assert float(ends.var()) < 1e-6
        assert float((ends - of_ddim).square().mean().sqrt()) == pytest.approx(1.05, rel=0.02)
    assert float(of_ddim.var()) == pytest.approx(1.092, rel=0.02)


def test_fresh_noise_is_another_sampler(of_ddim: Tensor) -> None:
    """Assert the distance, the spread over repeats and the variance of the ensemble of SDS, and that seeds repeat."""
    ends = torch.stack([distilled(M1, START, TWENTY, fresh_noise(seeded(seed))) for seed in range(20)])
    assert float((ends - of_ddim).square().mean().sqrt()) == pytest.approx(1.41, rel=0.03)
    assert float(ends.std(dim=0).square().mean().sqrt()) == pytest.approx(0.875, rel=0.03)
    assert float(ends.var(dim=(1, 2)).mean()) == pytest.approx(0.762, rel=0.05)
    assert torch.equal(ends[3], distilled(M1, START, TWENTY, fresh_noise(seeded(3))))
