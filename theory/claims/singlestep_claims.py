"""Single-step methods: as their papers write them, with the stages free."""

from __future__ import annotations

import sympy as sp

from ..methods import find
from ..notation import c2, h
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
    "published updates, for every place r of the first stage.",
    "lu2022dpmsolver",
)
def published() -> Proof:
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
    "res-2s",
    "The two-stage RES method is DPM-Solver++(2S) in its Taylor form: b_2 = phi_2/c_2.",
    "zhang2023res",
)
def res_2s() -> Proof:
    rows = ((c2 * h * phi(1, -c2 * h),), (h * (phi(1, -h) - phi(2, -h) / c2), h * phi(2, -h) / c2))
    return Proof(differences("res-2s", rows))


@claim(
    "res-3s",
    "The three-stage RES method is Hochbruck and Ostermann's third-order family with 2 (g c_2 + c_3) = "
    "3 (g c_2^2 + c_3^2); a c_3^3 in place of the c_3^2, as a widely used port computes g, is right for c_3 = 1 only.",
    "zhang2023res",
)
def res_3s() -> Proof:
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
    "the weight phi_1(-h/2) (e^{-h/2} - 1)/2.",
    "cox2002etd",
)
def etd_rk4() -> Proof:
    half = phi(1, -h / 2)
    base = half * (phi(0, -h / 2) - 1) / 2
    ends = (phi(1, -h) - 3 * phi(2, -h) + 4 * phi(3, -h), 4 * phi(3, -h) - phi(2, -h))
    middle = 2 * phi(2, -h) - 4 * phi(3, -h)
    rows = ((half / 2,), (half / 2,), (base, half), (ends[0], middle, middle, ends[1]))
    return Proof(differences("etd-rk4", tuple(tuple(h * w for w in row) for row in rows)))


CLAIMS: tuple[Claim, ...] = (published, res_2s, res_3s, etd_rk4)
