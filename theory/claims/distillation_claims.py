"""Score distillation in the variable of the predicted data."""

from __future__ import annotations

import sympy as sp

from ..notation import alpha, eps, next_alpha, next_sigma, sigma, x, x0
from .claim import Claim, Proof, claim

NEXT_NOISE = sp.Symbol("next_noise", real=True)


@claim(
    "sdi-identity",
    "In the predicted data DDIM is $x0(t') = x0(t) - sigma'/alpha' (eps' - eps)$: noise the predicted data with the "
    "noise predicted there, predict again, subtract the difference.",
    "lukoianov2024sdi",
)
def sdi_identity() -> Proof:
    """DDIM as an iteration of the predicted data.

    A DDIM step leads to $alpha' x0(t) + sigma' eps$; with the noise $eps'$ predicted there the data prediction is the
    stated one. With any other noise in the place of $eps$ it is not.
    """
    fresh = sp.Symbol("fresh", real=True)

    def distilled(noise: sp.Expr) -> sp.Expr:
        return x0 - next_sigma / next_alpha * (NEXT_NOISE - noise)

    new = next_alpha * x0 + next_sigma * eps
    data = (new - next_sigma * NEXT_NOISE) / next_alpha
    return Proof((data - distilled(eps),), nonzero=(data - distilled(fresh),))


def _mean() -> tuple[sp.Expr, sp.Expr]:
    """E[x0 | x] and Var(x0 | x) for three atoms of any masses and places, the weights as exponentials."""
    masses, places = sp.symbols("w1:4", positive=True), sp.symbols("m1:4", real=True)
    weights = [
        w * sp.exp(alpha * m * x / sigma**2 - alpha**2 * m**2 / (2 * sigma**2))
        for w, m in zip(masses, places, strict=True)
    ]
    total = sum(weights)
    first, second = (sum(w * m**k for w, m in zip(weights, places, strict=True)) / total for k in (1, 2))
    return first, second - first**2


@claim(
    "sdi-kappa-unique",
    "$d E[x0 | x]/dx = alpha Var(x0 | x)/sigma^2 > 0$ (three atoms of any masses; in $d$ dimensions $alpha "
    "Cov/sigma^2$, the second derivative of a convex function): one noise $kappa$ alone has $kappa = eps(alpha x0 + "
    "sigma kappa)$, at the $x$ with $E[x0 | x] = x0$, and $dx/dx0 = sigma^2/(alpha Var)$.",
    "lukoianov2024sdi",
)
def sdi_kappa_unique() -> Proof:
    """One noise alone is consistent with the data.

    The posterior mean of three atoms is differentiated and compared with the variance. It is therefore increasing in
    $x$, takes each value once, and the derivative of its inverse is the reciprocal.
    """
    mean, variance = _mean()
    slope = sp.diff(mean, x)
    return Proof((slope - alpha * variance / sigma**2,), nonzero=(slope, slope - variance / sigma**2))


@claim(
    "sdi-plain-iteration",
    "The iteration $kappa <- eps(alpha x0 + sigma kappa)$ has the factor $sigma d eps/dx = 1 - alpha^2 Var(x0 | "
    "x)/sigma^2$: it is slow where the noise is large and diverges where $alpha^2 Var > 2 sigma^2$.",
    "lukoianov2024sdi",
)
def sdi_plain_iteration() -> Proof:
    """Where the plain iteration of SDI diverges.

    $eps = (x - alpha E[x0 | x])/sigma$ is differentiated for three atoms of any masses. The factor is below $-1$ iff
    $alpha^2 Var > 2 sigma^2$.
    """
    mean, variance = _mean()
    factor = sigma * sp.diff((x - alpha * mean) / sigma, x)
    return Proof((factor - 1 + alpha**2 * variance / sigma**2,), nonzero=(factor - 1,))


CLAIMS: tuple[Claim, ...] = (sdi_identity, sdi_kappa_unique, sdi_plain_iteration)
