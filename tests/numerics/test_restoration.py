"""Processes whose marginals are mixtures though the drift is not linear, and Restoration-Degradation on them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from samplerproof.book.techniques.on_the_line import M1
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.metrics import nodes
from samplerproof.numerics.restoration import euler, leading_parts, restored
from samplerproof.numerics.targets.mixture import GaussianMixture
from samplerproof.numerics.targets.tilted_process import CLEAN, TiltedProcess

PROCESS = TiltedProcess(M1, 1.0)
T_MAX, T_MIN = 1.5, 0.05
START = nodes((PROCESS.law(T_MAX), CLEAN), 401)
DENSITY = PROCESS.law(T_MAX).log_density(START, CLEAN).exp()
EXACT, _ = PROCESS.flow(START, T_MAX, T_MIN)


def rms(error: Tensor) -> float:
    return math.sqrt(float(error[:, 0].square() @ DENSITY / DENSITY.sum()))


def of_restoration(steps: int, look_back: float, frozen: bool = False) -> float:
    return rms(restored(PROCESS, START, T_MAX, T_MIN, steps, look_back, frozen=frozen) - EXACT)


def test_the_law_solves_its_equation() -> None:
    """Assert p_t = -(f p)_x + p_xx/2 by differences, not without the drift, and the score and the flow of the law."""
    x, t, step = torch.linspace(-2.5, 2.5, 41, dtype=torch.float64)[:, None], 0.4, 1e-3

    def density(at: Tensor, when: float) -> Tensor:
        return PROCESS.law(when).log_density(at, CLEAN).exp()[:, None]

    def flux(at: Tensor) -> Tensor:
        return PROCESS.drift(at) * density(at, t)

    rate = (density(x, t + step) - density(x, t - step)) / (2 * step)
    spread = (density(x + step, t) - 2 * density(x, t) + density(x - step, t)) / (2 * step**2)
    drift = (flux(x + step) - flux(x - step)) / (2 * step)
    assert float((rate + drift - spread).abs().max()) < 1e-5
    assert float((rate - spread).abs().max()) > 1e-2
    assert torch.allclose(PROCESS.score(x, t), PROCESS.law(t)(x, CLEAN, "score"), atol=1e-12)
    there, slope = PROCESS.flow(x, 0.4, 0.1)
    back, inverse = PROCESS.flow(there, 0.1, 0.4)
    assert torch.allclose(back, x, atol=1e-9)
    assert torch.allclose(slope * inverse, torch.ones_like(x), rtol=1e-6)


def test_the_error_has_the_law_that_is_derived() -> None:
    """Assert the two constants, A h/l + B l against the error, that l = h stays off, and other errors at 200 steps."""
    first, second = leading_parts(PROCESS, START, T_MAX, T_MIN)
    assert (rms(first), rms(second)) == pytest.approx((0.0920, 0.7508), rel=0.01)
    steps = 200
    h = (T_MAX - T_MIN) / steps
    back = math.sqrt(h) / 2
    assert rms(first * h / back + second * back) / of_restoration(steps, back) == pytest.approx(0.95, abs=0.05)
    assert of_restoration(steps, h) > 0.25
    plain = rms(euler(PROCESS, START, T_MAX, T_MIN, steps) - EXACT)
    assert plain == pytest.approx(2.02e-3, rel=0.02)
    assert of_restoration(steps, 0.5, frozen=True) == pytest.approx(1.12e-3, rel=0.02)


@pytest.mark.slow
def test_rates_of_restoration() -> None:
    """Assert the rate sqrt(h) with l = sqrt(h)/2, errors at 400 and 800 steps, and order 1 once f and s are frozen."""
    found = {n: of_restoration(n, math.sqrt((T_MAX - T_MIN) / n) / 2) for n in (400, 800)}
    assert found == pytest.approx({400: 0.03476, 800: 0.02432}, rel=0.01)
    assert math.log2(found[400] / found[800]) == pytest.approx(0.51, abs=0.05)
    frozen = {n: of_restoration(n, 0.5, frozen=True) for n in (400, 800)}
    assert frozen == pytest.approx({400: 5.62e-4, 800: 2.81e-4}, rel=0.01)
    assert math.log2(frozen[400] / frozen[800]) == pytest.approx(0.997, abs=0.01)


@pytest.mark.slow
def test_restoration_in_many_steps() -> None:
    """Assert the errors of three look-backs and of Euler at 3200 steps to 1 %, the rate, and A h/l + B l to 3.5 %."""
    first, second = leading_parts(PROCESS, START, T_MAX, T_MIN)
    h = (T_MAX - T_MIN) / 3200
    found = {share: of_restoration(3200, share * math.sqrt(h)) for share in (0.2, 0.5, 1.0)}
    assert found == pytest.approx({0.2: 1.333e-2, 0.5: 1.201e-2, 1.0: 1.855e-2}, rel=0.01)
    assert found[0.5] < min(found[0.2], found[1.0])  # the best is sqrt(|A|/|B|) = 0.35
    assert rms(euler(PROCESS, START, T_MAX, T_MIN, 3200) - EXACT) == pytest.approx(1.264e-4, rel=0.01)
    for share, within in ((0.2, 0.03), (0.5, 0.03), (1.0, 0.035)):
        back = share * math.sqrt(h)
        assert rms(first * h / back + second * back) / found[share] == pytest.approx(1, abs=within)
        assert rms(first * h / back - second * back) / found[share] < 0.9
    before = of_restoration(1600, math.sqrt(2 * h) / 2)
    assert math.log2(before / found[0.5]) == pytest.approx(0.50, abs=0.04)
    for steps in (400, 800, 1600):
        assert of_restoration(steps, (T_MAX - T_MIN) / steps) > 0.25


def test_bad_processes_are_refused() -> None:
    """Assert one line for a rate, a dimension, times out of order and a look-back below the step."""
    with pytest.raises(InputError, match=r"rate: got -1\.0; a number >= 0"):
        TiltedProcess(M1, -1.0)
    with pytest.raises(InputError, match="mixture: got 'd = 2'; a law in one dimension"):
        TiltedProcess(GaussianMixture([1.0], [[0.0, 0.0]], stds=[1.0]), 1.0)
    with pytest.raises(InputError, match=r"t: got -0\.5; a time >= 0"):
        PROCESS.law(-0.5)
    with pytest.raises(InputError, match=r"t_min: got 2\.0; from 0 to below t_max = 1\.5"):
        euler(PROCESS, START, 1.5, 2.0, 10)
    with pytest.raises(InputError, match=r"look_back: got 0\.01; at least the step 0\.145"):
        restored(PROCESS, START, 1.5, 0.05, 10, 0.01)
