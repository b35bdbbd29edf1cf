"""Measured orders, from exact start values and both sides, on a mixture whose flow is exact."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.grids import grid
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.flow import exact_flow, quantile
from samplerproof.numerics.targets.mixture import GaussianMixture

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])


def law_points(n: int) -> Tensor:
    """Points of equal probability of M1 at t = 1, [n, 1]."""
    z = torch.special.ndtri((torch.arange(n, dtype=torch.float64)[:, None] + 0.5) / n)
    return quantile(M1, torch.special.log_ndtr(z), torch.special.log_ndtr(-z), VP.point(1.0))


def errors(name: str, steps: list[int], start: str, kind: str = "uniform-lambda") -> list[float]:
    """Root mean square of the trajectory error at t = 1e-3 over points of equal probability."""
    x = law_points(60)
    result = []
    for n in steps:
        g = grid(VP, kind, n, t_min=1e-3, t_max=1.0)
        tableau = tabulate(name, g, start)
        given = [exact_flow(M1, x, g.points[0], g.points[i])[0] if i else x for i in range(tableau.given)]
        end = exact_flow(M1, x, g.points[0], g.points[-1])[0]
        result.append(float((sample(M1, given, tableau) - end).square().mean().sqrt()))
    return result


def slope(pair: list[float]) -> float:
    return math.log2(pair[-2] / pair[-1])


@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_exponential_adams_has_order_q(q: int) -> None:
    """q +- 0.1 on the last pair of N = 640, 1280, 2560."""
    assert slope(errors(f"exp-adams-{q}", [1280, 2560], "exact")) == pytest.approx(q, abs=0.1)


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.order < 4 and not n.startswith("li-")])
def test_measured_order_is_the_claimed_order(name: str) -> None:
    # flow-euler steps in t, where the grid uniform in lambda is as good as any.
    assert slope(errors(name, [320, 640], "exact")) == pytest.approx(METHODS[name].order, abs=0.1)


@pytest.mark.parametrize("name", ["li-ddim", "li-accelerated-ode"])
def test_measured_order_of_li_on_a_uniform_t_grid(name: str) -> None:
    """At fixed time, with the record's own plain first step."""
    assert slope(errors(name, [400, 800], "ramp", "uniform-t")) == pytest.approx(METHODS[name].order, abs=0.12)


def test_a_ramp_hides_its_order_behind_a_nearly_constant_start() -> None:
    """exp-adams-4 with its ramp has asymptotic order 2, but its observed order is far above 2 on this window."""
    assert METHODS["exp-adams-4"].order_asymptotic == 2
    assert slope(errors("exp-adams-4", [80, 160], "ramp")) > 3
