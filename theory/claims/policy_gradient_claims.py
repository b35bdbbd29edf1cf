"""The policy gradient of a sampler of Gaussian steps."""

from __future__ import annotations

import sympy as sp

from .claim import Claim, Proof, claim

START, FIRST, SECOND = sp.symbols("start first second", real=True)  # independent N(0, 1)
A1, A2, B1, B2 = sp.symbols("A1 A2 B1 B2", real=True)
S1, S2 = sp.symbols("S1 S2", positive=True)
MIDDLE = A1 * START + B1 + S1 * FIRST
END = A2 * MIDDLE + B2 + S2 * SECOND
# d log p(x_{k+1} | x_k)/d theta of every parameter: z x_k/s for a gain, z/s for a shift.
SCORES = {A1: FIRST * START / S1, B1: FIRST / S1, A2: SECOND * MIDDLE / S2, B2: SECOND / S2}


def mean(polynomial: sp.Expr) -> sp.Expr:
    """E of a polynomial in the three normal variables."""
    found = sp.Integer(0)
    for powers, coefficient in sp.Poly(sp.expand(polynomial), START, FIRST, SECOND).terms():
        moments = (sp.factorial2(k - 1) if k % 2 == 0 else 0 for k in powers)
        found += coefficient * sp.prod(moments)
    return sp.expand(found)


@claim(
    "policy-gradient-identity",
    "For a chain of two Gaussian steps and $f = x, x^2, x^4$ the gradient of $E f(x_end)$ is $E[f(x_end) d log p/d "
    "theta]$, in both gains and both shifts.",
    "fan2023sftpg",
)
def policy_gradient_identity() -> Proof:
    """The policy gradient of a chain.

    All means are of polynomials in three independent normal variables, and so exact in their moments. Both sides are
    computed for four parameters and three functions, and are equal; half of the right side is not.
    """
    zero, nonzero = [], []
    for power in (1, 2, 4):
        expected = mean(END**power)
        for parameter, score in SCORES.items():
            gradient = sp.diff(expected, parameter)
            zero.append(mean(END**power * score) - gradient)
            if power > 1:
                nonzero.append(mean(END**power * score) / 2 - gradient)
    return Proof(tuple(zero), nonzero=tuple(nonzero))


@claim(
    "policy-gradient-baseline",
    "A baseline $V(x_k)$ leaves the gradient as it is, as $E[V(x_k) d log p(x_{k+1} | x_k)/d theta] = 0$ (here the "
    "exact $V$ of $f = x^2$); one that knows $x_{k+1}$ would not.",
    "fan2023sftpg",
)
def policy_gradient_baseline() -> Proof:
    """A baseline does not change the policy gradient.

    The mean of the baseline times the score of the second step is zero in that step's gain and shift. The same baseline
    times the score of the first step, whose end it knows, has another mean.
    """
    baseline = (A2 * MIDDLE + B2) ** 2 + S2**2  # E[x_end^2 | the middle]
    return Proof((mean(baseline * SCORES[A2]), mean(baseline * SCORES[B2])), nonzero=(mean(baseline * SCORES[B1]),))


@claim(
    "shortcut-exists",
    "Two steps with given noises $s1$, $s2$ end at $N(m, v)$ exactly, with $A2^2 (A1^2 + s1^2) = v - s2^2$ and $b2 = "
    "m$, iff $s2^2 <= v$.",
    "fan2023sftpg",
)
def shortcut_exists() -> Proof:
    """Two steps end at any wider Gaussian.

    With these values the mean at the end is $m$ and the variance $v$, from the moments of three independent normal
    variables. The gain $A2$ is real iff $s2^2 <= v$.
    """
    m, v = sp.symbols("m v", real=True)
    values = {A2: sp.sqrt((v - S2**2) / (A1**2 + S1**2)), B1: 0, B2: m}
    first, second = mean(END).subs(values), (mean(END**2) - mean(END) ** 2).subs(values)
    return Proof((first - m, second - v), nonzero=(second - v + S2**2,))


CLAIMS: tuple[Claim, ...] = (policy_gradient_identity, policy_gradient_baseline, shortcut_exists)
