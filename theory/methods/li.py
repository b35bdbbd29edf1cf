"""The samplers of Li et al. (arXiv 2403.03852): one node, and two Adams-Bashforth 2, recalled and coded."""

from __future__ import annotations

from ..exponential import exact
from ..frames import NOISE_RHO, VARIANCE
from ..method import Method
from ..notation import a1, h, next_rho, r, rho
from ..phi_functions import arc
from ..rows import NOW, Row, past, stage
from .ddim import DDIM

LI_DDIM = Method(
    name="li-ddim",
    label="DDIM (Li et al.)",
    family="li",
    frame=VARIANCE,
    rows=(Row(nodes=(NOW,), rule=exact),),
    order=1,
    cite="li2024accelerating",
    summary="Hold alpha times the score fixed over the step in rho^2.",
)

# Adams-Bashforth 2 whose past output is made anew, at a backward step from x_n. As published the backward step is
# shorter by a_{t+1} = (alpha_{n-1}/alpha_n)^2 = 1 + O(h), and the correction divides by that shorter step.
_correction = h / (2 * r[0] * a1)

LI_ACCELERATED_ODE = Method(
    name="li-accelerated-ode",
    label="Accelerated ODE (Li et al.)",
    family="li",
    frame=VARIANCE,
    rows=(
        Row(nodes=(NOW,), to=-1, published=(-r[0] * h * a1,)),
        Row(nodes=(NOW, stage(1)), published=(h + _correction, -_correction)),
    ),
    order=2,
    cite="li2024accelerating",
    summary="Adams-Bashforth 2 in rho^2 with the past output recomputed by a backward step.",
    start=LI_DDIM,
    provenance="published; the formula is recalled, its order proved and measured here",
)

# What the authors' code runs: the line through the last two noise predictions is one in abar = 1/(1 + rho^2), alpha^2
# on a variance-preserving schedule, and is integrated in rho. The integral of abar - abar_n over the step is
# arctan(rho') - arctan(rho) - h abar_n; it is written here without the terms of O(h) that cancel.
_before = rho - r[0] * h
_share = 1 / (1 + rho * next_rho)  # arctan(rho') - arctan(rho) = arctan(h share)
_slope = (1 + rho**2) * (1 + _before**2) / (r[0] * (rho + _before))  # h/(abar_{n-1} - abar_n)
_past = -h * _slope * (rho * _share / (1 + rho**2) + h * _share**3 * arc(h * _share))

LI_CODE_ACCELERATED_ODE = Method(
    name="li-code-accelerated-ode",
    label="Accelerated ODE (Li et al., code)",
    family="li",
    frame=NOISE_RHO,
    rows=(Row(nodes=(NOW, past(1)), published=(h - _past, _past)),),
    order=2,
    cite="li2024accelerating",
    summary="What the authors' code runs: the line in alpha^2 through two noise predictions, integrated exactly.",
    start=DDIM,
    provenance="published; read in the authors' README and code",
)

ALL = (LI_DDIM, LI_ACCELERATED_ODE, LI_CODE_ACCELERATED_ODE)
