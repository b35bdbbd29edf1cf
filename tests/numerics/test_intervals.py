"""Intervals of estimates hold the exact value as often as they say, and are no wider than need be."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import hyp1f1
from scipy.stats import binom
from torch import Tensor

from samplerproof.numerics.laws import estimators
from samplerproof.numerics.laws.estimators import Estimate, energy, moment_error, sliced_w2
from samplerproof.numerics.laws.gaussian import Gaussian

WIDEST = 1.3  # times the ideal, which is 2 * 1.96 standard deviations of the square


class Repeats(NamedTuple):
    """Of the square: the exact value, every estimate, and every interval [R, 2]."""

    exact: float
    values: np.ndarray
    intervals: np.ndarray

    @property
    def held(self) -> int:
        return int(((self.intervals[:, 0] <= self.exact) & (self.exact <= self.intervals[:, 1])).sum())

    @property
    def width(self) -> float:
        """The mean width in units of the ideal."""
        return float(np.diff(self.intervals).mean() / (2 * 1.96 * self.values.std()))


def exact_energy(d: int, shift: float) -> float:
    """2 E|Z + s| - 2 E|Z| for Z ~ N(0, 2 I): Rice's mean in d dimensions, by Kummer's function."""
    mean = 2 * math.gamma((d + 1) / 2) / math.gamma(d / 2)  # of |Z|, sqrt 2 times that of N(0, I)
    return float(2 * mean * (hyp1f1(-0.5, d / 2, -(shift**2) / 4) - 1))


def exact_sliced(d: int, shift: float) -> float:
    """The mean of (u . s)^2 over the fixed directions."""
    generator = torch.Generator().manual_seed(estimators.DIRECTION_SEED)
    u = torch.randn(estimators.DIRECTIONS, d, generator=generator, dtype=torch.float64)
    return shift**2 * float((u[:, 0] / u.norm(dim=1)).square().mean())


def moment(x: Tensor, y: Tensor) -> Estimate:
    d = x.shape[1]
    return moment_error(x, Gaussian(torch.zeros(d, dtype=torch.float64), torch.eye(d, dtype=torch.float64)))


KINDS: dict[str, tuple[Callable[[Tensor, Tensor], Estimate], Callable[[int, float], float]]] = {
    "energy": (energy, exact_energy),
    "sliced-w2": (sliced_w2, exact_sliced),
    "moments": (moment, lambda d, shift: shift**2),
}


def repeats(kind: str, d: int, shift: float, n: int, count: int, seed: int = 0) -> Repeats:
    """Estimates between n samples each of N(shift (1, 0, ...), I) and N(0, I)."""
    estimate, exact = KINDS[kind]
    generator, squares, found = torch.Generator().manual_seed(seed), [], []
    square = estimators.interval

    def seen(of: estimators.Square) -> tuple[float, float]:
        squares.append(of.value)
        found.append(square(of))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimators, "interval", seen)
        for _ in range(count):
            x, y = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
            x[:, 0] += shift
            got, power = estimate(x, y), 1 if kind == "energy" else 2
            assert got.low <= got.value <= got.high
            assert (max(got.low, 0.0) ** power, got.high**power) == pytest.approx(found[-1], rel=1e-12)
    return Repeats(exact(d, shift), np.array(squares), np.array(found))


def check(of: Repeats) -> None:
    """Not fewer intervals hold than 1 in 10,000 times by chance; no wider than said; no bias beyond four deviations."""
    count = len(of.values)
    assert of.held >= binom.ppf(1e-4, count, 0.95)
    assert of.width <= WIDEST
    assert abs(of.values.mean() - of.exact) <= 4 * of.values.std() / math.sqrt(count)


def test_the_exact_energy_is_that_of_quadrature() -> None:
    """Assert Kummer's form against the integral over the radius and the angle, in the plane."""

    def length(shift: float) -> float:
        density = lambda r: r * math.exp(-(r * r + shift * shift) / 4) / 2  # noqa: E731
        return quad(lambda r: r * density(r) * np.i0(r * shift / 2), 0, 30)[0]

    assert exact_energy(2, 0.6) == pytest.approx(2 * length(0.6) - 2 * length(0.0), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_few_intervals_hold(kind: str) -> None:
    """Assert coverage, width and no bias over 200 repeats, where noise is large and where it is not."""
    check(repeats(kind, 2, 0.3, 200, 200))
    check(repeats(kind, 5, 0.6, 200, 200))


@pytest.mark.parametrize("kind", KINDS)
def test_where_laws_agree_an_interval_starts_at_zero(kind: str) -> None:
    """Assert that 97 or so of 100 hold zero, and that the estimate has no bias; widths are those of the docstring."""
    found = repeats(kind, 5, 0.0, 200, 150)
    assert found.held >= binom.ppf(1e-4, 150, 0.95)
    assert 0.8 < found.width < 1.6
    assert abs(found.values.mean()) <= 4 * found.values.std() / math.sqrt(150)


@pytest.mark.parametrize("spoil", ["narrow", "biased"])
def test_the_check_fails_on_intervals_that_do_not_hold(spoil: str) -> None:
    """Assert that intervals half as wide, and those of an estimate off by a deviation, do not pass."""
    good = repeats("moments", 2, 0.6, 200, 200)
    check(good)
    middle = good.intervals.mean(axis=1, keepdims=True)
    narrow = good._replace(intervals=middle + (good.intervals - middle) / 2)
    off = float(good.values.std())
    biased = good._replace(intervals=good.intervals + off, values=good.values + off)
    with pytest.raises(AssertionError):
        check({"narrow": narrow, "biased": biased}[spoil])


@pytest.mark.slow
@pytest.mark.parametrize(("d", "shift", "n"), [(2, 0.21, 200), (5, 0.3, 200), (10, 0.3, 200)])
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_hold(kind: str, d: int, shift: float, n: int) -> None:
    """Assert coverage, width and no bias over 1,000 repeats of few samples, where the noise is not normal."""
    check(repeats(kind, d, shift, n, 1000, seed=1))
