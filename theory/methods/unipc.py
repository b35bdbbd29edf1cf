"""UniPC: a UniP predictor and a corrector that interpolates the new output as well, at one evaluation a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sympy as sp

from ..exponential import Moment, Rule, collapsed, exact
from ..frames import DATA, NOISE
from ..method import Method
from ..notation import h
from ..phi_functions import phi
from ..rows import NOW, Row, grid_position, past, stage

MIDDLE = collapsed(at=sp.Rational(1, 2))


def middle_bh1(coefficients: Sequence[sp.Expr], moment: Moment) -> sp.Expr:
    """The shortcut 1/2 with B(h) = h: the newest output over the whole step, and h times what the value at the middle
    differs from it.
    """
    now = coefficients[0]
    value = sum((a / sp.Integer(2) ** k for k, a in enumerate(coefficients)), start=sp.S.Zero)
    return sp.factor(now) * moment(0) + sp.factor(value - now) * h


def unipc(
    name: str, label: str, p: int, predict: Rule, correct: Rule, start: Method | None, aliases: tuple[str, ...] = ()
) -> Method:
    """UniPC-p, of order p + 1: interpolants of p outputs, and of those and the one at the predicted point.

    With more than one equation B(h) cancels and the rules are exact; the shortcuts 1/2 of the predictor at p = 2 and of
    the corrector at p = 1 collapse the weight onto the middle of the step (for B(h) = e^{-h} - 1, by default).
    """
    known = (NOW, *(past(k) for k in range(1, p)))
    return Method(
        name=name,
        label=label,
        family="unipc",
        frame=DATA,
        rows=(Row(known, predict), Row((*known, stage(1)), correct, evaluated=False)),
        order=p + 1,
        cite="zhao2023unipc",
        summary=f"UniP-{p}, then a corrector through the output there; no correction in the last step.",
        start=start,
        aliases=aliases,
    )


UNIPC_1 = unipc("unipc-1", "UniPC-1", 1, exact, MIDDLE, None)
UNIPC_2 = unipc("unipc-2", "UniPC-2", 2, MIDDLE, exact, UNIPC_1, aliases=("diffusers:UniPCMultistepScheduler",))
UNIPC_3 = unipc("unipc-3", "UniPC-3", 3, exact, exact, UNIPC_2)
UNIPC_1_BH1 = unipc("unipc-1-bh1", "UniPC-1 (bh1)", 1, exact, middle_bh1, None)
UNIPC_2_BH1 = unipc("unipc-2-bh1", "UniPC-2 (bh1)", 2, middle_bh1, exact, UNIPC_1_BH1)
UNIPC_3_BH1 = unipc("unipc-3-bh1", "UniPC-3 (bh1)", 3, exact, exact, UNIPC_2_BH1)
# vary_coeff: no shortcuts, every coefficient from the step ratios.
UNIPC_1_VARY = unipc("unipc-1-vary", "UniPC-1 (vary_coeff)", 1, exact, exact, None)
UNIPC_2_VARY = unipc("unipc-2-vary", "UniPC-2 (vary_coeff)", 2, exact, exact, UNIPC_1_VARY)
UNIPC_3_VARY = unipc("unipc-3-vary", "UniPC-3 (vary_coeff)", 3, exact, exact, UNIPC_2_VARY)


def published_corrector(p: int) -> tuple[sp.Expr, ...]:
    """The corrector of vary_coeff as published: weights of m_0, m_1, …, and of the predicted output last.

    With D_m = (m_m - m_0)/r_m the scaled derivative k of the interpolant is sum_m A_km D_m. The correction is the
    sum of h phi_{k+1} A_km D_m over k < p and the past m < p; the predicted output, m = p, enters once, as
    h phi_{p+1} A_{p-1,p} D_p: it takes the last function with the row before the last.
    """
    places = [grid_position(-m) for m in range(1, p)] + [sp.S.One]
    inverse = sp.Matrix(p, p, lambda m, k: places[m] ** k / sp.factorial(k + 1)).inv()
    past_share = [sum(phi(k + 2, -h) * inverse[k, m] for k in range(p - 1)) / places[m] for m in range(p - 1)]
    shares = [h * sp.factor_terms(share) for share in (*past_share, phi(p + 1, -h) * inverse[p - 2, p - 1])]
    return (h * phi(1, -h) - sum(shares), *shares)


def vary_published(p: int, start: Method) -> Method:
    """UniPC-p with vary_coeff, its corrector as published: of first order."""
    repaired = unipc(f"unipc-{p}-vary-published", f"UniPC-{p} (vary_coeff), published", p, exact, exact, start)
    predict, correct = repaired.rows
    return replace(
        repaired,
        rows=(predict, replace(correct, rule=None, published=published_corrector(p))),
        order=1,
        summary=f"UniPC-{p} with vary_coeff as published: the predicted output enters with the wrong coefficient.",
        provenance="published; read in the code of UniPC",
    )


UNIPC_2_VARY_PUBLISHED = vary_published(2, UNIPC_1_VARY)
UNIPC_3_VARY_PUBLISHED = vary_published(3, UNIPC_2_VARY_PUBLISHED)

# On noise predictions, which their code has as predict_x0=False.
_READ = "published; read in the code of UniPC and of diffusers (predict_x0=False)"


def on_noise(method: Method, start: Method | None) -> Method:
    """The method on noise predictions, in the noise frame."""
    return replace(
        method,
        name=method.name.replace("unipc-", "unipc-noise-"),
        since="0.2.0",
        label=f"{method.label}, noise",
        frame=NOISE,
        summary=f"{method.name} on noise predictions; no correction in the last step.",
        aliases=(),
        start=start,
        provenance=_READ,
    )


UNIPC_NOISE_1 = on_noise(UNIPC_1, None)
UNIPC_NOISE_2 = on_noise(UNIPC_2, UNIPC_NOISE_1)
UNIPC_NOISE_3 = on_noise(UNIPC_3, UNIPC_NOISE_2)
UNIPC_NOISE_1_BH1 = on_noise(UNIPC_1_BH1, None)
UNIPC_NOISE_2_BH1 = on_noise(UNIPC_2_BH1, UNIPC_NOISE_1_BH1)
UNIPC_NOISE_3_BH1 = on_noise(UNIPC_3_BH1, UNIPC_NOISE_2_BH1)

ALL = (
    *(UNIPC_1, UNIPC_2, UNIPC_3),
    *(UNIPC_1_BH1, UNIPC_2_BH1, UNIPC_3_BH1),
    *(UNIPC_1_VARY, UNIPC_2_VARY, UNIPC_3_VARY),
    *(UNIPC_2_VARY_PUBLISHED, UNIPC_3_VARY_PUBLISHED),
    *(UNIPC_NOISE_1, UNIPC_NOISE_2, UNIPC_NOISE_3),
    *(UNIPC_NOISE_1_BH1, UNIPC_NOISE_2_BH1, UNIPC_NOISE_3_BH1),
)
