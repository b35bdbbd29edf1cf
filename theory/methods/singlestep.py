"""Exponential Runge-Kutta methods: DPM-Solver and DPM-Solver++ with stages inside the step, in lambda."""

from __future__ import annotations

import sympy as sp

from ..exponential import exact
from ..frames import DATA, NOISE, Frame
from ..method import NOW, Method, Node, Row, stage

HALF, THIRD = sp.Rational(1, 2), sp.Rational(1, 3)


def singlestep(
    name: str, frame: Frame, places: tuple[sp.Rational, ...], final: tuple[Node, ...], summary: str
) -> Method:
    """Stages at the given fractions of the step, each from the base point and the stage before; then the final row."""
    plusplus = frame is DATA
    rows = [Row(nodes=(NOW,), rule=exact, to=places[0])]
    rows += [Row(nodes=(NOW, stage(k)), rule=exact, to=c) for k, c in enumerate(places[1:], start=1)]
    return Method(
        name=name,
        family="dpm-solver++" if plusplus else "dpm-solver",
        frame=frame,
        rows=(*rows, Row(nodes=final, rule=exact)),
        order=len(places) + 1,
        cite="lu2022dpmsolverpp" if plusplus else "lu2022dpmsolver",
        summary=summary,
    )


def second_order(name: str, frame: Frame) -> Method:
    """Stage at the midpoint, whose output serves for the whole step: the published 1/(2r) at r = 1/2."""
    text = f"A DDIM step to the middle in lambda, then its {frame.prediction} prediction for the whole step."
    return singlestep(name, frame, (HALF,), (stage(1),), text)


def second_order_taylor(name: str, frame: Frame) -> Method:
    """Stage at the midpoint, the line through both outputs integrated exactly."""
    text = f"A DDIM step to the middle, then the line through both {frame.prediction} predictions integrated exactly."
    return singlestep(name, frame, (HALF,), (NOW, stage(1)), text)


def third_order(name: str, frame: Frame) -> Method:
    """Stages at 1/3 and 2/3; the final row integrates the line through the first and the last output."""
    text = "Stages at 1/3 and 2/3, then the line through the base and the last output integrated exactly."
    return singlestep(name, frame, (THIRD, 2 * THIRD), (NOW, stage(2)), text)


def third_order_taylor(name: str, frame: Frame) -> Method:
    """Stages at 1/3 and 2/3; the final row integrates the parabola through all three outputs."""
    text = "Stages at 1/3 and 2/3, then the parabola through all three outputs integrated exactly."
    return singlestep(name, frame, (THIRD, 2 * THIRD), (NOW, stage(1), stage(2)), text)


DPM_SOLVER_2S = second_order("dpm-solver-2s", NOISE)
DPM_SOLVER_2S_TAYLOR = second_order_taylor("dpm-solver-2s-taylor", NOISE)
DPM_SOLVER_3S = third_order("dpm-solver-3s", NOISE)
DPM_SOLVER_3S_TAYLOR = third_order_taylor("dpm-solver-3s-taylor", NOISE)
DPM_SOLVER_PP_2S = second_order("dpm-solver++-2s", DATA)
DPM_SOLVER_PP_2S_TAYLOR = second_order_taylor("dpm-solver++-2s-taylor", DATA)
DPM_SOLVER_PP_3S = third_order("dpm-solver++-3s", DATA)
DPM_SOLVER_PP_3S_TAYLOR = third_order_taylor("dpm-solver++-3s-taylor", DATA)
