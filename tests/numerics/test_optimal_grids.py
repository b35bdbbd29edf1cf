"""Grids by dynamic programming: equal to brute force, the variational bound, its limit, local errors of any record."""

from __future__ import annotations

import itertools
import math
import random

import pytest
import torch
from torch import Tensor

from samplerproof.book.techniques.line_errors import M2, line_errors
from samplerproof.book.techniques.on_the_line import M1
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.optimal_grids.cheapest_path import cheapest_path, cheapest_paths, optimal_grid, path_cost
from samplerproof.numerics.optimal_grids.elbo_costs import costs_of, elbo_costs, excess_constant, prior_cost
from samplerproof.numerics.optimal_grids.local_error_costs import local_error_costs
from samplerproof.numerics.optimal_grids.posterior_spread import posterior_spread
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.targets.mixture import GaussianMixture

VP = schedule("vp-linear")
ENTROPY = 1.124264  # of M1, in nats
DDPM = {"betas": "linear", "beta_start": 1e-4, "beta_end": 0.02}
SIGMAS = [9.0, 5.0, 3.0, 2.0, 1.4, 1.0, 0.7, 0.5, 0.3, 0.2, 0.1]  # eleven levels


def brute_force(costs: Tensor, steps: int) -> tuple[float, tuple[int, ...]]:
    """The least sum over all paths of so many steps, and its path, by trying every one."""
    last = len(costs) - 1
    inner = itertools.combinations(range(1, last), steps - 1)
    return min((path_cost(costs, (0, *path, last)), (0, *path, last)) for path in inner)


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_the_recursion_is_brute_force(steps: int) -> None:
    """Assert the best of all paths of 11 levels, for the bound and for random costs."""
    levels = Grid.from_sigmas(SIGMAS)
    draw = random.Random(steps)
    noisy = torch.tensor([[draw.uniform(-1, 1) for _ in SIGMAS] for _ in SIGMAS], dtype=torch.float64)
    for costs in (elbo_costs(M1, levels), elbo_costs(M2, levels, "large"), noisy):
        found = cheapest_path(costs, steps)
        cost, path = brute_force(costs, steps)
        assert found.indices == path
        assert abs(found.cost - cost) < 1e-12
        assert cheapest_paths(costs, [2, steps])[1] == found
        assert optimal_grid(levels, costs, steps).columns.sigma.tolist() == [SIGMAS[k] for k in path]


def test_a_dearer_step_changes_the_path() -> None:
    """Assert that the path is left where one of its steps costs more, and kept where another one does."""
    costs = elbo_costs(M1, Grid.from_sigmas(SIGMAS))
    path = cheapest_path(costs, 4).indices
    on, off = costs.clone(), costs.clone()
    on[path[1], path[2]] += 1.0
    off[path[0], path[2]] += 1.0
    assert cheapest_path(on, 4).indices != path
    assert cheapest_path(off, 4).indices == path


def test_bad_costs_and_steps_are_refused() -> None:
    """Assert one line, with the field and the pair, for costs that are not finite, of another shape, and for steps."""
    levels = Grid.from_sigmas([3.0, 2.0, 1.0])
    costs = elbo_costs(M1, levels)
    broken = costs.clone()
    broken[0, 2] = math.inf
    with pytest.raises(InputError, match=r"costs\[0, 2\]: got inf; a finite cost"):
        optimal_grid(levels, broken, 1)
    with pytest.raises(InputError, match=r"costs: .*the shape \[3, 3\]"):
        optimal_grid(levels, costs[:2], 1)
    for steps in (0, 3):
        with pytest.raises(InputError, match=r"steps: got .; from 1 to 2"):
            optimal_grid(levels, costs, steps)
    with pytest.raises(InputError, match=r"steps: got 1\.5; a whole number"):
        optimal_grid(levels, costs, 1.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="variance: got 'middle'; one of small, large"):
        elbo_costs(M1, levels, "middle")
    with pytest.raises(InputError, match=r"method: .*leading error"):
        local_error_costs("ddpm", M1, levels)
    with pytest.raises(InputError, match="at least two levels, each cleaner"):
        path_cost(costs, [0, 2, 1])


def test_gaussian_data_have_a_closed_form() -> None:
    """Assert mmse = v/(1 + v SNR) and that the kind `elbo` is the cheapest grid; with another std it is not."""
    gauss = GaussianMixture([1.0], [0.3], stds=[0.8])
    ends = {"sigma_min": 0.05, "sigma_max": 20.0}
    best = grid(schedule("edm"), "elbo", 6, std=0.8, **ends)
    snr = best.columns.sigma**-2.0
    assert torch.allclose(posterior_spread(gauss, best).mmse, 0.64 / (1 + 0.64 * snr), rtol=1e-12)
    sums = {}
    for std in (0.7, 0.8, 0.9):
        made = grid(schedule("edm"), "elbo", 6, std=std, **ends)
        sums[std] = path_cost(elbo_costs(gauss, made), range(7))  # type: ignore[arg-type]
    ratio = (1 + 0.64 * snr[-1]) / (1 + 0.64 * snr[0])
    assert abs(sums[0.8] - 3 * (float(ratio) ** (1 / 6) - 1)) < 1e-12
    assert sums[0.8] < min(sums[0.7], sums[0.9])
    # Among many levels the recursion finds it again.
    many = grid(schedule("edm"), "elbo", 60, std=0.8, **ends)
    found = optimal_grid(many, elbo_costs(gauss, many), 6)
    assert torch.allclose(found.columns.sigma, best.columns.sigma, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "order", "count"),
    [("ddim", 1, 60), *(pytest.param(*case, marks=pytest.mark.slow) for case in (("dpm-solver++-2m", 2, 120),))],
)
def test_equal_local_errors_are_cheapest(name: str, order: int, count: int) -> None:
    """Assert S^{p+1}/N^p for the cheapest grid, and an error of the run that is smaller than on both uniform grids."""
    levels = grid(VP, "uniform-lambda", count, t_min=1e-3, t_max=1.0)
    costs = local_error_costs(name, M1, levels)
    whole = float(costs[0, -1]) ** (1 / (order + 1))
    found = cheapest_path(costs, 10)
    assert 1 - 1e-12 < found.cost / (whole ** (order + 1) / 10**order) < 1.05
    best = optimal_grid(levels, costs, 10)
    uniform = [grid(VP, kind, 10, t_min=1e-3, t_max=1.0) for kind in ("uniform-lambda", "uniform-t")]
    assert line_errors(M1, best, name)[1] < 0.75 * min(line_errors(M1, made, name)[1] for made in uniform)


@pytest.mark.slow
def test_local_errors_add_up_to_the_leading_error() -> None:
    """Assert that the costs of short steps bound the leading error of the run, and are near it for DDIM."""
    from samplerproof.leading_errors import predict_error

    levels = grid(VP, "uniform-lambda", 100, t_min=1e-3, t_max=1.0)
    total = path_cost(local_error_costs("ddim", M1, levels), list(range(101)))
    leading = predict_error("ddim", M1, levels).at("trajectory", 100)
    assert leading is not None
    assert 1.0 < total / leading < 2.0


def test_the_bound_in_more_dimensions() -> None:
    """Assert that two independent copies cost twice as much, to the noise of the samples."""
    levels = Grid.from_sigmas([3.0, 1.0, 0.3, 0.0])
    one = GaussianMixture([1.0], [0.0], stds=[0.7])
    two = GaussianMixture([1.0], [[0.0, 0.0]], stds=[0.7])
    for variance in ("small", "large"):
        line, plane = elbo_costs(one, levels, variance), elbo_costs(two, levels, variance)
        upper = torch.ones(4, 4).triu(1).bool()
        assert torch.allclose(plane[upper], 2 * line[upper], rtol=1e-12)


@pytest.mark.slow
def test_gaps_of_the_bound_on_a_thousand_levels() -> None:
    """Assert the gaps to the entropy of M1 for both variances, of optimal and uniform grids, and a path."""
    levels = grid(VP, "trailing", 1000, **DDPM)
    spread, before = posterior_spread(M1, levels), prior_cost(M1, levels) - ENTROPY
    optimal = {"large": [0.10961, 0.06112, 0.03296, 0.01401], "small": [0.33921, 0.20447, 0.11692, 0.05616]}
    uniform = {"large": [0.27475, 0.15366, 0.09486, 0.04262], "small": [0.586, 0.745, 0.743, 0.836]}
    numbers = [5, 10, 20, 50]
    for variance, expected in optimal.items():
        costs = costs_of(spread, levels, variance, 1)
        found = cheapest_paths(costs, numbers)
        assert [path.cost + before for path in found] == pytest.approx(expected, abs=1e-4)
        steps = [path_cost(costs, list(range(0, 1001, 1000 // n))) + before for n in numbers]
        assert steps == pytest.approx(uniform[variance], abs=1e-4 if variance == "large" else 1e-3)
        if variance == "large":
            path = [1000 - k for k in reversed(found[1].indices)]
            assert path == [0, 62, 84, 104, 124, 146, 170, 199, 236, 293, 1000]
            assert path_cost(costs, list(range(1001))) + before == pytest.approx(0.00225, abs=1e-4)


@pytest.mark.slow
def test_the_excess_tends_to_its_constant() -> None:
    """Assert N times the least excess against I^2/2, and that levels uniform in log SNR stay at twice it."""
    rho = [float(grid(VP, "trailing", 1000, **DDPM).columns.rho[k]) for k in (0, -2)]
    levels = grid(VP, "uniform-log-sigma", 1200, sigma_max=rho[0], sigma_min=rho[1])
    spread = posterior_spread(M1, levels)
    costs, snr = costs_of(spread, levels, "small", 1), levels.columns.rho2.reciprocal()
    limit = float(torch.trapezoid(spread.mmse * snr, snr.log())) / 2
    constant = excess_constant(M1, levels)
    assert constant == pytest.approx(20.10, abs=0.01)
    scaled = [
        n * (path.cost - limit) for n, path in zip((10, 20, 40), cheapest_paths(costs, [10, 20, 40]), strict=True)
    ]
    assert scaled == pytest.approx([28.17, 23.64, 21.77], rel=0.005)
    assert 40 * (path_cost(costs, list(range(0, 1201, 30))) - limit) > 1.9 * constant


@pytest.mark.slow
def test_the_best_bound_is_not_the_best_ddim() -> None:
    """Assert the order of TV at ten steps of DDIM: the grids of least bound are behind uniform and quadratic ones."""
    levels = grid(VP, "trailing", 1000, **DDPM)
    spread = posterior_spread(M1, levels)
    made = {v: optimal_grid(levels, costs_of(spread, levels, v, 1), 10) for v in ("large", "small")}
    for name, indices in (("uniform", range(11)), ("quadratic", [k * k / 10 for k in range(11)])):
        chosen = torch.tensor([1000 - round(100 * k) for k in reversed(list(indices))])
        made[name] = Grid(levels.columns.take(chosen), levels.schedule)
    found = {name: line_errors(M1, of)[0] for name, of in made.items()}
    assert found["quadratic"] < found["uniform"] < found["small"] < found["large"]
    assert found["large"] == pytest.approx(0.188, abs=0.002)
    assert found["quadratic"] == pytest.approx(0.0946, abs=0.002)
