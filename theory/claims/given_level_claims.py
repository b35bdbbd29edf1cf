"""Samplers that pass the model another level: the defect of DDIM that it can repair, and the rule of Time-Shift."""

from __future__ import annotations

import sympy as sp

from ..notation import alpha, sigma, x
from .claim import Claim, Proof, claim


@claim(
    "aligner-order",
    "DDIM with a model at $sigma + d$ has the local defect $D (d eps_sigma - D eps'/2)$ in $sigma$, $eps' = eps_sigma "
    "+ eps eps_x$. A number $d$ a step removes it for centred Gaussian data, $d = D v/(2 (v - sigma^2))$ at every "
    "$x$; for two atoms no number does, so that DDIM stays of order 1.",
    "xia2024timetuner",
)
def aligner_order() -> Proof:
    """A shifted level removes DDIM's error for Gaussian data only.

    For $N(0, v)$ the derivatives of $eps = sigma x/(v + sigma^2)$ are inserted: the defect vanishes at the stated $d$
    for every $x$, and not at $d = 0$. For atoms at $-1$ and 1 the numbers that suit $x = 1$ and $x = 2$ at $sigma = 1$
    differ.
    """
    v, length, shift = sp.symbols("v length shift", positive=True)

    def derivatives(noise: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """d eps/d sigma at a fixed x, and along the flow dx/d sigma = eps."""
        partial = sp.diff(noise, sigma)
        return partial, partial + noise * sp.diff(noise, x)

    partial, total = derivatives(sigma * x / (v + sigma**2))
    removing = length * v / (2 * (v - sigma**2))
    defect = length * (shift * partial - length * total / 2)
    # Two atoms at -1 and 1: E[x0 | x] = tanh(x/sigma^2).  At sigma = 1 no number suits x = 1 and x = 2.
    two_partial, two_total = derivatives((x - sp.tanh(x / sigma**2)) / sigma)
    at = [{sigma: sp.Integer(1), x: sp.Integer(k)} for k in (1, 2)]
    mixed = two_total.subs(at[0]) * two_partial.subs(at[1]) - two_total.subs(at[1]) * two_partial.subs(at[0])
    return Proof((defect.subs(shift, removing),), nonzero=(defect.subs(shift, 0), mixed))


@claim(
    "time-shift-variance",
    "$d$ independent entries of variance $v$ with the errors $e_i$ have a sample variance of mean $v + (|e|^2 - d "
    "m^2)/(d - 1)$, $m$ the mean of the errors (here $d = 3$), not $v + |e|^2/(d (d - 1))$.",
    "li2024timeshift",
)
def time_shift_variance() -> Proof:
    """What a sample variance measures under errors.

    The expected sum of squares is $d v + |e|^2$, the expected square of the sum $d v + d^2 m^2$; the sample variance
    follows from both, for three entries.
    """
    v = sp.Symbol("v", positive=True)
    errors = sp.symbols("e1 e2 e3", real=True)
    d = len(errors)
    squares = sum(v + e**2 for e in errors)  # E sum x_i^2
    square_of_sum = d * v + sum(errors) ** 2  # E (sum x_i)^2
    mean = (squares - square_of_sum / sp.Integer(d)) / (d - 1)
    norm, middle = sum(e**2 for e in errors), sum(errors) / sp.Integer(d)
    return Proof((mean - v - (norm - d * middle**2) / (d - 1),), nonzero=(mean - v - norm / sp.Integer(d * (d - 1)),))


@claim(
    "time-shift-bias",
    "Where variance is preserved, data of variance $v0$ give $x$ the variance $1 - alpha^2 (1 - v0)$: the level whose "
    "noise has that variance is the true one for $v0 = 0$ only, and at $v0 = 1$ it is pure noise, above every level.",
    "li2024timeshift",
)
def time_shift_bias() -> Proof:
    """The level chosen by a sample variance is biased.

    The variance of $x$ is $alpha^2 v0 + sigma^2$ with $sigma^2 = 1 - alpha^2$. The level whose $sigma^2$ is that
    variance has $alpha^2$ times $1 - v0$ in place of $alpha^2$.
    """
    v0 = sp.Symbol("v0", positive=True)
    variance = (alpha**2 * v0 + sigma**2).subs(sigma**2, 1 - alpha**2)
    chosen = 1 - variance  # alpha^2 of the level whose noise variance is that of x
    return Proof(
        (variance - 1 + alpha**2 * (1 - v0), chosen.subs(v0, 0) - alpha**2, chosen.subs(v0, 1)),
        nonzero=(chosen - alpha**2,),
    )


CLAIMS: tuple[Claim, ...] = (aligner_order, time_shift_variance, time_shift_bias)
