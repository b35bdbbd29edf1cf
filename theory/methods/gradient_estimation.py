"""Gradient estimation: Euler's step in rho on the last two noise predictions, extrapolated by a factor gamma."""

from __future__ import annotations

import sympy as sp

from ..frames import NOISE_RHO
from ..method import Method
from ..notation import h
from ..parameter import Parameter
from ..rows import NOW, Row, past
from .ddim import DDIM

# x' = x + h (gamma eps_n + (1 - gamma) eps_{n-1}) in z = x/alpha.
GAMMA = Parameter(
    "gamma",
    "weight of the newest noise prediction; the one before has $1 - gamma$",
    default=sp.Integer(2),
    domain=sp.Interval(-sp.oo, sp.oo),
    orders=((sp.Rational(3, 2), 2),),
)
gamma = GAMMA.symbol

GRADIENT_ESTIMATION = Method(
    name="gradient-estimation",
    label="Gradient estimation",
    family="gradient-estimation",
    frame=NOISE_RHO,
    rows=(Row((NOW, past(1)), published=(gamma * h, (1 - gamma) * h)),),
    order=1,
    cite="permenter2024interpreting",
    summary="DDIM's step on gamma times the last noise prediction and 1 - gamma times the one before.",
    aliases=("comfyui:gradient_estimation", "d-ddim"),
    start=DDIM,
    provenance="published; read in the code of ComfyUI",
    equal_steps=True,
    parameters=(GAMMA,),
)

ALL = (GRADIENT_ESTIMATION,)
