"""The variational bound as a sum over steps, and the grids that make it least."""

from __future__ import annotations

import sympy as sp

from ..notation import alpha, next_alpha, next_sigma, sigma
from .claim import Claim, Proof, claim

FORWARD = sigma**2 - (alpha / next_alpha) ** 2 * next_sigma**2  # variance of the forward step from next to here
POSTERIOR = FORWARD * next_sigma**2 / sigma**2
SIGNAL = next_alpha * FORWARD / sigma**2  # the part of x0 in the posterior's mean


@claim(
    "elbo-step-cost",
    "With the posterior's variance a step of the variational bound costs half the change of the SNR times the squared "
    "error of the data prediction.",
    "kingma2021vdm",
)
def elbo_step_cost() -> Proof:
    """What a step of the variational bound costs.

    The Kullback-Leibler divergence of two Gaussians of one variance is the squared difference of their means over twice
    the variance. With the posterior's weight of the data and its variance that is half the change of $(alpha/sigma)^2$;
    with the variance of the forward step it is not.
    """
    half = ((next_alpha / next_sigma) ** 2 - (alpha / sigma) ** 2) / 2
    return Proof((SIGNAL**2 / (2 * POSTERIOR) - half,), nonzero=(SIGNAL**2 / (2 * FORWARD) - half,))


@claim(
    "elbo-step-excess",
    "A step of length $D$ in the SNR costs $D^2 E Var^2/4 + O(D^3)$ more than the integral of $mmse/2$ over it, as $d "
    "mmse/d SNR = -E Var^2$: for Gaussian data that is $v^2/(1 + v SNR)^2$.",
    "kingma2021vdm",
)
def elbo_step_excess() -> Proof:
    """What a finite step of the bound costs beyond its integral.

    The mean squared error is expanded to second order about the start of the step, with the slope as a symbol; step
    less integral has the leading term $slope D^2/4$. For Gaussian data $mmse = v/(1 + v SNR)$, whose derivative is
    $-mmse^2$.
    """
    v, snr, length, s = sp.symbols("v snr length s", positive=True)
    mmse = v / (1 + v * snr)
    square = mmse**2
    first, slope, bend = sp.symbols("first slope bend", real=True)
    near = first - slope * s + bend * s**2  # mmse at the SNR s behind the level
    excess = length * first / 2 - sp.integrate(near, (s, 0, length)) / 2
    leading = sp.series(excess, length, 0, 3).removeO()
    return Proof(
        (sp.diff(mmse, snr) + square, leading - slope * length**2 / 4), nonzero=(excess - slope * length**2 / 4,)
    )


@claim(
    "elbo-gaussian-grid",
    "For Gaussian data of variance $v$ the bound is least where $log(1 + v SNR)$ is equally spaced, for every number "
    "$N$ of steps: of any two neighbouring steps of ratios $p$ and $q$ the sum exceeds that of two equal ones by "
    "$(sqrt p - sqrt q)^2/2$. The excess times $N$ tends to $(log R)^2/4$ for the ratio $R$ of all steps.",
    "watson2021efficiently",
)
def elbo_gaussian_grid() -> Proof:
    """The best grid of the bound for Gaussian data.

    A step whose ends have the ratio $p$ of $1 + v SNR$ costs $(p - 1)/2$. Replacing two neighbouring ratios by $sqrt(p
    q)$ twice saves $(sqrt p - sqrt q)^2/2$. With $N$ steps of the ratio $R^{1/N}$ the sum is expanded in $1/N$.
    """
    p, q, size, log_ratio, v, snr, next_snr = sp.symbols("p q size log_ratio v snr next_snr", positive=True)

    def cost(ratio: sp.Expr) -> sp.Expr:
        return (ratio - 1) / 2

    step = (next_snr - snr) * v / (1 + v * snr) / 2 - cost((1 + v * next_snr) / (1 + v * snr))
    exchange = cost(p) + cost(q) - 2 * cost(sp.sqrt(p * q)) - (sp.sqrt(p) - sp.sqrt(q)) ** 2 / 2
    # N = 1/size steps of the ratio e^{size log R}, times N.
    total = (cost(sp.exp(size * log_ratio)) / size - log_ratio / 2) / size
    limit = sp.series(total, size, 0, 1).removeO()
    return Proof((step, exchange, limit - log_ratio**2 / 4), nonzero=(cost(p) + cost(q) - 2 * cost(sp.sqrt(p * q)),))


@claim(
    "equal-local-errors",
    "If a step costs the power $p + 1$ of its length in some clock, the cheapest grid has equal steps in it: the sum "
    "for two lengths $a$, $b$ exceeds that for two equal ones by a positive multiple of $(a - b)^2$ ($p = 1, 2, 3$).",
    "watson2021efficiently",
)
def equal_local_errors() -> Proof:
    """Equal local errors make the cheapest grid.

    For $p = 1, 2, 3$ the difference of the sums is $(a - b)^2$ times $1/2$, $3 (a + b)/4$ and $(7 a^2 + 10 a b + 7
    b^2)/8$, which are positive.
    """
    a, b = sp.symbols("a b", positive=True)
    factors = {1: sp.Rational(1, 2), 2: sp.Rational(3, 4) * (a + b), 3: (7 * a**2 + 10 * a * b + 7 * b**2) / 8}
    sums = {p: a ** (p + 1) + b ** (p + 1) - 2 * ((a + b) / 2) ** (p + 1) for p in factors}
    return Proof(tuple(sums[p] - factor * (a - b) ** 2 for p, factor in factors.items()), nonzero=tuple(sums.values()))


CLAIMS: tuple[Claim, ...] = (elbo_step_cost, elbo_step_excess, elbo_gaussian_grid, equal_local_errors)
