"""What a quadratic reward does to a student, and to a Gaussian law."""

from __future__ import annotations

import sympy as sp

from .claim import Claim, Proof, claim


@claim(
    "reward-prox",
    "Consistency distillation with the squared loss and $b r$, $r = -q/2 (y - c)^2$, takes at every level $y$ to $c + "
    "kappa (y - c)$, $kappa = 2/(2 + b q)$, which maximises $b r - |. - y|^2$; the target network carries it on, so "
    "that $N$ levels contract by $kappa^N$. Rewards that are quadratic add their $q$.",
    "li2024rglcd",
)
def reward_prox() -> Proof:
    """A reward in consistency distillation contracts.

    The objective is quadratic in the output: its derivative vanishes at the stated point, and its second derivative is
    $-(2 + b q)$. Three levels composed give $kappa^3$, and the sum of two rewards has $p + q$ in the place of $q$.
    """
    y, f, c = sp.symbols("y f c", real=True)
    b, q, p = sp.symbols("b q p", positive=True)
    kappa = 2 / (2 + b * q)

    def gain(strength: sp.Expr) -> sp.Expr:
        return -b * strength / 2 * (f - c) ** 2 - (f - y) ** 2

    def level(state: sp.Expr, factor: sp.Expr = kappa) -> sp.Expr:
        return c + factor * (state - c)

    three = level(level(level(y)))
    both = gain(q) + gain(p) + (f - y) ** 2
    return Proof(
        (
            sp.diff(gain(q), f).subs(f, level(y)),
            sp.diff(gain(q), f, 2) + 2 + b * q,
            three - c - kappa**3 * (y - c),
            sp.diff(both, f).subs(f, level(y, 2 / (2 + b * (p + q)))),
        ),
        nonzero=(sp.diff(gain(q), f).subs(f, level(y, 1 / (1 + b * q))), three - level(y)),
    )


@claim(
    "reward-tilt",
    "$N(mu, S)$ times $exp(r/beta)$, $r = -q/2 (x - c)^2$ and $H = q/beta$, is $N(mu', S')$ times a number: $S' = "
    "1/(1/S + H)$, $mu' = S'(mu/S + H c)$, and the number $(1 + S H)^{-1/2} exp(-(mu - c)^2 H/(2 + 2 S H))$: a "
    "mixture stays one, with other weights.",
    "li2024rglcd",
)
def reward_tilt() -> Proof:
    """A Gaussian tilted by a quadratic reward.

    The logarithms of both sides are subtracted. The derivatives of the difference in the point and in all four
    parameters vanish, and so does its value at one point.
    """
    mu, c, y = sp.symbols("mu c y", real=True)
    S, H = sp.symbols("S H", positive=True)

    def log_normal(mean: sp.Expr, variance: sp.Expr) -> sp.Expr:
        return -((y - mean) ** 2) / (2 * variance) - sp.log(variance) / 2

    tight = 1 / (1 / S + H)
    moved = tight * (mu / S + H * c)
    log_share = -sp.log(1 + S * H) / 2 - (mu - c) ** 2 * H / (2 + 2 * S * H)
    gap = log_normal(mu, S) - H / 2 * (y - c) ** 2 - log_normal(moved, tight) - log_share
    there = {mu: 0, c: 0, y: 0, S: 1, H: 1}
    return Proof(
        (*(sp.diff(gap, symbol) for symbol in (y, mu, c, S, H)), gap.subs(there)),
        nonzero=(sp.diff(gap + log_share, mu), sp.diff(gap.subs(H, 2 * H), y) - sp.diff(gap, y) + moved - mu),
    )


CLAIMS: tuple[Claim, ...] = (reward_prox, reward_tilt)
