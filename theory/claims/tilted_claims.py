"""Processes with a non-linear drift and mixtures as marginals, and Restoration-Degradation on them."""

from __future__ import annotations

import sympy as sp

from .claim import Claim, Proof, claim

X, T = sp.symbols("x t", real=True)


@claim(
    "tilted-process",
    "If $dX = f dt + g dW$ has the law $p$ and $h > 0$ solves $h_t + f h_x + g^2 h_xx/2 = 0$, then the drift $f + g^2 "
    "(log h)_x$ has the law $p h/Z$, with one $Z$ for every $t$.",
    "chen2023restoration",
)
def tilted_process() -> Proof:
    """A tilted process has the tilted law.

    With the two given equations for $p_t$ and $h_t$ the product $p h$ solves the forward equation of the new drift;
    every derivative is a symbol of its own. With the old drift, or without the factor $g^2$, it does not.
    """
    p, h, f = (sp.Function(name)(X, T) for name in ("p", "h", "f"))
    g = sp.Function("g")(T)
    forward = -sp.diff(f * p, X) + g**2 * sp.diff(p, X, 2) / 2  # p_t
    backward = -f * sp.diff(h, X) - g**2 * sp.diff(h, X, 2) / 2  # h_t
    rates = {sp.diff(p, T): forward, sp.diff(h, T): backward}

    def residual(drift: sp.Expr, law: sp.Expr) -> sp.Expr:
        """law_t + (drift law)_x - g^2 law_xx/2, with the derivatives as symbols."""
        left = sp.diff(law, T).subs(rates) + sp.diff(drift * law, X) - g**2 * sp.diff(law, X, 2) / 2
        atoms = sorted(left.atoms(sp.Derivative, sp.core.function.AppliedUndef), key=sp.default_sort_key, reverse=True)
        order = sorted(atoms, key=lambda a: -len(a.args[1:]) if isinstance(a, sp.Derivative) else 1)
        return sp.expand(left).xreplace({atom: sp.Dummy() for atom in order})

    return Proof(
        (residual(f + g**2 * sp.diff(h, X) / h, p * h),),
        nonzero=(residual(f, p * h), residual(f + sp.diff(h, X) / h, p * h)),
    )


@claim(
    "tilted-mixture",
    "$h = cosh(a x) e^{-a^2 t/2}$ is such a function of Brownian motion, with the drift $a tanh(a x)$, and takes "
    "$N(m, V)$ to $N(m +- a V, V)$ with the weights $exp(+-a m + a^2 (V - t)/2)/2$.",
    "chen2023restoration",
)
def tilted_mixture() -> Proof:
    """Tilting Brownian motion splits a Gaussian in two.

    $h_t + h_xx/2 = 0$ and $(log h)_x = a tanh(a x)$ by differentiation. The logarithm of $N(m, V)$ times each of the
    two exponentials equals that of the weight times the shifted Gaussian.
    """
    a, m = sp.symbols("a m", real=True)
    spread = sp.Symbol("spread", positive=True)
    h = sp.cosh(a * X) * sp.exp(-(a**2) * T / 2)

    def log_normal(mean: sp.Expr) -> sp.Expr:
        return -((X - mean) ** 2) / (2 * spread)

    def tilted(sign: int) -> sp.Expr:
        """log of N(m, V) e^{+-a x - a^2 t/2} minus that of the weight times N(m +- a V, V)."""
        weight = sign * a * m + a**2 * (spread - T) / 2
        return log_normal(m) + sign * a * X - a**2 * T / 2 - weight - log_normal(m + sign * a * spread)

    harmonic = sp.diff(h, T) + sp.diff(h, X, 2) / 2
    drift = sp.diff(h, X) / h - a * sp.tanh(a * X)
    return Proof((harmonic, drift, tilted(1), tilted(-1)), nonzero=(sp.diff(h, T) + sp.diff(h, X, 2),))


@claim(
    "restoration-step",
    "With the drift $f$ and the score $s$ frozen a step of Restoration-Degradation is $x - h f + l (1 - sqrt(1 - "
    "h/l)) g^2 s = x - h (f - g^2 s/2) + h^2 g^2 s/(8 l) + O(h^3/l^2)$: of order 1 for a fixed $l$, and off by a part "
    "$h/(8 l)$ of the score in every unit of time.",
    "chen2023restoration",
)
def restoration_step() -> Proof:
    """The step of Restoration-Degradation.

    Restoration over $l$ and degradation back over $l - h$ are carried out with constant $f$ and $s$; the result is the
    closed form. The series of $1 - sqrt(1 - h/l)$ gives the terms of the second.
    """
    x, f, s = sp.symbols("x0 f s", real=True)
    g, h, back, ratio = sp.symbols("g h back ratio", positive=True)
    y = x - back * f
    clean = y + back * g**2 * s
    z = (x - clean - back * f) / (g * sp.sqrt(back))
    # h = l ratio, so that sqrt(l - h) = sqrt(l) sqrt(1 - ratio).
    end = clean + (back - back * ratio) * f + g * sp.sqrt(back) * sp.sqrt(1 - ratio) * z
    closed = x - back * ratio * f + back * (1 - sp.sqrt(1 - ratio)) * g**2 * s
    series = sp.series(1 - sp.sqrt(1 - ratio), ratio, 0, 4).removeO()
    return Proof(
        (end - closed, series - ratio / 2 - ratio**2 / 8 - ratio**3 / 16), nonzero=(end - x + h * f, series - ratio / 2)
    )


CLAIMS: tuple[Claim, ...] = (tilted_process, tilted_mixture, restoration_step)
