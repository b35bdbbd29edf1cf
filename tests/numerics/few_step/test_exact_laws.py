"""Few-step students, their targets and posterior chains on laws that are known exactly."""

from __future__ import annotations

import math

import pytest
import torch

from samplerproof.book.techniques.on_the_line import M1
from samplerproof.numerics.denoisers import parts
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.few_step.ideal_students import (
    deviation_factor,
    distilled_target,
    grid_angles,
    second_step_factor,
)
from samplerproof.numerics.few_step.jump import through
from samplerproof.numerics.few_step.posterior_chain import posterior_chain, posterior_jump
from samplerproof.numerics.grids import from_times, grid
from samplerproof.numerics.laws.affine import gaussian_law
from samplerproof.numerics.points import Point
from samplerproof.numerics.readback import of_tableau, trace
from samplerproof.numerics.schedules import Schedule, schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

VP, FLOW = schedule("vp-linear"), schedule("flow")
SPAN = {"t_min": 1e-3, "t_max": 1.0}


def exact_variance(at: Point, variance: float) -> float:
    return at.alpha**2 * variance + at.sigma**2


def ratio(name: str, levels: int, variance: float) -> float:
    """The deviation of a one-step sampler on N(m, variance) over the exact one: its variance, row by row."""
    at = grid(VP, "uniform-t", levels, **SPAN)
    table, found = tabulate(name, at), exact_variance(at.points[0], variance)
    for n, here in enumerate(at.points[:-1]):
        data, noise = parts(table.prediction, here)
        gain = (data * here.alpha * variance + noise * here.sigma) / exact_variance(here, variance)
        added = float(table.noises[n, 0]) if table.noises.shape[1] else 0.0
        found = (float(table.states[n, 0]) + float(table.outputs[n, 0]) * gain) ** 2 * found + added**2
    return math.sqrt(found / exact_variance(at.points[-1], variance))


def of_law(name: str, levels: int, variance: float) -> float:
    """The same from the laws of the package."""
    at, law = grid(VP, "uniform-t", levels, **SPAN), GaussianMixture([1.0], [0.7], stds=[math.sqrt(variance)])
    found = float(gaussian_law(tabulate(name, at), law, (law, at.points[0])).covariance)
    return math.sqrt(found / exact_variance(at.points[-1], variance))


@pytest.mark.parametrize("variance", [0.04, 1.7, 9.0])
def test_the_deviation_of_ddim_is_a_product_of_cosines(variance: float) -> None:
    for levels in (1, 3, 16):
        at = grid(VP, "uniform-t", levels, **SPAN)
        found = of_law("ddim", levels, variance)
        assert deviation_factor(at, variance) == pytest.approx(found, rel=1e-14)
        assert deviation_factor(at, variance * (1 + 1e-6)) != pytest.approx(found, rel=1e-10)


def test_equal_angles_are_best() -> None:
    """Assert the notes' values on the linear path, and cos(Theta/N)^N for levels at equal angles."""
    levels = [torch.linspace(0.999, 0.001, n + 1, dtype=torch.float64) for n in (1, 2, 4, 8, 16)]
    whole, *grids = (from_times(FLOW, t) for t in levels)
    found = [deviation_factor(at, 1.7) for at in grids]
    assert found == pytest.approx([0.4840, 0.7152, 0.8482, 0.9213], abs=1e-4)
    theta = float(grid_angles(whole, 1.7)[0] - grid_angles(whole, 1.7)[1])
    best = [math.cos(theta / n) ** n for n in (2, 4, 8, 16)]
    assert best == pytest.approx([0.5010, 0.7292, 0.8566, 0.9259], abs=1e-4)
    assert all(a < b for a, b in zip(found, best, strict=True))


@pytest.mark.parametrize("schedule_of", [VP, FLOW, schedule("edm")], ids=["vp", "flow", "edm"])
def test_one_step_with_the_distilled_target_ends_where_two_do(schedule_of: Schedule) -> None:
    at = grid(schedule_of, "uniform-t", 16, t_min=2e-3, t_max=1.0)
    x = M1.sample(20, at.points[0], torch.Generator().manual_seed(0))
    for n in range(0, 16, 2):
        start, middle, end = at.points[n : n + 3]
        first = M1(x, start, "data")
        half = middle.alpha * first + middle.sigma * (x - start.alpha * first) / start.sigma if start.sigma else x
        second = M1(half, middle, "data")
        two = end.alpha * second + end.sigma * (half - middle.alpha * second) / middle.sigma
        target = distilled_target(first, second, start, middle, end)
        one = end.alpha * target + end.sigma * (x - start.alpha * target) / start.sigma
        assert torch.allclose(one, two, rtol=0, atol=1e-12 * float(x.abs().max()))
        assert bool((target >= torch.minimum(first, second) - 1e-12).all())
        assert bool((target <= torch.maximum(first, second) + 1e-12).all())
        x = two
    with pytest.raises(InputError, match="sigma/alpha falling"):
        distilled_target(x, x, at.points[1], at.points[0], at.points[2])


def test_a_second_step_pays_above_forty_five_degrees() -> None:
    """Assert the formula against Monte Carlo, and the crossing at pi/4 up to 0.03 on 256 levels of equal angles."""
    v, levels = 1.7, 256
    angles = torch.linspace(math.pi / 2 - 1e-3, 1e-3, levels + 1, dtype=torch.float64)
    rho = angles.tan() * math.sqrt(v)
    at = from_times(schedule("edm"), rho)
    once = deviation_factor(at, v)
    better = [n for n in range(1, levels) if second_step_factor(at, v, n) > once]
    assert better == list(range(1, better[-1] + 1))
    assert float(grid_angles(at, v)[better[-1]]) == pytest.approx(math.pi / 4, abs=0.03)
    gains = [(1 - second_step_factor(at, v, n)) / (1 - once) for n in range(1, levels)]
    best = min(range(levels - 1), key=gains.__getitem__)
    assert gains[best] == pytest.approx(0.8947, abs=5e-3)
    assert float(grid_angles(at, v)[best + 1]) == pytest.approx(1.2257, abs=0.03)


def test_undistilled_rows_lose_half_of_the_variance() -> None:
    """Assert 1/sqrt 2 at N = 4096, from below up to the noise of the end, as 1/sqrt(1 - gamma/2) with less noise."""
    for name in ("consistency", "trajectory-consistency"):
        assert ratio(name, 16, 1.7) == pytest.approx(of_law(name, 16, 1.7), rel=1e-13)
    assert [ratio("consistency", n, 1.7) for n in (4, 16, 64)] == pytest.approx([0.524, 0.640, 0.682], abs=2e-3)
    assert ratio("consistency", 4, 0.3) == pytest.approx(0.433, abs=2e-3)
    assert ratio("trajectory-consistency?gamma=0", 64, 1.7) == pytest.approx(ratio("ddim", 64, 1.7), rel=1e-12)


@pytest.mark.slow
def test_many_undistilled_steps_end_at_a_share_that_depends_on_gamma_alone() -> None:
    """Assert 1/sqrt 2 for every variance, and sqrt(1 - gamma/2) with less noise, up to the noise of the end."""
    for variance in (0.3, 1.7):
        assert ratio("consistency", 4096, variance) == pytest.approx(math.sqrt(0.5), abs=3e-3)
    assert ratio("trajectory-consistency?gamma=1/2", 4096, 1.7) == pytest.approx(math.sqrt(0.75), abs=3e-3)


def test_draws_of_the_posterior_keep_the_law_and_means_do_not() -> None:
    """Assert both moments to five standard errors, and that the chain of means is short of variance."""
    chance, count = torch.Generator().manual_seed(0), 40_000
    for steps in (1, 4):
        at = grid(VP, "uniform-t", steps, **SPAN)
        start = M1.sample(count, at.points[0], chance)
        drawn = posterior_chain(lambda x, p: M1.posterior_sample(x, p, chance), start, at, chance)
        exact = M1.sample(count, at.points[-1], chance)
        for k in (1, 2):
            spread = math.sqrt(2 * float((exact**k).var()) / count)
            assert float((drawn**k).mean() - (exact**k).mean()) == pytest.approx(0, abs=5 * spread)
        mean = posterior_chain(lambda x, p: M1(x, p, "data"), start, at, chance)
        assert float(mean.var()) < 0.7 * float(exact.var())
    with pytest.raises(InputError, match="guess"):
        posterior_chain(lambda x, p: x[:, 0], start, at, chance)


def test_a_guess_jumps_between_the_levels_that_it_was_trained_for() -> None:
    """Assert that the jumps are the chain, with the noise of the same generator, and that another level is refused."""
    at, x = grid(VP, "uniform-t", 4, **SPAN), torch.ones(3, 1, dtype=torch.float64)
    first, second = (torch.Generator().manual_seed(0) for _ in range(2))
    jump = through(posterior_jump(lambda x, p: M1(x, p, "data"), first), at.points)
    made = jump(x, at.points[0], at.points[-1])
    assert torch.equal(made, posterior_chain(lambda x, p: M1(x, p, "data"), x, at, second))
    with pytest.raises(InputError, match=r"^end: got 'lambda = .*'; one of the points"):
        jump(x, at.points[0], VP.point(0.3))


def test_rows_that_keep_little_are_read_back_in_float32() -> None:
    """Assert the share of the state after so many steps that the start's own share is below the numbers of float32."""
    run = of_tableau(tabulate("consistency", grid(FLOW, "uniform-t", 120, t_min=0.01, t_max=0.99)), "velocity")
    shares = trace(run, "velocity", torch.float32).table.states[:, 0]
    exact = trace(run, "velocity", torch.float64).table.states[:, 0]
    assert torch.allclose(shares, exact, rtol=0, atol=1e-6)
    assert float(exact.min()) > 0
