"""The Tableau against the theory at 40 digits, and as the loop applies it, bit for bit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache

import mpmath as mp
import numpy as np
import oracles
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from strategies import rough_grids
from torch import Tensor

from samplerproof.numerics import coefficients
from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.coefficients import MOST_GROWTH, frame_columns, lost
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.generated.frame_functions import FRAMES
from samplerproof.numerics.grids import Grid, from_times, grid, li_grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.readback import read_rows, read_run
from samplerproof.numerics.records import Record
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture
from samplerproof.theory.method import Method, named
from samplerproof.theory.methods import find
from samplerproof.theory.notation import MIDDLE, alpha, sigma, t
from samplerproof.theory.phi_functions import phi
from samplerproof.theory.rows import NOW, Row
from samplerproof.theory.schedule_formulas import SCHEDULES

EPS = 2.0**-52
VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)


def phi_oracle(k: int, z: mp.mpf) -> mp.mpf:
    if z == 0:
        return 1 / mp.factorial(k)
    with mp.extradps(60):
        value = mp.e**z
        for j in range(int(k)):
            value = (value - 1 / mp.factorial(j)) / z
        return +value


def arc_oracle(z: mp.mpf) -> mp.mpf:
    with mp.extradps(60):
        return +((z - mp.atan(z)) / z**3)


@cache
def terms_of(expression: sp.Expr) -> list[tuple[list[str], Callable[..., mp.mpf]]]:
    """The terms of a sum as functions of the symbols named."""
    found = []
    for term in sp.Add.make_args(sp.expand(expression)):
        symbols = sorted(term.free_symbols, key=str)
        found.append(
            ([s.name for s in symbols], sp.lambdify(symbols, term, [{"phi": phi_oracle, "arc": arc_oracle}, "mpmath"]))
        )
    return found


def at_40_digits(expression: sp.Expr, names: dict[str, mp.mpf]) -> tuple[mp.mpf, mp.mpf]:
    """The value of a weight, and the sum of the absolute values of its terms."""
    terms = [mp.mpf(function(*(names[s] for s in symbols))) for symbols, function in terms_of(sp.sympify(expression))]
    return mp.fsum(terms), mp.fsum(map(abs, terms))


Terms = dict[int, tuple[mp.mpf, mp.mpf]]


def oracle_rows(method: Method, g: Grid, tableau: Tableau) -> list[tuple[Terms, Terms, Terms]]:
    """Of every row: (coefficient, sum of absolute terms) of every state, of every output, and of every noise, by lag.

    The lag of a state or an output is 0 where it is that of the vector made last, that of a noise where it is drawn
    for the row's own vector: which node has which lag is said here once more, by counting the vectors that were made.
    Exact inputs: the stored clock, and alpha, sigma of the point where each vector lives.
    """
    frame = method.frame
    clock = [mp.mpf(v) for v in getattr(g.columns, frame.column).tolist()]
    points = iter(tableau.points[1:])

    def at(expression: sp.Expr, point: Point) -> mp.mpf:
        values = (mp.mpf(point.alpha), mp.mpf(point.sigma))
        return mp.mpf(sp.lambdify([alpha, sigma], expression, "mpmath")(*values))

    result = []
    state_at, output_at = {0: 0}, {0: 0}  # grid point -> number of the vector that is there, or was asked about there
    for n in range(g.steps):
        current: Method | None = method
        while current is not None and current.history > n:
            current = current.start if current.start is not None and current.start.frame is frame else None
        shown = sp.sympify if current is None else current.shown
        one = Row((NOW,), published=(frame.moment(0),))
        rows, weights = ((one,), (one.published,)) if current is None else (current.rows, current.applied)
        if n == g.steps - 1 and not rows[-1].evaluated:  # no correction in the last step
            rows, weights = rows[:-1], weights[:-1]
        h = clock[n + 1] - clock[n]
        names = {"h": h, "a1": (mp.mpf(g.points[n - 1].alpha) / mp.mpf(g.points[n].alpha)) ** 2}
        names |= {f"r{k}": (clock[n + 1 - k] - clock[n - k]) / h for k in range(1, n + 1)}
        names["two_step_alpha_ratio"] = mp.mpf(g.points[n - 1].alpha) / mp.mpf(g.points[n + 1].alpha)
        names |= {"rho": mp.mpf(float(g.columns.rho[n])), "next_rho": mp.mpf(float(g.columns.rho[n + 1]))}
        names["alpha_ratio"] = mp.mpf(g.points[n].alpha) / mp.mpf(g.points[n + 1].alpha)
        names |= {k: mp.mpf(v.numerator) / v.denominator for k, v in resolve(tableau.method).numbers.items()}
        if "churn" in names:
            names["noised_place"] = -mp.log(1 + min(names["churn"] / g.steps, mp.sqrt(2) - 1)) / h
        if frame.rate is not None:
            names |= quadratures(g, n, names)
        made: list[Point] = []
        before = len(result) + 1  # vectors there are when the step begins
        for i, (row, row_weights) in enumerate(zip(rows, weights, strict=True)):
            made.append(next(points))
            own = before + i
            if row.to == MIDDLE:
                assert g.schedule is not None  # the clock there as it is stored
                rho = g.schedule.columns(torch.tensor([made[-1].t], dtype=torch.float64)).rho
                names["middle"] = (mp.mpf(float(rho)) - clock[n]) / h
            outputs = {}
            for node, w in zip(row.nodes, row_weights or (), strict=True):
                lives = made[node.stage - 1] if node.stage else g.points[n - node.back]
                scale = at(frame.output_scale, made[-1]) * at(frame.factor, lives)
                value, absolute = at_40_digits(shown(named(w)), names)
                source = before + node.stage - 1 if node.stage else output_at[n - node.back]
                outputs[own - 1 - source] = (scale * value, abs(scale) * absolute)
            states = {}
            for back, c in enumerate(row.states if current is None else current.carried(i)):
                value, absolute = at_40_digits(shown(c), names)
                scale = at(frame.scale, made[-1]) / at(frame.scale, g.points[n - back])
                states[own - 1 - state_at[n - back]] = (scale * value, abs(scale) * absolute)
            noises = {}
            for drawn, amplitude in enumerate(() if current is None else current.amplitudes(i)):
                value, absolute = at_40_digits(shown(amplitude.value), names)
                noises[i - drawn] = (at(sigma, made[-1]) * value, at(sigma, made[-1]) * absolute)
            result.append((states, outputs, noises))
        state_at[n + 1] = len(result)
        output_at[n + 1] = len(result) if rows[-1].evaluated else len(result) - 1
    return result


def quadratures(g: Grid, n: int, names: dict[str, mp.mpf]) -> dict[str, mp.mpf]:
    """The moments of drho over step n, at 40 digits but for the nodes: Gauss's rule on panels as wide in sqrt(t)."""
    assert g.schedule is not None
    record = next(s for s in SCHEDULES if s.name == g.schedule.kind)
    given = {p: mp.mpf(g.schedule.parameters[p.name]) for p in record.parameters}
    weight = record.dsigma / record.alpha - record.sigma * record.dalpha / record.alpha**2
    rate = sp.lambdify([t, *given], weight.rewrite(sp.exp), "mpmath")
    start, h = mp.mpf(float(g.columns.t[n])), names["h"]
    roots = mp.linspace(mp.sqrt(start), mp.sqrt(start + h), 9)
    found = dict.fromkeys(["rate_moment", "m0", "m1", "m2", "m3"], mp.mpf(0))
    for a, b in itertools.pairwise((root**2 - start) / h for root in roots):
        for x, w in zip(*map(np.ndarray.tolist, np.polynomial.legendre.leggauss(24)), strict=True):
            s = a + (b - a) * (x + 1) / 2
            measure = mp.re(rate(start + s * h, *given.values())) * h * (b - a) * w / 2
            for k in range(4):
                found[f"m{k}"] += measure * s**k
            found["rate_moment"] += measure * mp.exp(names.get("b", 0) * h * (s - 1))
    return found


def worst(tableau: Tableau, method: Method, g: Grid) -> float:
    """Largest error of a coefficient at its lag, in units of eps times the sum of absolute terms."""
    with mp.workdps(40):
        return worst_against(oracle_rows(method, g, tableau), tableau)


def worst_against(oracle: list[tuple[Terms, Terms, Terms]], tableau: Tableau) -> float:
    """Likewise, against the coefficients of such a tableau that are known."""
    largest = 0.0
    with mp.workdps(40):
        for i, sides in enumerate(oracle):
            for numbers, terms in zip((tableau.states[i], tableau.outputs[i], tableau.noises[i]), sides, strict=True):
                got = dict(enumerate(numbers.tolist()))
                for lag in {*got, *terms}:
                    true, scale = terms.get(lag, (mp.mpf(0), mp.mpf(0)))
                    error = abs(got.get(lag, 0.0) - true)
                    largest = max(largest, float(error / scale / EPS if scale else mp.inf) if error else 0.0)
    return largest


SMOOTH = [name for name, m in METHODS.items() if FRAMES[m.frame].smooth]


# Other values than the defaults; a start-up takes them too.
CHOSEN = [
    *("ddim-eta?eta=1/3", "sa-solver-1?tau=1/2", "sa-solver-3?tau=1/2", "sa-solver-p2c2?tau=1/2"),
    *("sde-dpm-solver-2m?tau=3/2", "sde-dpm-solver++-3m-published?tau=1/4", "sde-dpm-solver++-2s?r=1/3&tau=1/2"),
    *("dpmpp-sde?r=1/3", "seeds-2?c2=2/3", "edm-churn?churn=10", "edm-churn?churn=1/10"),
]


@pytest.mark.parametrize("name", [*(name for name in METHODS if name not in SMOOTH), *CHOSEN])
@settings(max_examples=10, deadline=None)
@given(g=rough_grids())
def test_coefficients_against_40_digits(name: str, g: Grid) -> None:
    """8 eps times the sum of absolute terms, on rough grids with steps down to 1e-7."""
    assert worst(tabulate(name, g), find(name), g) <= 8


@pytest.mark.parametrize("name", SMOOTH)
@settings(max_examples=3, deadline=None)
@given(g=rough_grids(most=5))
def test_weights_by_quadrature_against_40_digits(name: str, g: Grid) -> None:
    """1e-13 of the sum of absolute terms."""
    assert worst(tabulate(name, g), find(name), g) * EPS <= 1e-13


@pytest.mark.parametrize("name", METHODS)
def test_a_coefficient_off_by_a_millionth_fails_the_same_check(name: str) -> None:
    g = grid(VP, "uniform-t", 6, t_min=0.01, t_max=1.0)
    tableau = tabulate(name, g)
    for table in ("states", "outputs", *(["noises"] if METHODS[name].stochastic else [])):
        altered = getattr(tableau, table).clone()
        last = max(i for i, row in enumerate(altered) if row.any())
        altered[last] *= 1 + 1e-6
        assert worst(replace(tableau, **{table: altered}), find(name), g) > 1e8


@pytest.mark.parametrize("start", ["ramp", "exact"])
@pytest.mark.parametrize("name", [*METHODS, *CHOSEN])
@settings(max_examples=10, deadline=None)
@given(g=rough_grids())
def test_a_table_that_is_run_returns_itself_bit_for_bit(name: str, start: str, g: Grid) -> None:
    tableau = tabulate(name, g, start)
    states, outputs, noises = read_rows(tableau)
    assert torch.equal(states, tableau.states)
    assert torch.equal(outputs, tableau.outputs)
    assert torch.equal(noises, tableau.noises)


def test_read_back_sees_a_change_of_one_ulp() -> None:
    tableau = tabulate("exp-adams-3", grid(VP, "uniform-t", 6, t_min=0.01, t_max=1.0))
    altered = tableau.outputs.clone()
    altered[4, 1] = torch.nextafter(altered[4, 1], torch.tensor(1.0, dtype=torch.float64))
    read = read_rows(replace(tableau, outputs=altered))[1]
    assert not torch.equal(read, tableau.outputs)
    assert torch.equal(read, altered)


def test_read_back_sees_a_noise_off_by_one_ulp() -> None:
    tableau = tabulate("seeds-3", grid(VP, "uniform-t", 6, t_min=0.01, t_max=1.0))
    for where in tableau.noises.nonzero().tolist():
        altered = tableau.noises.clone()
        altered[tuple(where)] = torch.nextafter(altered[tuple(where)], torch.tensor(9.0, dtype=torch.float64))
        read = read_rows(replace(tableau, noises=altered))[2]
        assert torch.equal(read, altered)
        assert not torch.equal(read, tableau.noises)


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
@settings(max_examples=5, deadline=None)
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
@settings(max_examples=5, deadline=None)
@given(g=rough_grids(shortest=1e-3))
def test_without_strength_a_run_is_that_of_the_flow(name: str, flow: str, g: Grid) -> None:
    """In another frame, so as a map of the start and of one noise prediction: in x/alpha, over the largest rho."""
    target = GaussianMixture([0.4, 0.6], [-1.0, 1.0], stds=[0.5, 0.3])
    x = g.points[0].sigma * torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    ours, theirs = (sample(target, x, tabulate(n, g)) / g.points[-1].alpha for n in (name, flow))
    assert float((ours - theirs).abs().max()) <= 1e-11 * float(g.columns.rho[0] + 1)


@settings(max_examples=10, deadline=None)
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


@settings(max_examples=20, deadline=None)
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


@pytest.mark.parametrize("name", METHODS)
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
            # x' = alpha' x0hat + sigma' epshat with epshat = x.
            assert float(tableau.states[0, 0]) == pytest.approx(g.points[1].sigma / g.points[0].sigma, rel=1e-15)
            assert float(tableau.outputs[0, 0]) == pytest.approx(g.points[1].alpha, rel=1e-15)
            for table in (tableau.states, tableau.outputs):  # nothing later sees the first vector
                assert not bool(table.diagonal()[1:].any())


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


CLIMB = grid(schedule("cosine"), "uniform-lambda", 20, t_min=1e-3, t_max=1.0)  # alpha grows by 8 a step from 6e-17


@pytest.mark.parametrize("frame", FRAMES)
def test_a_scale_is_lost_where_it_grows_in_many_steps(frame: str) -> None:
    """Assert that the growth of all steps counts: ten points of a climb from cos(pi/2) without a steep step."""
    scale = frame_columns(FRAMES[frame], CLIMB.columns)[0]
    assert float((scale[1:] / scale[:-1]).max()) < 10
    small = int((scale < float(scale[-1]) / MOST_GROWTH).sum())
    assert small == (0 if frame in ("data", "velocity") else 10)
    assert lost(FRAMES[frame], CLIMB) == small


def test_a_scale_that_grows_in_short_steps_is_not_lost() -> None:
    """Assert that runs keep their digits on Li et al.'s schedule, where alpha grows by 2^28 in short steps."""
    g = li_grid(399, 1.0, 7.0)
    assert float(g.columns.alpha[-1] / g.columns.alpha[0]) > 2 * MOST_GROWTH
    assert all(lost(frame, g) == 0 for frame in FRAMES.values())
    for name in ("li-ddim", "li-accelerated-ode", "exp-adams-noise-4", "plms"):
        assert rounding_of_a_run(name, g) < 1e-13


@pytest.mark.parametrize("name", ["exp-adams-noise-4", "ipndm-4", "plms"])
def test_a_climb_from_a_tiny_scale_leaves_the_digits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that a run in float64 is the run of its table in 50 digits, and that without the rule it is not."""
    assert rounding_of_a_run(name, CLIMB) < 1e-8
    monkeypatch.setattr(coefficients, "MOST_GROWTH", math.inf)
    assert rounding_of_a_run(name, CLIMB) > 1e-6


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


def place(record: Record, row: int) -> Fraction | int:
    """The fraction of the step at which a row ends."""
    to = record.rows[row].to
    return record.numbers[to] if isinstance(to, str) else to


INSIDE = [n for n, m in METHODS.items() if any(r.to not in (1, -1, "middle", "noised_place") for r in m.rows)]


@pytest.mark.parametrize("name", [*INSIDE, "dpm-solver-2s?r=1/3", "dpm-solver++-3s?r1=0.9", "seeds-2?c2=0.9"])
@settings(max_examples=10, deadline=None)
@given(g=rough_grids(shortest=1e-3))
def test_stages_live_at_their_fraction_of_the_step(name: str, g: Grid) -> None:
    record = resolve(name)
    clock = getattr(g.columns, FRAMES[record.frame].clock).tolist()
    value = {"lam": lambda p: math.log(p.alpha / p.sigma), "rho": lambda p: p.sigma / p.alpha, "t": lambda p: p.t}
    read = value[FRAMES[record.frame].clock]
    for i, point in enumerate(tabulate(name, g).points[1:]):
        n, row = divmod(i, len(record.rows))
        u = clock[n] + float(place(record, row)) * (clock[n + 1] - clock[n])
        assert read(point) == pytest.approx(u, rel=1e-11, abs=1e-11)


def test_stages_between_the_levels_of_a_discrete_process_are_refused() -> None:
    with pytest.raises(InputError, match="no points between its levels"):
        tabulate("dpm-solver++-2s", li_grid(79, 1.0, 7.0))


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


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda g: tabulate("dpm-solver++-2n", g), "dpm-solver++-2m"),
        (lambda g: tabulate("exp-adams-4", g), "history of 3 steps"),
        (lambda g: tabulate("ddim", g, "ideal"), 'one of "ramp", "exact"'),
        (lambda g: tabulate("ddim?eta=1", g), "takes no parameters"),
    ],
)
def test_bad_input_is_one_line(call: object, says: str) -> None:
    g = grid(VP, "uniform-t", 3, t_min=0.01, t_max=1.0)
    with pytest.raises(InputError) as refused:
        call(g)  # type: ignore[operator]
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_alias_is_the_same_table() -> None:
    g = grid(VP, "karras", 8, sigma_min=0.01, sigma_max=80.0, rho=7.0)
    for record in METHODS.values():
        for alias in record.aliases:
            for part in ("states", "outputs", "noises"):
                assert torch.equal(getattr(tabulate(alias, g), part), getattr(tabulate(record.name, g), part))


def test_phi_atoms_of_the_theory_are_the_ones_the_oracle_evaluates() -> None:
    with mp.workdps(40):
        assert abs(at_40_digits(phi(2, -sp.Symbol("h")), {"h": mp.mpf(1)})[0] - mp.e**-1) < mp.mpf(10) ** -38
