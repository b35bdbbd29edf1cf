"""Grids: spaced as they say, exact at their ends, and refused when they turn back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grid_kinds.all_kinds import KINDS, parse
from samplerproof.numerics.grid_kinds.grid_kind import GridKind
from samplerproof.numerics.grids import SMOOTH, Grid, from_times, grid, li_grid, spacing
from samplerproof.numerics.schedules import Schedule, schedule

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


EDM = schedule("edm")
ENDS = {"t_min": 1e-3, "t_max": 0.999}
SIGMAS = [14.615, 6.475, 3.861, 0.399, 0.029]


def parameters(kind: GridKind) -> dict[str, float]:
    """Values of the parameters that have no default, where every schedule has them."""
    return {name: {**ENDS, "sigma_min": 0.05, "sigma_max": 0.95}[name] for name in kind.required}


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"list"}))
def test_every_kind_has_as_many_levels_as_asked_for(name: str) -> None:
    """Assert N + 1 falling levels on the schedules that have them, and a last step to sigma = 0 if asked for."""
    kind = KINDS[name]
    flowing = name.startswith(("flow", "oss"))
    more = {"t_min": 1e-3} if name.startswith("flow") else {"train": 2520} if name == "ddim-uniform" else {}
    for steps in (2, 5, 20):
        for zero in (0, 1):
            made = grid(FLOW if flowing else EDM, name, steps, **{**parameters(kind), **more, "zero": zero})
            assert made.steps == steps
            assert (float(made.columns.sigma[-1]) == 0) == (zero == 1)


@pytest.mark.parametrize("process", [VP, FLOW, schedule("cosine"), schedule("ve", sigma_min=0.01, sigma_max=50.0)])
def test_a_level_is_the_same_on_every_schedule(process: Schedule) -> None:
    """Assert sigma/alpha of the levels to roundoff, and on the flow of those that are called sigma, sigma."""
    for name in ("uniform-log-sigma", "beta", "kl-optimal", "karras-sigma", "karras", "tangent"):
        made = grid(process, name, 8, sigma_min=0.05, sigma_max=0.9).columns
        expected = grid(EDM, name, 8, sigma_min=0.05, sigma_max=0.9).columns.sigma
        found = made.sigma if process is FLOW and name not in ("karras", "tangent") else made.rho
        assert torch.allclose(found, expected, rtol=1e-13), name


def test_a_list_is_taken_as_it_is() -> None:
    """Assert every level to the last bit, as of Grid.from_sigmas, and times where they are timesteps."""
    assert grid(EDM, "list", 4, sigmas=SIGMAS) == Grid.from_sigmas(SIGMAS)
    assert grid(VP, "list", 2, timesteps=[1.0, 0.25, 1e-3]).columns.t.tolist() == [1.0, 0.25, 1e-3]
    assert grid(FLOW, "list", 2, sigmas=[1.0, 0.25, 0.0]).columns.sigma.tolist() == [1.0, 0.25, 0.0]


def test_a_parameter_that_is_not_given_is_the_default_of_the_name() -> None:
    """Assert rho = 7, and that a library's name stands for its own defaults until they are given."""
    ends = {"sigma_min": 0.05, "sigma_max": 20.0}
    every = {**ends, **ENDS}
    assert grid(EDM, "karras", 5, **ends) == grid(EDM, "karras", 5, **ends, rho=7.0)
    assert grid(EDM, "comfyui:karras", 5, **ends) == grid(EDM, "karras-sigma", 5, **ends, zero=1)
    assert grid(EDM, "comfyui:karras", 5, **ends, zero=0).isclose(grid(EDM, "karras", 5, **ends))
    assert parse("comfyui:karras?zero=0", every) == ("comfyui:karras", {**ends, "zero": 0.0})
    assert parse("karras?zero=0&rho=5", every) == ("karras", {**ends, "rho": 5.0})


def falling(n: int) -> list[float]:
    return [3.0, 2.0, 1.0][:n]


def rising(n: int) -> list[float]:
    return [float(k) for k in range(n + 1)]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: grid(EDM, "list", 2, sigmas=[1.0, 2.0, 0.1]), "grid.sigmas[1]: got 2.0; a finite number >= 0, below"),
        (lambda: grid(EDM, "list", 2, sigmas=[1.0, float("nan"), 0.1]), "grid.sigmas[1]: got nan"),
        (lambda: grid(EDM, "list", 2, sigmas=[1.0, 0.5, 0.5]), "grid.sigmas[2]: got 0.5"),
        (lambda: grid(EDM, "list", 1, sigmas=[1.0]), "grid.sigmas: got [1.0]; at least two levels"),
        (lambda: grid(EDM, "list", 1, sigmas=[]), "grid.sigmas: got []; at least two levels"),
        (lambda: grid(EDM, "list", 3, sigmas=[1.0, 0.5]), "steps: got 3; 1: sigmas has 2 levels"),
        (lambda: grid(EDM, "list", 1), "grid.sigmas: got None"),
        (lambda: grid(FLOW, "list", 1, sigmas=[1.5, 1.0]), "levels that the schedule has; sigma = 1.5 is not on flow"),
        (lambda: grid(FLOW, "flow", 5, shift=0), "grid.shift: got 0; a number > 0"),
        (lambda: grid(FLOW, "flow", 5, shift=-3), "grid.shift: got -3"),
        (lambda: grid(FLOW, "flow", 5, shift="3"), "grid.shift: got '3'; a number"),
        (lambda: grid(FLOW, "flow", 5, shift=float("nan")), "grid.shift: got nan"),
        (lambda: grid(EDM, "flow", 5, shift=3), "sigma of the flow = 1 is not on edm"),
        (lambda: grid(schedule("ve"), "simple", 5), "sigma/alpha = 0 is not on ve"),
        (lambda: grid(schedule("cosine"), "list", 1, timesteps=[1.5, 1.0]), "t = 1.5 is not on cosine, 0 <= t <= 1"),
        (lambda: grid(EDM, "simpel", 5), "grid.kind: got 'simpel'; not a known grid; nearest: simple"),
        (lambda: grid(EDM, "simple", 5, betas="cosine"), "one of scaled-linear, linear, squaredcos, flow"),
        (lambda: grid(EDM, "simple", 5, train=10.5), "whole number"),
        (lambda: grid(EDM, "leading", 5, steps_offset=300), "grid.steps_offset: got 300.0; timesteps from 0 to 999"),
        (lambda: grid(EDM, "leading", 5000), "fewer than the model's 1000 levels"),
        (lambda: grid(EDM, "simple", 2000), "must move strictly"),
        (lambda: grid(EDM, "ddim-uniform", 30), "steps: got 30; another number: ddim-uniform gives 31 steps there"),
        (lambda: grid(EDM, "beta-levels", 300), "beta-levels gives"),
        (lambda: grid(EDM, "beta", 5, sigma_min=2, sigma_max=1), "grid.sigma_min: got 2.0; below sigma_max = 1.0"),
        (lambda: grid(EDM, "linear-quadratic", 5, linear_steps=9), "below the number of parts, 5"),
        (lambda: grid(EDM, "scheduler:numpy:zeros", 5), "another number: scheduler:numpy:zeros makes 4 steps"),
        (lambda: grid(EDM, falling, 5), "steps: got 5; another number: falling makes 2 steps of it"),
        (lambda: grid(EDM, rising, 5), "rising[1]: got 1.0; a finite number >= 0, below the level before, 0.0"),
        (lambda: grid(EDM, lambda n: 1 / 0, 5), "ZeroDivisionError"),
    ],
)
def test_bad_levels_are_one_line(call: Callable[[], Grid], says: str) -> None:
    """Assert that what is no grid of so many steps on the schedule is refused with field, value and what is allowed."""
    with pytest.raises(InputError) as refused:
        call()
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("steps", [1, 7, 40])
@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_kind_is_its_spacing_to_the_last_bit(name: str, steps: int) -> None:
    """Assert that levels are spacing at n/N, as leading errors take it, and with zero=1 at n/(N - 1), then 0."""
    given = {**ENDS, "sigma_min": 0.05, "sigma_max": 20.0, "rho": 7.0}
    values = {key: given[key] for key in SMOOTH[name]}
    at = spacing(VP, name, **values)(torch.arange(steps + 1, dtype=torch.float64) / steps)
    if name == "uniform-lambda":
        at[0], at[-1] = ENDS["t_max"], ENDS["t_min"]
    assert grid(VP, name, steps, **values) == from_times(VP, at)
    assert grid(VP, name, steps + 1, **values, zero=1) == from_times(VP, torch.cat([at, torch.zeros(1)]))


@pytest.mark.parametrize("steps", [2.5, float("nan"), "5", None, True])
def test_a_number_of_steps_is_whole(steps: Any) -> None:
    """Assert that steps between whole numbers, which would pass the end, are refused; integers are taken."""
    with pytest.raises(InputError, match=r"steps: got .*; a whole number$"):
        grid(schedule("edm"), "karras", steps, sigma_min=1.0, sigma_max=2.0)
    assert grid(schedule("edm"), "karras", torch.tensor(2), sigma_min=1.0, sigma_max=2.0).steps == 2  # type: ignore[arg-type]
