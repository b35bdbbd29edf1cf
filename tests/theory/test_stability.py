"""Real stability intervals: the classical ones, both sides of their ends, and what recursions really do there."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy as sp
from shapes import by_shape

from samplerproof.numerics.catalogue import METHODS as RECORDS
from samplerproof.theory.frames import NOISE_RHO
from samplerproof.theory.linear_stability import (
    bounded,
    characteristic,
    crossings,
    real_interval,
    settled,
    small_step,
)
from samplerproof.theory.method import Method
from samplerproof.theory.methods import ODE_METHODS, find
from samplerproof.theory.notation import h, hc, zeta
from samplerproof.theory.rows import NOW, Row, past
from samplerproof.theory.scheme_stability import _rational

SLIGHTLY = sp.Rational(1, 10**9)
# Hairer and Wanner II, table IV.2.1 (Runge-Kutta) and section V.1 (Adams-Bashforth k: 2, 1, 6/11, 3/10).
KNOWN = {
    "ddim": 2,
    "exp-adams-2": 1,
    "exp-adams-noise-2": 1,
    "exp-adams-3": sp.Rational(6, 11),
    "deis-rhoab3": sp.Rational(3, 10),
    "edm-heun": 2,
    "flow-midpoint": 2,
    "li-accelerated-ode": 2,
    "deis-rho-kutta3": 2.5127453266,
    "deis-rho-rk4": 2.7852935634,
}


@pytest.mark.parametrize(("name", "length"), KNOWN.items())
def test_classical_lengths(name: str, length: sp.Expr | float) -> None:
    found = real_interval(find(name))
    assert float(found) == pytest.approx(length, abs=1e-10) if isinstance(length, float) else found == length


@pytest.mark.parametrize("method", by_shape(ODE_METHODS))
def test_inside_is_stable_and_outside_is_not(method: Method) -> None:
    length = sp.Rational(str(sp.N(real_interval(method), 40)))
    assert bounded(characteristic(method), -length + SLIGHTLY)
    assert bounded(characteristic(method), -length / 3)
    assert not bounded(characteristic(method), -length - SLIGHTLY)
    assert not bounded(characteristic(method), SLIGHTLY)


def size_after(method: Method, steps: int, x: Fraction) -> float:
    """Largest |z| of the last states on dz/du = c z, in rational arithmetic rounded to 2^-200.

    Stepped as the record message, without a matrix; start values 1, -1, 1, … reach every mode.
    """
    method = settled(method)
    numbers = [[[Fraction(v.p, v.q) for v in part] for part in small_step(method, i)] for i in range(len(method.rows))]
    states = [Fraction((-1) ** k) for k in range(method.history + 1)]
    asked = list(states)  # the vectors at which the model was asked
    for _ in range(steps):
        made: list[Fraction] = []
        for row, (carried, line) in zip(method.rows, numbers, strict=True):
            sources = [made[n.stage - 1] if n.stage else asked[-1 - n.back] for n in row.nodes]
            earlier = zip(carried, reversed(states[-2:]), strict=False)
            total = sum(c * z for c, z in earlier) + sum(w * x * z for w, z in zip(line, sources, strict=True))
            made.append(Fraction(round(total * 2**200), 2**200))
        states.append(made[-1])
        asked.append(made[-2] if method.corrects else made[-1])
    return float(max(abs(z) for z in states[-5:]))


@pytest.mark.parametrize("method", by_shape(ODE_METHODS))
def test_recursions_decay_inside_and_grow_outside(method: Method) -> None:
    length = Fraction(str(sp.N(real_interval(method), 40)))
    assert size_after(method, 600, -length * Fraction(95, 100)) < 1e-3
    assert size_after(method, 600, -length * Fraction(105, 100)) > 1e3


@pytest.mark.parametrize("p", [1, 2, 3])
def test_a_corrector_leaves_the_stability_of_one_more_past_output(p: int) -> None:
    """Assert that UniPC-p's predicted points are, for small steps, an Adams-Bashforth sequence of order p + 1."""
    adams = characteristic(find(f"deis-rhoab{p}"))
    assert characteristic(find(f"unipc-{p}")) == adams
    assert characteristic(find(f"unipc-{p}").start or find("ddim")) != adams


@pytest.mark.parametrize("share", [sp.Rational(1, 4), sp.Rational(1, 2), sp.Rational(9, 10)])
def test_two_states_cost_stability(share: sp.Rational) -> None:
    """Assert that BDIA's zeta^2 - (1 - g + (1 + g) x) zeta - g reaches -1 at x = -2 (1 - g)/(1 + g)."""
    bdia = find("bdia-ddim").at({"gamma": share})
    assert real_interval(bdia) == 2 * (1 - share) / (1 + share)
    assert real_interval(find("bdia-ddim").at({"gamma": sp.S.One})) == 0  # the leapfrog method


def test_stability_functions_of_runge_kutta_methods() -> None:
    assert characteristic(find("deis-rho-rk4")).as_expr() - zeta == -sum(hc**k / sp.factorial(k) for k in range(5))
    assert characteristic(find("dpm-solver-2s")) == characteristic(find("edm-heun"))
    assert characteristic(find("dpm-solver-2s")) != characteristic(find("ddim"))


def test_the_published_3m_is_a_little_more_stable_than_the_derived_one() -> None:
    assert real_interval(find("dpm-solver++-3m-published")) == sp.Rational(3, 5) > real_interval(find("exp-adams-3"))


def test_a_coefficient_off_by_a_millionth_moves_the_end() -> None:
    ab2 = find("deis-rhoab1")
    first, second = ab2.weights[0]
    altered = replace(ab2, rows=(Row((NOW, past(1)), published=(first + h / 10**6, second - h / 10**6)),))
    assert real_interval(altered) != real_interval(ab2)
    assert float(real_interval(altered)) == pytest.approx(1, abs=1e-5)


def test_a_weight_that_does_not_vanish_with_the_step_is_refused() -> None:
    odd = Method("odd", "test", NOISE_RHO, (Row((NOW,), published=(1 + h,)),), order=1, cite="x", summary="")
    with pytest.raises(ValueError, match="does not vanish"):
        real_interval(odd)


def test_roots_that_never_reach_the_circle_have_no_crossing() -> None:
    assert crossings(sp.Poly(zeta - sp.Rational(1, 2), zeta, hc, domain=sp.QQ)) == []
    assert crossings(sp.Poly(zeta - 1 - hc, zeta, hc, domain=sp.QQ)) == [2]


@pytest.mark.parametrize(
    ("p", "at", "expected"),
    [
        (zeta**2 - 2 * hc * zeta - 1, 0, True),  # leapfrog: roots 1 and -1
        (zeta**2 - 2 * hc * zeta - 1, -SLIGHTLY, False),
        (zeta**2 - 2 * hc * zeta + 1, sp.Rational(1, 2), True),  # a pair on the circle
        (zeta**2 - 2 * hc * zeta + 1, 1, False),  # which meets in a double root
        (zeta**2 - 2 * hc * zeta + 1, sp.sqrt(2) / 2, True),
        ((zeta - hc) * (zeta - 1), 1, False),
        ((zeta - hc) * (zeta**2 + zeta + 1), 1, True),
        ((zeta - hc) ** 2 * (zeta - 1), sp.Rational(1, 2), True),  # a double root inside may be
        (zeta**2 - hc, sp.sqrt(2) / 2, True),
        (zeta**2 - hc, sp.sqrt(2), False),
        (zeta - hc / 2, 2, True),
    ],
)
def test_roots_on_the_circle_must_be_simple(p: sp.Expr, at: sp.Expr, expected: bool) -> None:
    assert bounded(sp.Poly(p, zeta, hc, domain=sp.QQ), sp.sympify(at)) is expected


def test_the_catalogue_holds_the_nearest_doubles() -> None:
    assert RECORDS["exp-adams-3"].stability == 6 / 11
    assert RECORDS["deis-rho-kutta3"].stability == 2.512745326618328620  # the real root of X^3 - 3 X^2 + 6 X - 12
    for method in ODE_METHODS:
        stored = RECORDS[method.name].stability
        assert stored is not None
        assert abs(sp.Float(stored, 40) - real_interval(method)) <= sp.Float(stored, 40) * sp.Rational(1, 2**53)


def test_a_decimal_stands_for_the_fraction_at_its_tolerance() -> None:
    """Assert that 0.3333333333 is 1/3 from its distance, 1/(3 10^10), on, and itself to a tolerance that is less."""
    decimal = sp.Rational("0.3333333333")
    apart = sp.Rational(1, 3 * 10**10)
    assert _rational(decimal, apart) == sp.Rational(1, 3)
    assert _rational(decimal, apart * (1 - SLIGHTLY)) == decimal
