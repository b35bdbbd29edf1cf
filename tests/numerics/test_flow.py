"""The exact one-dimensional flow against bisection in 50 digits, tails included."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import mp, mpf

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.points import Point
from samplerproof.numerics.targets import flow
from samplerproof.numerics.targets.flow import exact_flow, log_tails, quantile
from samplerproof.numerics.targets.mixture import GaussianMixture

EPS = 2.0**-52
F64 = torch.float64
M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])


def exact_law(mixture):
    variances = [mp.matrix([[mpf(v) ** 2]]) for v in mixture.variances.sqrt()[:, 0].tolist()]
    return oracles.law(mixture.weights.tolist(), mixture.means.tolist(), variances)


def random_mixture(seed, components, centre, spread):
    g = torch.Generator().manual_seed(seed)
    weights = torch.rand(components, generator=g, dtype=F64) + 0.05
    means = centre + spread * torch.randn(components, generator=g, dtype=F64)
    # squares that are exact, so that the oracle and the mixture have the same variance
    stds = torch.round(64 * (0.1 + torch.rand(components, generator=g, dtype=F64))) / 64
    return GaussianMixture(weights / weights.sum(), means, stds=stds)


def unit(sigma):
    return Point(1 / math.hypot(1, sigma), sigma / math.hypot(1, sigma))


def width(mixture, at):
    return float((at.alpha**2 * mixture.variances + at.sigma**2).sqrt().max())


def test_a_tear_between_narrow_components_has_a_finite_slope():
    """Assert that nothing overflows where the density at the end is far below the smallest number, by any amount."""
    at, end = Point(1.0, 80.0), Point(1.0, 2e-3)
    x = torch.linspace(-40, 40, 9, dtype=F64)[:, None]  # the fifth ends midway between the components
    for apart in (0.2, 1.0, 5.0):
        narrow = GaussianMixture([0.5, 0.5], [-apart, apart], stds=[1e-3, 1e-3])
        with np.errstate(over="raise"):
            y, slope = exact_flow(narrow, x, at, end)
        assert float(y[4]) == 0
        assert float(slope[4]) == pytest.approx(1e300)
        away = [k for k in range(9) if k != 4]
        assert torch.allclose(y[away].abs(), torch.full((8, 1), apart, dtype=F64), rtol=0.1)
        assert bool((slope[away] < 1).all())
        assert bool((slope[away] > 0).all())


points = st.builds(
    lambda log_sigma, scaled: unit(10**log_sigma) if scaled else Point(1.0, 10**log_sigma),
    st.floats(-3, 2),
    st.booleans(),
)
mixtures = st.builds(
    random_mixture,
    st.integers(0, 10**6),
    st.integers(1, 5),
    st.sampled_from([0.0, 100.0]),
    st.sampled_from([0.5, 1.0, 5.0]),
)


def flow_errors(answer, mixture, x, source, to):
    """(|y - exact| in units of what is allowed, relative error of the slope) of an answer (y, dy/dx)."""
    law, worst, steepest = exact_law(mixture), 0.0, 0.0
    for here, y, slope in zip(x[:, 0].tolist(), answer[0][:, 0].tolist(), answer[1][:, 0].tolist(), strict=True):
        tails = oracles.tails(law, source.alpha, source.sigma, here)
        exact = oracles.quantile(law, to.alpha, to.sigma, *tails)
        ratio = oracles.density(law, source.alpha, source.sigma, [here]) / oracles.density(
            law, to.alpha, to.sigma, [exact]
        )
        # 1e-14 relative; and x itself is only given to an ulp, which the flow magnifies by its slope
        allowed = 1e-14 * abs(float(exact)) + 4 * EPS * (width(mixture, to) + abs(here) * float(ratio))
        worst = max(worst, abs(float(mpf(y) - exact)) / allowed)
        steepest = max(steepest, abs(float(mpf(slope) / ratio) - 1))
    return worst, steepest


@given(mixture=mixtures, source=points, to=points, nodes=st.sampled_from([5, 17, 65]), seed=st.integers(0, 10**6))
def test_flow_in_the_bulk(mixture, source, to, nodes, seed):
    """Of few points, and of many, which start from an interpolant, here of few nodes."""
    x = mixture.sample(66, source, torch.Generator().manual_seed(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "NODES", nodes)
        patch.setattr(flow, "MANY", 66)
        many = [part[:2] for part in exact_flow(mixture, x, source, to)]
    for answer in (many, exact_flow(mixture, x[:2], source, to)):
        assert flow_errors(answer, mixture, x[:2], source, to)[0] <= 1


def test_many_points_end_where_few_do(monkeypatch):
    """To an ulp of y and of x, from an interpolant, with which few are left to be inverted: tears and far tails."""
    inverted, invert = [], flow._invert
    monkeypatch.setattr(
        flow, "_invert", lambda line, lower, upper: inverted.append(len(lower)) or invert(line, lower, upper)
    )
    torn = GaussianMixture([0.3, 0.7], [-1.0, 1.0], stds=[0.01, 0.02])
    for mixture, source, to in (
        (M1, Point(0.1, 1.0), Point(1.0, 0.01)),
        (torn, Point(1.0, 80.0), Point(1.0, 0.002)),
    ):
        x = mixture.sample(3000, source, torch.Generator().manual_seed(0))
        x = torch.cat([x, x[:2] + 30 * width(mixture, source)])
        inverted.clear()
        many = exact_flow(mixture, x, source, to)
        assert flow.NODES < sum(inverted) < len(x) / 5  # those of the nodes too
        few = [
            torch.cat(of)
            for of in zip(*(exact_flow(mixture, x[k : k + 500], source, to) for k in range(0, 3002, 500)), strict=True)
        ]
        allowed = 8 * EPS * (few[0].abs() + few[1] * x.abs())
        assert bool(((many[0] - few[0]).abs() <= allowed).all())


@given(mixture=mixtures, source=points, to=points, depth=st.floats(5, 36.5), side=st.sampled_from([-1, 1]))
def test_flow_in_the_tails(mixture, source, to, depth, side):
    """Out to 36.5 standard deviations of the outermost component, a tail mass of 1e-291."""
    own = (source.alpha**2 * mixture.variances + source.sigma**2).sqrt()
    ends = (source.alpha * mixture.means + side * depth * own)[:, 0]
    x = ends[ends.mul(side).argmax()].reshape(1, 1)
    worst, steepest = flow_errors(exact_flow(mixture, x, source, to), mixture, x, source, to)
    assert worst <= 1
    assert steepest <= 1e-11


def test_flow_at_a_tail_mass_of_1e_300():
    at, to = Point(0.6, 0.8), Point(1.0, 1e-2)
    level = torch.tensor([[math.log(1e-300)]], dtype=F64)
    for below, above in ((level, torch.zeros_like(level)), (torch.zeros_like(level), level)):
        x = quantile(M1, below, above, at)
        assert torch.minimum(*log_tails(M1, x, at)).item() == pytest.approx(level.item(), rel=1e-14)
        worst, steepest = flow_errors(exact_flow(M1, x, at, to), M1, x, at, to)
        assert worst <= 1
        assert steepest <= 1e-12


def test_the_check_has_an_edge():
    """A flow of a mixture with a weight wrong by 1e-12 fails the check that the right one passes."""
    source, to = Point(0.6, 0.8), Point(1.0, 0.1)
    x = torch.tensor([[-0.7], [0.1], [0.8]], dtype=F64)
    wrong = GaussianMixture([0.35 + 1e-12, 0.65 - 1e-12], [-1.2, 0.9], stds=[0.5, 0.35])
    mixed = torch.cat(exact_flow(M1, x, source, source)), quantile(wrong, *log_tails(M1, x, source), to)
    assert flow_errors(exact_flow(M1, x, source, to), M1, x, source, to)[0] <= 1
    assert flow_errors((mixed[1], x * 0 + 1), M1, x, source, to)[0] > 10


def test_a_plateau_between_modes_does_not_spoil_the_flow():
    """Between modes F is a plateau plus little: formed as one number it would leave 1e-13 here."""
    mixture = GaussianMixture([0.3, 0.7], [-1.0, 1.0], stds=[0.125, 0.125])
    source, to = Point(1.0, 0.0625), Point(1.0, 0.015625)
    x = torch.linspace(-0.3, 0.3, 7, dtype=F64)[:, None]
    worst, steepest = flow_errors(exact_flow(mixture, x, source, to), mixture, x, source, to)
    assert worst <= 1
    assert steepest <= 1e-12
    by_level = quantile(mixture, *log_tails(mixture, x, source), to)
    assert flow_errors((by_level, torch.ones_like(x)), mixture, x, source, to)[0] > 10


@given(mixture=mixtures, at=points, seed=st.integers(0, 10**6))
def test_tails_and_quantiles_are_inverse(mixture, at, seed):
    x = mixture.sample(20, at, torch.Generator().manual_seed(seed))
    lower, upper = log_tails(mixture, x, at)
    law = exact_law(mixture)
    for here, below, above in zip(x[:3, 0].tolist(), lower[:3, 0].tolist(), upper[:3, 0].tolist(), strict=True):
        exact_below, exact_above = oracles.tails(law, at.alpha, at.sigma, here)
        assert below == pytest.approx(float(mp.log(exact_below)), rel=1e-13, abs=1e-15)
        assert above == pytest.approx(float(mp.log(exact_above)), rel=1e-13, abs=1e-15)
    back = quantile(mixture, lower, upper, at)
    density = mixture.log_density(x, at).exp()[:, None]
    assert bool(((back - x).abs() <= 8 * EPS * (x.abs() + 1 / density)).all())


def test_rounding_cannot_lock_the_iteration(monkeypatch):
    """Awkward laws (atoms, far and heavy modes): every point ends well before the limit of rounds."""
    monkeypatch.setattr(flow, "ROUNDS", 90)
    at, to = Point(1.0, 50.0), Point(1.0, 1e-3)
    for stds in ([0.0, 1.0, 5.0], [1e-3, 1e-3, 1e-3], [3.0, 1e-2, 1e-1]):
        mixture = GaussianMixture([1e-6, 0.5, 0.5 - 1e-6], [-100.0, 0.0, 3.0], stds=stds)
        x = torch.linspace(-300, 300, 5001, dtype=F64)[:, None]
        y, _ = exact_flow(mixture, x, at, to)
        assert bool((y.diff(dim=0) >= 0).all())
        lower, upper = log_tails(mixture, x, at)
        reached = torch.where(lower < upper, *log_tails(mixture, y, to))
        error = (reached - torch.minimum(lower, upper)).abs() / torch.minimum(lower, upper).abs()
        slope = (mixture.log_density(y, to)[:, None] - reached).exp() * y.abs()
        assert bool((error <= 1e-14 * (1 + slope)).all())


def test_flow_composes_and_keeps_shape():
    a, b, c = Point(0.1, 1.0), Point(0.7, 0.7), Point(1.0, 0.01)
    x = M1.sample(50, a, torch.Generator().manual_seed(0))
    y, first = exact_flow(M1, x, a, b)
    z, second = exact_flow(M1, y, b, c)
    direct, slope = exact_flow(M1, x, a, c)
    assert torch.allclose(z, direct, rtol=1e-12, atol=1e-12)
    assert torch.allclose(first * second, slope, rtol=1e-10)
    assert direct.shape == x.shape
    assert exact_flow(M1, x[:0], a, c)[0].shape == (0, 1)


def test_bad_questions_are_refused():
    a, b = Point(0.1, 1.0), Point(1.0, 0.01)
    plane = GaussianMixture([1.0], [[0.0, 0.0]], stds=[1.0])
    with pytest.raises(InputError, match="one dimension"):
        exact_flow(plane, torch.zeros(3, 2, dtype=F64), a, b)
    with pytest.raises(InputError, match="finite"):
        exact_flow(M1, torch.tensor([[math.nan]], dtype=F64), a, b)
    with pytest.raises(InputError, match="shape"):
        exact_flow(M1, torch.zeros(3, dtype=F64), a, b)
    with pytest.raises(InputError, match="positive"):
        exact_flow(GaussianMixture([1.0], [0.0], stds=[0.0]), torch.zeros(3, 1, dtype=F64), a, Point(1.0, 0.0))
