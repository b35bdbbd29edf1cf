"""The steps of consistency models: to the data and back to the noise of the next level, wholly or in part.

With the function that a consistency model learns, the end of the flow, every step leads from one marginal to the next
one. With a prediction of the data they do not converge: the records are of order 0, and the claim
consistency-rows-undistilled has what is lost.
"""

from __future__ import annotations

import sympy as sp

from ..frames import DATA
from ..method import Method
from ..noise_model import Noise, NoiseModel
from ..notation import h
from ..parameter import Parameter
from ..phi_functions import phi
from ..rows import NOW, Row

GAMMA = Parameter(
    "gamma",
    "how far below the next level the step leads: to the ratio $(1 - gamma) rho'$ of noise and signal",
    sp.Rational(3, 10),
    sp.Interval(0, 1),
    orders=((sp.S.Zero, 1),),
)
gamma = GAMMA.symbol

CONSISTENCY = Method(
    name="consistency",
    label="Consistency",
    family="consistency",
    frame=DATA,
    rows=(Row((NOW,), published=(sp.S.One,), states=(sp.S.Zero,)),),
    noise=NoiseModel(sp.S.Zero, (Noise(sp.S.One),)),
    order=0,
    cite="song2023consistency",
    summary="To the data, then fresh noise of the next level; with a prediction of the data it does not converge.",
    aliases=("diffusers:LCMScheduler", "diffusers:FlowMatchLCMScheduler"),
    provenance="published; read in the code of LCM and of diffusers",
)

TRAJECTORY_CONSISTENCY = Method(
    name="trajectory-consistency",
    label="Trajectory consistency",
    family="consistency",
    frame=DATA,
    rows=(Row((NOW,), published=(gamma + (1 - gamma) * h * phi(1, -h),), states=(1 - gamma,)),),
    noise=NoiseModel(sp.S.Zero, (Noise(gamma * (2 - gamma)),)),
    order=0,
    cite="zheng2024tcd",
    summary="DDIM to a level below the next one, then noise up to it: gamma = 0 is DDIM, gamma = 1 consistency.",
    aliases=("diffusers:TCDScheduler",),
    provenance="published; read in the code of TCD in diffusers, whose gamma is a share of the time",
    parameters=(GAMMA,),
)

ALL = (CONSISTENCY, TRAJECTORY_CONSISTENCY)
