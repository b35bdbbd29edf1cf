"""iPNDM: DDIM's transfer of Adams-Bashforth mixtures of noise predictions, with the weights of equal steps."""

from __future__ import annotations

import sympy as sp

from ..frames import NOISE_RHO
from ..method import NOW, Method, Row, past
from ..notation import h
from .classical import DDIM


def ipndm(weights: tuple[int, ...], over: int, start: Method) -> Method:
    """The mixture sum_j weights_j eps_{n-j} / over, held fixed over the step in rho."""
    q = len(weights)
    nodes = (NOW, *(past(k) for k in range(1, q)))
    return Method(
        name=f"ipndm-{q}",
        family="pndm",
        frame=NOISE_RHO,
        rows=(Row(nodes, published=tuple(sp.Rational(w, over) * h for w in weights)),),
        order=2,
        cite="zhang2023deis",
        summary=f"The Adams-Bashforth mixture of {q} noise predictions for equal steps, whatever the steps are.",
        start=start,
        provenance="published; the classical Adams-Bashforth weights",
        equal_steps=True,
    )


IPNDM_2 = ipndm((3, -1), 2, DDIM)
IPNDM_3 = ipndm((23, -16, 5), 12, IPNDM_2)
IPNDM_4 = ipndm((55, -59, 37, -9), 24, IPNDM_3)
