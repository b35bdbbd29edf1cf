"""Multistep methods under their other names, and the three-step method as it was published."""

from __future__ import annotations

import sympy as sp

from ..methods import find
from ..notation import h, r
from ..phi import phi
from .core import Claim, Proof, claim


def unip(p: int) -> list[sp.Expr]:
    """Weights of UniP-p with B(h) = e^{-h} - 1 in the data frame, newest output first (Zhao et al. 2023, section 3).

    x' = (sigma'/sigma) x - alpha' (e^{hh} - 1) m_0 - alpha' B sum_m rho_m (m_{-m} - m_0)/r_m with hh = -h, where
    sum_m r_m^{k-1} rho_m = k! hh phi_{k+1}(hh)/B for k < p; for p = 2 the shortcut rho_1 = 1/2.
    """
    hh = -h
    b = hh * phi(1, hh)
    places = [-sum(r[:m], start=sp.S.Zero) for m in range(1, p)]
    if p == 2:
        solution = [sp.Rational(1, 2)]
    else:
        matrix = sp.Matrix(p - 1, p - 1, lambda k, m: places[m] ** k)
        right = sp.Matrix([sp.factorial(k) * hh * phi(k + 1, hh) / b for k in range(1, p)])
        solution = list(matrix.LUsolve(right))
    past = [-b * rho / place for rho, place in zip(solution, places, strict=True)]
    return [-b - sum(past), *past]


@claim(
    "unip-names",
    "UniP-2 (with B = e^{-h} - 1 and its shortcut 1/2) is DPM-Solver++(2M), and UniP-3 is exponential Adams 3.",
    "zhao2023unipc",
)
def unip_names() -> Proof:
    pairs = [(2, "dpm-solver++-2m"), (3, "exp-adams-3")]
    return Proof(tuple(u - w for p, name in pairs for u, w in zip(unip(p), find(name).weights[0], strict=True)))


@claim(
    "3m-published",
    "The published three-step method lacks half of the second divided difference: with D2 doubled it is exponential "
    "Adams 3, that is DPM-Solver++(3M) as derived.",
    "lu2022dpmsolverpp",
)
def published_3m() -> Proof:
    published, derived = find("dpm-solver++-3m-published").weights[0], find("exp-adams-3").weights[0]
    # D2 = (D10 - D11)/(r0 + r1), as a combination of the outputs, newest first.
    d2 = [1 / r[0], -1 / r[0] - 1 / r[1], 1 / r[1]]
    missing = [h * phi(3, -h) * d / (r[0] + r[1]) for d in d2]
    zero = tuple(w + m - e for w, m, e in zip(published, missing, derived, strict=True))
    return Proof(zero, nonzero=tuple(missing))


CLAIMS: tuple[Claim, ...] = (unip_names, published_3m)
