"""Special and limiting cases of a tableau: no noise, churn, alpha = 0, sigma = 0, the papers' own update formulas."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import mpmath as mp
import oracles
import pytest
import torch
from hypothesis import given
from shapes import by_shape
from strategies import rough_grids
from torch import Tensor

from samplerproof.numerics import coefficients
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.coefficients import MOST_GROWTH, MOST_GROWTH_IN_ALL, any_length, frame_columns, lost
from samplerproof.numerics.generated.frame_functions import FRAMES
from samplerproof.numerics.grids import Grid, from_times, grid, li_grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.table_readback import read_run
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)


@pytest.mark.parametrize(("name", "first"), [("sa-solver-3", "sa-solver-1"), ("sa-solver-p3c3", "sa-solver-p1c1")])
def test_a_start_up_takes_the_same_values(name: str, first: str) -> None:
    on = grid(VP, "uniform-t", 6, t_min=0.01, t_max=1.0)
    table, start, other = (tabulate(n, on) for n in (f"{name}?tau=1/2", f"{first}?tau=1/2", first))
    for part in ("states", "outputs", "noises"):
        assert [v for v in getattr(table, part)[0].tolist() if v] == [v for v in getattr(start, part)[0].tolist() if v]
        assert float(getattr(start, part)[0, 0]) != float(getattr(other, part)[0, 0])


STILL = {  # without noise, the same table as a method of the flow, bit for bit
    "sa-solver-1?tau=0": "ddim",
    "sa-solver-2?tau=0": "exp-adams-2",
    "sa-solver-3?tau=0": "exp-adams-3",
    "sa-solver-p1c1?tau=0": "unipc-1-vary",
    "sa-solver-p2c2?tau=0": "unipc-2-vary",
    "sa-solver-p3c3?tau=0": "unipc-3-vary",
    "sde-dpm-solver++-2m?tau=0": "dpm-solver++-2m",
    "sde-dpm-solver++-2s?tau=0": "dpm-solver++-2s",
    "sde-dpm-solver++-2s?r=1/3&tau=0": "dpm-solver++-2s?r=1/3",
}


@pytest.mark.parametrize(("name", "flow"), STILL.items())
@given(g=rough_grids())
def test_without_strength_a_table_is_that_of_the_flow(name: str, flow: str, g: Grid) -> None:
    table, same = tabulate(name, g), tabulate(flow, g)
    assert table.noises.shape == (len(table.states), 0)
    assert not any(table.drawn)
    for part in ("states", "outputs"):
        torch.testing.assert_close(getattr(table, part), getattr(same, part), rtol=1e-14, atol=0)


@pytest.mark.parametrize("start", ["ramp", "exact"])
def test_the_published_third_order_differs_without_strength_in_its_start_only(start: str) -> None:
    """k-diffusion's sampler with noise integrates the line exactly in its second step, that without takes 2M."""
    on = grid(VP, "uniform-t", 6, t_min=0.01, t_max=1.0)
    ours, theirs = (
        tabulate(n, on, start) for n in ("sde-dpm-solver++-3m-published?tau=0", "dpm-solver++-3m-published")
    )
    assert torch.equal(ours.outputs, theirs.outputs) == (start == "exact")


@pytest.mark.parametrize(
    ("name", "flow"),
    [("ddim-eta?eta=0", "ddim"), ("sde-dpm-solver-1?tau=0", "ddim"), ("edm-churn?churn=0", "edm-heun")],
)
@given(g=rough_grids(shortest=1e-3))
def test_without_strength_a_run_is_that_of_the_flow(name: str, flow: str, g: Grid) -> None:
    """In another frame, so as a map of the start and of one noise prediction: in x/alpha, over the largest rho."""
    target = GaussianMixture([0.4, 0.6], [-1.0, 1.0], stds=[0.5, 0.3])
    x = g.points[0].sigma * torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    ours, theirs = (sample(target, x, tabulate(n, g)) / g.points[-1].alpha for n in (name, flow))
    assert float((ours - theirs).abs().max()) <= 1e-11 * float(g.columns.rho[0] + 1)


@given(g=rough_grids(shortest=1e-3))
def test_churn_goes_back_by_its_share(g: Grid) -> None:
    """To (1 + gamma) rho, gamma = min(churn/N, sqrt 2 - 1), by noise of variance (gamma^2 + 2 gamma) rho^2."""
    for churn in ("1/2", "40"):
        gamma = min(float(Fraction(churn)) / g.steps, math.sqrt(2) - 1)
        tableau = tabulate(f"edm-churn?churn={churn}", g)
        for n, now in enumerate(g.points[:-1]):
            there, added = tableau.points[3 * n + 1], float(tableau.noises[3 * n, 0])
            rho = now.sigma / now.alpha
            assert there.sigma / there.alpha == pytest.approx((1 + gamma) * rho, rel=1e-11)
            assert added / there.alpha == pytest.approx(math.sqrt(gamma * (2 + gamma)) * rho, rel=1e-11)


@given(g=rough_grids())
def test_a_whole_run_of_ddim_telescopes(g: Grid) -> None:
    """x_N = (sigma_N/sigma_0) x_0 + sigma_N sum_n (e^{lambda_{n+1}} - e^{lambda_n}) D_n."""
    c = g.columns
    read = read_run(tabulate("ddim", g))
    rho = c.rho
    expected = c.sigma[-1] * (1 / rho[1:] - 1 / rho[:-1])
    assert float(read[0]) == pytest.approx(float(c.sigma[-1] / c.sigma[0]), rel=1e-13)
    absolute = float(c.sigma[-1] / rho[1:].min())
    assert float((read[1:] - expected).abs().max()) <= 1e-14 * absolute


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.frame in ("data", "noise", "noise-rho")])
def test_one_node_last_step_at_sigma_zero(name: str) -> None:
    """At sigma = 0 the last row is the one-node rule: x = alpha' x0hat, no inf, no nan."""
    edm = schedule("edm")
    g = from_times(edm, torch.tensor([10.0, 3.0, 1.0, 0.3, 0.1, 0.0], dtype=torch.float64))
    tableau = tabulate(name, g)
    for table in (tableau.states, tableau.outputs, tableau.noises):
        assert bool(torch.isfinite(table).all())
    state, output = float(tableau.states[-1].sum()), float(tableau.outputs[-1].sum())
    leading = METHODS[name].stochastic and not METHODS[name].rows[0].nodes  # noise before the last evaluation
    added = math.sqrt({"edm": 0.01, "li": 0.005}[METHODS[name].family]) if leading else 0.0
    start = {"edm-churn": 0.1 * math.sqrt(2)}.get(name, 0.1)
    expected = {"data": (0.0, 1.0), "noise": (1.0, -start)}[tableau.prediction]
    assert (state, output) == pytest.approx(expected, rel=1e-15)
    assert int((tableau.outputs[-1] != 0).sum()) == 1
    drawn = tableau.noises[-1].sum() if tableau.noises.shape[1] else 0.0
    assert float(drawn) == pytest.approx(added, rel=1e-14)


def edm_sampler(
    denoise: Callable[[Tensor, float], Tensor], t: list[float], churn: float, noises: list[Tensor]
) -> Tensor:
    """The stochastic sampler of EDM (Karras et al. 2022, algorithm 2), S_noise = 1, on levels t that end at 0."""
    steps, x = len(t) - 1, noises[0] * t[0]
    for i, (now, following) in enumerate(itertools.pairwise(t)):
        there = now + min(churn / steps, math.sqrt(2) - 1) * now
        x_hat = x + math.sqrt(there**2 - now**2) * noises[i + 1]
        slope = (x_hat - denoise(x_hat, there)) / there
        x = x_hat + (following - there) * slope
        if following > 0:
            x = x_hat + (following - there) * (slope + (x - denoise(x, following)) / following) / 2
    return x


@pytest.mark.parametrize("churn", [1, 40])
def test_churn_is_that_of_edm_down_to_zero(churn: int) -> None:
    """Assert the values of EDM's own loop, with the churn of the last step, and others with a noise off by 1e-6."""
    target = GaussianMixture([0.4, 0.6], [-1.0, 1.0], stds=[0.5, 0.3])
    levels = [10.0, 3.0, 1.0, 0.3, 0.1, 0.0]
    noises = list(torch.randn(6, 9, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    theirs = edm_sampler(lambda x, s: target(x, Point(1.0, s), "data"), levels, churn, noises)
    table = tabulate(f"edm-churn?churn={churn}", from_times(schedule("edm"), torch.tensor(levels, dtype=torch.float64)))
    drawn = iter(noises[1:])
    ours = sample(target, levels[0] * noises[0], table, noise=lambda *_: next(drawn))
    assert float((ours - theirs).abs().max()) <= 1e-12
    altered = table.noises.clone()
    altered[-1] *= 1 + 1e-6
    drawn = iter(noises[1:])
    off = sample(target, levels[0] * noises[0], replace(table, noises=altered), noise=lambda *_: next(drawn))
    assert float((off - theirs).abs().max()) > 1e-9


@pytest.mark.parametrize("name", by_shape(METHODS))
def test_start_at_alpha_zero(name: str) -> None:
    """Assert that the first step from alpha = 0 or 6e-17 is DDIM by the data prediction where the scale is lost."""
    for kind in ("flow", "cosine"):
        g = grid(schedule(kind), "uniform-t", 6, t_min=0.01, t_max=1.0)
        for start in ("ramp", "exact"):
            tableau = tabulate(name, g, start)
            for table in (tableau.states, tableau.outputs, tableau.noises):
                assert bool((table.abs() < 1e3).all())
        tableau, frame = tabulate(name, g), FRAMES[METHODS[name].frame]
        first = frame.name not in ("data", "velocity") or (frame.name == "data" and kind == "flow")
        assert lost(frame, g) == int(first)
        assert tableau.lost == (frozenset({0}) if first else frozenset())
        assert tableau.prediction_at(0) == ("data" if first else frame.prediction)
        if first:
            # x' = alpha' x0hat + sigma' epshat with epshat = x, or with a part of it and noise.
            noise = float(tableau.noises[0, 0]) if tableau.noises.shape[1] else 0.0
            assert (noise > 0) == any_length(METHODS[name])
            kept = math.hypot(float(tableau.states[0, 0]), noise / g.points[0].sigma)
            assert kept == pytest.approx(g.points[1].sigma / g.points[0].sigma, rel=1e-15)
            assert float(tableau.outputs[0, 0]) == pytest.approx(g.points[1].alpha, rel=1e-15)
            for table in (tableau.states, tableau.outputs):  # nothing later sees the first vector
                assert not bool(table.diagonal()[1:].any())


@pytest.mark.parametrize(("name", "kept"), [("consistency", 0.0), ("trajectory-consistency?gamma=3/5", 0.4)])
def test_a_step_of_any_length_starts_at_alpha_zero_with_its_own_noise(name: str, kept: float) -> None:
    """Assert x' = alpha' x0hat + sigma' (kept eps + fresh z) with kept^2 + fresh^2 = 1, where eps = x."""
    g = grid(schedule("flow"), "uniform-t", 6, t_min=0.01, t_max=1.0)
    table, to = tabulate(name, g), g.points[1]
    fresh = math.sqrt(1 - kept**2)
    row = (float(table.states[0, 0]) if kept else 0.0, float(table.outputs[0, 0]), float(table.noises[0, 0]))
    assert row == pytest.approx((kept * to.sigma, to.alpha, fresh * to.sigma), rel=1e-14)
    assert table.lost == frozenset({0})


@pytest.mark.parametrize("frame", FRAMES)
def test_a_scale_is_lost_where_half_of_the_digits_are(frame: str) -> None:
    """Assert that a first step is taken by its own frame up to a growth of 2^26 of the scale, on every schedule."""
    for kind, parameters in (("vp-linear", {"beta_min": 0.1, "beta_max": 20.0}), ("cosine", {}), ("flow", {})):
        made = schedule(kind, **parameters)
        for share, gone in ((0.9, False), (1.1, True)):
            last = made.time(torch.tensor([2.0], dtype=torch.float64))
            alpha = float(made.columns(last).alpha[0]) / (share * MOST_GROWTH)
            first = made.time(torch.tensor([math.log(alpha)], dtype=torch.float64))
            grows = frame not in ("data", "velocity")
            assert lost(FRAMES[frame], from_times(made, torch.cat([first, last]))) == int(gone and grows)


def test_history_does_not_reach_behind_an_infinite_step() -> None:
    g = grid(schedule("flow"), "uniform-t", 6, t_min=0.01, t_max=1.0)
    tableau = tabulate("exp-adams-3", g)
    used = (tableau.outputs != 0).sum(1).tolist()
    assert used == [1, 1, 2, 3, 3, 3]


def test_li_sampler_is_the_published_update_on_its_own_schedule() -> None:
    """Y- = sqrt(a+) (Y - b+/2 s);  Y' = (Y + b/2 s + b^2/(4 b+) (s - sqrt(a+) s(Y-))) / sqrt(a)."""
    g = li_grid(79, 1.0, 7.0)
    a_bar = g.columns.alpha**2
    tableau = tabulate("li-accelerated-ode", g)
    for n in range(1, g.steps):
        a_plus, a = a_bar[n - 1] / a_bar[n], a_bar[n] / a_bar[n + 1]
        a_plus, a = float(a_plus), float(a)
        row = 2 * n - 1
        back = tableau.states[row].tolist()[0], tableau.outputs[row].tolist()[0]
        assert back == pytest.approx((a_plus**0.5, -(a_plus**0.5) * (1 - a_plus) / 2), rel=1e-11)
        gain = (1 - a) ** 2 / (4 * (1 - a_plus))
        states, outputs = tableau.states[row + 1].tolist(), tableau.outputs[row + 1].tolist()
        assert states == pytest.approx([0, a**-0.5], rel=1e-11)
        expected = [-gain * (a_plus / a) ** 0.5, ((1 - a) / 2 + gain) / a**0.5]
        assert outputs == pytest.approx(expected, rel=1e-9)


CLIMB = grid(schedule("cosine"), "uniform-lambda", 20, t_min=1e-3, t_max=1.0)  # alpha grows by 8 a step from 6e-17


@pytest.mark.parametrize("frame", FRAMES)
def test_a_scale_is_lost_where_it_grows_in_many_steps(frame: str) -> None:
    """Assert that the growth of all steps counts: five points of a climb from cos(pi/2) without a steep step."""
    scale = frame_columns(FRAMES[frame], CLIMB.columns)[0]
    assert float((scale[1:] / scale[:-1]).max()) < 10
    small = int((scale < float(scale[-1]) / MOST_GROWTH_IN_ALL).sum())
    assert small == (0 if frame in ("data", "velocity") else 5)
    assert lost(FRAMES[frame], CLIMB) == small


def test_a_scale_that_grows_in_short_steps_is_not_lost() -> None:
    """Assert that runs keep their digits on Li et al.'s schedule, where alpha grows by 2^28 in short steps."""
    g = li_grid(399, 1.0, 7.0)
    assert float(g.columns.alpha[-1] / g.columns.alpha[0]) > 2 * MOST_GROWTH
    assert all(lost(frame, g) == 0 for frame in FRAMES.values())
    for name in ("li-ddim", "li-accelerated-ode", "exp-adams-noise-4", "plms"):
        assert rounding_of_a_run(name, g) < 1e-13


@pytest.mark.parametrize("name", ["ipndm-4", "pndm", "plms"])
def test_a_climb_from_a_tiny_scale_leaves_the_digits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that a run in float64 is the run of its table in 50 digits, and that without the rule it is not."""
    assert rounding_of_a_run(name, CLIMB) < 1e-3
    monkeypatch.setattr(coefficients, "MOST_GROWTH_IN_ALL", math.inf)
    assert rounding_of_a_run(name, CLIMB) > 0.1


def rounding_of_a_run(name: str, g: Grid) -> float:
    """By how much a run in float64 differs from one of the same table in 50 digits."""
    target = oracles.law([0.35, 0.65], [[-1.2], [0.9]], [[[0.25]], [[0.1225]]])
    mixture = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    table = tabulate(name, g)
    ours = sample(mixture, torch.tensor([[0.7]], dtype=torch.float64), table)
    return abs(float(ours) - float(at_50_digits(table, target, 0.7)))


def at_50_digits(table: Tableau, target: oracles.Law, x: float) -> mp.mpf:
    """The end of a deterministic run of a table on a mixture, without rounding."""
    mpf = oracles.mpf
    vectors, made = [mpf(x)], []
    for states, outputs in zip(table.states.tolist(), table.outputs.tolist(), strict=True):
        i = len(vectors) - 1
        p = table.points[i]
        score = oracles.score(target, p.alpha, p.sigma, [vectors[i]])[0]
        noise = -mpf(p.sigma) * score
        data = (vectors[i] - mpf(p.sigma) * noise) / mpf(p.alpha)
        made.append({"noise": noise, "data": data, "score": score}[table.prediction_at(i)])
        kept = sum(mpf(c) * vectors[i - k] for k, c in enumerate(states) if c != 0)
        vectors.append(kept + sum(mpf(w) * made[i - j] for j, w in enumerate(outputs) if w != 0))
    return vectors[-1]
