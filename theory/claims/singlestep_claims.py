"""Single-step methods: as their papers write them, with the stages free."""

from __future__ import annotations

import sympy as sp

from ..methods import find
from ..notation import c2, c3, h
from ..phi_functions import phi
from .claim import Claim, Expressions, Proof, claim

HALF, TWO_THIRDS = sp.Rational(1, 2), sp.Rational(2, 3)
NOISE, DATA = ("dpm-solver", h), ("dpm-solver++", -h)


def differences(name: str, rows: tuple[tuple[sp.Expr, ...], ...]) -> Expressions:
    """Our weights minus others, row by row."""
    ours = find(name).weights
    pairs = [pair for mine, theirs in zip(ours, rows, strict=True) for pair in zip(mine, theirs, strict=True)]
    return tuple(a - b for a, b in pairs)


@claim(
    "singlestep-published",
    "The single-step methods 2S and 3S of DPM-Solver and DPM-Solver++, in their first and their Taylor form, are the "
    "published updates, for every place $r$ of the first stage.",
    "lu2022dpmsolver",
)
def published() -> Proof:
    """The single-step DPM-Solvers as published.

    The weights of every row are written as the papers have them, in both frames, and subtracted from those of the
    records: eight methods, with $r$ as a symbol.
    """
    zero: list[sp.Expr] = []
    for prefix, z in (NOISE, DATA):
        first = (c2 * h * phi(1, c2 * z),)
        whole, line = h * phi(1, z), h * phi(2, z)
        zero += differences(f"{prefix}-2s", (first, (whole * (1 - 1 / (2 * c2)), whole / (2 * c2))))
        zero += differences(f"{prefix}-2s-taylor", (first, (whole - line / c2, line / c2)))
        # u_2 = … + (r_2/r_1) (phi_1(r_2 z) - 1)/… D: r_2^2/r_1 phi_2(r_2 z) on the difference of outputs
        up = h * TWO_THIRDS**2 / c2 * phi(2, TWO_THIRDS * z)
        second = (TWO_THIRDS * h * phi(1, TWO_THIRDS * z) - up, up)
        zero += differences(f"{prefix}-3s", (first, second, (whole - line / TWO_THIRDS, line / TWO_THIRDS)))
        # Taylor: D_1 = (r_2 D_10 - r_1 D_11)/(r_2 - r_1), D_2 = 2 (D_11 - D_10)/(r_2 - r_1), D_1i the quotients.
        quotients = [sp.Matrix([[-1, 1, 0]]) / c2, sp.Matrix([[-1, 0, 1]]) / TWO_THIRDS]
        gap = TWO_THIRDS - c2
        d1 = (TWO_THIRDS * quotients[0] - c2 * quotients[1]) / gap
        d2 = 2 * (quotients[1] - quotients[0]) / gap
        final = whole * sp.Matrix([[1, 0, 0]]) + line * d1 + h * phi(3, z) * d2
        zero += differences(f"{prefix}-3s-taylor", (first, second, tuple(final)))
    return Proof(tuple(zero))


@claim(
    "3s-free",
    "With both stages free the single-step method 3S is DPM-Solver's update for any $r1$ and $r2$; at $r2 = 2/3$ it "
    "is DPM-Solver-3 and DPM-Solver++(3S), of order 3, and nowhere else.",
    "lu2022dpmsolver",
)
def free_stages() -> Proof:
    """3S with free stages.

    The published rows with $r1$ and $r2$ as symbols equal those of the records, and at $r2 = 2/3$ those of 3S. As $h ->
    0$ the last row weights a parabola by $r2/2$, which is the $1/3$ that order 3 asks for at $r2 = 2/3$ alone.
    """
    zero: list[sp.Expr] = []
    for prefix, z in (NOISE, DATA):
        up = h * c3**2 / c2 * phi(2, c3 * z)
        line = h * phi(2, z) / c3
        published = (
            (c2 * h * phi(1, c2 * z),),
            (c3 * h * phi(1, c3 * z) - up, up),
            (h * phi(1, z) - line, line),
        )
        zero += differences(f"{prefix}-3s-free", published)
        fixed = tuple(tuple(w.subs(c3, TWO_THIRDS) for w in row) for row in published)
        zero += differences(f"{prefix}-3s", fixed)
    # The last row's weight of a parabola, sum b_i c_i^2 as h -> 0, is 1/3 at r2 = 2/3 alone.
    curvature = c3**2 / (2 * c3) - sp.Rational(1, 3)
    return Proof((*zero, curvature.subs(c3, TWO_THIRDS)), nonzero=(curvature,))


@claim(
    "etd-rk2",
    "At $r = 1$ the Taylor form of DPM-Solver++(2S) is Cox and Matthews's ETD-RK2, $x' = a + h phi_2 (F(a) - F_n)$ "
    "with $a = e^{-h} z + h phi_1 F_n$: ComfyUI's exp_heun_2_x0. Its midpoint form at $r = 1$ is another method.",
    "cox2002etd",
)
def etd_rk2() -> Proof:
    """ETD-RK2 is DPM-Solver++(2S) at r = 1.

    The three weights of the Taylor form at $r = 1$ are $h phi_1$, $h (phi_1 - phi_2)$ and $h phi_2$ at $-h$. The last
    weight of the midpoint form is $h phi_1/2$, which is not $h phi_2$.
    """

    def at_one(name: str) -> list[sp.Expr]:
        return [w.subs(c2, 1) for row in find(name).weights for w in row]

    whole, line = h * phi(1, -h), h * phi(2, -h)
    taylor, middle = at_one("dpm-solver++-2s-taylor"), at_one("dpm-solver++-2s")
    published = (whole, whole - line, line)
    zero = [a - b for a, b in zip((*taylor, middle[2]), (*published, whole / 2), strict=True)]
    return Proof(tuple(zero), nonzero=(middle[2] - line,))


@claim(
    "rf-solver",
    "RF-Solver's second-order update $x + h v + (h^2/2) (v_mid - v)/(h/2)$, its derivative by a difference, is the "
    "midpoint method: $v$ cancels.",
    "wang2024rfsolver",
)
def rf_solver() -> Proof:
    """RF-Solver is the midpoint method.

    The update is expanded: it is $x + h v_mid$, and the record's two weights are $h/2$ and $h$.
    """
    (first,), (last,) = find("rf-solver-2").weights
    v, v_mid = sp.symbols("v v_mid")
    taylor = h * v + h**2 / 2 * (v_mid - v) / (h / 2)
    return Proof((first - h / 2, taylor - last * v_mid), nonzero=(taylor - last * v,))


@claim(
    "res-2s",
    "The two-stage RES method is DPM-Solver++(2S) in its Taylor form: $b_2 = phi_2/c_2$.",
    "zhang2023res",
)
def res_2s() -> Proof:
    """RES-2S is DPM-Solver++(2S) in Taylor form.

    The published weights $c_2 h phi_1(-c_2 h)$, $h (phi_1 - phi_2/c_2)$ and $h phi_2/c_2$ less those of the record are
    zero, with $c_2$ as a symbol.
    """
    rows = ((c2 * h * phi(1, -c2 * h),), (h * (phi(1, -h) - phi(2, -h) / c2), h * phi(2, -h) / c2))
    return Proof(differences("res-2s", rows))


@claim(
    "res-3s",
    "The three-stage RES method is Hochbruck and Ostermann's third-order family with $2 (g c_2 + c_3) = 3 (g c_2^2 + "
    "c_3^2)$; a $c_3^3$ in place of the $c_3^2$, as a widely used port computes $g$, is right for $c_3 = 1$ only.",
    "zhang2023res",
)
def res_3s() -> Proof:
    """RES-3S and a slip in its port.

    The condition is solved for $g$, and the family's weights at $c_2 = 1/2$, $c_3 = 1$ equal the record's. The ported
    $g$ less the right one vanishes at $c_3 = 1$, and not for every $c_3$.
    """
    g, c3 = sp.symbols("g c3", positive=True)
    condition = 2 * (g * c2 + c3) - 3 * (g * c2**2 + c3**2)
    (right,) = sp.solve(condition, g)
    ported = (3 * c3**3 - 2 * c3) / (c2 * (2 - 3 * c2))
    b3 = phi(2, -h) / (g * c2 + c3)
    a32 = g * c2 * phi(2, -c2 * h) + c3**2 / c2 * phi(2, -c3 * h)
    rows = (
        (c2 * phi(1, -c2 * h),),
        (c3 * phi(1, -c3 * h) - a32, a32),
        (phi(1, -h) - (1 + g) * b3, g * b3, b3),
    )
    values = {c2: HALF, c3: sp.S.One, g: right.subs({c2: HALF, c3: 1})}
    ours = differences("res-3s", tuple(tuple(h * w.subs(values) for w in row) for row in rows))
    return Proof((*ours, (ported - right).subs(c3, 1)), nonzero=(ported - right,))


@claim(
    "etd-rk4",
    "ETD-RK4 is Cox and Matthews's: its last stage starts from the first stage's result, which gives the base output "
    "the weight $phi_1(-h/2) (e^{-h/2} - 1)/2$.",
    "cox2002etd",
)
def etd_rk4() -> Proof:
    """ETD-RK4 as published.

    The paper's four rows, the last stage's start from the first stage written out by its outputs, less those of the
    record are zero.
    """
    half = phi(1, -h / 2)
    base = half * (phi(0, -h / 2) - 1) / 2
    ends = (phi(1, -h) - 3 * phi(2, -h) + 4 * phi(3, -h), 4 * phi(3, -h) - phi(2, -h))
    middle = 2 * phi(2, -h) - 4 * phi(3, -h)
    rows = ((half / 2,), (half / 2,), (base, half), (ends[0], middle, middle, ends[1]))
    return Proof(differences("etd-rk4", tuple(tuple(h * w for w in row) for row in rows)))


CLAIMS: tuple[Claim, ...] = (published, free_stages, etd_rk2, rf_solver, res_2s, res_3s, etd_rk4)
