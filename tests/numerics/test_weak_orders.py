"""Every stochastic record shows its order in law: on a Gaussian by affine forms, on a mixture by its density, or, where
that is joint with too many outputs, by means of test functions."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from kinds import STOCHASTIC
from shapes import by_shape

from samplerproof.numerics.grids import grid
from samplerproof.numerics.laws import distances
from samplerproof.numerics.laws.affine import weak_errors
from samplerproof.numerics.laws.backward import DEFAULT, Resolution, TestFunction, means
from samplerproof.numerics.laws.density import propagate
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
# The correction of first order nearly cancels the error of the second on wide Gaussians: its slope comes down late.
STD = {"sa-solver-p2c1": 0.2}
# Their slopes come down late on a Gaussian; of the others they are as good at half the steps.
LATE = {
    "sa-solver-p2c1",
    "sa-solver-p2c2",
    "seeds-2",
    "edm-churn",
    "sa-solver-p3c2-few-steps",
    "sa-solver-p3c3-few-steps",
}
# And that of one still later: its error of second order is a fortieth of that of third order at N = 100.
LATEST = {"sa-solver-p2c2-few-steps"}
# By default the churn of a step is capped up to N = 97.
RUN_AS = {"edm-churn": "edm-churn?churn=10"}
# Steps of the samplers whose outputs are too many for a density. The second-order error of P2C1 is small on M1 too.
BY_MEANS = {
    "seeds-3": (40, 80, 160),
    "seeds-3-data": (80, 160, 320),
    "er-sde-3": (40, 80, 160),
    "sa-solver-3": (160, 320, 640),
    "sa-solver-p2c1": (320, 640, 1280),
    "sa-solver-p2c2": (160, 320, 640),
    "sa-solver-p3c3": (160, 320, 640),
    "sde-dpm-solver++-3m-published": (160, 320, 640),
    "sa-solver-p2c1-few-steps": (80, 160, 320),
    "sa-solver-p2c2-few-steps": (160, 320, 640),
    "sa-solver-p3c2-few-steps": (160, 320, 640),
    "sa-solver-p3c3-few-steps": (160, 320, 640),
}
FUNCTIONS: list[TestFunction] = [lambda x: x, lambda x: x**2, lambda x: np.cos(2 * x)]


def slopes(errors: list[float]) -> list[float]:
    return [math.log2(a / b) for a, b in pairwise(errors)]


def extrapolated(errors: list[float]) -> float:
    """The slope where it is off by a multiple of 1/N, over doublings of N."""
    *_, before, last = slopes(errors)
    return 2 * last - before


@pytest.mark.parametrize("name", by_shape(STOCHASTIC))
def test_on_a_gaussian(name: str) -> None:
    gaussian = GaussianMixture([1.0], [0.7], stds=[STD.get(name, 0.5)])
    steps = (640, 1280, 2560) if name in LATEST else (160, 320, 640) if name in LATE else (80, 160, 320)
    grids = [grid(VP, "uniform-lambda", n, t_min=0.05, t_max=1.0) for n in steps]
    errors = [weak_errors(tabulate(name, g), gaussian).covariance for g in grids]
    order = STOCHASTIC[name].order_in_law(gaussian=True)
    assert extrapolated(errors) == pytest.approx(order, abs=0.1)
    assert abs(extrapolated(errors) - (order + 1)) > 0.5


@pytest.mark.parametrize("name", by_shape(name for name in STOCHASTIC if name not in BY_MEANS))
def test_on_a_mixture(name: str) -> None:
    grids = [grid(VP, "uniform-lambda", n, t_min=0.05, t_max=1.0) for n in (40, 80, 160)]
    errors = [
        distances.tv(propagate(tabulate(RUN_AS.get(name, name), g), M1, (M1, g.points[0])), (M1, g.points[-1]))
        for g in grids
    ]
    order = STOCHASTIC[name].order_in_law(gaussian=False)
    assert min(abs(slopes(errors)[-1] - order), abs(extrapolated(errors) - order)) <= 0.1


def table(name: str, steps: int) -> Tableau:
    return tabulate(name, grid(VP, "uniform-lambda", steps, t_min=0.05, t_max=1.0))


def off(run: Tableau, resolution: Resolution = DEFAULT) -> float:
    """The norm of E f of the sampler less E f of the target over all functions: of one alone it may cross zero."""
    x = np.linspace(-8.0, 8.0, 4001)
    p = M1.log_density(torch.from_numpy(x)[:, None], run.points[-1]).exp().numpy() * (x[1] - x[0])
    found = means(run, M1, (M1, run.points[0]), FUNCTIONS, resolution)
    return float(np.linalg.norm(np.subtract(found, [p @ f(x) for f in FUNCTIONS])))


# Of correctors and predictors with a longer history than P2C2 the means take ten to twenty seconds each.
LONG = [name for name in BY_MEANS if "p3c" in name]
LEFT = [pytest.param(name, id=name, marks=pytest.mark.slow) for name in LONG]


@pytest.mark.parametrize("name", [*by_shape(["ddpm", *(name for name in BY_MEANS if name not in LONG)]), *LEFT])
def test_in_means_on_a_mixture(name: str) -> None:
    errors = [off(table(name, n)) for n in BY_MEANS.get(name, (40, 80, 160))]
    order = STOCHASTIC[name].order_in_law(gaussian=False)
    assert min(abs(slopes(errors)[-1] - order), abs(extrapolated(errors) - order)) <= 0.1
    assert abs(extrapolated(errors) - (order + 1)) > 0.5


def test_a_coefficient_off_by_a_ten_thousandth_shows_no_order() -> None:
    runs = [table("sa-solver-3", n) for n in (80, 160, 320)]
    factors = torch.tensor([1.0, 1.0, 1.0001], dtype=torch.float64)
    assert max(slopes([off(replace(run, outputs=run.outputs * factors)) for run in runs])) < 0.7


@pytest.mark.slow
def test_errors_of_means_are_far_above_those_of_the_recursion() -> None:
    run = table("sa-solver-p2c1", 640)
    fine = off(run, Resolution(0.1, 4.0, 1e-6))
    assert off(run) == pytest.approx(fine, rel=0.02)
