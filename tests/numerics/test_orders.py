"""Measured orders, from exact start values and both sides, on two mixtures, and on steps that do not settle down.

Rule: a grid uniform in lambda, and a local exponent. For a mixture on a line, from t = 1 to 1e-3 against its exact
flow, between N = 320 and 640; for one in the plane, from t = 1 to 0.05 against a reference good to 1e-12, between 160
and 320. For order 4 the pair is N = 640, 1280, unless the error has fallen below 5e-11, where the reference would show.
"""

from __future__ import annotations

import pytest
import torch
from kinds import DETERMINISTIC, TELESCOPING
from shapes import by_shape

from samplerproof.book.records.study_results import order_results
from samplerproof.book.studies.alternating import alternating
from samplerproof.book.studies.measured_orders import (
    SAME,
    VP,
    error_on,
    errors,
    in_the_plane,
    measured_orders,
    on_the_line,
    slope,
)
from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.tableau import tabulate

# On equal steps these two have a higher order than for ratios 1 + O(h): they are measured on others below. The orders
# on equal steps in t, and on steps of which every other one is twice as long.
FLATTERED = dict(zip(TELESCOPING, ((1, 1), (2, 0)), strict=True))
EVERY = [
    *(name for name in DETERMINISTIC if name not in (*SAME, *FLATTERED)),
    "bdia-ddim?gamma=1",
    "bdia-ddim?gamma=9/10",
    "dpm-solver-2s?r=0.3",
    "dpm-solver++-3s?r1=4/5",
]
EVERY += ["dpm-solver++-2s-taylor?r=0.8", "lambda-ddim?b=-1"]


@pytest.mark.check
@pytest.mark.parametrize(("name", "same"), SAME.items())
def test_what_differs_in_its_start_up_only(name: str, same: str) -> None:
    on = grid(VP, "uniform-lambda", 8, t_min=0.05, t_max=1.0)
    one, other = tabulate(name, on, "exact"), tabulate(same, on, "exact")
    assert torch.equal(one.states, other.states)
    assert torch.equal(one.outputs, other.outputs)


@pytest.mark.parametrize("name", by_shape([n for n in EVERY if not n.startswith("li-")]))
def test_measured_order_on_the_line(name: str) -> None:
    assert on_the_line(name)[0] == pytest.approx(resolve(name).order, abs=0.1)


@pytest.mark.parametrize("name", by_shape(EVERY))
def test_measured_order_in_the_plane(name: str) -> None:
    assert in_the_plane(name)[0] == pytest.approx(resolve(name).order, abs=0.1)


def test_kept_orders_are_within_a_tenth_of_the_proved_ones() -> None:
    """Assert it for every sampler of an order on both targets, but for those that equal steps flatter."""
    rows = order_results()
    assert [row["method"] for row in rows[::2]] == [name for name, record in METHODS.items() if record.order]
    assert {row["method"] for row in rows if abs(row["observed"] - row["order"]) > 0.1} == {*FLATTERED}
    assert all(
        a["method"] == b["method"] and a["target"] != b["target"] for a, b in zip(rows[::2], rows[1::2], strict=True)
    )
    again = measured_orders("dpm-solver++-2m")
    kept = [row for row in rows if row["method"] == "dpm-solver++-2m"]
    assert [row["observed"] for row in again] == pytest.approx([row["observed"] for row in kept], abs=1e-3)
    assert all(abs(row["observed"] - 3) > 0.5 for row in again)


@pytest.mark.parametrize("q", [1, 2, *(pytest.param(q, marks=pytest.mark.slow) for q in (3, 4))])
def test_exponential_adams_at_a_large_number_of_steps(q: int) -> None:
    """q +- 0.1 on the last pair of N = 640, 1280, 2560."""
    assert slope(errors(f"exp-adams-{q}", [1280, 2560])) == pytest.approx(q, abs=0.1)


@pytest.mark.check
@pytest.mark.parametrize("name", ["li-ddim", "li-accelerated-ode"])
def test_measured_order_of_li_on_a_uniform_t_grid(name: str) -> None:
    """At fixed time, with the record's own plain first step."""
    assert slope(errors(name, [400, 800], "ramp", "uniform-t")) == pytest.approx(METHODS[name].order, abs=0.12)


def test_a_ramp_hides_its_order_behind_a_nearly_constant_start() -> None:
    """exp-adams-4 with its ramp has asymptotic order 2, but its observed order is far above 2 on this window."""
    assert METHODS["exp-adams-4"].order_asymptotic == 2
    assert slope(errors("exp-adams-4", [80, 160], "ramp")) > 3


# --- step ratios that are free: steps alternate, and do not come to resemble their neighbours as N grows


def uneven(n: int) -> Grid:
    """n steps in lambda from t = 1 to 0.05, every other one twice as long."""
    return alternating(VP, n, 0.05, 1.0)


def test_every_other_step_is_twice_as_long() -> None:
    g = uneven(10)
    sizes = g.columns.lam.diff()
    assert torch.allclose(sizes[1::2] / sizes[::2], torch.full((5,), 2.0, dtype=torch.float64), rtol=1e-9)
    assert torch.allclose(sizes[::2], sizes[0], rtol=1e-9)
    assert (g.points[0].t, g.points[-1].t) == (1.0, 0.05)


@pytest.mark.parametrize(("name", "orders"), FLATTERED.items())
def test_a_constant_that_is_not_held_shows_on_steps_that_are_not_equal(name: str, orders: tuple[int, int]) -> None:
    """Assert that no more is lost than proved, 1 for ratios 1 + O(h) and 0 for free ones, and that something is.

    A step's error is a constant times a difference of neighbours: step lengths for one sampler, their ratios for the
    other. Summed over a run it telescopes, which gives back an order where these change slowly, and to the first on all
    grids.
    """
    changing = [error_on(grid(VP, "uniform-t", n, t_min=0.05, t_max=1.0), name) for n in (320, 640)]
    assert slope(changing) == pytest.approx(orders[0], abs=0.1)
    assert slope([error_on(uneven(n), name) for n in (320, 640)]) == pytest.approx(orders[1], abs=0.1)
    assert slope(errors(name, [160, 320])) > orders[0] + 0.5


@pytest.mark.parametrize("name", ["ipndm-2", "ipndm-3", "ipndm-4", "pndm", "bdia-ddim?gamma=1"])
def test_weights_for_equal_steps_are_of_order_one_where_steps_alternate(name: str) -> None:
    """As proved: order 2 for r = 1 + O(h), and 1 for free r."""
    assert slope([error_on(uneven(n), name) for n in (640, 1280)]) == pytest.approx(1, abs=0.1)
    assert slope(errors(name, [320, 640])) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    "name", ["li-accelerated-ode", "dpm-solver++-2m", "deis-rhoab1", "deis-tab2", "exp-adams-3", "unipc-2"]
)
def test_weights_for_every_step_ratio_keep_their_order_where_steps_alternate(name: str) -> None:
    assert slope([error_on(uneven(n), name) for n in (640, 1280)]) == pytest.approx(METHODS[name].order, abs=0.1)


@pytest.mark.parametrize("gamma", ["1/4", "1/2", "9/10"])
def test_the_error_of_bdia_is_a_fraction_of_ddims(gamma: str) -> None:
    """(1 - gamma)/(1 + gamma), as proved; extrapolated from two numbers of steps."""
    number = float(resolve(f"bdia-ddim?gamma={gamma}").numbers["gamma"])
    g = [grid(VP, "uniform-lambda", n, t_min=0.05, t_max=1.0) for n in (320, 640)]
    coarse, fine = (error_on(on, f"bdia-ddim?gamma={gamma}") / error_on(on, "ddim") for on in g)
    assert 2 * fine - coarse == pytest.approx((1 - number) / (1 + number), rel=0.01)
