"""Ancestral samplers at eta = 1: a deterministic step goes below the next level, then noise leads up to it.

A step from sigma aims at sigma_down = sigma'^2/sigma, twice as far in lambda, and adds noise of the variance
sigma'^2 - sigma_down^2. The middle of that longer step in log sigma is the next grid point itself: the inner output of
two-stage samplers is made there, without noise. That costs the second order for a general prediction, but not in law
where the score is exact.
"""

from __future__ import annotations

from ..frames import NOISE
from ..method import Method
from ..noise_model import NO_NOISE, Noise, NoiseModel
from ..notation import ALPHA_RATIO, h
from ..phi_functions import phi
from ..rows import NOW, Row, stage

_gain = h * phi(1, h)  # e^h - 1
_lost = 2 * h * phi(1, -2 * h)  # 1 - e^{-2h}
_AT_ETA_1 = NoiseModel(rows=(NO_NOISE, Noise(_lost)))
_TO_NEXT = Row((NOW,), published=(_gain,))

DPM_2_ANCESTRAL = Method(
    name="dpm-2-ancestral",
    since="0.2.0",
    label="DPM2 ancestral",
    family="ancestral",
    frame=NOISE,
    rows=(_TO_NEXT, Row((stage(1),), published=((1 + phi(0, -h)) * _gain,))),
    noise=_AT_ETA_1,
    order=1,
    law_order=2,
    gaussian_order=2,
    cite="lu2022dpmsolver",
    summary="DPM-Solver-2 to twice the step's length in lambda, then noise back up; k-diffusion's DPM2 a at eta = 1.",
    aliases=(
        *("k-diffusion:sample_dpm_2_ancestral", "comfyui:dpm_2_ancestral"),
        "diffusers:KDPM2AncestralDiscreteScheduler",
    ),
    provenance="published; read in the code of k-diffusion and of ComfyUI",
)

DPMPP_2S_ANCESTRAL = Method(
    name="dpmpp-2s-ancestral",
    since="0.2.0",
    label="DPM++ 2S ancestral",
    family="ancestral",
    frame=NOISE,
    rows=(_TO_NEXT, Row((NOW, stage(1)), published=(_lost * _gain, _lost))),
    noise=_AT_ETA_1,
    order=1,
    law_order=2,
    gaussian_order=2,
    cite="lu2022dpmsolverpp",
    summary="DPM-Solver++(2S) to twice the step's length in lambda, then noise back up; DPM++ 2S a at eta = 1.",
    aliases=("k-diffusion:sample_dpmpp_2s_ancestral", "comfyui:dpmpp_2s_ancestral"),
    provenance="published; read in the code of k-diffusion and of ComfyUI",
)

# On a flow, where alpha + sigma = 1, the same level is rho'/(1 + (alpha/alpha') (e^h - 1)) in rho = sigma/alpha.
_over = ALPHA_RATIO * _gain

EULER_ANCESTRAL_RF = Method(
    name="euler-ancestral-rf",
    since="0.2.0",
    label="Euler ancestral (rectified flow)",
    family="ancestral",
    frame=NOISE,
    rows=(Row((NOW,), published=(_gain + _over / (1 + _over),)),),
    noise=NoiseModel(rows=(Noise(_over * (2 + _over) / (1 + _over) ** 2),)),
    order=1,
    cite="lipman2023flow",
    summary="Euler's step on a flow to sigma'^2/sigma, then rescaling and noise back up to sigma'.",
    aliases=("comfyui:euler_ancestral_RF",),
    provenance="published; read in the code of ComfyUI and of diffusers",
)

ALL = (DPM_2_ANCESTRAL, DPMPP_2S_ANCESTRAL, EULER_ANCESTRAL_RF)
