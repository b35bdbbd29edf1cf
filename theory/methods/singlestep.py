"""Exponential Runge-Kutta methods: stages inside the step, in lambda. DPM-Solver, DPM-Solver++, RES and ETD-RK4."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ..exponential import Rule, collapsed, exact
from ..frames import DATA, NOISE, Frame
from ..method import Method
from ..notation import c2, c3, h
from ..parameter import Parameter
from ..phi_functions import phi
from ..rows import NOW, Node, Place, Row, stage
from .runge_kutta import tableau_rows

HALF, THIRD = sp.Rational(1, 2), sp.Rational(1, 3)
MIDDLE_VALUE = collapsed(at=HALF)


def first_stage(name: str, default: sp.Rational, excluded: tuple[sp.Rational, ...] = ()) -> Parameter:
    """The place of the first stage as a parameter; rows have the symbol c2 for it."""
    meaning = "place of the first stage, as a fraction of the step"
    return Parameter(name, meaning, default, sp.Interval.Lopen(0, 1), excluded=excluded, symbol=c2)


R2 = Parameter(
    "r2",
    "place of the second stage, as a fraction of the step",
    HALF,
    sp.Interval.Lopen(0, 1),
    orders=((2 * THIRD, 3),),
    symbol=c3,
)


def singlestep(
    name: str,
    label: str,
    frame: Frame,
    places: tuple[Place, ...],
    final: tuple[tuple[Node, ...], Rule],
    parameters: tuple[Parameter, ...],
    summary: str,
    aliases: tuple[str, ...] = (),
) -> Method:
    """Stages at the given fractions of the step, each from the base point and the stage before; then the final row."""
    plusplus = frame is DATA
    rows = [Row(nodes=(NOW,), rule=exact, to=places[0])]
    rows += [Row(nodes=(NOW, stage(k)), rule=exact, to=c) for k, c in enumerate(places[1:], start=1)]
    nodes, rule = final
    return Method(
        name=name,
        label=label,
        family="dpm-solver++" if plusplus else "dpm-solver",
        frame=frame,
        rows=(*rows, Row(nodes, rule)),
        order=len(places) + 1,
        cite="lu2022dpmsolverpp" if plusplus else "lu2022dpmsolver",
        summary=summary,
        parameters=parameters,
        aliases=aliases,
    )


def second_order(name: str, label: str, frame: Frame, aliases: tuple[str, ...] = ()) -> Method:
    """Stage at r; the line through both outputs at the middle of the step, for the whole step: weights 1/(2r)."""
    text = f"A DDIM step to r, then the line through both {frame.prediction} predictions, taken at the middle."
    r = first_stage("r", HALF)
    return singlestep(name, label, frame, (c2,), ((NOW, stage(1)), MIDDLE_VALUE), (r,), text, aliases)


def second_order_taylor(name: str, label: str, frame: Frame, aliases: tuple[str, ...] = ()) -> Method:
    """Stage at r, the line through both outputs integrated exactly."""
    text = f"A DDIM step to r, then the line through both {frame.prediction} predictions integrated exactly."
    r = first_stage("r", HALF)
    return singlestep(name, label, frame, (c2,), ((NOW, stage(1)), exact), (r,), text, aliases)


def third_order(name: str, label: str, frame: Frame) -> Method:
    """Stages at r1 and 2/3; the final row integrates the line through the first and the last output."""
    text = "Stages at r1 and 2/3, then the line through the base and the last output integrated exactly."
    r1 = first_stage("r1", THIRD)
    return singlestep(name, label, frame, (c2, 2 * THIRD), ((NOW, stage(2)), exact), (r1,), text)


def third_order_taylor(name: str, label: str, frame: Frame) -> Method:
    """Stages at r1 and 2/3 (elsewhere it is of order 2); the final row integrates the parabola through all outputs."""
    text = "Stages at r1 and 2/3, then the parabola through all three outputs integrated exactly."
    r1 = first_stage("r1", THIRD, excluded=(2 * THIRD,))
    return singlestep(name, label, frame, (c2, 2 * THIRD), ((NOW, stage(1), stage(2)), exact), (r1,), text)


def free_stages(name: str, label: str, frame: Frame) -> Method:
    """Both stages free: r2 = 2/3 alone is of order 3, since the last row knows no curvature."""
    text = "Stages at r1 and r2, then the line through the base and the last output integrated exactly."
    r1 = first_stage("r1", THIRD)
    method = singlestep(name, label, frame, (c2, c3), ((NOW, stage(2)), exact), (r1, R2), text)
    return replace(method, order=2, since="0.2.0", provenance="published; read in the code of DPM-Solver, r2 free")


DPM_SOLVER_2S = second_order(
    "dpm-solver-2s",
    "DPM-Solver-2",
    NOISE,
    aliases=("diffusers:KDPM2DiscreteScheduler", "k-diffusion:sample_dpm_2", "comfyui:dpm_2"),
)
DPM_SOLVER_2S_TAYLOR = second_order_taylor("dpm-solver-2s-taylor", "DPM-Solver-2 (Taylor)", NOISE)
DPM_SOLVER_3S = third_order("dpm-solver-3s", "DPM-Solver-3", NOISE)
DPM_SOLVER_3S_TAYLOR = third_order_taylor("dpm-solver-3s-taylor", "DPM-Solver-3 (Taylor)", NOISE)
DPM_SOLVER_PP_2S = second_order(
    "dpm-solver++-2s", "DPM-Solver++(2S)", DATA, aliases=("diffusers:DPMSolverSinglestepScheduler",)
)
DPM_SOLVER_PP_2S_TAYLOR = second_order_taylor(
    "dpm-solver++-2s-taylor", "DPM-Solver++(2S, Taylor)", DATA, aliases=("res-2s", "res4lyf:res_2s")
)
DPM_SOLVER_PP_3S = third_order("dpm-solver++-3s", "DPM-Solver++(3S)", DATA)
DPM_SOLVER_PP_3S_TAYLOR = third_order_taylor("dpm-solver++-3s-taylor", "DPM-Solver++(3S, Taylor)", DATA)
DPM_SOLVER_3S_FREE = free_stages("dpm-solver-3s-free", "DPM-Solver-3 (free stages)", NOISE)
DPM_SOLVER_PP_3S_FREE = free_stages("dpm-solver++-3s-free", "DPM-Solver++(3S, free stages)", DATA)


def exponential_runge_kutta(
    name: str,
    label: str,
    places: tuple[Place, ...],
    matrix: tuple[tuple[sp.Expr, ...], ...],
    order: int,
    cite: str,
    summary: str,
) -> Method:
    """Weights over h of the outputs at the stages; that of the base point makes each row sum to the one-node weight."""
    ends = map(sp.sympify, (*places, 1))
    lines = [
        (end * phi(1, -end * h) - sum(line, start=sp.S.Zero), *line) for end, line in zip(ends, matrix, strict=True)
    ]
    return Method(
        name=name,
        label=label,
        family="exponential-runge-kutta",
        frame=DATA,
        rows=tableau_rows(places, lines),
        order=order,
        cite=cite,
        summary=summary,
        provenance="published; the tableau of the paper",
    )


# RES asks of its third order that 2 (g c2 + c3) = 3 (g c2^2 + c3^2), and takes c2 = 1/2, c3 = 1: g = 4.
_G = sp.Integer(4)
RES_3S = exponential_runge_kutta(
    "res-3s",
    "RES-3S",
    (HALF, 1),
    (
        (),
        (_G * HALF * phi(2, -HALF * h) + phi(2, -h) / HALF,),
        (_G / (_G * HALF + 1) * phi(2, -h), phi(2, -h) / (_G * HALF + 1)),
    ),
    order=3,
    cite="zhang2023res",
    summary="Two stages, at the middle and at the end, of Hochbruck and Ostermann's third-order family.",
)
ETD_RK4 = exponential_runge_kutta(
    "etd-rk4",
    "ETD-RK4",
    (HALF, HALF, 1),
    (
        (),
        (HALF * phi(1, -HALF * h),),
        (sp.S.Zero, phi(1, -HALF * h)),
        (
            2 * phi(2, -h) - 4 * phi(3, -h),
            2 * phi(2, -h) - 4 * phi(3, -h),
            4 * phi(3, -h) - phi(2, -h),
        ),
    ),
    order=4,
    cite="cox2002etd",
    summary="The exponential form of the classical Runge-Kutta method.",
)

ALL = (
    *(DPM_SOLVER_2S, DPM_SOLVER_2S_TAYLOR, DPM_SOLVER_3S, DPM_SOLVER_3S_TAYLOR),
    *(DPM_SOLVER_PP_2S, DPM_SOLVER_PP_2S_TAYLOR, DPM_SOLVER_PP_3S, DPM_SOLVER_PP_3S_TAYLOR),
    *(DPM_SOLVER_3S_FREE, DPM_SOLVER_PP_3S_FREE),
    *(RES_3S, ETD_RK4),
)
