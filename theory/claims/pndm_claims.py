"""PNDM and DEIS: transfers, mixtures and the same weights in another variable."""

from __future__ import annotations

import sympy as sp

from ..frames import NOISE_T
from ..methods import find
from ..methods.gradient_estimation import gamma
from ..notation import alpha, dalpha, dsigma, eps, h, next_alpha, r, sigma, x
from .claim import Claim, Proof, claim


@claim(
    "pndm-transfer",
    "PNDM's transfer from $alpha^2$ to $alpha'^2$ is DDIM's step on a variance-preserving schedule.",
    "liu2022pndm",
)
def pndm_transfer() -> Proof:
    """PNDM's transfer is DDIM's step.

    The denominator of the transfer is cleared by its conjugate: $(sigma' alpha + sigma alpha') (sigma alpha' - sigma'
    alpha) = alpha'^2 - alpha^2$ where $alpha^2 + sigma^2 = 1$ at both levels. Transfer and step then agree term by
    term.
    """
    noise, next_noise = sp.sqrt(1 - alpha**2), sp.sqrt(1 - next_alpha**2)
    gain = next_alpha**2 - alpha**2
    transfer = x + gain * (
        x / (alpha * (alpha + next_alpha)) - eps / (alpha * (next_noise * alpha + noise * next_alpha))
    )
    ddim = next_alpha / alpha * x + (next_noise - next_alpha / alpha * noise) * eps
    # Clear the denominator, whose conjugate is rational: (s' a + s a')(s a' - s' a) = a'^2 - a^2.
    conjugate = noise * next_alpha - next_noise * alpha
    return Proof(
        (
            sp.expand((next_noise * alpha + noise * next_alpha) * conjugate) - gain,
            transfer - ddim - (gain / (next_noise * alpha + noise * next_alpha) - conjugate) * -eps / alpha,
        )
    )


@claim(
    "pndm-mixtures",
    "The mixtures of iPNDM and PNDM are Adams-Bashforth's: the weights of DEIS in $rho$ for equal steps, and on no "
    "other grid.",
    "liu2022pndm",
)
def pndm_mixtures() -> Proof:
    """The mixtures of PNDM are those of Adams and Bashforth.

    With two, three and four outputs the mixture less the weights of DEIS-rhoAB at step ratios 1 is zero; with free
    ratios it is not. PNDM's mixture is that of iPNDM with four outputs.
    """
    equal = {ratio: 1 for ratio in r}
    pairs = [(find(f"ipndm-{q}").weights[0], find(f"deis-rhoab{q - 1}").weights[0]) for q in (2, 3, 4)]
    zero = tuple(a - w.subs(equal) for ours, theirs in pairs for a, w in zip(ours, theirs, strict=True))
    same = tuple(a - b for a, b in zip(find("pndm").weights[0], find("ipndm-4").weights[0], strict=True))
    free = tuple(a - w for ours, theirs in pairs for a, w in zip(ours, theirs, strict=True))
    return Proof(zero + same, nonzero=free)


@claim(
    "deis-weight",
    "DEIS's integrand, $-(alpha'/alpha) (d log alpha^2/dt)/(2 sigma)$ where variance is preserved, is $alpha' "
    "drho/dt$: tAB and rhoAB integrate the same weight, and differ in the variable of their interpolant alone.",
    "zhang2023deis",
)
def deis_weight() -> Proof:
    """DEIS integrates one weight in two variables.

    With $sigma = sqrt(1 - alpha^2)$, so that $sigma dsigma = -alpha dalpha$, the published integrand less $alpha'
    drho/dt$ is zero. Here $alpha'$ is the value at the end of the step.
    """
    published = -next_alpha / alpha * (2 * dalpha / alpha) / (2 * sigma)
    ours = next_alpha * NOISE_T.weight.subs(dsigma, -alpha * dalpha / sigma)
    return Proof(((published - ours).subs(sigma, sp.sqrt(1 - alpha**2)),))


@claim(
    "gradient-estimation-is-ipndm",
    "Gradient estimation, $x' = x + h (gamma eps_n + (1 - gamma) eps_{n-1})$ in $rho$, is iPNDM-2 at $gamma = 3/2$, "
    "and DDIM at $gamma = 1$. At its default $gamma = 2$ it is neither.",
    "permenter2024interpreting",
)
def gradient_estimation() -> Proof:
    """Gradient estimation is iPNDM-2 at gamma = 3/2.

    The two weights at $gamma = 3/2$ equal those of iPNDM-2; at $gamma = 1$ they are $h$ and 0. At $gamma = 2$ the first
    differs from iPNDM-2's, and the second is not zero.
    """
    (now, before), (first, second) = find("gradient-estimation").weights[0], find("ipndm-2").weights[0]
    at = {value: (now.subs(gamma, value), before.subs(gamma, value)) for value in (sp.Rational(3, 2), 1, 2)}
    return Proof(
        zero=(at[sp.Rational(3, 2)][0] - first, at[sp.Rational(3, 2)][1] - second, at[1][0] - h, at[1][1]),
        nonzero=(at[2][0] - first, at[2][1]),
    )


CLAIMS: tuple[Claim, ...] = (pndm_transfer, pndm_mixtures, deis_weight, gradient_estimation)
