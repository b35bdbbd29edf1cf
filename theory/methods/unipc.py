"""UniPC: a UniP predictor and a corrector that interpolates the new output as well, at one evaluation a step."""

from __future__ import annotations

import sympy as sp

from ..exponential import Rule, collapsed, exact
from ..frames import DATA
from ..method import NOW, Method, Row, past, stage

MIDDLE = collapsed(at=sp.Rational(1, 2))


def unipc(p: int, predict: Rule, correct: Rule, start: Method | None) -> Method:
    """UniPC-p, of order p + 1: interpolants of p outputs, and of those and the one at the predicted point.

    With both systems solved in full B(h) cancels and the rules are exact; the shortcuts 1/2 of the predictor at
    p = 2 and of the corrector at p = 1 collapse the weight onto the middle of the step (for B(h) = e^{-h} - 1).
    """
    known = (NOW, *(past(k) for k in range(1, p)))
    return Method(
        name=f"unipc-{p}",
        family="unipc",
        frame=DATA,
        rows=(Row(known, predict), Row((*known, stage(1)), correct, evaluated=False)),
        order=p + 1,
        cite="zhao2023unipc",
        summary=f"UniP-{p}, then a corrector through the output there; no correction in the last step.",
        start=start,
    )


UNIPC_1 = unipc(1, exact, MIDDLE, None)
UNIPC_2 = unipc(2, MIDDLE, exact, UNIPC_1)
UNIPC_3 = unipc(3, exact, exact, UNIPC_2)
