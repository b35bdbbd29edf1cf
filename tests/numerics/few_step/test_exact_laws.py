"""Few-step students, their targets and posterior chains on laws that are known exactly."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from torch import Tensor

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
from samplerproof.numerics.grids import Grid, from_times, grid
from samplerproof.numerics.laws.affine import gaussian_law
from samplerproof.numerics.points import Point
from samplerproof.numerics.readback import of_tableau, trace
from samplerproof.numerics.schedules import schedule
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


FACTORS = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64) / 2
SPACE = GaussianMixture(
    [0.2, 0.3, 0.5],
    [[-1.0, 0.0, 2.0], [1.0, 0.5, -1.0], [0.0, -2.0, 0.3]],
    covariances=FACTORS @ FACTORS.mT + 0.1 * torch.eye(3, dtype=torch.float64),
)


@pytest.mark.parametrize(("law", "steps"), [(M1, 16), (SPACE, 10)], ids=["line", "space"])
@pytest.mark.parametrize("kind", ["vp-linear", "cosine", "ve", "edm", "flow"])
def test_one_step_with_the_distilled_target_ends_where_two_do(kind: str, law: GaussianMixture, steps: int) -> None:
    """Assert it on every schedule; on the line the target is between the two predictions that it is made from."""
    at = grid(schedule(kind), "uniform-t", steps, t_min=2e-3, t_max=0.99)
    x = law.sample(20, at.points[0], torch.Generator().manual_seed(0))
    for n in range(0, steps, 2):
        start, middle, end = at.points[n : n + 3]
        first = law(x, start, "data")
        half = middle.alpha * first + middle.sigma * (x - start.alpha * first) / start.sigma
        second = law(half, middle, "data")
        two = end.alpha * second + end.sigma * (half - middle.alpha * second) / middle.sigma
        target = distilled_target(first, second, start, middle, end)
        one = end.alpha * target + end.sigma * (x - start.alpha * target) / start.sigma
        assert torch.allclose(one, two, rtol=0, atol=1e-12 * float(x.abs().max()))
        assert not torch.allclose(one, two + 1e-6 * (second - first), rtol=0, atol=1e-12 * float(x.abs().max()))
        assert bool((target >= torch.minimum(first, second) - 1e-12).all())
        assert bool((target <= torch.maximum(first, second) + 1e-12).all())
        x = two
    with pytest.raises(InputError, match="sigma/alpha falling"):
        distilled_target(x, x, at.points[1], at.points[0], at.points[2])


@pytest.mark.parametrize("v", [0.3, 1.7, 5.0])
def test_a_second_step_has_the_variance_of_the_affine_maps(v: float) -> None:
    """Assert 1e-12 against the slopes of the steps, where the grid ends at data, and another node's is another one."""
    at = Grid.from_sigmas([80.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.0])
    slopes = [
        there.sigma / here.sigma + (1 - there.sigma / here.sigma) * v / exact_variance(here, v)
        for here, there in pairwise(at.points)
    ]
    once = math.prod(slopes) ** 2 * exact_variance(at.points[0], v)  # the variance of the student's end
    assert deviation_factor(at, v) == pytest.approx(math.sqrt(once / v), rel=1e-12)
    for node in range(1, 6):
        twice = math.prod(slopes[node:]) ** 2 * (once + at.points[node].sigma ** 2)
        assert second_step_factor(at, v, node) == pytest.approx(math.sqrt(twice / v), rel=1e-12)
        assert second_step_factor(at, v, node % 5 + 1) != pytest.approx(math.sqrt(twice / v), rel=1e-4)


def at_angles(angles: Tensor, v: float) -> Grid:
    """Levels at which (alpha sqrt v, sigma) has these angles."""
    return from_times(schedule("edm"), angles.tan() * math.sqrt(v))


@pytest.mark.parametrize(("v", "levels"), [(1.7, 64), (1.7, 256), (0.3, 101)])
def test_a_second_step_pays_above_forty_five_degrees(v: float, levels: int) -> None:
    """Assert the crossing at pi/4 up to 0.03 on levels of equal angles, and the best of them."""
    at = at_angles(torch.linspace(math.pi / 2 - 1e-3, 1e-3, levels + 1, dtype=torch.float64), v)
    gains = second_gains(at, v)
    better = [n for n in range(1, levels) if gains[n - 1] < 1]
    assert better == list(range(1, better[-1] + 1))
    assert float(grid_angles(at, v)[better[-1]]) == pytest.approx(math.pi / 4, abs=0.03)
    best = min(range(levels - 1), key=gains.__getitem__)
    assert gains[best] == pytest.approx(0.8947, abs=1e-3)
    assert float(grid_angles(at, v)[best + 1]) == pytest.approx(1.2257, abs=0.03)


def second_gains(at: Grid, v: float) -> list[float]:
    """The error of the deviation after a second step from each inner point, over that after one."""
    once = deviation_factor(at, v)
    return [(1 - second_step_factor(at, v, n)) / (1 - once) for n in range(1, at.steps)]


def test_what_a_second_step_mends_depends_on_the_grid() -> None:
    """Assert that it mends nothing on levels of Karras, and most of the error of one long step at the start."""
    karras = grid(schedule("edm"), "karras", 16, sigma_min=0.002, sigma_max=80.0)
    assert min(second_gains(karras, 1.7)) > 1
    rest = torch.linspace(1.2, 1e-3, 200, dtype=torch.float64)
    long_first = at_angles(torch.cat([torch.tensor([math.pi / 2 - 1e-3], dtype=torch.float64), rest]), 1.7)
    assert min(second_gains(long_first, 1.7)) < 0.2


def test_undistilled_rows_lose_half_of_the_variance() -> None:
    """Assert 1/sqrt 2 at N = 4096, from below up to the noise of the end, as 1/sqrt(1 - gamma/2) with less noise."""
    for name in ("consistency", "trajectory-consistency"):
        assert ratio(name, 16, 1.7) == pytest.approx(of_law(name, 16, 1.7), rel=1e-13)
    assert [ratio("consistency", n, 1.7) for n in (4, 16, 64)] == pytest.approx([0.524, 0.640, 0.682], abs=5e-4)
    assert ratio("consistency", 4, 0.3) == pytest.approx(0.433, abs=5e-4)
    for levels, variance in ((5, 0.04), (33, 9.0)):
        at, lost = grid(VP, "uniform-t", levels, **SPAN).points, 0.0  # d' = 1 - k + k^2 d, of the claim
        for point in at[:-1]:
            k = point.alpha**2 * variance / exact_variance(point, variance)
            lost = 1 - k + k**2 * lost
        kept = at[-1].alpha ** 2 * variance * (1 - lost) + at[-1].sigma ** 2
        expected = math.sqrt(kept / exact_variance(at[-1], variance))
        assert ratio("consistency", levels, variance) == pytest.approx(expected, rel=1e-13)
    assert ratio("trajectory-consistency?gamma=0", 64, 1.7) == pytest.approx(ratio("ddim", 64, 1.7), rel=1e-12)


@pytest.mark.slow
def test_many_undistilled_steps_end_at_a_share_that_depends_on_gamma_alone() -> None:
    """Assert 1/sqrt 2 from below, but for the noise of the end, and sqrt(1 - gamma/2) with less noise.

    At 4,096 steps the distance is below 2e-3 for variances of 1.7 and more; it grows as the variance falls.
    """
    end = grid(VP, "uniform-t", 1, **SPAN).points[-1]
    for variance, near in ((0.04, 6e-3), (0.3, 3e-3), (1.7, 2e-3), (9.0, 2e-3)):
        found, whole = ratio("consistency", 4096, variance), exact_variance(end, variance)
        assert math.sqrt(0.5) - near < found < math.sqrt((end.alpha**2 * variance / 2 + end.sigma**2) / whole)
        assert ratio("consistency", 256, variance) < found - 1e-3
    for gamma in ("1/4", "1/2", "9/10"):
        limit = math.sqrt(1 - float(Fraction(gamma)) / 2)
        assert ratio(f"trajectory-consistency?gamma={gamma}", 4096, 1.7) == pytest.approx(limit, abs=2e-3)


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
