"""Orders: proved and bounded for every record, refuted for altered ones, and right on classical Runge-Kutta methods."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from faults import altered_weights
from shapes import first_of_each, shape

from samplerproof.theory.exponential import collapsed, exact
from samplerproof.theory.frames import NOISE_RHO
from samplerproof.theory.method import Method
from samplerproof.theory.methods import ODE_METHODS, find
from samplerproof.theory.notation import WEIGHT_TAYLOR, a1, h, r
from samplerproof.theory.order import equal_steps_proof, prove_order
from samplerproof.theory.rows import NOW, Row, past, stage
from samplerproof.theory.trees import Tree, trees

LEAF = Tree()


@pytest.mark.check
@pytest.mark.parametrize("method", first_of_each(ODE_METHODS, lambda m: shape(m.name), lambda m: m.name))
def test_the_claimed_order_is_the_exact_order(method: Method) -> None:
    proof = prove_order(method)
    assert proof.order == method.order
    assert proof.leading_defects
    assert all(defect.total_order == method.order + 1 for defect in proof.leading_defects)


@pytest.mark.check
def test_2m_with_its_ratio_inverted_loses_an_order() -> None:
    two_m = find("dpm-solver++-2m")
    weights = tuple(w.subs(r[0], 1 / r[0]) for w in two_m.weights[0])
    altered = replace(two_m, rows=(Row((NOW, past(1)), published=weights),))
    assert prove_order(altered).order == 1


def test_2m_collapsed_elsewhere_loses_an_order() -> None:
    two_m = find("dpm-solver++-2m")
    moved = replace(two_m, rows=(Row((NOW, past(1)), collapsed(at=sp.Rational(1, 3))),))
    assert prove_order(moved).order == 1


def test_what_the_accelerated_ode_needs_for_order_two() -> None:
    """Assert that order 2 needs the right length of the backward step, and sqrt(a_{t+1}) before the past score.

    It does not need the a_{t+1} = 1 + O(h) of the steps; without the root the past output is F/sqrt(a_{t+1}).
    """
    method = find("li-accelerated-ode")
    back, step = method.rows
    assert back.published is not None
    assert step.published is not None
    plain = [replace(row, published=tuple(w.subs(a1, 1) for w in row.published or ())) for row in method.rows]
    assert prove_order(replace(method, rows=tuple(plain))).order == 2
    too_far = altered_weights(method, 0, (2 * back.published[0],))
    assert prove_order(too_far).order == 1
    now, then = step.published
    without_root = replace(step, published=(now, then / sp.sqrt(a1)))
    assert prove_order(replace(method, rows=(back, without_root))).order == 1


@pytest.mark.parametrize("q", [2, 3, 4])
def test_weights_for_equal_steps_keep_order_two_where_steps_change_slowly_and_one_where_not(q: int) -> None:
    assert prove_order(find(f"ipndm-{q}")).order == 2
    assert prove_order(find(f"ipndm-{q}"), free=True).order == 1


@pytest.mark.parametrize("p", [1, 2, 3])
def test_a_corrector_raises_the_order_of_its_predictor_by_one(p: int) -> None:
    method = find(f"unipc-{p}")
    predictor = replace(method, rows=method.rows[:1], order=p)
    assert prove_order(predictor).order == p
    # and the raised order is lost when the corrector trusts its predictor's output too much
    first, *middle, last = method.weights[1]
    tilted = replace(method.rows[1], rule=None, published=(first + h / 10, *middle, last - h / 10))
    assert prove_order(replace(method, rows=(method.rows[0], tilted))).order == 1


def test_adams_methods_that_evaluate_at_predicted_points_alone_gain_an_order_and_pay_with_their_defect() -> None:
    """Assert order 3 of AB2 and AM3 in rho, and -3/8 for the tall tree, by hand.

    The rule alone is off by (1/2)/6 - 1/24 = 1/24 there. Every output was made off the path by AB2's defect -5/12, and
    the weights sum to 1. Of the lower trees AB2 has no defect, and so no output has one.
    """
    predicted, now, before = (stage(1), NOW, past(1))
    rows = (Row((now, before), exact), Row((predicted, now, before), exact, evaluated=False))
    start = Method("euler", "test", NOISE_RHO, (Row((NOW,), exact),), order=1, cite="x", summary="")
    method = replace(start, name="adams", rows=rows, order=3, start=start)
    proof = equal_steps_proof(method)
    assert proof.order == prove_order(method).order == 3
    defects = {str(d.tree): d.coefficient for d in proof.leading_defects}
    assert (defects["[[[[]]]]"], defects["[[[] []]]"]) == (-sp.Rational(3, 8), -sp.Rational(3, 4))
    assert defects["[3]"] == sp.Rational(1, 4)  # of time alone, which no predicted point changes


def test_weights_for_any_weight_of_the_frame_have_its_slope_in_their_defects() -> None:
    """Assert order 2 of tAB-DEIS with r free, (2 + 3 r) q_1/6 by hand, and that Euler's weight for m_0 is order 1."""
    tab = find("deis-tab1")
    proof = prove_order(tab)
    assert (proof.order, proof.statement.partition(", all step ratios")[2]) == (2, ", any smooth weight")
    (tall,) = [d for d in proof.leading_defects if d.tree == Tree(0, (LEAF,))]
    assert sp.expand(tall.coefficient - WEIGHT_TAYLOR[0] * (2 + 3 * r[0]) / 6) == 0
    euler = replace(tab, rows=(Row((NOW,), exact),), order=1, start=None)
    assert prove_order(euler).order == 1


def test_leading_defects_of_multistep_methods_are_the_known_constants() -> None:
    """Assert that on equal steps they are those of the classical Adams methods: -1/2, -5/12, -3/8, -251/720."""
    known = {"ddim": -sp.Rational(1, 2), "exp-adams-2": -sp.Rational(5, 12)}
    known |= {"exp-adams-3": -sp.Rational(3, 8), "exp-adams-4": -sp.Rational(251, 720)}
    for name, constant in known.items():
        proof = prove_order(find(name))
        # The tall tree's defect, times its density, is that of the quadrature.
        tall = LEAF
        for _ in range(find(name).order):
            tall = Tree(0, (tall,))
        (defect,) = [d for d in proof.leading_defects if d.tree == tall]
        assert defect.coefficient.subs({ratio: 1 for ratio in r}) == constant


@pytest.mark.parametrize(("one", "other"), [("unipc-1", "unipc-1-again"), ("ipndm-2", "s-pndm")])
def test_methods_that_differ_in_names_and_start_share_what_is_decided(one: str, other: str) -> None:
    """Assert one proof under two names, and another one of rows that differ, or of a claim that does."""
    method = find(one)
    alike = find(other) if other == "s-pndm" else replace(method, name=other, aliases=())
    proof, again = prove_order(method), prove_order(alike)
    assert (again.order, again.conditions, again.leading_defects) == (
        proof.order,
        proof.conditions,
        proof.leading_defects,
    )
    assert (again.method, again.statement) == (other, proof.statement.replace(one, other))
    *kept, last = method.rows
    first, second, *rest = method.weights[-1]
    tilted = replace(last, rule=None, published=(first * 2, second - first, *rest))
    assert prove_order(replace(alike, rows=(*kept, tilted))).leading_defects != proof.leading_defects


def test_numbers_of_trees() -> None:
    """Assert that trees with leaves of a second kind, the legs, number 1, 2, 5, 13, 37, 108."""
    assert [len(trees(n)) for n in range(1, 7)] == [1, 2, 5, 13, 37, 108]
    without_legs = [sum(not has_legs(t) for t in trees(n)) for n in range(1, 7)]
    assert without_legs == [1, 1, 2, 4, 9, 20]  # rooted trees, Hairer, Norsett and Wanner, table II.2.1


def has_legs(tree: Tree) -> bool:
    return bool(tree.legs) or any(map(has_legs, tree.children))


def test_densities_and_symmetries() -> None:
    bush, tall = Tree(0, (LEAF, LEAF)), Tree(0, (Tree(0, (LEAF,)),))
    assert (bush.gamma, bush.sigma, tall.gamma, tall.sigma) == (3, 2, 6, 1)
    assert (Tree(2).gamma, Tree(2).sigma, Tree(1, (LEAF,)).gamma) == (3, 2, 3)
    assert str(Tree(1, (LEAF,))) == "[1 []]"
    assert Tree(1, (LEAF,)).latex == r"G_{zu}\left(G\right)"


def runge_kutta(a: list[list[object]], b: list[object]) -> Method:
    """A classical method on stages that all lie at the end of the step: c is 1 for every stage but the first."""
    rows = tuple(
        Row((NOW, *(stage(k) for k in range(1, i + 1))), published=tuple(sp.sympify(v) * h for v in line))
        for i, line in enumerate([*a, b])
    )
    return Method("rk", "test", NOISE_RHO, rows, order=1, cite="x", summary="")


def test_classical_methods_in_a_frame_without_rate() -> None:
    half = sp.Rational(1, 2)
    assert prove_order(runge_kutta([[1]], [half, half])).order == 2
    with pytest.raises(ValueError, match="do not sum"):
        runge_kutta([[1]], [half, half + sp.Rational(1, 10**6)])
    assert prove_order(runge_kutta([], [1])).order == 1
