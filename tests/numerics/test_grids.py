"""Grids: spaced as they say, exact at their ends, and refused when they turn back."""

from __future__ import annotations

import math

import pytest
import torch

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import from_times, grid, li_grid
from samplerproof.numerics.schedules import schedule

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
FLOW = schedule("flow")


def test_uniform_t_is_uniform_and_exact_at_the_ends() -> None:
    t = grid(VP, "uniform-t", 7, t_min=1e-3, t_max=1.0).columns.t
    assert (float(t[0]), float(t[-1])) == (1.0, 1e-3)
    assert torch.allclose(t.diff(), torch.full((7,), -0.999 / 7, dtype=torch.float64), rtol=1e-14)


def test_uniform_lambda_is_uniform_and_exact_at_the_ends() -> None:
    c = grid(VP, "uniform-lambda", 9, t_min=1e-3, t_max=1.0).columns
    assert (float(c.t[0]), float(c.t[-1])) == (1.0, 1e-3)
    steps = c.lam.diff()
    assert float((steps / steps.mean() - 1).abs().max()) < 1e-13


def test_karras_is_uniform_in_the_root_of_sigma_over_alpha() -> None:
    c = grid(VP, "karras", 11, sigma_min=0.01, sigma_max=80.0, rho=7.0).columns
    root = c.rho ** (1 / 7)
    assert float((root.diff() / root.diff().mean() - 1).abs().max()) < 1e-12
    assert float(c.rho[0]) == pytest.approx(80, rel=1e-13)
    assert float(c.rho[-1]) == pytest.approx(0.01, rel=1e-13)


def test_li_schedule_follows_its_definition_term_by_term() -> None:
    levels, c0, c1 = 60, 1.0, 7.0
    rate = c1 * math.log(levels) / levels
    beta = [levels**-c0] + [rate * min(levels**-c0 * (1 + rate) ** t, 1) for t in range(1, levels)]
    alpha_bar = [math.prod(1 - b for b in beta[: k + 1]) for k in range(levels)]
    c = li_grid(levels - 1, c0, c1).columns
    assert float(c.t[0]) == levels
    assert torch.allclose(c.alpha.square().flip(0), torch.tensor(alpha_bar, dtype=torch.float64), rtol=1e-12)
    assert torch.allclose(c.alpha.square() + c.sigma.square(), torch.ones(levels, dtype=torch.float64), rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: grid(VP, "uniform", 5), "uniform-t"),
        (lambda: grid(VP, "uniform-t", 0, t_min=0.1, t_max=1), "steps: got 0; at least 1"),
        (lambda: grid(VP, "uniform-t", 5, t_min=1.0, t_max=0.1), "below t_max"),
        (lambda: grid(VP, "uniform-t", 5, t_min=0.1), "grid.t_max"),
        (lambda: grid(VP, "uniform-t", 5, t_min=0.1, t_max=1, rho=7), "grid.rho"),
        (lambda: grid(FLOW, "uniform-t", 5, t_min=0.1, t_max=1.1), "0 <= t <= 1"),
        (lambda: grid(VP, "karras", 5, sigma_min=0, sigma_max=80, rho=7), "grid.sigma_min"),
        (lambda: grid(VP, "karras", 5, sigma_min=1, sigma_max=80, rho=0), "grid.rho"),
        (lambda: from_times(VP, torch.tensor([1.0, 0.5, 0.5, 0.1])), "strictly"),
        (lambda: from_times(VP, torch.tensor([1.0, 0.5, 0.6, 0.1])), "grid.t[1:3]"),
        (lambda: from_times(VP, torch.tensor([1.0])), "two points"),
        (lambda: grid(FLOW, "uniform-lambda", 5, t_min=0.0, t_max=0.9), "grid.t_min: got 0.0; lambda is infinite"),
        (lambda: grid(FLOW, "uniform-lambda", 5, t_min=0.1, t_max=1.0), "grid.t_max: got 1.0; lambda is infinite"),
        (lambda: li_grid(9, 1.0, 7.0), "too few for c1 = 7.0"),
        (lambda: li_grid(99, 0.0, 7.0), "schedule.c0"),
    ],
)
def test_bad_grids_are_one_line(call: object, says: str) -> None:
    with pytest.raises(InputError) as refused:
        call()  # type: ignore[operator]
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
