"""iPNDM_v as diff-sampler and ComfyUI have it: Adams-Bashforth in rho for free steps, its weights mistyped.

Two outputs are right. With three a bracket closes too late, and with four the oldest weight has h_{n-1}/h_{n-2} where
h_{n-2}/h_{n-3} belongs, so that the weights do not sum to the step. Repaired they are deis-rhoab2 and deis-rhoab3.
"""

from __future__ import annotations

import sympy as sp

from ..frames import NOISE_RHO
from ..method import Method
from ..notation import h, r
from ..rows import NOW, Row, past
from .deis import DEIS_RHOAB1

r1, r2, r3 = r[:3]
SECOND = (1 - 1 / (3 * r1 * (r1 + r2))) / 2
THIRD = (
    ((1 - 1 / (3 * (1 + r1))) / 2 + (1 - 1 / (2 * (1 + r1))) / (6 * (1 + r1 + r2)))
    * ((1 + r1) * (1 + r1 + r2))
    / (r1 * (r1 + r2) * (r1 + r2 + r3))
)
RATIO = r1 * (r1 + r2) / (r2 * (r2 + r3))
TWO = (1 + 1 / (2 * r1), -1 / (2 * r1))
THREE = (TWO[0] + SECOND, TWO[1] - (1 + r1 / r2) * SECOND, r1 / r2 * SECOND)
FOUR = (
    THREE[0] + THIRD,
    THREE[1] - (1 + r1 / r2 + RATIO) * THIRD,
    THREE[2] + (r1 / r2 + RATIO * (1 + r2 / r3)) * THIRD,
    -RATIO * r1 / r2 * THIRD,
)


def as_coded(weights: tuple[sp.Expr, ...], order: int, start: Method, aliases: tuple[str, ...] = ()) -> Method:
    """The multistep method with these weights over h."""
    q = len(weights)
    return Method(
        name=f"ipndm-v-{q}-published",
        since="0.2.0",
        label=f"iPNDM_v-{q}, published",
        family="pndm",
        frame=NOISE_RHO,
        rows=(Row((NOW, *(past(k) for k in range(1, q))), published=tuple(h * sp.factor(w) for w in weights)),),
        order=order,
        cite="zhou2024amed",
        summary=f"Adams-Bashforth {q} in rho for free steps as diff-sampler has it; deis-rhoab{q - 1} is the repair.",
        start=start,
        provenance="published; read in the code of diff-sampler, as ComfyUI has it",
        equal_steps=True,
        aliases=aliases,
    )


IPNDM_V_3_PUBLISHED = as_coded(THREE, 3, DEIS_RHOAB1)
IPNDM_V_4_PUBLISHED = as_coded(FOUR, 1, IPNDM_V_3_PUBLISHED, aliases=("comfyui:ipndm_v",))

ALL = (IPNDM_V_3_PUBLISHED, IPNDM_V_4_PUBLISHED)
