"""Multistep methods under their other names, and the three-step method as it was published."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from ..methods import find
from ..notation import h, r
from ..phi_functions import phi
from .claim import Claim, Proof, claim


def unified(p: int, corrector: bool, bh1: bool = False, noise: bool = False) -> list[sp.Expr]:
    """Weights of UniP-p or UniC-p in the data frame, B(h) = e^{-h} - 1 or, as bh1, -h (Zhao et al. 2023, section 3).

    Newest known output first, for UniC the output at the predicted point last.
    x' = (sigma'/sigma) x - alpha' (e^{hh} - 1) m_0 - alpha' B sum_m rho_m (m_m - m_0)/r_m with hh = -h (with noise
    predictions (alpha'/alpha) x, -sigma' and hh = h), where
    sum_m r_m^{k-1} rho_m = k! hh phi_{k+1}(hh)/B; r_m runs over the past points, and 1 for UniC. A single equation
    is not solved: rho = 1/2.
    """
    hh = h if noise else -h
    whole = hh * phi(1, hh)
    b = hh if bh1 else whole
    places = [-sum(r[:m], start=sp.S.Zero) for m in range(1, p)] + [sp.S.One] * corrector
    if len(places) == 1:
        solution = [sp.Rational(1, 2)]
    else:
        matrix = sp.Matrix(len(places), len(places), lambda k, m: places[m] ** k)
        right = sp.Matrix([sp.factorial(k) * hh * phi(k + 1, hh) / b for k in range(1, len(places) + 1)])
        solution = list(matrix.LUsolve(right))
    sign = 1 if noise else -1  # of -sigma' epshat, or of alpha' x0hat
    others = [sign * b * rho / place for rho, place in zip(solution, places, strict=True)]
    return [sign * whole - sum(others), *others]


@claim(
    "unip-names",
    "UniP-2 (with $B = e^{-h} - 1$ and its shortcut $1/2$) is DPM-Solver++(2M), and UniP-3 is exponential Adams 3.",
    "zhao2023unipc",
)
def unip_names() -> Proof:
    """UniP-2 and UniP-3 under their other names.

    The linear system of the UniPC paper is solved for symbolic step ratios; its weights less those of the two records
    are zero.
    """
    pairs = [(2, "dpm-solver++-2m"), (3, "exp-adams-3")]
    return Proof(
        tuple(u - w for p, name in pairs for u, w in zip(unified(p, False), find(name).weights[0], strict=True))
    )


@claim(
    "unipc-published",
    "UniPC-1, -2 and -3 are the published predictors and correctors, for $B(h) = e^{-h} - 1$ and for $B(h) = h$: with "
    "more than one equation $B(h)$ cancels, and the rule is the exact integral of the interpolant through all "
    "outputs, the predicted one included. Without the shortcuts it is what vary_coeff means to compute.",
    "zhao2023unipc",
)
def unipc_published() -> Proof:
    """UniPC is the exact rule through all outputs.

    The paper's linear systems for predictor and corrector are solved for symbolic step ratios, with both functions $B$;
    their weights equal those of the six records. Without the shortcut $1/2$ the correctors equal those of vary_coeff,
    and the predictor of order 3 equals exponential Adams 3.
    """
    methods = [(p, find(f"unipc-{p}{kind}"), bool(kind)) for p in (1, 2, 3) for kind in ("", "-bh1")]
    predictors = [(unified(p, False, bh1) if p > 1 else [h * phi(1, -h)], m.weights[0]) for p, m, bh1 in methods]
    correctors = [(unified(p, True, bh1), m.weights[1]) for p, m, bh1 in methods]
    pairs: list[tuple[Sequence[sp.Expr], Sequence[sp.Expr]]] = [*predictors, *correctors]
    pairs += [(find(f"unipc-{p}-vary").weights[1], find(f"unipc-{p}").weights[1]) for p in (2, 3)]
    pairs += [(find("unipc-3-vary").weights[0], find("exp-adams-3").weights[0])]
    return Proof(tuple(u - w for us, ws in pairs for u, w in zip(us, ws, strict=True)))


@claim(
    "unipc-noise-published",
    "On noise predictions (predict_x0=False) UniPC-1, -2 and -3 are the same rules in the noise frame, for both "
    "$B(h)$; UniP-2 there is DPM-Solver(2M), $sigma' (e^h - 1) (eps_n + (eps_n - eps_{n-1})/(2 r))$.",
    "zhao2023unipc",
)
def unipc_noise_published() -> Proof:
    """UniPC on noise predictions.

    The same linear systems are solved with $h$ in place of $-h$; their weights equal those of the six records, and
    those of UniP-2 equal DPM-Solver(2M)'s. A corrector of the data frame differs from its counterpart in the noise
    frame.
    """
    pairs: list[tuple[Sequence[sp.Expr], Sequence[sp.Expr]]] = []
    for p in (1, 2, 3):
        for kind in ("", "-bh1"):
            predict, correct = find(f"unipc-noise-{p}{kind}").weights
            pairs += [(unified(p, True, bool(kind), noise=True), correct)]
            pairs += [(unified(p, False, bool(kind), noise=True) if p > 1 else [h * phi(1, h)], predict)]
    pairs += [(unified(2, False, noise=True), find("dpm-solver-2m").weights[0])]
    data = find("unipc-2").weights[1][1] - find("unipc-noise-2").weights[1][1]
    return Proof(tuple(u - w for us, ws in pairs for u, w in zip(us, ws, strict=True)), nonzero=(data,))


@claim(
    "2m-v2",
    "The folk variant 2M v2 has DPM-Solver++(2M)'s weights times $(1 - e^{-r h})/(1 - e^{-h})$, $r h$ the step "
    "before: it holds a constant only where two steps are equal, and is 2M there.",
    "hallatore2023dpmppv2",
)
def folk_2m() -> Proof:
    """2M v2 uses the step before.

    Each weight times $1 - e^{-h}$ equals 2M's weight times $1 - e^{-r h}$, and at $r = 1$ the weights agree. Their sum
    is $1 - e^{-r h}$, which is the right one, $1 - e^{-h}$, at $r = 1$ only.
    """
    theirs, ours = find("dpm-solver++-2m-v2").weights[0], find("dpm-solver++-2m").weights[0]
    before, now = r[0] * h * phi(1, -r[0] * h), h * phi(1, -h)
    at_equal = [w.subs(r[0], 1) - v.subs(r[0], 1) for w, v in zip(theirs, ours, strict=True)]
    scaled = [w * now - v * before for w, v in zip(theirs, ours, strict=True)]
    return Proof((*scaled, *at_equal, sum(theirs) - before), nonzero=(sum(theirs) - now,))


@claim(
    "unipc-vary-published",
    "The corrector of vary_coeff as published gives the predicted output $phi_{p+1} A_{p-1,p}$ instead of $sum_k "
    "phi_{k+1} A_kp$, and leaves the last derivative out of the past ones: it misses a constant slope, and is of "
    "order 1. With all terms it is the exact rule.",
    "zhao2023unipc",
)
def unipc_vary_published() -> Proof:
    """What vary_coeff computes as published.

    The matrix $A$ is inverted for symbolic step ratios, with $p = 2$ and $p = 3$. With all terms the weights equal
    those of the exact rule; the published ones differ from these by the missing terms alone. The published rule does
    not integrate a linear function exactly.
    """
    zero, nonzero = [], []
    for p in (2, 3):
        places = [-sum(r[:m], start=sp.S.Zero) for m in range(1, p)] + [sp.S.One]
        inverse = sp.Matrix(p, p, lambda m, k, at=places: at[m] ** k / sp.factorial(k + 1)).inv()
        kernel = [h * phi(k + 2, -h) for k in range(p)]
        repaired = [sum(kernel[k] * inverse[k, m] for k in range(p)) / places[m] for m in range(p)]
        exact_rule = find(f"unipc-{p}-vary").weights[1]
        published = find(f"unipc-{p}-vary-published").weights[1]
        zero += [a - e for a, e in zip(repaired, exact_rule[1:], strict=True)]
        # What is missing: k = p for the past outputs, and all but one product for the predicted one.
        zero += [
            published[m + 1] + kernel[p - 1] * inverse[p - 1, m] / places[m] - exact_rule[m + 1] for m in range(p - 1)
        ]
        zero += [published[p] - kernel[p - 1] * inverse[p - 2, p - 1]]
        slope = sum(w * at for w, at in zip(published[1:], places, strict=True)) - h * phi(2, -h)
        nonzero += [slope]
    return Proof(tuple(zero), tuple(nonzero))


@claim(
    "3m-published",
    "The published three-step method lacks half of the second divided difference: with $D2$ doubled it is exponential "
    "Adams 3, that is DPM-Solver++(3M) as derived; so does the one on noise predictions.",
    "lu2022dpmsolverpp",
)
def published_3m() -> Proof:
    """The published 3M lacks half of a second difference.

    The missing half, $h phi_3 (D_10 - D_11)/(r_0 + r_1)$ as a combination of the three outputs, is added to the
    published weights; the sum equals exponential Adams 3 in the data frame and, with $-h$ for $h$, in the noise frame.
    What is missing is not zero.
    """
    # D2 = (D10 - D11)/(r0 + r1), as a combination of the outputs, newest first.
    d2 = [1 / r[0], -1 / r[0] - 1 / r[1], 1 / r[1]]
    zero: tuple[sp.Expr, ...] = ()
    for name, derived, end in (
        ("dpm-solver++-3m-published", "exp-adams-3", -h),
        ("dpm-solver-3m-published", "exp-adams-noise-3", h),
    ):
        published, exact = find(name).weights[0], find(derived).weights[0]
        missing = [h * phi(3, end) * d / (r[0] + r[1]) for d in d2]
        zero += tuple(w + m - e for w, m, e in zip(published, missing, exact, strict=True))
    return Proof(zero, nonzero=tuple(missing))


CLAIMS: tuple[Claim, ...] = (
    *(unip_names, unipc_published, unipc_noise_published),
    *(unipc_vary_published, published_3m, folk_2m),
)
