"""Methods with noise of Li et al.: their DDPM, and its acceleration in the forms of the paper and of their code."""

from __future__ import annotations

from dataclasses import replace

from ..frames import NOISE
from ..method import Method
from ..noise_model import Noise, NoiseModel
from ..notation import ALPHA_RATIO, h
from ..phi_functions import phi
from ..rows import NOW, Row, stage

_decayed = 2 * h * phi(1, -2 * h)  # 1 - e^{-2h}

LI_DDPM = Method(
    name="li-ddpm",
    label="DDPM (Li et al.)",
    family="li",
    frame=NOISE,
    rows=(Row((NOW,), published=(phi(0, h) * _decayed,)),),
    noise=NoiseModel(rows=(Noise(2 * h * phi(1, 2 * h)),)),
    order=1,
    cite="li2024accelerating",
    summary="Hold alpha times the score over the step in rho^2, with as much fresh noise.",
    provenance="published; its formula is recalled",
)

LI_ACCELERATED_SDE = replace(
    LI_DDPM,
    name="li-accelerated-sde",
    label="Accelerated SDE (Li et al.)",
    rows=(Row((), to=0, published=()), Row((stage(1),), published=LI_DDPM.rows[0].published)),
    noise=NoiseModel(rows=(Noise(_decayed / 2), Noise(h * phi(1, 2 * h)))),
    gaussian_order=2,
    summary="Half the noise is added before the score is taken, half after; order 2 in law on Gaussians only.",
)

LI_ACCELERATED_SDE_README = replace(
    LI_ACCELERATED_SDE,
    name="li-accelerated-sde-readme",
    label="Accelerated SDE (Li et al., README)",
    noise=NoiseModel(rows=(Noise(_decayed / 2), Noise(ALPHA_RATIO**2 * h * phi(1, 2 * h)))),
    gaussian_order=None,
    summary="As li-accelerated-sde, its last noise outside 1/sqrt(a) as in the authors' README: order 1 throughout.",
    provenance="published; read in the authors' README",
)

LI_CODE_ACCELERATED_SDE = replace(
    LI_ACCELERATED_SDE_README,
    name="li-code-accelerated-sde",
    label="Accelerated SDE (Li et al., code)",
    noise=NoiseModel(rows=(Noise(ALPHA_RATIO**2 * _decayed / 2), Noise(ALPHA_RATIO**2 * h * phi(1, 2 * h)))),
    summary="What the authors' code for CIFAR runs: the first noise times sqrt(a), the last one outside 1/sqrt(a).",
    provenance="published; read in the authors' code for CIFAR",
)

ALL = (LI_DDPM, LI_ACCELERATED_SDE, LI_ACCELERATED_SDE_README, LI_CODE_ACCELERATED_SDE)
