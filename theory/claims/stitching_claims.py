"""Two models in one run: how close a Gaussian model is to the exact one at the noisy end."""

from __future__ import annotations

import sympy as sp

from .claim import Claim, Proof, claim

y, snr = sp.symbols("y snr", real=True)  # y = x/sigma, snr = alpha/sigma
ORDER = 4


def log_ratio(moments: tuple[sp.Expr, ...]) -> sp.Expr:
    """log of the density of y = snr x_0 + eps over that of eps, through snr^4: sum of moments times Hermite terms."""
    hermite = [sp.sympify(1)]
    for _ in range(ORDER):
        hermite.append(sp.expand(y * hermite[-1] - sp.diff(hermite[-1], y)))
    grown = sum(snr**k * moments[k - 1] * hermite[k] / sp.factorial(k) for k in range(1, ORDER + 1))
    total, power = sp.S.Zero, sp.S.One
    for k in range(1, ORDER + 1):
        power = _kept(power * grown)
        total += (-1) ** (k + 1) * power / k
    return sp.expand(total)


def _kept(series: sp.Expr) -> sp.Expr:
    """The terms through snr^4."""
    expanded = sp.expand(series)
    return sum(expanded.coeff(snr, k) * snr**k for k in range(ORDER + 1))


@claim(
    "stitch-gap",
    "The exact noise prediction and that of the Gaussian with the data's mean and variance differ by "
    "$-(alpha/sigma)^3 k_3 (y^2 - 1)/2 + O((alpha/sigma)^4)$, $k_3$ the third cumulant, $y = x/sigma$; where $k_3 = "
    "0$ by $-(alpha/sigma)^4 k_4 (y^3 - 3 y)/6$.",
    "pan2025tstitch",
)
def stitch_gap() -> Proof:
    """A Gaussian stands in at high noise.

    The logarithm of the density of $y = (alpha/sigma) x_0 + eps$ over that of $eps$ is expanded in Hermite polynomials
    through the fourth power of $alpha/sigma$, with the moments written by cumulants. Its derivative in $y$, less that
    of the Gaussian, has no terms below the third power, and the stated ones there.
    """
    mean, variance = sp.symbols("mean variance", real=True)
    third, fourth = sp.symbols("k_3 k_4", real=True)  # cumulants

    def moments(k3: sp.Expr, k4: sp.Expr) -> tuple[sp.Expr, ...]:
        return (
            mean,
            variance + mean**2,
            k3 + 3 * variance * mean + mean**3,
            k4 + 4 * k3 * mean + 3 * variance**2 + 6 * variance * mean**2 + mean**4,
        )

    # epshat = y-derivative of -log p, so that of the ratio with the sign changed, and eps itself is the same for both.
    gap = sp.expand(-sp.diff(log_ratio(moments(third, fourth)) - log_ratio(moments(sp.S.Zero, sp.S.Zero)), y))
    terms = [gap.coeff(snr, k) for k in range(ORDER + 1)]
    return Proof(
        (
            *terms[:3],
            terms[3] + third * (y**2 - 1) / 2,
            terms[4].subs(third, 0) + fourth * (y**3 - 3 * y) / 6,
        ),
        nonzero=(terms[3], terms[4].subs(third, 0)),
    )


CLAIMS: tuple[Claim, ...] = (stitch_gap,)
