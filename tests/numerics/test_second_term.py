"""The second term of the error: that of runs with more and more steps, on the line and in the plane, and no other."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from samplerproof.numerics import metrics
from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import grid
from samplerproof.numerics.leading.exact_path import Path, along_grid, along_kind
from samplerproof.numerics.leading.leading_error import leading_terms
from samplerproof.numerics.leading.second_term import ExactSeries, error_terms, step_series, two_terms, why_unknown
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.flow import exact_flow
from samplerproof.numerics.targets.mixture import GaussianMixture
from samplerproof.numerics.targets.reference import reference_flow

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
PLANE = GaussianMixture([0.5, 0.3, 0.2], [[1.5, 0.0], [-1.0, 1.0], [0.0, -1.5]], stds=[0.5, 0.4, 0.6])
ENDS = {"t_min": 0.05, "t_max": 0.4}  # lambda from -0.7 to 1.7: what is left out at the start counts
STEPS = (32, 64, 128, 256)
# History, stages, both clocks, weights for equal steps, a parameter as a place, and predictor-correctors; those of
# order 3 and higher that are not here are compared with kept runs in tests/cli/test_book.py.
ALL = """exp-adams-3 exp-adams-4 deis-rhoab2 deis-rhoab3 ipndm-v-3-published dpm-solver-2s?r=0.3 dpm-solver-3s-taylor
deis-rho-kutta3 unipc-1 unipc-noise-2-bh1 unipc-3-vary"""
SHAPES = ALL.split()
NEAR = 5e-4


@cache
def line() -> Path:
    return along_kind(M1, VP, "uniform-lambda", metrics.nodes((M1, VP.point(ENDS["t_max"])), 41), **ENDS)


def size(error: Tensor) -> float:
    """The root mean square over the start law."""
    density = M1.log_density(line().x[0], line().source).exp()
    return float(torch.trapezoid(error[:, 0].square() * density, line().x[0, :, 0]).sqrt())


@cache
def limit(name: str) -> Tensor:
    """What (N^p (x_N - x_end) - E) N tends to, for every node: from STEPS, without terms in 1/N, 1/N^2 and 1/N^3."""
    record, found = resolve(name), []
    first, _ = error_terms(record, line())
    for steps in STEPS:
        g, x = grid(VP, "uniform-lambda", steps, **ENDS), line().x[0]
        table = tabulate(name, g, "exact")
        given = [x, *(exact_flow(M1, x, g.points[0], p)[0] for p in g.points[1 : table.given])]
        found.append(((sample(M1, given, table) - line().end) * steps**record.order - first) * steps)
    for k in range(1, len(STEPS)):
        found = [(2**k * fine - coarse) / (2**k - 1) for coarse, fine in pairwise(found)]
    return found[0]


def off(name: str, by: Tensor | float = 0.0) -> float:
    """How far the second term, wrong by `by`, is from that of the runs, over its size."""
    _, second = error_terms(resolve(name), line())
    return size(second + by - limit(name)) / size(second)


@pytest.mark.parametrize("name", SHAPES)
def test_runs_have_the_computed_second_term(name: str) -> None:
    """Assert it for all start values together."""
    assert off(name) < NEAR


@pytest.mark.parametrize("name", ["exp-adams-3", "deis-rhoab2", "dpm-solver-3s-taylor", "unipc-noise-2-bh1"])
def test_a_term_that_is_wrong_by_a_half_is_refuted(name: str) -> None:
    """Assert it of theta, of the sum's correction at both ends, and of the steps that have no error."""
    record, path = resolve(name), line()
    at = ExactSeries(path, record, torch.arange(len(path.weights)))
    d1 = at.residual(step_series(record), at.z, stages=record.kind != "predictor-corrector")[record.order + 1]
    length = float(path.steps["lam"][0])
    for made, weights in (
        (at.times_jacobian(d1), path.weights * length),
        (d1, torch.eye(len(path.weights), dtype=torch.float64)[0]),
        (d1, torch.eye(len(path.weights), dtype=torch.float64)[-1]),
    ):
        moved = path.carried(weights[:, None, None] * at.scale * made.T.reshape(path.x.shape))
        assert off(name, moved / 2 * length ** (record.order + 1)) > 4 * NEAR


@pytest.mark.parametrize("name", SHAPES)
def test_the_first_term_is_that_of_the_trees(name: str) -> None:
    """Assert that the Taylor series of a step give the leading error that follows from its proof."""
    record = resolve(name)
    first, of_trees = error_terms(record, line())[0], leading_terms(record, line(), ramp=False)[0]
    assert size(first - of_trees) < 1e-6 * size(of_trees)


def test_every_flow_sampler_of_order_3_has_a_second_term_or_is_named() -> None:
    high = {m.name: why_unknown(m) for m in METHODS.values() if not m.stochastic and m.order >= 3}
    assert {name for name, why in high.items() if why} == {"deis-tab2", "deis-tab3", "flow-ab3"}
    assert len(high) == 28


def test_in_the_plane_runs_approach_both_terms() -> None:
    """Assert that 1/N^2 is left of the root mean square error over its two terms, and 1/N over its first."""
    x = PLANE.sample(6, VP.point(ENDS["t_max"]), torch.Generator().manual_seed(1))
    found = two_terms("exp-adams-2", along_kind(PLANE, VP, "uniform-lambda", x, 32, **ENDS))
    left = []
    for steps in (40, 80):
        g = grid(VP, "uniform-lambda", steps, **ENDS)
        *given, end = reference_flow(PLANE, x, g.points[0], [g.points[1], g.points[-1]], 1e-10)
        error = sample(PLANE, [x, *given[-1:]], tabulate("exp-adams-2", g, "exact")) - end
        measured = float(error.square().sum(dim=1).mean().sqrt())
        leading = found.leading / steps**2
        left.append((measured / leading - 1, measured / (leading + found.next(steps)) - 1))
    (_, two), (one_later, two_later) = left
    assert abs(one_later) > 0.003
    assert abs(two_later) < 0.1 * abs(one_later)
    assert 3.2 < two / two_later < 4.8


def test_what_has_no_second_term_says_so() -> None:
    uneven = along_kind(M1, VP, "uniform-t", line().x[0], 4, **ENDS)
    one_grid = along_grid(M1, grid(VP, "uniform-lambda", 8, **ENDS), line().x[0])
    for path in (uneven, one_grid):
        with pytest.raises(InputError, match=r"^path: got 'other steps'; along_kind of a grid uniform in lambda$"):
            two_terms("exp-adams-3", path)
    for name, why in (
        ("ddim", "order 2 or higher"),
        ("deis-tab2", "leading error"),
        ("li-accelerated-ode", "one state"),
    ):
        with pytest.raises(InputError, match=f"^method: got '{name}'; one .*{why}"):
            two_terms(name, line())
    with pytest.raises(InputError, match=r"^steps: got 0; at least 1$"):
        two_terms("exp-adams-3", line()).next(0)
