"""Records refuse what cannot be a method, and derive what follows from their fields."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy as sp

from samplerproof.names.input_error import InputError
from samplerproof.theory.exponential import exact, lagrange
from samplerproof.theory.frames import DATA, NOISE_RHO
from samplerproof.theory.method import Method, settled
from samplerproof.theory.methods import METHODS, find
from samplerproof.theory.methods.adams import exponential_adams
from samplerproof.theory.notation import h, r
from samplerproof.theory.order import prove_order
from samplerproof.theory.phi_functions import is_zero, phi
from samplerproof.theory.rows import NOW, Row, grid_position, past, stage


def test_no_float_enters_a_record() -> None:
    for method in METHODS:
        numbers = [w for row in (*method.weights, *method.applied) for w in row]
        numbers += [e for i in range(len(method.rows)) for e in (*method.carried(i), *sum(method.amplitudes(i), ()))]
        assert not any(sp.sympify(w).atoms(sp.Float) for w in numbers)


def test_names_and_aliases_are_unique() -> None:
    names = [name for m in METHODS for name in (m.name, *m.aliases)]
    assert len(set(names)) == len(names)


def test_find_takes_aliases_and_refuses_others() -> None:
    assert find("dpm-solver-1") is find("ddim")
    with pytest.raises(InputError, match="nearest: dpm-solver-1"):
        find("dpm-solver-9")


@pytest.mark.parametrize(
    ("name", "kind", "history", "order", "asymptotic"),
    [
        ("ddim", "one-step", 0, 1, 1),
        ("exp-adams-4", "multistep", 3, 4, 2),
        ("exp-adams-noise-3", "multistep", 2, 3, 2),
        ("dpm-solver++-2m", "multistep", 1, 2, 2),
        ("edm-heun", "multistage", 0, 2, 2),
        ("li-accelerated-ode", "general-linear", 1, 2, 2),
        ("unipc-3", "predictor-corrector", 2, 4, 3),
        ("bdia-ddim", "multistep", 1, 1, 1),
        ("bdia-ddim?gamma=1", "multistep", 1, 2, 2),
        ("pndm", "multistep", 3, 2, 2),
        ("deis-tab3", "multistep", 3, 4, 2),
    ],
)
def test_derived_facts(name: str, kind: str, history: int, order: int, asymptotic: int) -> None:
    method = find(name)
    facts = (method.kind, method.history, method.order, method.order_asymptotic)
    assert facts == (kind, history, order, asymptotic)


HALF, TINY = sp.Rational(1, 2), 1 + sp.Rational(1, 10**6)
EULER = Method("euler", "test", NOISE_RHO, (Row((NOW,), exact),), order=1, cite="x", summary="")
DEIS = find("deis-tab1")


def two_states(now: sp.Expr, before: sp.Expr, weight: sp.Expr) -> Method:
    """z' = now z_n + before z_{n-1} + weight F, for equal steps."""
    free = weight + h * before * (r[0] - 1)  # the same where r = 1, and right for other ratios
    row = Row((NOW,), published=(free,), states=(now, before))
    return replace(EULER, rows=(row,), start=find("ddim"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda: Row((NOW,)), "rule or published"),
        (lambda: Row((NOW,), rule=exact, published=(h,)), "rule or published"),
        (lambda: Row((NOW, past(1)), published=(h,)), "published"),
        (lambda: Row((NOW,), published=(0.5 * h,)), "float"),
        (lambda: replace(find("ddim"), rows=()), "rows"),
        (lambda: replace(find("ddim"), rows=(Row((NOW,), exact, to=-1),)), "rows"),
        (lambda: replace(find("exp-adams-2"), start=None), "start"),
        (lambda: replace(find("ddim"), start=find("ddim")), "start"),
        (lambda: replace(find("exp-adams-2"), start=find("exp-adams-3")), "less history"),
        (lambda: replace(find("exp-adams-2"), start=find("edm-heun")), "one-node rule"),
        (lambda: replace(find("ddim"), rows=(Row((NOW,), exact, evaluated=False),)), "one predictor"),
        (lambda: replace(find("unipc-1"), rows=find("unipc-1").rows[::-1]), "only the last row"),
        (lambda: Row((NOW,), exact, to=sp.Rational(3, 2)), "between 0 and 1"),
        (lambda: replace(find("ddim"), rows=(Row((NOW, NOW), exact),)).weights, "coincide"),
        (lambda: replace(find("ddim"), rows=(Row((NOW,), published=(sp.Symbol("q") * h,)),)), "weights: unknown"),
        (lambda: replace(find("ddim"), rows=(Row((NOW,), published=(2 * h,)),)), "weights: .* do not sum"),
        (lambda: replace(EULER, rows=(Row((NOW,), published=(h * TINY,)),)), "weights: .* do not sum"),
        (lambda: two_states(HALF, TINY / 2, h * 3 / 2), "states: the coefficients of row 1 sum to"),
        (lambda: two_states(HALF, HALF, h * 3 / 2 * TINY), "weights: .* do not sum"),
        (lambda: two_states(-sp.S.One, sp.Integer(2), 3 * h), "states: the second root -2 is outside"),
        (lambda: two_states(sp.Integer(2), -sp.S.One, sp.S.Zero), "states: the second root 1 is outside"),
        (lambda: Row((NOW,), exact, states=()), "states: 0 coefficients"),
        (lambda: Row((NOW,), exact, states=(sp.S.One, 0.5 * h)), "states: .* float"),
        (lambda: DEIS.frame.moment(5), "moments 0..4"),
        (lambda: replace(DEIS, rows=(Row((NOW,), exact, to=sp.Rational(1, 2)), *DEIS.rows)), "moments 0..4"),
    ],
)
def test_what_cannot_be_a_method_is_refused_in_one_line(change: object, field: str) -> None:
    with pytest.raises(ValueError, match=field) as refused:
        change()  # type: ignore[operator]
    assert "\n" not in str(refused.value)


def test_lagrange_polynomials_are_one_at_their_node_and_zero_at_the_others() -> None:
    nodes = (sp.S.Zero, -r[0], -r[0] - r[1], sp.S.One)
    for j, row in enumerate(lagrange(nodes)):
        values = [sp.cancel(sum(a * c**k for k, a in enumerate(row))) for c in nodes]
        assert values == [int(i == j) for i in range(len(nodes))]


def test_two_states_that_are_right_are_taken() -> None:
    """Assert that a second root inside the circle, -1/2, is accepted."""
    assert two_states(HALF, HALF, h * 3 / 2).second_root == -HALF


def test_values_of_parameters() -> None:
    """Assert that a value goes into weights, places and states, and that the order is that of the value."""
    half = settled(find("bdia-ddim?gamma=1/2"))
    assert half.name == "bdia-ddim?gamma=1/2"
    assert not half.parameters
    assert half.second_root == -HALF
    assert find("dpm-solver-2s?r=1/3").rows[0].to == sp.Rational(1, 3)
    assert is_zero(settled(find("dpm-solver-2s?r=1/2")).weights[1][0])
    assert [find(f"bdia-ddim?gamma={g}").order for g in ("0", "9/10", "1")] == [1, 1, 2]


def test_the_family_continues() -> None:
    """Assert that exponential Adams 5 takes one line, and that its weights sum to the one-node weight."""
    five = exponential_adams(5, DATA, "exp-adams", find("exp-adams-4"))
    assert is_zero(sum(five.weights[0]) - h * phi(1, -h))


def test_heun_is_a_trapezoid_in_any_frame_without_a_rate() -> None:
    rows = (Row((NOW,), exact), Row((NOW, stage(1)), exact))
    trapezoid = Method("trapezoid", "test", NOISE_RHO, rows, order=2, cite="x", summary="")
    assert trapezoid.weights == ((h,), (h / 2, h / 2))


@pytest.mark.parametrize("one", [1, sp.Integer(1), sp.Rational(3, 3), Fraction(1), sp.S.Half * 2, HALF + HALF])
def test_a_number_that_equals_an_integer_is_a_grid_point(one: sp.Expr) -> None:
    """Assert that the type of a number does not matter: a row ends where it would by the int."""
    assert Row((NOW,), exact, to=one) == Row((NOW,), exact)
    assert type(Row((NOW,), exact, to=one).to) is int
    assert Row((NOW,), exact, to=-one) == Row((NOW,), exact, to=-1)
    assert Row((NOW,), exact, to=0 * one) == Row((NOW,), exact, to=0)
    method = replace(find("exp-adams-2"), rows=(Row((NOW, past(int(one))), exact, to=one),))
    assert method == find("exp-adams-2")
    assert prove_order(method).order == 2


def test_a_node_is_so_many_points_back_by_any_integer() -> None:
    """Assert that an integer of sympy counts grid points and stages as the int does; a fraction counts none."""
    assert (past(sp.Integer(1)), stage(sp.Integer(2))) == (past(1), stage(2))
    assert grid_position(-past(sp.Integer(1)).back) == -r[0]
    with pytest.raises(TypeError):
        past(HALF)


@pytest.mark.parametrize("to", [0.5, 1.0, sp.Float(1), sp.Rational(3, 2), sp.Rational(-1, 2), Fraction(7, 3)])
def test_a_place_that_is_no_grid_point_lies_inside_and_is_exact(to: sp.Expr) -> None:
    """Assert that floats, and fractions outside of the step, are refused."""
    with pytest.raises(ValueError, match="a grid point, or a fraction of the step between 0 and 1, exact"):
        Row((NOW,), exact, to=to)
