"""The samplers of Li et al. (arXiv 2403.03852): the one-node rule and an Adams-Bashforth 2 in the variance frame."""

from __future__ import annotations

from ..exponential import exact
from ..frames import VARIANCE
from ..method import NOW, Method, Row, stage
from ..notation import a1, h, r

LI_DDIM = Method(
    name="li-ddim",
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
