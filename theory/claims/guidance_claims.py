"""The gains g at which steps are stable on the test denoiser x0hat = g x/alpha of guided sampling."""

from __future__ import annotations

import sympy as sp

from ..guided_step import gain_matrix, growth
from ..methods import find
from ..notation import gain, h
from .claim import Claim, Proof, claim

WHOLE, HALF = 1 - sp.exp(-h), 1 - sp.exp(-h / 2)


@claim(
    "guided-ddim",
    "On guided data a step of DDIM has the factor $R = e^{-h} + g (1 - e^{-h})$: it is stable iff $-coth(h/2) <= g <= "
    "1$.",
    "song2021ddim",
)
def guided_ddim() -> Proof:
    """Where guided DDIM is stable.

    The factor is read from the record's step on the test denoiser $x0hat = g x/alpha$. It is affine in $g$, and equals
    $-1$ at $g = -coth(h/2)$ and 1 at $g = 1$.
    """
    factor = growth(find("ddim"))
    return Proof((factor - sp.exp(-h) - gain * WHOLE, factor.subs(gain, -sp.coth(h / 2)) + 1, factor.subs(gain, 1) - 1))


@claim(
    "guided-2s",
    "A step of DPM-Solver++(2S) on guided data has a factor $R$ with $R - 1 = (1 - e^{-h})(g - 1)(1 + g (1 - "
    "e^{-h/2}))$, in the noise frame $R - 1 = e^{h/2} (1 - e^{-h})(g - 1)(1 + (g - 1)(1 - e^{-h/2}))$: $e^{h/2}$ "
    "times as steep, and $R <= 1$ down to a gain that is larger by exactly one.",
    "lu2022dpmsolverpp",
)
def guided_2s() -> Proof:
    """Where guided single-step methods are stable.

    The factors are read from the steps of the two records on the test denoiser $x0hat = g x/alpha$, and compared with
    the products. The last bracket vanishes at $g = -1/(1 - e^{-h/2})$, in the noise frame at one more; there $R = 1$.
    The two factors differ.
    """
    data, noise = growth(find("dpm-solver++-2s")), growth(find("dpm-solver-2s"))
    common, edge = WHOLE * (gain - 1), -1 / HALF
    return Proof(
        (
            data - 1 - common * (1 + gain * HALF),
            noise - 1 - sp.exp(h / 2) * common * (1 + (gain - 1) * HALF),
            data.subs(gain, edge) - 1,
            noise.subs(gain, edge + 1) - 1,
        ),
        nonzero=(data - noise, noise.subs(gain, edge) - 1),
    )


@claim(
    "guided-2m",
    "DPM-Solver++(2M) is stable for half the gain of DDIM: a root reaches $-1$ at $g = -coth(h/2)/2$.",
    "lu2022dpmsolverpp",
)
def guided_2m() -> Proof:
    """Where guided DPM-Solver++(2M) is stable.

    The matrix that takes the last two outputs to the next is read from the record. The determinant of the matrix plus
    the identity vanishes at $g = -coth(h/2)/2$, and not at $g = -coth(h/2)$.
    """
    matrix = gain_matrix(find("dpm-solver++-2m")).to_Matrix()
    at_minus_one = (matrix + sp.eye(2)).det(method="berkowitz")
    return Proof((at_minus_one.subs(gain, -sp.coth(h / 2) / 2),), nonzero=(at_minus_one.subs(gain, -sp.coth(h / 2)),))


CLAIMS: tuple[Claim, ...] = (guided_ddim, guided_2s, guided_2m)
