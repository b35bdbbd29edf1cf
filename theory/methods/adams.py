"""Exponential Adams methods: integrate the interpolant of the last q outputs exactly, in lambda."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ..exponential import collapsed, exact
from ..frames import DATA, NOISE, Frame
from ..method import Method
from ..notation import h, r
from ..phi_functions import phi
from ..rows import NOW, Row, past
from .ddim import DDIM


def exponential_adams(q: int, frame: Frame, prefix: str, start: Method, aliases: tuple[str, ...] = ()) -> Method:
    """The q-node method of order q, started by the method with one node less."""
    return Method(
        name=f"{prefix}-{q}",
        label=f"Exponential Adams {q}" + ("" if frame is DATA else ", noise"),
        family="exponential-adams",
        frame=frame,
        rows=(Row(nodes=(NOW, *(past(k) for k in range(1, q))), rule=exact),),
        order=q,
        cite="hochbruck2010exponential",
        summary=f"Integrate the interpolant of the last {q} {frame.prediction} predictions exactly in lambda.",
        aliases=aliases,
        start=start,
    )


EXP_ADAMS_2 = exponential_adams(2, DATA, "exp-adams", DDIM, aliases=("comfyui:res_multistep",))
EXP_ADAMS_3 = exponential_adams(3, DATA, "exp-adams", EXP_ADAMS_2, aliases=("dpm-solver++-3m", "unip-3"))
EXP_ADAMS_4 = exponential_adams(4, DATA, "exp-adams", EXP_ADAMS_3)
EXP_ADAMS_NOISE_2 = exponential_adams(2, NOISE, "exp-adams-noise", DDIM, aliases=("diffusers:DEISMultistepScheduler",))
EXP_ADAMS_NOISE_3 = exponential_adams(3, NOISE, "exp-adams-noise", EXP_ADAMS_NOISE_2, aliases=("dpm-solver-3m",))
EXP_ADAMS_NOISE_4 = exponential_adams(4, NOISE, "exp-adams-noise", EXP_ADAMS_NOISE_3)

DPM_SOLVER_PP_2M = Method(
    name="dpm-solver++-2m",
    label="DPM-Solver++(2M)",
    family="dpm-solver++",
    frame=DATA,
    rows=(Row(nodes=(NOW, past(1)), rule=collapsed(at=sp.Rational(1, 2))),),
    order=2,
    cite="lu2022dpmsolverpp",
    aliases=(
        *("unip-2", "diffusers:DPMSolverMultistepScheduler", "diffusers:EDMDPMSolverMultistepScheduler"),
        *("k-diffusion:sample_dpmpp_2m", "comfyui:dpmpp_2m"),
    ),
    summary="Exponential Adams 2 with its weight collapsed onto the midpoint of the step.",
    start=DDIM,
)

DPM_SOLVER_2M = replace(
    DPM_SOLVER_PP_2M,
    name="dpm-solver-2m",
    since="0.2.0",
    label="DPM-Solver(2M)",
    family="dpm-solver",
    frame=NOISE,
    cite="lu2022dpmsolver",
    aliases=("unip-noise-2",),
    summary="Exponential Adams 2 on noise predictions with its weight collapsed onto the midpoint of the step.",
)

# The folk variant "2M v2" puts the length of the step before into the factor of the whole step.
DPM_SOLVER_PP_2M_V2 = replace(
    DPM_SOLVER_PP_2M,
    name="dpm-solver++-2m-v2",
    since="0.2.0",
    label="DPM++ 2M v2",
    rows=(
        Row(
            nodes=(NOW, past(1)),
            published=((r[0] + sp.Rational(1, 2)) * h * phi(1, -r[0] * h), -h * phi(1, -r[0] * h) / 2),
        ),
    ),
    order=1,
    cite="hallatore2023dpmppv2",
    aliases=("dpmpp-2m-v2",),
    summary="DPM-Solver++(2M) with h of the step before in e^{-h} - 1, which does not even hold a constant.",
    provenance="published; read in issue 56 of k-diffusion",
    equal_steps=True,
)


def published_3m(exponent: sp.Expr) -> tuple[sp.Expr, ...]:
    """The multistep 3M of the libraries: its second divided difference D2 is half of the one in the expansion.

    exponent: that of the weight over the step, h for the flow.
    """
    newest, middle, oldest = (sp.Matrix([[int(i == j) for j in range(3)]]) for i in range(3))
    d10, d11 = (newest - middle) / r[0], (middle - oldest) / r[1]
    d1 = d10 + r[0] / (r[0] + r[1]) * (d10 - d11)
    d2 = (d10 - d11) / (r[0] + r[1])
    parts = [(phi(1, -exponent), newest), (phi(2, -exponent), d1), (phi(3, -exponent), d2)]
    return tuple(sum((exponent * atom * sp.factor(row[j]) for atom, row in parts), start=sp.S.Zero) for j in range(3))


DPM_SOLVER_PP_3M_PUBLISHED = Method(
    name="dpm-solver++-3m-published",
    label="DPM-Solver++(3M), published",
    family="dpm-solver++",
    frame=DATA,
    rows=(Row(nodes=(NOW, past(1), past(2)), published=published_3m(h)),),
    order=2,
    cite="lu2022dpmsolverpp",
    summary="The three-step method as the libraries have it, with half the second divided difference.",
    start=DPM_SOLVER_PP_2M,
    provenance="published; read in the code of DPM-Solver, diffusers and k-diffusion",
)

DPM_SOLVER_3M_PUBLISHED = Method(
    name="dpm-solver-3m-published",
    label="DPM-Solver(3M), published",
    family="dpm-solver",
    frame=NOISE,
    rows=(Row(nodes=(NOW, past(1), past(2)), published=tuple(-w for w in published_3m(-h))),),
    order=2,
    cite="lu2022dpmsolver",
    summary="The three-step method on noise predictions as its authors have it, with half the second difference.",
    start=EXP_ADAMS_NOISE_2,
    provenance="published; read in the code of DPM-Solver and diffusers",
)

ALL = (
    *(EXP_ADAMS_2, EXP_ADAMS_3, EXP_ADAMS_4),
    *(EXP_ADAMS_NOISE_2, EXP_ADAMS_NOISE_3, EXP_ADAMS_NOISE_4),
    *(DPM_SOLVER_PP_2M, DPM_SOLVER_PP_3M_PUBLISHED, DPM_SOLVER_3M_PUBLISHED),
    *(DPM_SOLVER_2M, DPM_SOLVER_PP_2M_V2),
)
