"""Tableaux that anyone may bring: orders by trees against nodepy and the catalogue's own proofs, from both sides."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import pytest
import sympy as sp
from nodepy import runge_kutta_method

from samplerproof.theory.linear_stability import real_interval
from samplerproof.theory.method import settled
from samplerproof.theory.methods import find
from samplerproof.theory.notation import h, r
from samplerproof.theory.order import prove_order
from samplerproof.theory.phi_functions import phi
from samplerproof.theory.scheme import Scheme, assumptions, prove_scheme
from samplerproof.theory.scheme_entries import EntryError, entry
from samplerproof.theory.scheme_stability import stability, stability_function, zero_stable
from samplerproof.theory.stiff_order import stiff_orders, vertices

HALF, MILLIONTH = sp.Rational(1, 2), sp.Rational(1, 10**6)


def scheme(name: str, c: list[Any], a: list[list[Any]], b: list[Any], **more: Any) -> Scheme:
    """A scheme of texts or numbers; what a row lacks is zero."""
    places = tuple(entry(str(x), {}) for x in c)
    symbols = {"h": h, **{f"c{i}": x for i, x in enumerate(places, 1)}}
    lines = [[entry(str(x), symbols) for x in line] for line in (*a, b)]
    full = [(*line, *(sp.S.Zero,) * (len(c) - len(line))) for line in lines]
    return Scheme(name, places, tuple(full[:-1]), full[-1], **more)


KROGSTAD = scheme(
    "krogstad",
    [0, "1/2", "1/2", 1],
    [[], ["phi1(c2 h)/2"], ["phi1(c3 h)/2 - phi2(c3 h)", "phi2(c3 h)"], ["phi1(h) - 2 phi2(h)", 0, "2 phi2(h)"]],
    ["phi1(h) - 3phi2(h) + 4phi3(h)", "2phi2(h) - 4phi3(h)", "2phi2(h) - 4phi3(h)", "4phi3(h) - phi2(h)"],
    exponential=True,
)
GAUSS = scheme(
    "gauss",
    ["1/2 - sqrt(3)/6", "1/2 + sqrt(3)/6"],
    [["1/4", "1/4 - sqrt(3)/6"], ["1/4 + sqrt(3)/6", "1/4"]],
    ["1/2", "1/2"],
)


@cache
def library() -> dict[str, Any]:
    loaded: dict[str, Any] = runge_kutta_method.loadRKM()
    return loaded


def exact(name: str) -> bool:
    """Whether the entries of a method of nodepy are rational numbers or square roots of one of them."""
    method = library()[name]
    numbers = [sp.sympify(v) for line in (*method.A, method.b, method.c) for v in line]
    roots = set().union(*(v.atoms(sp.Pow) for v in numbers))
    return not any(v.atoms(sp.Float, sp.cos) for v in numbers) and len(roots) <= 1


def taken(name: str, tolerance: sp.Rational = sp.S.Zero) -> Scheme:
    """A method of nodepy with its entries, decimals as the fractions that they are."""
    method = library()[name]
    c, *a, b = (tuple(_number(v) for v in line) for line in (method.c, *method.A, method.b))
    return Scheme(name, c, tuple(a), b, tolerance=tolerance)


def _number(value: Any) -> sp.Expr:
    found = sp.sympify(value)
    return sp.Rational(found) if found.is_Float else sp.expand(sp.radsimp(found))


EXACT = sorted(name for name in library() if exact(name))
DECIMAL = ("PD8", "Tsit5", "CMR6", "SSP54", "SSP85")


def test_many_methods_of_nodepy_are_compared() -> None:
    """Assert that explicit, diagonally and fully implicit methods are among them."""
    assert len(EXACT) > 35
    assert {"RK44", "DP5", "BS5", "GL2", "GL3", "LobattoIIIC4", "RadauIIA3", "SDIRK54", "TR-BDF2"} <= set(EXACT)
    assert {taken(name).kind for name in EXACT} == {"explicit", "diagonally implicit", "fully implicit"}


@pytest.mark.parametrize("name", EXACT)
def test_orders_agree_with_nodepy(name: str) -> None:
    """Assert that trees decide the order that nodepy computes, and that a weight off by 1e-6 lowers it."""
    ours = taken(name)
    assert prove_scheme(ours).order == library()[name].order(tol=1e-12) > 0
    moved = Scheme(name, ours.c, ours.a, (ours.b[0] + MILLIONTH, *ours.b[1:]))
    assert prove_scheme(moved).order == 0


@pytest.mark.parametrize("name", DECIMAL)
def test_decimals_have_the_order_that_nodepy_computes_to_a_tolerance(name: str) -> None:
    """Assert the order to 1e-9, the order 0 or 1 of the decimals as they are, and residuals between the two."""
    proof = prove_scheme(taken(name, sp.Rational(1, 10**9)))
    assert proof.order == library()[name].order(tol=1e-9) >= 4
    assert 0 < proof.largest_residual < sp.Rational(1, 10**9)
    assert min(abs(defect.coefficient) for defect in proof.leading_defects) > sp.Rational(1, 10**9)
    assert prove_scheme(taken(name)).order < proof.order


def tableau_of_record(name: str) -> Scheme:
    """The rows of a one-step record in the data frame, L = -1, or in one without a rate."""
    method = settled(find(name))
    size, places = len(method.rows), [sp.S.Zero, *(row.end for row in method.rows[:-1])]
    lines = []
    for row, weights in zip(method.rows, method.weights, strict=True):
        entries = [sp.S.Zero] * size
        for node, weight in zip(row.nodes, weights, strict=True):
            entries[node.stage] += sp.expand(weight / h).subs(h, -h * method.frame.kappa if method.frame.kappa else h)
        lines.append(tuple(entries))
    a = ((sp.S.Zero,) * size, *lines[:-1])
    return Scheme(name, tuple(map(sp.sympify, places)), a, lines[-1], exponential=method.frame.kappa != 0)


@pytest.mark.parametrize("name", ["ddim", "dpm-solver++-2s", "dpm-solver++-3s", "res-3s", "etd-rk4", "deis-rho-rk4"])
def test_a_record_as_a_tableau_has_its_order_and_its_stability(name: str) -> None:
    """Assert that the rows of a record, read as a tableau, have the order and the real interval of the record."""
    ours = tableau_of_record(name)
    assert prove_scheme(ours).order == prove_order(settled(find(name))).order == find(name).order
    assert stability(ours) == real_interval(find(name))


# Stiff orders: Hochbruck and Ostermann 2005, section 5, and Luan 2021 for the last.
TWICE = "phi2(c5 h)/2 - phi3(h) + phi2(h)/4 - phi3(c5 h)/2"  # of the fifth stage, for the second and the third
STIFF = {
    "etd-euler": (scheme("e", [0], [[]], ["phi1(h)"], exponential=True), 1, (1, 1)),
    "krogstad": (KROGSTAD, 4, (3, 3)),
    "hochbruck-ostermann": (
        scheme(
            "ho",
            [0, "1/2", "1/2", 1, "1/2"],
            [
                [],
                ["phi1(c2 h)/2"],
                ["phi1(c3 h)/2 - phi2(c3 h)", "phi2(c3 h)"],
                ["phi1(h) - 2 phi2(h)", "phi2(h)", "phi2(h)"],
                [f"phi1(c5 h)/2 - phi2(c5 h)/4 - ({TWICE})", TWICE, TWICE, f"phi2(c5 h)/4 - ({TWICE})"],
            ],
            ["phi1(h) - 3 phi2(h) + 4 phi3(h)", 0, 0, "4 phi3(h) - phi2(h)", "4 phi2(h) - 8 phi3(h)"],
            exponential=True,
        ),
        4,
        (3, 4),
    ),
    "lawson4": (
        scheme(
            "lawson4",
            [0, "1/2", "1/2", 1],
            [[], ["exp(h/2)/2"], [0, "1/2"], [0, 0, "exp(h/2)"]],
            ["exp(h)/6", "exp(h/2)/3", "exp(h/2)/3", "1/6"],
            exponential=True,
        ),
        4,
        (0, 1),
    ),
}


@pytest.mark.parametrize("name", STIFF)
def test_stiff_orders_are_the_published_ones(name: str) -> None:
    """Assert classical and stiff order, and that an entry off by 1e-6 h lowers the stiff order."""
    ours, order, stiff = STIFF[name]
    assert prove_scheme(ours).order == order
    assert stiff_orders(ours) == stiff
    moved = Scheme(name, ours.c, ours.a, (ours.b[0] + MILLIONTH * h**4, *ours.b[1:]), exponential=True)
    assert stiff_orders(moved) == (0, min(stiff[1], 1))


def test_the_conditions_are_as_many_as_published() -> None:
    """Assert 16 conditions up to order 5 and 36 up to order 6, psi_1 = 0 and psi_{1,i} = 0 left out."""
    counts = [1 + len(vertices(order)) for order in range(1, 7)]
    assert (sum(counts[1:5]), sum(counts[1:6])) == (16, 36)


def test_an_etd_scheme_has_order_4_exactly_and_loses_it_by_a_weight() -> None:
    """Assert order 4, that order 5 fails, and order 1 where 1e-6 phi2 is moved between weights of different places."""
    proof = prove_scheme(KROGSTAD)
    assert proof.order == 4
    assert all(defect.total_order == 5 for defect in proof.leading_defects)
    off = MILLIONTH * phi(2, h)
    moved = Scheme("moved", KROGSTAD.c, KROGSTAD.a, (KROGSTAD.b[0] - off, KROGSTAD.b[1] + off, *KROGSTAD.b[2:]))
    assert prove_scheme(Scheme(**{**vars(moved), "exponential": True})).order == 1


@pytest.mark.parametrize(("sweeps", "order"), [(1, 2), (2, 3), (3, 4), (4, 4), (5, 4)])
def test_sweeps_of_gauss_have_order_one_more_than_their_number(sweeps: int, order: int) -> None:
    """Assert min(m + 1, 4) for m sweeps of Gauss with two stages, an explicit table."""
    swept = GAUSS.swept(sweeps)
    assert swept.kind == "explicit"
    assert prove_scheme(swept).order == order


def gauss_of(stages: int) -> Scheme:
    """Gauss collocation in 60 digits: nodes are the zeros of a Legendre polynomial, entries integrals of Lagrange's."""
    s = sp.Symbol("s")
    nodes = [sp.Rational(str((1 + x) / 2)) for x in sp.Poly(sp.legendre(stages, s), s).nroots(n=60)]
    lines = []
    for end in (*nodes, sp.S.One):
        basis = [sp.prod([(s - d) / (c - d) for d in nodes if d != c]) for c in nodes]
        lines.append(tuple(sp.integrate(sp.expand(p), (s, 0, end)) for p in basis))
    return Scheme("gauss", tuple(nodes), tuple(lines[:-1]), lines[-1], tolerance=sp.Rational(1, 10**30))


@pytest.mark.parametrize("stages", [2, 3, 5])
def test_gauss_has_order_twice_its_stages_by_trees_and_by_assumptions(stages: int) -> None:
    """Assert B(2s), C(s), D(s): up to order 9 trees decide, beyond it these; an entry off by 1e-6 has less."""
    ours = gauss_of(stages)
    assert assumptions(ours) == (2 * stages, stages, stages)
    assert prove_scheme(ours).order == 2 * stages
    if stages == 5:
        return  # the trees of order 10 take long
    a = (tuple(x + MILLIONTH * (-1) ** j for j, x in enumerate(ours.a[0][:2])) + ours.a[0][2:], *ours.a[1:])
    assert prove_scheme(Scheme("off", ours.c, a, ours.b, tolerance=ours.tolerance)).order < 2 * stages


def test_many_stages_are_quick() -> None:
    """Assert that Krogstad's tableau takes at most 1 s of processor time, and DOP8 with 13 stages at most 20."""
    started = time.process_time()
    assert (prove_scheme(KROGSTAD).order, stiff_orders(KROGSTAD)) == (4, (3, 3))
    assert time.process_time() - started < 1
    started = time.process_time()
    assert prove_scheme(taken("PD8", sp.Rational(1, 10**9))).order == 8
    assert time.process_time() - started < 20


def test_stability_functions() -> None:
    """Assert R of Gauss with 2 stages, that it is not bounded, and the interval of the classical method."""
    above, below = stability_function(GAUSS)
    x = above.gen
    assert (above.as_expr(), below.as_expr()) == (1 + x / 2 + x**2 / 12, 1 - x / 2 + x**2 / 12)
    assert stability(GAUSS) == sp.oo
    assert abs(float(stability(taken("RK44"))) - 2.785293563405) < 1e-12
    assert abs(float(stability(taken("DP5"))) - float(library()["DP5"].real_stability_interval())) < 1e-3


def multistep(b: list[str], a: list[str] | None = None) -> Scheme:
    symbols = {ratio.name: ratio for ratio in r}
    weights = [entry(text, symbols) for text in b]
    states = tuple(entry(text, symbols) for text in a or ["1"])
    return Scheme("m", (sp.S.Zero,), ((sp.S.Zero,),), (weights[0],), v=tuple(weights[1:]), states=states)


def test_multistep_forms() -> None:
    """Assert orders for equal and for free steps, and that a scheme of order 3 with growing states is not stable."""
    three = multistep(["23/12", "-4/3", "5/12"])
    assert (prove_scheme(three).order, prove_scheme(three, free=True).order) == (3, 1)
    assert stability(three) == sp.Rational(6, 11)
    two = multistep(["1 + 1/(2 r1)", "-1/(2 r1)"])
    assert (prove_scheme(two).order, stability(two)) == (2, 1)
    unstable = multistep(["4", "2"], ["-4", "5"])
    assert (prove_scheme(unstable).order, zero_stable(unstable)) == (3, False)
    assert zero_stable(multistep(["2"], ["0", "1"]))
    assert prove_scheme(multistep(["1 + 1/(2 r1) + 1/1000000", "-1/(2 r1)"])).order == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "unknown name 'foo'"),
        ("phi2(h", "brackets that close"),
        ("phi3(c2)", "phi3 of a rational multiple of h"),
        ("phi99(h)", "phi0 to phi12"),
        ("1/h", "no division by h"),
        ("1/0", "no division by zero"),
        ("sqrt(-1)", "sqrt of a positive rational number"),
        ("2^h", "whole powers from 0 to 20"),
        ("1 ) 2", "nothing behind"),
        ("1 & 2", "not '&'"),
        ("(" * 50 + "1", "at most 40 brackets"),
        ("", "a number or a name"),
        ("1e999999999", "exponents of at most 300"),
        ("x" * 501, "at most 500 characters"),
    ],
)
def test_entries_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(EntryError) as refused:
        entry(text, {"h": h, "c2": HALF})
    assert message in str(refused.value)


def test_entries_that_are_read() -> None:
    """Assert that blanks multiply, signs and powers bind as usual, and numbers are exact."""
    symbols = {"h": h, "c2": HALF}
    assert entry("-2 phi2(c2 h) - 4phi3(h)/3", symbols) == -2 * phi(2, h / 2) - sp.Rational(4, 3) * phi(3, h)
    assert entry("-2^2 + exp(0 h) + sqrt(12)", symbols) == -3 + 2 * sp.sqrt(3)
    assert entry("0.125e1", symbols) == sp.Rational(5, 4)
