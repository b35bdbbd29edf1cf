"""Noise in the loop: what a source must answer, when it is asked, and that samples have the law that rows say."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from kinds import DETERMINISTIC, STOCHASTIC
from torch import Tensor

from samplerproof.numerics.denoisers import adapt
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.grids import grid
from samplerproof.numerics.noise import NoiseSource, from_generator, seeded
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.table_readback import read_run
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

F64 = torch.float64
VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
GRID = grid(VP, "uniform-lambda", 8, t_min=0.01, t_max=1.0)
MEAN, STD = torch.tensor([0.5, -1.0], dtype=F64), torch.tensor([0.6, 0.3], dtype=F64)
GAUSSIAN = GaussianMixture([1.0], [MEAN.tolist()], covariances=[torch.diag(STD**2).tolist()])
START = torch.randn(6, 2, dtype=F64, generator=torch.Generator().manual_seed(7))


def recording(asked: list[int], answer: NoiseSource) -> NoiseSource:
    def draw(like: Tensor, index: int) -> Tensor:
        asked.append(index)
        return answer(like, index)

    return draw


# --- the contract of a source


@pytest.mark.parametrize("name", STOCHASTIC)
def test_each_noise_is_drawn_once_and_in_order(name: str) -> None:
    tableau, asked = tabulate(name, GRID), list[int]()
    sample(GAUSSIAN, START, tableau, noise=recording(asked, seeded(0)))
    assert asked == list(range(sum(tableau.drawn)))
    assert len(asked) >= GRID.steps


@pytest.mark.parametrize(
    ("name", "draws"),
    [("ddpm", 1), ("sa-solver-p3c3", 1), ("seeds-2", 2), ("seeds-3", 3), ("edm-churn", 1), ("li-accelerated-sde", 2)],
)
def test_how_many_noises_a_step_draws(name: str, draws: int) -> None:
    assert sum(tabulate(name, GRID).drawn) == draws * GRID.steps


@pytest.mark.parametrize("name", [*DETERMINISTIC, "ddim-eta?eta=0", "sa-solver-p2c2?tau=0", "edm-churn?churn=0"])
def test_a_table_without_noise_asks_no_source(name: str) -> None:
    asked: list[int] = []
    tableau = tabulate(name, GRID)
    asked_for = sample(GAUSSIAN, START, tableau, noise=recording(asked, seeded(0)))
    assert asked == []
    assert torch.equal(asked_for, sample(GAUSSIAN, START, tableau))


def test_a_stochastic_sampler_without_a_source_is_refused() -> None:
    with pytest.raises(InputError, match=r"^noise: got None; ddpm is stochastic") as refused:
        sample(GAUSSIAN, START, tabulate("ddpm", GRID))
    assert "\n" not in str(refused.value)


def broken(at: int, value: Callable[[Tensor], Tensor]) -> NoiseSource:
    good = seeded(0)
    return lambda like, draw: value(good(like, draw)) if draw == at else good(like, draw)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (lambda z: z[:2], r"shape \(2, 2\), not \(6, 2\)"),
        (lambda z: z[:, :1], r"shape \(6, 1\), not \(6, 2\)"),
        (lambda z: z * math.nan, "not finite"),
        (lambda z: z.index_fill(0, torch.tensor([3]), math.inf), "not finite"),
    ],
)
@pytest.mark.parametrize(("name", "draw"), [("ddpm", 3), ("seeds-2", 7), ("edm-churn", 3)])
def test_a_broken_source_is_named_with_its_step(
    name: str, draw: int, value: Callable[[Tensor], Tensor], says: str
) -> None:
    with pytest.raises(SamplingError, match=rf"^step 4: the noise .*{says}") as refused:
        sample(GAUSSIAN, START, tabulate(name, GRID), noise=broken(draw, value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "steps"), [("ddpm", (3, 4)), ("sa-solver-p2c2", (3, 4)), ("edm-churn", (3, 4))])
def test_a_source_that_repeats_itself_is_named_with_both_steps(name: str, steps: tuple[int, int]) -> None:
    """As from a generator that is seeded anew at every step."""
    fixed = seeded(1)(START, 0)
    repeating = [*(seeded(0)(START, 0) * k for k in (1, 2)), fixed, fixed]
    with pytest.raises(SamplingError, match=rf"^step {steps[1]}: the noise repeats that of step {steps[0]}"):
        sample(GAUSSIAN, START, tabulate(name, GRID), noise=lambda like, draw: repeating[draw])


def test_a_source_that_repeats_itself_within_a_step_is_named() -> None:
    with pytest.raises(SamplingError, match=r"^step 1: the noise repeats that of step 1"):
        sample(GAUSSIAN, START, tabulate("seeds-3", GRID), noise=lambda like, draw: torch.ones_like(like))


# --- seeds


@pytest.mark.parametrize("name", ["ddpm", "seeds-3", "sa-solver-p2c1"])
def test_one_seed_is_one_sample_and_two_are_two(name: str) -> None:
    tableau = tabulate(name, GRID)
    one, again, other = (sample(GAUSSIAN, START, tableau, noise=seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.isclose(one, other).any()
    drawn = sample(GAUSSIAN, START, tableau, noise=from_generator(torch.Generator().manual_seed(0)))
    assert torch.equal(drawn, one)


def test_a_source_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    sample(GAUSSIAN, START, tabulate("ddpm", GRID), noise=seeded(0))
    assert torch.equal(torch.rand(3), expected)


def test_a_single_precision_run_with_the_same_numbers_is_the_same_sample() -> None:
    """The source answers in double precision: the loop casts it to that of the state."""
    tableau = tabulate("seeds-2", GRID)
    draws = torch.randn(sum(tableau.drawn), *START.shape, dtype=F64, generator=torch.Generator().manual_seed(0))
    asked: list[torch.dtype] = []

    def source(like: Tensor, draw: int) -> Tensor:
        asked.append(like.dtype)
        return draws[draw]

    single = sample(GAUSSIAN, START, tableau, noise=source, dtype=torch.float32)
    assert set(asked) == {torch.float32}
    double = sample(GAUSSIAN, START, tableau, noise=source)
    assert torch.allclose(single.double(), double, rtol=0, atol=1e-4)


# --- the law of the samples


def affine(name: str, mean: float, std: float) -> Tensor:
    """x_N on N(mean, std^2): coefficients of (1, x_0, z_1, z_2, …), by a run on basis vectors."""
    tableau = tabulate(name, GRID)
    basis = torch.eye(2 + sum(tableau.drawn), dtype=F64)

    def data(x: Tensor, at: Point) -> Tensor:
        gain = at.alpha * std**2 / (at.alpha**2 * std**2 + at.sigma**2)
        return mean * basis[0] + gain * (x - at.alpha * mean * basis[0])

    return sample(adapt(data, prediction="data"), basis[1], tableau, noise=lambda like, draw: basis[2 + draw])


def law(name: str, mean: float, std: float) -> tuple[float, float]:
    """Mean and variance of x_N from the exact law of x_0."""
    c, first = affine(name, mean, std), GRID.points[0]
    spread = (first.alpha * std) ** 2 + first.sigma**2
    return float(c[0] + c[1] * first.alpha * mean), float(c[1] ** 2 * spread + c[2:].square().sum())


@pytest.mark.parametrize("name", STOCHASTIC)
def test_samples_have_the_mean_and_covariance_of_the_affine_form(name: str) -> None:
    """Within five standard errors, n = 20000, for a Gaussian in the plane."""
    n, first = 20_000, GRID.points[0]
    spread = ((first.alpha * STD) ** 2 + first.sigma**2).sqrt()
    start = first.alpha * MEAN + spread * torch.randn(n, 2, dtype=F64, generator=torch.Generator().manual_seed(3))
    x = sample(GAUSSIAN, start, tabulate(name, GRID), noise=seeded(0))
    means, variances = torch.tensor([law(name, m, s) for m, s in zip(MEAN.tolist(), STD.tolist(), strict=True)]).T
    errors = (variances / n).sqrt()
    assert bool(((x.mean(0) - means).abs() < 5 * errors).all())
    covariance = x.T.cov()
    assert bool(((covariance.diagonal() - variances).abs() < 5 * variances * math.sqrt(2 / n)).all())
    assert abs(float(covariance[0, 1])) < 5 * float((variances.prod() / n).sqrt())


EXACT = [n for n, m in STOCHASTIC.items() if m.frame == "data" and n != "ddpm-large"]
EXACT += ["ddim-eta", "edm-churn", "dpm-2-ancestral", "dpmpp-2s-ancestral", "euler-ancestral-rf"]


@pytest.mark.parametrize("name", [*EXACT, "sa-solver-3?tau=1/2", "sde-dpm-solver++-2s?r=1/3&tau=2", "ddim-eta?eta=1/3"])
def test_the_law_at_a_point_mass_is_exact(name: str) -> None:
    """The data prediction does not change: mean alpha c and variance sigma^2, whatever the strength and the steps.

    So it is for DDIM(eta), by its marginals, and for the flow from where the churn took x, by the exact noise.
    """
    last = GRID.points[-1]
    mean, variance = law(name, 2.0, 0.0)
    assert mean == pytest.approx(2.0 * last.alpha, rel=1e-12)
    assert variance == pytest.approx(last.sigma**2, rel=1e-11)


@pytest.mark.parametrize("name", [n for n in STOCHASTIC if n not in EXACT])
def test_in_noise_prediction_the_law_at_a_point_mass_is_not_exact(name: str) -> None:
    """Nor is it with DDPM's larger variance."""
    assert law(name, 2.0, 0.0)[1] != pytest.approx(GRID.points[-1].sigma ** 2, rel=1e-3)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_whole_run_read_back_has_the_noises_in_the_order_of_drawing(name: str) -> None:
    """With d held at 1 and numbers for the noises, the run is its read-back applied to them."""
    tableau = tabulate(name, GRID)
    draws = torch.randn(sum(tableau.drawn), dtype=F64, generator=torch.Generator().manual_seed(0))
    inputs = torch.cat([torch.tensor([0.7], dtype=F64), torch.ones(tableau.nfe, dtype=F64), draws])

    def ones(x: Tensor, at: Point, prediction: str) -> Tensor:
        return torch.ones_like(x)

    run = sample(ones, inputs[:1], tableau, noise=lambda like, draw: draws[draw : draw + 1])
    terms = read_run(tableau) * inputs
    assert float(run) == pytest.approx(float(terms.sum()), abs=1e-12 * float(terms.abs().sum()))
