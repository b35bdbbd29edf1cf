"""Samplers that carry z in another way: BDIA from two states, the conjugate integrator with a linear part kept."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ..frames import NOISE_RHO, NOISE_T
from ..method import Method
from ..notation import TWO_STEP_ALPHA_RATIO, h, r
from ..parameter import Parameter
from ..phi_functions import phi, rate_moment
from ..rows import NOW, Row, stage
from .ddim import DDIM
from .edm import EDM_HEUN

GAMMA = Parameter(
    "gamma",
    "share of the backward step that BDIA undoes",
    default=sp.Rational(1, 2),
    domain=sp.Interval(0, 1),
    orders=((sp.S.One, 2),),
)
GAMMA_OVER_HEUN = replace(GAMMA, orders=())
B = Parameter(
    "b",
    "rate of the linear part that a conjugate integrator keeps",
    default=sp.S.One,
    domain=sp.Interval(-sp.oo, sp.oo),
)
gamma, b = GAMMA.symbol, B.symbol

# x' = gamma x_{n-1} + (DDIM's step from x_n to n+1) - gamma (DDIM's step from x_n back to n-1), divided by alpha'.
_share = gamma * TWO_STEP_ALPHA_RATIO
BDIA_DDIM = Method(
    name="bdia-ddim",
    label="BDIA-DDIM",
    family="bdia",
    frame=NOISE_RHO,
    rows=(Row((NOW,), published=(h * (1 + _share * r[0]),), states=(1 - _share, _share)),),
    order=1,
    cite="zhang2024bdia",
    summary="DDIM's step from the state before last, a share gamma of the backward step undone: exactly invertible.",
    start=DDIM,
    provenance="published; read in the README and the code of BDIA",
    equal_steps=True,
    parameters=(GAMMA,),
)

# The same over Heun's step: both increments by Heun from x_n, three evaluations a step, two of them at stages.
BDIA_EDM = Method(
    name="bdia-edm",
    label="BDIA-EDM",
    family="bdia",
    frame=NOISE_RHO,
    rows=(
        Row((NOW,), published=(-r[0] * h,), to=-1),
        Row((NOW,), published=(h,)),
        Row(
            (NOW, stage(1), stage(2)),
            published=(h * (1 + _share * r[0]) / 2, h * _share * r[0] / 2, h / 2),
            states=(1 - _share, _share),
        ),
    ),
    order=2,
    cite="zhang2024bdia",
    summary="Heun's step from the state before last, a share gamma of Heun's backward step undone: exactly invertible.",
    start=EDM_HEUN,
    provenance="published; its formula over any increment read in the README of BDIA, Heun backwards our reading",
    parameters=(GAMMA_OVER_HEUN,),
)

# Euler's step for e^{b t} x/alpha, whose linear part b is kept and whose weight is integrated exactly.
LAMBDA_DDIM = Method(
    name="lambda-ddim",
    label="lambda-DDIM",
    family="conjugate",
    frame=NOISE_T,
    rows=(Row((NOW,), published=(rate_moment(b),), states=((1 + b * h) * phi(0, -b * h),)),),
    order=1,
    cite="pandey2024efficient",
    summary="The conjugate integrator lambda-DDIM-I: Euler's step in e^{b t} x/alpha, the linear part b kept.",
    provenance="published; read in the code of its authors for the variance-preserving schedule",
    parameters=(B,),
)

ALL = (BDIA_DDIM, BDIA_EDM, LAMBDA_DDIM)
