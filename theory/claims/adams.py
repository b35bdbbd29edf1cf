"""Multistep methods under their other names, and the three-step method as it was published."""

from __future__ import annotations

import sympy as sp

from ..methods import find
from ..notation import h, r
from ..phi import phi
from .core import Claim, Proof, claim


def unified(p: int, corrector: bool) -> list[sp.Expr]:
    """Weights of UniP-p or UniC-p with B(h) = e^{-h} - 1 in the data frame (Zhao et al. 2023, section 3).

    Newest known output first, for UniC the output at the predicted point last.
    x' = (sigma'/sigma) x - alpha' (e^{hh} - 1) m_0 - alpha' B sum_m rho_m (m_m - m_0)/r_m with hh = -h, where
    sum_m r_m^{k-1} rho_m = k! hh phi_{k+1}(hh)/B; r_m runs over the past points, and 1 for UniC. A single equation
    is not solved: rho = 1/2.
    """
    hh = -h
    b = hh * phi(1, hh)
    places = [-sum(r[:m], start=sp.S.Zero) for m in range(1, p)] + [sp.S.One] * corrector
    if len(places) == 1:
        solution = [sp.Rational(1, 2)]
    else:
        matrix = sp.Matrix(len(places), len(places), lambda k, m: places[m] ** k)
        right = sp.Matrix([sp.factorial(k) * hh * phi(k + 1, hh) / b for k in range(1, len(places) + 1)])
        solution = list(matrix.LUsolve(right))
    others = [-b * rho / place for rho, place in zip(solution, places, strict=True)]
    return [-b - sum(others), *others]


@claim(
    "unip-names",
    "UniP-2 (with B = e^{-h} - 1 and its shortcut 1/2) is DPM-Solver++(2M), and UniP-3 is exponential Adams 3.",
    "zhao2023unipc",
)
def unip_names() -> Proof:
    pairs = [(2, "dpm-solver++-2m"), (3, "exp-adams-3")]
    return Proof(
        tuple(u - w for p, name in pairs for u, w in zip(unified(p, False), find(name).weights[0], strict=True))
    )


@claim(
    "unipc-published",
    "UniPC-1, -2 and -3 are the published predictors and correctors: with more than one equation B(h) cancels, and the "
    "rule is the exact integral of the interpolant through all outputs, the predicted one included.",
    "zhao2023unipc",
)
def unipc_published() -> Proof:
    methods = [(p, find(f"unipc-{p}")) for p in (1, 2, 3)]
    predictors = [(unified(p, False) if p > 1 else [h * phi(1, -h)], m.weights[0]) for p, m in methods]
    correctors = [(unified(p, True), m.weights[1]) for p, m in methods]
    return Proof(tuple(u - w for us, ws in predictors + correctors for u, w in zip(us, ws, strict=True)))


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


CLAIMS: tuple[Claim, ...] = (unip_names, unipc_published, published_3m)
