"""The level that a model is given: the wrapper, Timestep Aligner, Time-Shift."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from samplerproof.book.techniques.line_errors import M2, line_errors, start_law
from samplerproof.book.techniques.on_the_line import M1
from samplerproof.numerics.denoisers import Denoiser
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.given_levels.aligner import fit_ratios, released, to_the_flow
from samplerproof.numerics.given_levels.time_shift import Shifts, time_shifted
from samplerproof.numerics.given_levels.with_level import times_ratio, with_level
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.flow import quantile
from samplerproof.numerics.targets.mixture import GaussianMixture
from samplerproof.numerics.wrappers import with_error, with_noise_scaled, with_score_error

VP = schedule("vp-linear")
UNIFORM = {"t_min": 1e-3, "t_max": 1.0}
LEVELS = grid(VP, "trailing", 1000, betas="linear", beta_start=1e-4, beta_end=0.02)
HUNDREDS = range(1000, -1, -100)


def aligned(steps: int, oracle: bool, points: int = 401) -> tuple[Grid, list[float]]:
    """A uniform grid in t with the ratios that the oracle or the released loss gives on M1."""
    made = grid(VP, "uniform-t", steps, **UNIFORM)
    x, weights = start_law(M1, made, points)
    residual = to_the_flow(M1, made, x) if oracle else released(M1, made)
    return made, fit_ratios(M1, made, x, residual, weights=weights, last=oracle)


def with_ratios(mixture: GaussianMixture, made: Grid, ratios: list[float]) -> tuple[float, float]:
    return line_errors(mixture, made, "ddim", lambda d: with_level(d, times_ratio(made, ratios)))


def test_the_identity_changes_no_bit_and_another_level_does() -> None:
    """Assert the same samples with ratios 1, others with a ratio off by 1e-6, and coefficients of the true level."""
    made = grid(VP, "uniform-lambda", 8, **UNIFORM)
    table = tabulate("dpm-solver++-2m", made)
    x = torch.linspace(-2, 2, 7, dtype=torch.float64)[:, None]
    plain = sample(M1, x, table)
    assert torch.equal(sample(with_level(M1, lambda x, at: at), x, table), plain)
    assert torch.equal(sample(with_level(M1, times_ratio(made, [1.0] * 8)), x, table), plain)
    assert not torch.equal(sample(with_level(M1, times_ratio(made, [1.0] * 7 + [1 + 1e-6])), x, table), plain)
    at, place = made.points[3], VP.point(0.9 * made.points[3].t)
    data = with_level(M1, lambda x, at: place)(x, at, "data")
    assert torch.allclose(data, (x - at.sigma * M1(x, place, "noise")) / at.alpha, rtol=1e-14)
    kept = with_level(M1, lambda x, at: place, "data")(x, at, "data")
    assert torch.allclose(kept, M1(x, place, "data"), rtol=1e-14)


def test_bad_levels_are_refused() -> None:
    """Assert one line for ratios of another number or sign, what is not a point, levels out of order, and bounds."""
    made = grid(VP, "uniform-t", 3, **UNIFORM)
    x = torch.zeros(4, 2, 1, dtype=torch.float64)
    with pytest.raises(InputError, match="ratios: got '2 numbers'; 3, one a step"):
        times_ratio(made, [1.0, 1.0])
    with pytest.raises(InputError, match=r"ratios\[1\]: got -1.0; a number > 0"):
        times_ratio(made, [1.0, -1.0, 1.0])
    with pytest.raises(InputError, match=r"level\(x, at\): got 0.5; a point"):
        with_level(M1, lambda x, at: 0.5)(x[:, 0], made.points[0], "noise")  # type: ignore[arg-type, return-value]
    with pytest.raises(InputError, match="prediction: got 'nois'"):
        with_level(M1, lambda x, at: at, "nois")
    with pytest.raises(InputError, match=r"bounds: got .*0 < low < 1 < high"):
        fit_ratios(M1, made, x[:, 0], released(M1, made), bounds=(1.2, 0.4))
    for visited in ([100, 200], [1001, 0], [500], [300, 300, 0]):
        with pytest.raises(InputError, match=r"visited: got .*strictly falling"):
            time_shifted(M1, x, LEVELS, visited, window=10)
    with pytest.raises(InputError, match="window: got -2; 0 or more"):
        time_shifted(M1, x, LEVELS, [100, 0], window=-2)
    with pytest.raises(InputError, match="at least two entries a sample"):
        time_shifted(M1, x[:, :1], LEVELS, [100, 0], window=2)
    with pytest.raises(InputError, match="factor: got nan"):
        with_noise_scaled(M1, math.nan)


@pytest.mark.slow
def test_one_number_a_step_suffices_for_gaussian_data() -> None:
    """Assert an error of the oracle 50 times smaller where data are a centred Gaussian, as proved."""
    gauss = GaussianMixture([1.0], [0.0], stds=[0.5])
    errors = []
    for steps in (10, 20):
        made = grid(VP, "uniform-lambda", steps, t_min=0.02, t_max=1.0)
        x, weights = start_law(gauss, made, 51)
        ratios = fit_ratios(gauss, made, x, to_the_flow(gauss, made, x), weights=weights, bounds=(0.2, 3.0))
        errors.append((line_errors(gauss, made)[1], with_ratios(gauss, made, ratios)[1]))
    assert all(fitted < 0.02 * plain for plain, fitted in errors)


def test_the_oracle_at_ten_steps() -> None:
    """Assert the ratios and the error on M1: three times smaller."""
    made, ratios = aligned(10, oracle=True, points=101)
    expected = [1.0, 0.998, 0.991, 0.967, 0.936, 0.915, 0.894, 0.861, 0.787, 0.4]
    assert ratios == pytest.approx(expected, abs=0.003)
    assert line_errors(M1, made)[1] == pytest.approx(0.138, rel=0.03)
    assert with_ratios(M1, made, ratios)[1] == pytest.approx(0.0457, rel=0.03)


@pytest.mark.slow
def test_the_aligner_stays_of_order_one() -> None:
    """Assert the errors of both fits, that oracle/none stays at .3 while N grows, and the transfer to M2."""
    for steps, none, oracle, loss in (
        (5, 0.285, 0.152, 0.171),
        (10, 0.138, 0.0457, 0.302),
        (20, 0.0710, 0.0218, 0.362),
        (40, 0.0362, 0.0111, 0.391),
    ):
        made, ratios = aligned(steps, oracle=True, points=201)
        plain, fitted = line_errors(M1, made)[1], with_ratios(M1, made, ratios)[1]
        assert (plain, fitted) == pytest.approx((none, oracle), rel=0.03)
        assert steps == 5 or 0.28 < fitted / plain < 0.36
        if steps == 20:
            assert with_ratios(M2, made, ratios)[1] == pytest.approx(0.044, rel=0.03)
        made, ratios = aligned(steps, oracle=False, points=101)
        assert ratios[-1] == 1
        assert with_ratios(M1, made, ratios)[1] == pytest.approx(loss, rel=0.03)
        assert steps == 5 or loss / plain > 2


def standardised(variance: float) -> GaussianMixture:
    """M1 moved and scaled to mean 0 and a variance."""
    mean = float(M1.weights @ M1.means[:, 0])
    spread = float(M1.weights @ (M1.variances[:, 0] + M1.means[:, 0].square())) - mean**2
    scale = math.sqrt(variance / spread)
    means = ((M1.means[:, 0] - mean) * scale).tolist()
    return GaussianMixture(M1.weights.tolist(), means, stds=(M1.variances[:, 0].sqrt() * scale).tolist())


def shifted(
    denoise: Denoiser, law: GaussianMixture, window: int, cutoff: int, samples: int = 96, **more: object
) -> float:
    """W2 of the pooled entries of samples of 1024 independent entries after ten steps."""
    generator = torch.Generator().manual_seed(0)
    x = law.sample(samples * 1024, LEVELS.points[0], generator).reshape(samples, 1024, 1)
    y = time_shifted(denoise, x, LEVELS, list(HUNDREDS), window=window, cutoff=cutoff, **more)  # type: ignore[arg-type]
    level = (torch.arange(y.numel(), dtype=torch.float64)[:, None] + 0.5) / y.numel()
    exact = quantile(law, level.log(), torch.log1p(-level), LEVELS.points[-1])[:, 0]
    return float((y.flatten().sort().values - exact).square().mean().sqrt())


def test_the_rule_finds_the_level_of_pure_noise_only() -> None:
    """Assert that a window of 0 is DDIM, and the level chosen: the true one for data without variance, or the edge."""
    unit, point = standardised(1.0), GaussianMixture([1.0], [0.0], stds=[0.01])
    x = torch.randn(8, 4096, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = Grid(LEVELS.columns.take(torch.tensor([1000 - k for k in HUNDREDS])), LEVELS.schedule)
    ddim = sample(unit, x, tabulate("ddim", plain))
    assert torch.allclose(time_shifted(unit, x, LEVELS, list(HUNDREDS), window=0), ddim, atol=1e-12)
    found = {}
    for law in (unit, point):
        shifts = Shifts()
        start = law.sample(8 * 4096, LEVELS.points[500], torch.Generator().manual_seed(1)).reshape(8, 4096, 1)
        time_shifted(law, start, LEVELS, [500, 450, 400, 0], window=50, shifts=shifts)
        found[law] = shifts.mean
    assert found[unit][:2] == [25.0, 25.0]
    assert all(abs(shift) < 12 for shift in found[point][:2])
    assert found[unit][2] == 0


@pytest.mark.slow
def test_what_time_shift_repairs() -> None:
    """Assert W2 with an exact score and with wrong ones: never better there, better where the variance is too small."""
    law = standardised(1.0)
    settings = [(0, 500), (50, 500), (50, 300), (50, 100)]

    def in_noise(x: Tensor, at: Point) -> Tensor:
        return 0.05 * torch.sin(2 * x)

    wrong: dict[str, tuple[Denoiser, list[float]]] = {
        "exact": (law, [0.136, 0.136, 0.146, 0.172, 0.159]),
        "larger": (with_noise_scaled(law, 1.03), [0.269, 0.241, 0.225, 0.254, 0.204]),
        "sine": (with_error(law, in_noise), [0.419, 0.376, 0.380, 0.410, 0.365]),
        "smaller": (with_noise_scaled(law, 0.97), [0.071, 0.088, 0.085, 0.073, 0.111]),
    }
    for denoise, expected in wrong.values():
        found = [shifted(denoise, law, *setting) for setting in settings]
        assert [*found, shifted(denoise, law, 100, 300, samples=256)] == pytest.approx(expected, abs=0.01)
    narrow = standardised(0.25)
    found = [shifted(narrow, narrow, *setting) for setting in settings]
    assert found == pytest.approx([0.115, 0.115, 0.119, 0.147], abs=0.01)
    # With an exact score the rule is a fixed shift; with a wrong one it is not.
    twins = ((300, {500: 25, 400: 25}), (100, {500: 25, 400: 25, 300: 25, 200: 25}))
    for cutoff, constant in twins:
        assert abs(shifted(law, law, 50, cutoff, constant=constant) - shifted(law, law, 50, cutoff)) < 0.003
    assert shifted(wrong["larger"][0], law, 50, 300, constant=twins[0][1]) > 0.27
    # An error in the score of this sign makes the variance larger, and the rule harms.
    more = with_score_error(law, 0.05, 2.0)
    assert shifted(more, law, 50, 300) > shifted(more, law, 0, 300) + 0.03
