"""Against nodepy (Ketcheson et al.), an independent library: trees, orders and real stability intervals.

With the clock rho and kappa = 0 our methods are the classical ones, and trees without legs are nodepy's.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest
import sympy as sp
from nodepy import linear_multistep_method, rooted_trees, runge_kutta_method

from samplerproof.theory.frames import NOISE_RHO
from samplerproof.theory.linear_stability import characteristic, real_interval, small_step
from samplerproof.theory.method import Method
from samplerproof.theory.methods import find
from samplerproof.theory.methods.runge_kutta import runge_kutta
from samplerproof.theory.notation import hc, zeta
from samplerproof.theory.order import prove_order
from samplerproof.theory.trees import Tree, trees

MILLIONTH = sp.Rational(1, 10**6)


@cache
def catalogue() -> dict[str, Any]:
    loaded: dict[str, Any] = runge_kutta_method.loadRKM()
    return loaded


def is_ours(name: str) -> bool:
    """Explicit, rational, of order at most five, and with stages inside the step, as our records have them."""
    method = catalogue()[name]
    numbers = [sp.nsimplify(v) if isinstance(v, int) else v for v in (*method.A.flatten(), *method.b)]
    explicit = all(method.A[i, j] == 0 for i in range(len(method)) for j in range(i, len(method)))
    exact = all(isinstance(v, sp.Rational) for v in numbers)
    return explicit and exact and method.order() <= 5 and all(0 < c <= 1 for c in method.c[1:])


EXPLICIT = sorted(name for name in catalogue() if is_ours(name))


def ours(name: str, tilt: sp.Rational = sp.S.Zero) -> Method:
    """The same coefficients as a record; `tilt` is moved from the last weight b to the first."""
    method = catalogue()[name]
    stages = len(method)
    b = [sp.Rational(v) for v in method.b]
    b[0] += tilt
    b[-1] -= tilt
    lines = [[sp.Rational(v) for v in method.A[i, :i]] for i in range(1, stages)]
    places = [1 if c == 1 else sp.Rational(c) for c in method.c[1:]]
    return runge_kutta(name, name, NOISE_RHO, places, [*lines, b], order=method.order(), cite="-", summary="")


def test_the_classical_methods_are_among_those_compared() -> None:
    known = {"DP5", "BS5", "BS3", "RK44", "SSP22", "SSP33", "SSP104", "Heun33", "Heun22", "Mid22", "MTE22", "Merson43"}
    assert known <= set(EXPLICIT)


@pytest.mark.parametrize("order", range(1, 7))
def test_trees_with_their_densities_and_symmetries(order: int) -> None:
    def has_legs(tree: Tree) -> bool:
        return bool(tree.legs) or any(map(has_legs, tree.children))

    mine = Counter((t.gamma, t.sigma) for t in trees(order) if not has_legs(t))
    theirs = Counter((t.density(), t.symmetry()) for t in rooted_trees.list_trees(order))
    assert mine == theirs


@pytest.mark.parametrize("name", EXPLICIT)
def test_orders_of_runge_kutta_methods(name: str) -> None:
    """Assert that the order is exact, and that a change of a millionth in the weights loses it."""
    method = catalogue()[name]
    assert all(sum(method.A[i, :]) == method.c[i] for i in range(len(method)))
    proof = prove_order(ours(name))
    assert proof.order == method.order()
    assert proof.leading_defects
    assert all(defect.total_order == proof.order + 1 for defect in proof.leading_defects)
    if len(method) > 1:
        assert prove_order(ours(name, tilt=MILLIONTH)).order == 1


@pytest.mark.parametrize("name", EXPLICIT)
def test_stability_functions_and_real_intervals(name: str) -> None:
    """Assert that R(x) is equal, and the end of the interval to the accuracy of nodepy's bisection."""
    numerator, denominator = catalogue()[name].stability_function()
    assert list(denominator.coeffs) == [1]
    r = sum(c * hc**k for k, c in enumerate(reversed(numerator.coeffs)))
    assert characteristic(ours(name)) == sp.Poly(zeta - r, zeta, hc, domain=sp.QQ)
    assert characteristic(ours(name, tilt=MILLIONTH)) != characteristic(ours(name)) or len(catalogue()[name]) == 1
    assert float(real_interval(ours(name))) == pytest.approx(catalogue()[name].real_stability_interval(), rel=1e-9)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_weights_of_adams_bashforth_methods(degree: int) -> None:
    theirs = linear_multistep_method.Adams_Bashforth(degree + 1).beta
    assert list(small_step(find(f"deis-rhoab{degree}"), 0)[1]) == list(reversed(theirs[:-1]))
