"""TV, KL and W2 against closed forms, and against mpmath on an explicit two-step sampler."""

from __future__ import annotations

import math
from itertools import pairwise

import oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import mp, mpf

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.metrics import Pushforward, kl, nodes, trajectory, trajectory_1d, tv, w2
from samplerproof.numerics.points import Point
from samplerproof.numerics.targets.flow import exact_flow
from samplerproof.numerics.targets.mixture import GaussianMixture, with_tangent

F64 = torch.float64
M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.375])
LAW = oracles.law([0.35, 0.65], [[-1.2], [0.9]], [mp.matrix([[mpf(s) ** 2]]) for s in (0.5, 0.375)])
NORMAL = GaussianMixture([1.0], [0.0], stds=[1.0])
STILL = Point(1.0, 0.0)
# abar on the way down, and the start: exact floats for both routes
GRID = [Point(a, math.sqrt(1 - a * a)) for a in (0.25, 0.5, 0.75, 0.96875)]


def ddim_type(denoise, x, grid, factor=0.5):
    """Y' = (Y + (1-a)/2 score) / sqrt(a), a = (alpha_from / alpha_to)^2: Li et al.'s DDIM-type update."""
    for here, there in pairwise(grid):
        root = here.alpha / there.alpha
        x = (x + (1 - root**2) * factor * denoise(x, here, "score")) / root
    return x


def pushed(grid=GRID, points=2001, factor=0.5, mixture=M1):
    start = (mixture, grid[0])
    x = nodes(start, points)
    y, dydx = ddim_type(with_tangent(mixture), torch.stack([x, torch.ones_like(x)]), grid, factor)
    return Pushforward(x, start, y, dydx, (mixture, grid[-1]))


def affine(scale, shift, points=2001):
    """The map x -> scale x + shift of N(0, 1), aimed at N(0.5, 0.7^2)."""
    x = nodes((NORMAL, STILL), points)
    target = GaussianMixture([1.0], [0.5], stds=[0.7])
    return Pushforward(x, (NORMAL, STILL), scale * x + shift, torch.full_like(x, scale), (target, STILL))


class Oracle:
    """The same sampler once more: map, slope and densities in mpmath, TV by roots, KL by its naive integral."""

    def __init__(self, grid):
        self.grid = grid

    def map(self, x):
        slope = mpf(1)
        for here, there in pairwise(self.grid):
            parts = oracles.components(LAW, here.alpha, here.sigma, [x])
            total = sum(m for m, _ in parts)
            score = -sum(m * s[0] for m, s in parts) / total
            variances = [mpf(here.alpha) ** 2 * c[0, 0] + mpf(here.sigma) ** 2 for c in LAW.covariances]
            curve = sum(m * (s[0] ** 2 - 1 / v) for (m, s), v in zip(parts, variances, strict=True)) / total
            root = mpf(here.alpha) / mpf(there.alpha)
            gain = (1 - root**2) / 2
            x, slope = (x + gain * score) / root, slope * (1 + gain * (curve - score**2)) / root
        return x, slope

    def densities(self, x):
        """p_start(x) and p_target(Y) Y'."""
        y, slope = self.map(x)
        first, last = self.grid[0], self.grid[-1]
        start = oracles.density(LAW, first.alpha, first.sigma, [x])
        return start, oracles.density(LAW, last.alpha, last.sigma, [y]) * slope

    def tv(self):
        def rate(x):
            start, target = self.densities(x)
            return start - target

        first, last = self.grid[0], self.grid[-1]
        scan = [mpf(k) / 8 for k in range(-48, 49)]
        signs = [rate(x) > 0 for x in scan]
        values = [mpf(0)]
        for a, b, s, t in zip(scan, scan[1:], signs, signs[1:], strict=False):
            if s != t:
                x = mp.findroot(rate, (a, b), solver="anderson", tol=1e-25)
                below = oracles.tails(LAW, first.alpha, first.sigma, x)[0]
                values.append(below - oracles.tails(LAW, last.alpha, last.sigma, self.map(x)[0])[0])
        values.append(mpf(0))
        return sum(abs(b - a) for a, b in pairwise(values)) / 2

    def kl(self):
        def integrand(x):
            start, target = self.densities(x)
            return target * mp.log(target / start)

        return mp.quad(integrand, [-9, -3, -1.5, -0.5, 0.5, 1.5, 3, 9], maxdegree=6)


@pytest.fixture(scope="module")
def independent():
    with mp.workdps(20):
        oracle = Oracle(GRID)
        return float(oracle.tv()), float(oracle.kl())


def test_tv_and_kl_agree_with_an_independent_computation(independent):
    for points in (1001, 6001):
        p = pushed(points=points)
        assert tv(p) == pytest.approx(independent[0], rel=1e-7)
        assert kl(p) == pytest.approx(independent[1], rel=1e-7)
    assert 0.01 < independent[0] < 1
    wrong = pushed(factor=0.5 + 1e-3)
    assert tv(wrong) != pytest.approx(independent[0], rel=1e-5)
    assert kl(wrong) != pytest.approx(independent[1], rel=1e-5)


@given(scale=st.floats(0.6, 1.2), shift=st.floats(-1, 2))
def test_gaussians_in_closed_form(scale, shift):
    p, mean, std = affine(scale, shift), 0.5, 0.7
    expected = math.log(scale / std) + (std**2 + (mean - shift) ** 2) / (2 * scale**2) - 0.5
    assert kl(p) == pytest.approx(expected, rel=1e-9, abs=1e-14)
    assert w2(p) == pytest.approx(math.hypot(scale - std, shift - mean), rel=1e-10, abs=1e-14)
    # densities cross where a quadratic vanishes
    a, b = 1 / std**2 - 1 / scale**2, -2 * (mean / std**2 - shift / scale**2)
    c = mean**2 / std**2 - shift**2 / scale**2 - 2 * math.log(scale / std)
    if abs(scale - std) > 1e-3:
        roots = sorted(float(r.real) for r in mp.polyroots([a, b, c]))
        cdf = [float(mp.ncdf((r - shift) / scale) - mp.ncdf((r - mean) / std)) for r in roots]
        expected = (abs(cdf[0]) + abs(cdf[1] - cdf[0]) + abs(cdf[1])) / 2
        assert tv(p) == pytest.approx(expected, rel=1e-8)


def test_small_errors_do_not_drown():
    """A shift wrong by 1e-8: TV = delta phi(0) / std, KL = delta^2 / (2 std^2), where the naive KL is lost."""
    delta, std = 1e-8, 0.7
    p = affine(std, 0.5 + delta)
    assert tv(p) == pytest.approx(delta / std / math.sqrt(2 * math.pi), rel=1e-6)
    assert kl(p) == pytest.approx(delta**2 / (2 * std**2), rel=1e-5)
    assert w2(p) == pytest.approx(delta, rel=1e-6)
    log_p = p.target[0].log_density(p.nodes * std + 0.5, STILL)
    naive = torch.trapezoid(log_p.exp() * (log_p - p.target[0].log_density(p.y, STILL)), p.y[:, 0])
    assert abs(float(naive) / kl(p) - 1) > 1e-3


def test_the_exact_flow_has_no_error():
    x = nodes((M1, GRID[0]), 2001)
    y, slope = exact_flow(M1, x, GRID[0], GRID[-1])
    p = Pushforward(x, (M1, GRID[0]), y, slope, (M1, GRID[-1]))
    assert tv(p) <= 1e-13
    assert 0 <= kl(p) <= 1e-25
    assert w2(p) <= 1e-14
    assert trajectory_1d(p) <= 1e-14
    off = Pushforward(x, p.start, y + 1e-6, slope, p.target)
    assert tv(off) > 1e-7
    assert trajectory_1d(off) == pytest.approx(1e-6, rel=1e-8)


def test_metrics_converge_like_theory_says():
    """Halving the steps halves TV and W2 and quarters KL; twice as many nodes change nothing."""

    def grid(steps):
        angles = [1.4 - 1.3 * k / steps for k in range(steps + 1)]
        return [Point(math.cos(a), math.sin(a)) for a in angles]

    coarse, fine = pushed(grid(200)), pushed(grid(400))
    assert tv(coarse) / tv(fine) == pytest.approx(2, abs=0.03)
    assert w2(coarse) / w2(fine) == pytest.approx(2, abs=0.03)
    assert kl(coarse) / kl(fine) == pytest.approx(4, abs=0.1)
    assert tv(fine) == pytest.approx(tv(pushed(grid(400), points=4001)), rel=1e-6)
    assert kl(fine) == pytest.approx(kl(pushed(grid(400), points=4001)), rel=1e-6)
    assert kl(fine) == pytest.approx(kl(fine.coarser()), rel=1e-2)


def test_two_ways_to_the_trajectory_error():
    p = pushed()
    assert trajectory_1d(p) == pytest.approx(w2(p), rel=1e-10)  # monotone coupling and exact flow are one map
    reference, _ = exact_flow(M1, p.nodes, GRID[0], GRID[-1])
    weights = M1.log_density(p.nodes, GRID[0]).exp() * float(p.nodes[1] - p.nodes[0])
    assert trajectory(p.y, reference, weights) == pytest.approx(trajectory_1d(p), rel=1e-10)
    sample = M1.sample(4000, GRID[0], torch.Generator().manual_seed(0))
    y = ddim_type(M1, sample, GRID)
    error = trajectory(y, exact_flow(M1, sample, GRID[0], GRID[-1])[0])
    assert error == pytest.approx(trajectory_1d(p), rel=0.1)
    plane = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=F64)
    assert trajectory(plane, torch.zeros_like(plane)) == pytest.approx(5 / math.sqrt(2))


def test_a_start_from_another_law():
    """From N(0, 1) instead of the process's own law the flow stays the process's, averaged over N(0, 1)."""
    target = GaussianMixture([1.0], [0.5], stds=[0.7])
    source, to = Point(0.25, math.sqrt(15) / 4), Point(1.0, 0.1)
    x = nodes((NORMAL, STILL), 2001)
    y, slope = exact_flow(target, x, source, to)
    p = Pushforward(x, (NORMAL, STILL), y, slope, (target, to), source)
    assert trajectory_1d(p) <= 1e-14
    stretch = math.sqrt((0.49 + 0.01) / (0.49 / 16 + 15 / 16))
    scale, shift = stretch, 0.5 - stretch * 0.125
    goal = math.sqrt(0.5)
    assert w2(p) == pytest.approx(math.hypot(scale - goal, shift - 0.5), rel=1e-9)
    assert kl(p) == pytest.approx(
        math.log(scale / goal) + (goal**2 + (0.5 - shift) ** 2) / (2 * scale**2) - 0.5, rel=1e-9
    )


def test_maps_that_fold_have_a_trajectory():
    x = nodes((NORMAL, STILL), 2001)
    target = (NORMAL, STILL)
    fold = Pushforward(x, target, x**3 - x, 3 * x**2 - 1, target)
    assert trajectory_1d(fold) == pytest.approx(math.sqrt(15 - 12 + 4), rel=1e-9)  # E (X^3 - 2X)^2


def test_a_fold_far_in_the_tails_is_invisible():
    x = nodes((NORMAL, STILL), 2001)
    y, slope = x.clone(), torch.ones_like(x)
    far = x[:, 0] > 8.5  # beyond it there is a mass of 1e-17
    y[far], slope[far] = 17.0 - x[far], -1.0
    p = Pushforward(x, (NORMAL, STILL), y, slope, (NORMAL, STILL))
    assert tv(p) <= 1e-14
    assert kl(p) <= 1e-14


def test_nodes_cover_the_law():
    x = nodes((M1, GRID[-1]), 801)
    assert x.shape == (801, 1)
    mass = torch.trapezoid(M1.log_density(x, GRID[-1]).exp(), x[:, 0])
    assert float(mass) == pytest.approx(1, abs=1e-14)


def test_bad_input():
    x = nodes((NORMAL, STILL), 11)
    with pytest.raises(InputError, match=r"run\.points"):
        nodes((NORMAL, STILL), 2)
    with pytest.raises(InputError, match="ascending"):
        Pushforward(x.flip(0), (NORMAL, STILL), x, x, (NORMAL, STILL))
    with pytest.raises(InputError, match="dydx"):
        Pushforward(x, (NORMAL, STILL), x, x[:5], (NORMAL, STILL))
    with pytest.raises(InputError, match="reference"):
        trajectory(x, x[:5])
