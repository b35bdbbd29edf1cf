"""The order of multistep methods with stale features, in exact algebra."""

from __future__ import annotations

import pytest
import sympy as sp

from samplerproof.theory.methods import find
from samplerproof.theory.stale_features import POSITION, StaleWeights, cycle, exchanged, keys, lag, shapes, stale_order


def test_extrapolation_reproduces_degrees_below_m() -> None:
    """Assert c^n for n < m, and c^m - prod (c - s_k) for n = m."""
    for m in (1, 2, 3):
        missed = sp.prod(POSITION - s for s in keys(0, m))
        assert [sp.expand(lag(m, n) - POSITION**n) for n in range(m)] == [0] * m
        assert sp.expand(POSITION**m - lag(m, m) - missed) == 0


def test_fresh_features_leave_the_conditions_of_the_method() -> None:
    """Assert that refreshes at the outputs themselves give a tree of features the residual of one with time legs."""
    weights = StaleWeights(find("dpm-solver++-2m"), 1, 3)
    fresh = {keys(0, 1)[0]: 0, keys(1, 1)[0]: -sp.Symbol("r1", positive=True)}
    for legs, orders in shapes(3):
        stale, plain = weights.residual((legs, orders)), weights.residual((legs + sum(orders), ()))
        assert [sp.simplify(a.subs(fresh) - b) for a, b in zip(stale, plain, strict=True)] == [0, 0, 0]


def test_the_mean_over_a_cycle() -> None:
    assert [cycle(1, m) for m in (1, 2, 3)] == [0, 0, 0]
    assert [cycle(2, 1), cycle(4, 1), cycle(2, 2), cycle(2, 3)] == [
        sp.Rational(1, 2),
        sp.Rational(3, 2),
        sp.Rational(3, 2),
        sp.Rational(15, 2),
    ]


@pytest.mark.slow
def test_the_theorem_holds_for_all_small_multistep_records() -> None:
    """Assert min(p, m) in exact algebra, and order 1 with the weights of two refreshes exchanged."""
    for name in ("ddim", "dpm-solver++-2m", "exp-adams-2", "exp-adams-noise-2", "exp-adams-3", "exp-adams-noise-3"):
        method = find(name)
        assert [stale_order(method, m) for m in (1, 2, 3)] == [min(method.order, m) for m in (1, 2, 3)]
        assert stale_order(method, 2, exchanged) == 1


def test_what_is_not_a_multistep_method_is_refused_by_the_theorem() -> None:
    for name in ("edm-heun", "unipc-2", "ddpm", "bdia-ddim"):
        with pytest.raises(ValueError, match=f"^{name}.*: not a multistep method of one row and one state"):
            stale_order(find(name), 1)
    with pytest.raises(ValueError, match=r"^m: got 0; one refresh at least"):
        stale_order(find("ddim"), 0)
