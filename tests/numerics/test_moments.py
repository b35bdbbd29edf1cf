"""Moments of drho over a step: against closed forms and mpmath, and what cannot be had is refused."""

from __future__ import annotations

import mpmath as mp
import pytest
import torch
from hypothesis import given
from strategies import rough_grids

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import Grid, from_times, grid, li_grid
from samplerproof.numerics.moments import moments
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
WANTED = {"m0", "m1", "m2", "m3", "rate_moment"}
ALL = torch.arange(4)


@given(g=rough_grids(schedules=(schedule("edm"),)))
def test_in_edms_schedule_rho_is_t(g: Grid) -> None:
    """m_k = h/(k + 1), and rate_moment(b) = (1 - e^{-b h})/b."""
    steps, b = torch.arange(g.steps), torch.tensor(0.7, dtype=torch.float64)
    h = g.columns.t.diff()
    found = moments(g, steps, b, WANTED)
    for k in range(4):
        assert torch.allclose(found[f"m{k}"], h / (k + 1), rtol=1e-14, atol=0)
    assert torch.allclose(found["rate_moment"], -torch.expm1(-b * h) / b, rtol=1e-13, atol=0)


@given(g=rough_grids(shortest=1e-3))
def test_the_zeroth_moment_is_the_change_of_rho(g: Grid) -> None:
    """Which DDIM's coefficient is: the sum of DEIS's weights."""
    found = moments(g, torch.arange(g.steps), 0.0, {"m0"})["m0"]
    assert torch.allclose(found, g.columns.rho.diff(), rtol=1e-11, atol=0)


@pytest.mark.parametrize("ends", [(1.0, 1e-3), (1.0, 0.5), (0.02, 1e-5), (0.3, 0.3 - 1e-9), (1e-5, 1e-23)])
def test_by_mpmath(ends: tuple[float, float]) -> None:
    """rho = sqrt(e^I - 1) with I = t/10 + 19.9 t^2/2, down to where it is singular; by parts, with another rule."""
    g = from_times(VP, torch.tensor(ends, dtype=torch.float64))
    found = moments(g, torch.tensor([0]), 0.0, WANTED - {"rate_moment"})
    with mp.workdps(40):
        start, end = map(mp.mpf, ends)

        def rho(t: mp.mpf) -> mp.mpf:
            return mp.sqrt(mp.expm1(mp.mpf(0.1) * t + (mp.mpf(20.0) - mp.mpf(0.1)) * t**2 / 2))

        for k in range(1, 4):  # of s^k drho = s^k rho at the end, less the integral of k s^{k-1} rho ds
            whole = mp.quad(lambda s, k=k: k * s ** (k - 1) * rho(start + s * (end - start)), mp.linspace(0, 1, 12))
            assert abs(float(found[f"m{k}"]) / (rho(end) - whole) - 1) < 1e-13


@pytest.mark.parametrize("name", ["deis-tab1", "deis-tab2", "deis-tab3", "lambda-ddim"])
def test_a_step_of_twenty_units_of_lambda_has_finite_weights(name: str) -> None:
    """Assert a table of finite numbers whose outputs sum to the change of rho on the long step, as DDIM's does."""
    g = from_times(VP, torch.tensor([1.0, 0.5, 0.1, 0.01, 1e-5, 1e-23], dtype=torch.float64))
    table = tabulate(name, g)
    assert bool(torch.isfinite(table.outputs).all())
    if name != "lambda-ddim":
        change = float(g.columns.rho[-1] - g.columns.rho[-2]) * g.points[-1].alpha
        assert float(table.outputs[-1].sum()) == pytest.approx(change, rel=1e-12)


def test_a_table_that_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert one line that names the step, for a weight that is NaN."""
    from samplerproof.numerics import coefficients

    spoilt = lambda *_: {"m0": torch.full((4,), torch.nan), "m1": torch.zeros(4)}  # noqa: E731
    g = from_times(VP, torch.tensor([1.0, 0.5, 0.1, 0.01, 1e-3], dtype=torch.float64))
    tabulate("deis-tab1", g)
    monkeypatch.setattr(coefficients, "moments", lambda _, steps, *__: {k: v[steps] for k, v in spoilt().items()})
    with pytest.raises(InputError, match=r"^grid: got 'step 1, lambda .*finite in float64$"):
        tabulate("deis-tab1", g)


def test_off_by_a_millionth_is_seen() -> None:
    """The same comparison fails for a schedule that differs by 1e-6."""
    other = schedule("vp-linear", beta_min=0.1, beta_max=20.0 * (1 + 1e-6))
    a, b = (moments(grid(s, "uniform-t", 4, t_min=0.01, t_max=1.0), ALL, 0.0, {"m1"})["m1"] for s in (VP, other))
    assert float((a / b - 1).abs().max()) > 1e-8


@pytest.mark.parametrize("name", ["deis-tab2", "lambda-ddim", "pndm"])
def test_a_discrete_process_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no points between its levels"):
        tabulate(name, li_grid(79, 1.0, 7.0))


@pytest.mark.parametrize("name", ["deis-tab2", "lambda-ddim", "bdia-ddim", "pndm"])
def test_a_grid_may_end_at_sigma_zero(name: str) -> None:
    """The step there is DDIM's, which returns the data prediction."""
    t = torch.linspace(1.0, 0.0, 7, dtype=torch.float64)
    table = tabulate(name, from_times(VP, t))
    last = tabulate("ddim", from_times(VP, t))
    assert torch.isfinite(table.outputs).all()
    assert float(table.points[-1].sigma) == 0
    scale = table.points[-2]
    # in terms of the data prediction the last row is x0hat: carry x + w eps = x0hat
    assert float(table.states[-1, 0]) == pytest.approx(1 / scale.alpha)
    assert float(table.outputs[-1, 0]) == pytest.approx(-scale.sigma / scale.alpha)
    assert last.outputs[-1, 0] == 1
