"""PNDM: DDIM's transfer of Adams-Bashforth mixtures of noise predictions, with the weights of equal steps."""

from __future__ import annotations

import sympy as sp

from ..frames import NOISE_RHO
from ..method import Method
from ..notation import MIDDLE, h
from ..rows import NOW, Row, past, stage
from .ddim import DDIM
from .edm import EDM_HEUN


def pseudo_adams(
    name: str, label: str, weights: tuple[int, ...], over: int, start: Method, cite: str, aliases: tuple[str, ...] = ()
) -> Method:
    """The mixture sum_j weights_j eps_{n-j} / over, held fixed over the step in rho."""
    q = len(weights)
    nodes = (NOW, *(past(k) for k in range(1, q)))
    return Method(
        name=name,
        label=label,
        family="pndm",
        frame=NOISE_RHO,
        rows=(Row(nodes, published=tuple(sp.Rational(w, over) * h for w in weights)),),
        order=2,
        cite=cite,
        summary=f"The Adams-Bashforth mixture of {q} noise predictions for equal steps, used on all grids.",
        start=start,
        provenance="published; the classical Adams-Bashforth weights",
        equal_steps=True,
        aliases=aliases,
    )


AB2, AB3, AB4 = ((3, -1), 2), ((23, -16, 5), 12), ((55, -59, 37, -9), 24)
IPNDM_2 = pseudo_adams("ipndm-2", "iPNDM-2", *AB2, DDIM, "zhang2023deis")
IPNDM_3 = pseudo_adams("ipndm-3", "iPNDM-3", *AB3, IPNDM_2, "zhang2023deis")
IPNDM_4 = pseudo_adams(
    *("ipndm-4", "iPNDM-4", *AB4, IPNDM_3, "zhang2023deis"), aliases=("diffusers:IPNDMScheduler", "comfyui:ipndm")
)

# The first three steps of PNDM: the mixture 1 : 2 : 2 : 1 of four outputs, the middle ones at the middle of the step in
# t, where its transfer leads; in rho that is the classical Runge-Kutta method only if t is linear in rho.
_to_middle = MIDDLE * h
PNDM_START = Method(
    name="pndm-start",
    label="PNDM start-up",
    family="pndm",
    frame=NOISE_RHO,
    rows=(
        Row((NOW,), published=(_to_middle,), to=MIDDLE),
        Row((stage(1),), published=(_to_middle,), to=MIDDLE),
        Row((stage(2),), published=(h,)),
        Row((NOW, stage(1), stage(2), stage(3)), published=(h / 6, h / 3, h / 3, h / 6)),
    ),
    order=2,
    cite="liu2022pndm",
    summary="PNDM's start: the Runge-Kutta mixture of noise predictions, its stages at the middle of the step in t.",
    provenance="published; read in the code of PNDM",
    equal_steps=True,
)
PNDM = pseudo_adams("pndm", "PNDM", *AB4, PNDM_START, "liu2022pndm", aliases=("diffusers:PNDMScheduler",))
S_PNDM = pseudo_adams("s-pndm", "S-PNDM", *AB2, EDM_HEUN, "liu2022pndm")

# PLMS, as latent diffusion runs it: Heun's first step, then every mixture as soon as there are outputs for it.
PLMS_3 = pseudo_adams("plms-3", "PLMS-3", *AB3, S_PNDM, "liu2022pndm")
PLMS = pseudo_adams("plms", "PLMS", *AB4, PLMS_3, "liu2022pndm")

ALL = (IPNDM_2, IPNDM_3, IPNDM_4, PNDM_START, PNDM, S_PNDM, PLMS_3, PLMS)
