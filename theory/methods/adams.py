"""Exponential Adams methods: integrate the interpolant of the last q outputs exactly, in lambda."""

from __future__ import annotations

import sympy as sp

from ..exponential import collapsed, exact
from ..frames import DATA, NOISE, Frame
from ..method import NOW, Method, Row, past
from .classical import DDIM


def exponential_adams(q: int, frame: Frame, prefix: str, start: Method) -> Method:
    """The q-node method of order q, started by the method with one node less."""
    return Method(
        name=f"{prefix}-{q}",
        family="exponential-adams",
        frame=frame,
        rows=(Row(nodes=(NOW, *(past(k) for k in range(1, q))), rule=exact),),
        order=q,
        cite="hochbruck2010exponential",
        summary=f"Integrate the interpolant of the last {q} {frame.prediction} predictions exactly in lambda.",
        start=start,
    )


EXP_ADAMS_2 = exponential_adams(2, DATA, "exp-adams", DDIM)
EXP_ADAMS_3 = exponential_adams(3, DATA, "exp-adams", EXP_ADAMS_2)
EXP_ADAMS_4 = exponential_adams(4, DATA, "exp-adams", EXP_ADAMS_3)
EXP_ADAMS_NOISE_2 = exponential_adams(2, NOISE, "exp-adams-noise", DDIM)
EXP_ADAMS_NOISE_3 = exponential_adams(3, NOISE, "exp-adams-noise", EXP_ADAMS_NOISE_2)
EXP_ADAMS_NOISE_4 = exponential_adams(4, NOISE, "exp-adams-noise", EXP_ADAMS_NOISE_3)

DPM_SOLVER_PP_2M = Method(
    name="dpm-solver++-2m",
    family="dpm-solver++",
    frame=DATA,
    rows=(Row(nodes=(NOW, past(1)), rule=collapsed(at=sp.Rational(1, 2))),),
    order=2,
    cite="lu2022dpmsolverpp",
    summary="Exponential Adams 2 with its weight collapsed onto the midpoint of the step.",
    start=DDIM,
)
