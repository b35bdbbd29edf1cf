"""Energy distance, sliced W2 and moments from samples: against plain formulas, exact values and their own intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
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
    """Assert the U-statistic by plain loops of numpy, over more samples than one piece holds."""
    x, y = normal(203, 0, 0.4).numpy(), normal(203, 1).numpy()
    far = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=2)  # noqa: E731
    h = far(x, y) + far(y, x) - far(x, x) - far(y, y)
    expected = float(h.sum() - h.trace()) / (203 * 202)
    assert energy(torch.tensor(x), torch.tensor(y)).value == pytest.approx(expected, rel=1e-12)


def test_energy_in_small_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(203, 0, 0.4), normal(203, 1)
    whole = energy(x, y)
    monkeypatch.setattr(estimators, "CHUNK", 50)
    assert energy(x, y)[:3] == pytest.approx(whole[:3], rel=1e-10)


def test_sliced_w2_is_of_halves_on_the_line() -> None:
    """Assert in d = 1, where every direction is the same, the mean over balanced halvings, without the last samples."""
    x, y = normal(157, 0, 0.4, d=1).numpy()[:152, 0], normal(157, 1, d=1).numpy()[:152, 0]
    halvings = [np.array([bin(i & k).count("1") % 2 for i in range(152)], dtype=bool) for k in range(1, 8)]
    products = [np.mean((np.sort(x[h]) - np.sort(y[h])) * (np.sort(x[~h]) - np.sort(y[~h]))) for h in halvings]
    got = sliced_w2(normal(157, 0, 0.4, d=1), normal(157, 1, d=1))
    assert got.value == pytest.approx(math.sqrt(np.mean(products)), rel=1e-12)


def test_sliced_w2_of_a_shift_is_its_mean_projection_and_below_w2() -> None:
    """Every sample moved by v: W2 along u is |u . v|; over many directions the mean square is |v|^2 / d."""
    x, v = normal(120, 0, d=3), torch.tensor([0.3, -0.4, 1.2], dtype=torch.float64)
    got = sliced_w2(x, x + v)
    assert got.value == pytest.approx(math.sqrt(1.69 / 3), rel=0.15)
    assert got.high - got.low < 1e-12
    y = normal(120, 1, d=3)
    assert sliced_w2(x, y).value < math.sqrt(float((x - y).square().sum(dim=1).mean()))


def test_moments_have_no_bias_and_are_standardised() -> None:
    """Assert |m|^2 + |C - I|^2 over all different samples, by loops; an affine map of samples and target is nothing."""
    x = normal(100, 0, 0.5)
    x[:, 1] *= 1.5
    few = x[:7]  # the loops are of fourth order
    got = square_of_moments(few)
    assert got == pytest.approx(by_loops(few.numpy()), rel=1e-10)
    assert moment_error(x, UNIT).value ** 2 == pytest.approx(square_of_moments(x), rel=1e-12)
    a = torch.tensor([[2.0, 0.0], [0.7, 0.1]], dtype=torch.float64)
    moved = moment_error(x @ a.T + 5, Gaussian(UNIT.mean + 5, a @ a.T))
    assert moved[:3] == pytest.approx(moment_error(x, UNIT)[:3], rel=1e-9)


def square_of_moments(x: Tensor) -> float:
    """As moment_error has it, for any number of samples, by S, tr S and tr S^2."""
    n, mean = len(x), x.mean(dim=0)
    s, size = x.T.cov(), (x - mean).square().sum(dim=1)
    fourth = float(size.square().sum()) / (n - 1)
    both = (n - 1) * (n - 2) * float(s.square().sum()) + float(s.trace()) ** 2 - n * fourth
    trace2 = (n - 1) / (n * (n - 2) * (n - 3)) * both
    return float(mean.square().sum() - s.trace() / n) + trace2 - 2 * float(s.trace()) + x.shape[1]


def by_loops(x: np.ndarray) -> float:
    """|m|^2 from pairs; tr C from pairs, tr C^2 from fours of different samples, by (x_i - x_j)(x_i - x_j)'/2."""
    different = list(itertools.permutations(range(len(x)), 4))
    mean2 = np.mean([x[i] @ x[j] for i, j in itertools.permutations(range(len(x)), 2)])
    trace = np.mean([(x[i] - x[j]) @ (x[i] - x[j]) / 2 for i, j in itertools.permutations(range(len(x)), 2)])
    trace2 = np.mean([((x[i] - x[j]) @ (x[k] - x[m])) ** 2 / 4 for i, j, k, m in different])
    return float(mean2 + trace2 - 2 * trace + x.shape[1])


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
