"""Laws given a part of what they depend on: conditions, memories, posterior draws, features."""

from __future__ import annotations

from itertools import combinations

import sympy as sp

from ..notation import alpha, next_alpha, next_sigma, sigma, x, x0
from .claim import Claim, Proof, claim

V = sp.Symbol("v", positive=True)
SPREAD = alpha**2 * V + sigma**2


@claim(
    "formulation-2",
    "Where every step adds $(1 - sqrt a)$ times a reconstruction $xhat$, $x_t - xhat$ is a DDPM: the posterior of "
    "$x_{t-1}$ given $x_t$ and $x0$ has the mean $c1 x0 + c2 x_t + (1 - c2) xhat$, with DDPM's $c1$ and $c2$, and "
    "DDPM's variance.",
    "pandey2022diffusevae",
)
def formulation_2() -> Proof:
    """DiffuseVAE's second formulation is a shifted DDPM.

    The negative logarithm of the density of $x_{t-1}$ is quadratic: its derivative vanishes at the stated mean, and its
    second derivative is one over DDPM's variance. Without the shift of every step, or at a mean that is off by $xhat$,
    the derivative does not vanish.
    """
    a, before = sp.symbols("a abar", positive=True)  # a of the step, and the product of those before it
    previous, guess = sp.symbols("x_previous x_hat", real=True)

    def posterior(shift: sp.Expr) -> sp.Expr:
        """-log density of x_{t-1}, up to a constant, where the step adds `shift` times the reconstruction."""
        step = (x - sp.sqrt(a) * previous - shift * guess) ** 2 / (2 * (1 - a))
        return step + (previous - sp.sqrt(before) * x0 - guess) ** 2 / (2 * (1 - before))

    whole = 1 - a * before
    c1, c2 = (1 - a) * sp.sqrt(before) / whole, sp.sqrt(a) * (1 - before) / whole
    mean = c1 * x0 + c2 * x + (1 - c2) * guess
    right, plain = posterior(1 - sp.sqrt(a)), posterior(sp.S.Zero)
    return Proof(
        (sp.diff(right, previous).subs(previous, mean), sp.diff(right, previous, 2) - whole / ((1 - a) * (1 - before))),
        nonzero=(sp.diff(plain, previous).subs(previous, mean), sp.diff(right, previous).subs(previous, mean - guess)),
    )


@claim(
    "tower",
    "Where a coarse observation is a function of a fine one, the mean over the fine ones of $E[x0 | x, fine]$ is "
    "$E[x0 | x, coarse]$: a student of the finer teacher has the optimum of direct training, and its target's "
    "variance is that of the direct one less $E Var(x0 | x, fine)$. Here three values of $x0$ and two fine "
    "observations, with any joint masses.",
    "noroozi2024yonos",
)
def tower() -> Proof:
    """Distillation across resolutions has the optimum of direct training.

    With six symbolic masses the mean of the two conditional means, weighted by the masses of the fine observations, is
    the direct one, and the variances add up. With equal weights for the fine observations it is not.
    """
    masses = [[sp.Symbol(f"p{i}{j}", positive=True) for j in range(2)] for i in range(3)]
    values = sp.symbols("z0:3", real=True)
    total = sum(sum(row) for row in masses)
    fine = [sum(row[j] for row in masses) for j in range(2)]
    means = [sum(z * row[j] for z, row in zip(values, masses, strict=True)) / fine[j] for j in range(2)]
    direct = sum(z * sum(row) for z, row in zip(values, masses, strict=True)) / total
    distilled = sum(m * p for m, p in zip(means, fine, strict=True)) / total
    square = sum(z**2 * sum(row) for z, row in zip(values, masses, strict=True)) / total
    of_target = sum(m**2 * p for m, p in zip(means, fine, strict=True)) / total - direct**2
    left = (
        sum((z - m) ** 2 * row[j] for j, m in enumerate(means) for z, row in zip(values, masses, strict=True)) / total
    )
    return Proof(
        (distilled - direct, square - direct**2 - of_target - left),
        nonzero=(sum(means) / 2 - direct, square - direct**2 - of_target),  # the first: fine drawn independently
    )


@claim(
    "memory-attention",
    "The exact denoiser of a bank of points is one layer of attention: its weights are the softmax of $alpha <x, "
    "m>/sigma^2 - alpha^2 |m|^2/(2 sigma^2)$ over the bank. With a part left out it errs by the weight left out times "
    "the difference of the two means, which is at most the diameter.",
    "tang2024gmem",
)
def memory_attention() -> Proof:
    """A bank of points is one layer of attention.

    The exponent of the Gaussian density and the logit differ by a term without $m$, which cancels in the softmax. The
    mean over the bank is that over both parts, by their weights; less the mean over the part that is kept it is the
    stated product.
    """
    point, kept, rest, left = sp.symbols("m kept rest left", real=True)
    distance = -((x - alpha * point) ** 2) / (2 * sigma**2)
    logit = alpha * x * point / sigma**2 - alpha**2 * point**2 / (2 * sigma**2)
    whole = (1 - left) * kept + left * rest
    return Proof(
        (sp.diff(distance - logit, point), whole - kept - left * (rest - kept)),
        nonzero=(sp.diff(distance - alpha * x * point / sigma**2, point), whole - kept),
    )


@claim(
    "posterior-chain",
    "If $x0'$ is drawn from the posterior given $x$, the state drawn from $q(x' | x0', x)$ has the exact law in any "
    "number of steps; with the mean $E[x0 | x]$ in its place the variance is short by $c1^2 Var(x0 | x)$, $c1$ the "
    "weight of $x0$ in $q$ (here on a Gaussian; with posterior draws $(x0', x)$ has the law of $(x0, x)$, for every "
    "law).",
    "zhou2024emdm",
)
def posterior_chain() -> Proof:
    """Drawing from the posterior keeps the law.

    For Gaussian data the variance of a step with the posterior mean plus $c1^2$ times the posterior variance is the
    exact variance at the next level. Without this term, or with $c1$ for its square, it is not.
    """
    ratio2 = (next_sigma * alpha / (sigma * next_alpha)) ** 2  # of the squared noise-to-signal ratios
    c1, c2 = next_alpha * (1 - ratio2), ratio2 * next_alpha / alpha
    noise2 = next_sigma**2 * (1 - ratio2)
    mean_slope, left = alpha * V / SPREAD, V * sigma**2 / SPREAD
    by_mean = (c1 * mean_slope + c2) ** 2 * SPREAD + noise2
    exact = next_alpha**2 * V + next_sigma**2
    return Proof((by_mean + c1**2 * left - exact,), nonzero=(by_mean - exact, by_mean + c1 * left - exact))


@claim(
    "feature-bound",
    "For features $phi$ of length one no function of $x$ has a greater mean cosine with them than $E |E[phi | x]|$: "
    "$|m|^2 |u|^2 - <m, u>^2$ is a sum of squares, zero iff $u$ is along $m = E[phi | x]$.",
    "yu2025repa",
)
def feature_bound() -> Proof:
    """A bound on the alignment of features.

    In three dimensions the difference is the sum of the squares of $m_i u_j - m_j u_i$ over the pairs $i < j$,
    Lagrange's identity; it vanishes at $u = m$.
    """
    m, u = sp.symbols("m1:4", real=True), sp.symbols("u1:4", real=True)
    inner = sum(a * b for a, b in zip(m, u, strict=True))
    gap = sum(a**2 for a in m) * sum(b**2 for b in u) - inner**2
    squares = sum((m[i] * u[j] - m[j] * u[i]) ** 2 for i, j in combinations(range(3), 2))
    return Proof((gap - squares, gap.subs(dict(zip(u, m, strict=True)))), nonzero=(gap,))


@claim(
    "adversarial-optimum",
    "Of the losses $q log(1 + e^{-D}) + p log(1 + e^D)$ of a discriminator and $log(1 + e^{-D})$ of a generator the "
    "best discriminator is $D = log(q/p)$; at $p = q$ the losses are $2 log 2$ and $log 2$. They are so for $D = 0$ "
    "and any $p$ as well: these values prove nothing of the law.",
    "zhou2024emdm",
)
def adversarial_optimum() -> Proof:
    """What the losses of an adversarial game prove.

    The derivative of the discriminator's loss vanishes at $D = log(q/p)$, and at $D = 0$ for $p = q$ only. At $D = 0$
    the losses have the two values, for every law.
    """
    q, p = sp.symbols("q p", positive=True)
    d = sp.Symbol("D", real=True)
    discriminator = q * sp.log(1 + sp.exp(-d)) + p * sp.log(1 + sp.exp(d))
    generator = sp.log(1 + sp.exp(-d))
    at_best = sp.diff(discriminator, d).subs(d, sp.log(q / p))
    at_best = at_best.subs(sp.exp(-sp.log(q / p)), p / q).subs(sp.exp(sp.log(q / p)), q / p)
    flat = discriminator.subs({d: 0, q: 1, p: 1})
    return Proof(
        (sp.simplify(at_best), flat - 2 * sp.log(2), generator.subs(d, 0) - sp.log(2)),
        nonzero=(sp.diff(discriminator, d).subs(d, 0), generator.subs(d, 1) - sp.log(2)),
    )


CLAIMS: tuple[Claim, ...] = (
    formulation_2,
    tower,
    memory_attention,
    posterior_chain,
    feature_bound,
    adversarial_optimum,
)
