"""Energy distance, sliced W2 and moments from samples: against plain formulas, exact values and their own intervals."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from torch import Tensor

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.laws import estimators
from samplerproof.numerics.laws.estimators import Estimate, energy, moment_error, sliced_w2
from samplerproof.numerics.laws.gaussian import Gaussian

UNIT = Gaussian(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))


def normal(n: int, seed: int, shift: float = 0.0, d: int = 2) -> Tensor:
    """Samples of N(shift (1, 0, …), I)."""
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x[:, 0] += shift
    return x


def test_energy_is_the_mean_over_pairs_of_different_samples() -> None:
    x, y = normal(203, 0, 0.4).numpy(), normal(203, 1).numpy()

    def mean(a: np.ndarray, b: np.ndarray, pairs: int) -> float:
        return float(np.linalg.norm(a[:, None] - b[None], axis=2).sum()) / pairs

    expected = 2 * mean(x, y, 203 * 203) - mean(x, x, 203 * 202) - mean(y, y, 203 * 202)
    assert energy(torch.tensor(x), torch.tensor(y)).value == pytest.approx(expected, rel=1e-12)


def test_energy_in_small_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(203, 0, 0.4), normal(203, 1)
    whole = energy(x, y)
    monkeypatch.setattr(estimators, "ROOM", 500)
    assert energy(x, y) == pytest.approx(whole, rel=1e-10)


def test_sliced_w2_is_w2_on_the_line() -> None:
    """In d = 1 every direction is the same: the root mean square of differences of sorted samples."""
    x, y = normal(150, 0, 0.4, d=1), normal(150, 1, d=1)
    expected = math.sqrt(float((x.sort(dim=0).values - y.sort(dim=0).values).square().mean()))
    assert sliced_w2(x, y).value == pytest.approx(expected, rel=1e-12)


def test_sliced_w2_of_a_shift_is_its_mean_projection_and_below_w2() -> None:
    """Every sample moved by v: W2 along u is |u . v|; over many directions the mean square is |v|^2 / d."""
    x, v = normal(120, 0, d=3), torch.tensor([0.3, -0.4, 1.2], dtype=torch.float64)
    got = sliced_w2(x, x + v)
    assert got.value == pytest.approx(math.sqrt(1.69 / 3), rel=0.15)
    assert got.high - got.low < 1e-12
    y = normal(120, 1, d=3)
    assert sliced_w2(x, y).value < math.sqrt(float((x - y).square().sum(dim=1).mean()))


def test_moments_are_standardised() -> None:
    """An affine map of samples and target changes nothing; mean and covariance are the plain ones."""
    x = normal(130, 0, 0.3)
    white = torch.cat([x.mean(dim=0), (x.T.cov() - torch.eye(2, dtype=torch.float64)).flatten()])
    assert moment_error(x, UNIT).value == pytest.approx(float(white.norm()), rel=1e-12)
    a = torch.tensor([[2.0, 0.0], [0.7, 0.1]], dtype=torch.float64)
    assert moment_error(x @ a.T + 5, Gaussian(UNIT.mean + 5, a @ a.T)).value == pytest.approx(
        float(white.norm()), rel=1e-10
    )


def energy_of_a_shift(shift: float) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| of N(shift, I) and N(0, I) in the plane, by quadrature."""
    u = np.linspace(-10, 10, 801)
    density = np.exp(-u * u / 4) / math.sqrt(4 * math.pi)  # of each coordinate of a difference
    lengths = np.hypot(u[:, None] + np.array([[[shift]], [[0.0]]]), u[None])
    apart, same = (trapezoid(trapezoid(length * density, u) * density, u) for length in lengths)
    return float(2 * apart - 2 * same)


def test_intervals_hold_what_they_promise() -> None:
    """Of 80 intervals for a law off by 0.6 about 76 hold the exact value, and they are no wider than need be."""
    shift, n = 0.6, 200
    exact_energy = energy_of_a_shift(shift)
    got: dict[str, list[Estimate]] = {"energy": [], "moments": []}
    for k in range(80):
        x, y = normal(n, 2 * k, shift), normal(n, 2 * k + 1)
        got["energy"].append(energy(x, y))
        got["moments"].append(moment_error(x, UNIT))
    assert sum(e.low <= exact_energy <= e.high for e in got["energy"]) >= 70
    assert sum(e.low <= shift <= e.high for e in got["moments"]) >= 68  # biased upwards by some d (d + 2)/(2 n shift)
    for estimates in got.values():
        spread = float(np.std([e.value for e in estimates]))
        width = float(np.mean([e.high - e.low for e in estimates]))
        assert 0.8 < width / (2 * 2.093 * spread) < 1.3
    assert float(np.mean([e.value for e in got["energy"]])) == pytest.approx(exact_energy, rel=0.15)


def test_energy_is_unbiased_where_laws_agree() -> None:
    """Its mean is zero within four standard errors, and the interval, wide there, holds zero."""
    got = [energy(normal(200, 2 * k), normal(200, 2 * k + 1)) for k in range(40)]
    values = np.array([e.value for e in got])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(40)
    assert sum(e.low <= 0 <= e.high for e in got) >= 36


def test_more_samples_mean_narrower_intervals() -> None:
    for estimate in (energy, sliced_w2):
        few, many = (estimate(normal(n, 0, 1.5), normal(n, 1)) for n in (100, 3200))
        assert (many.high - many.low) < 0.5 * (few.high - few.low)


@pytest.mark.parametrize("estimate", [energy, sliced_w2, lambda x, y: moment_error(x, UNIT)])
def test_the_same_samples_give_the_same_estimate(estimate: Callable[[Tensor, Tensor], Estimate]) -> None:
    x, y = normal(220, 0), normal(220, 1)
    assert estimate(x, y) == estimate(x.clone(), y.clone())
    assert estimate(x.float(), y.float()).value == pytest.approx(estimate(x, y).value, abs=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (normal(99, 0), normal(99, 1), "at least 100"),
        (normal(100, 0), normal(101, 1), "equal shapes"),
        (normal(100, 0)[:, 0], normal(100, 1)[:, 0], "equal shapes"),
        (normal(100, 0) * math.inf, normal(100, 1), "finite"),
    ],
)
def test_bad_samples_are_refused(x: Tensor, y: Tensor, said: str) -> None:
    for estimate in (energy, sliced_w2):
        with pytest.raises(InputError, match=said):
            estimate(x, y)
