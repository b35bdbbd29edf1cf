"""Samplers of flow matching: Euler's, Heun's and the midpoint method on the velocity in t."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ..exponential import exact
from ..frames import VELOCITY
from ..method import Method
from ..rows import NOW, Row, past
from .runge_kutta import HALF, runge_kutta

FLOW_EULER = Method(
    name="flow-euler",
    label="Euler (flow matching)",
    family="flow",
    frame=VELOCITY,
    rows=(Row(nodes=(NOW,), rule=exact),),
    order=1,
    cite="lipman2023flow",
    summary="Hold the velocity fixed over the step in t.",
    aliases=(
        *("diffusers:FlowMatchEulerDiscreteScheduler", "diffusers:FlowMapEulerDiscreteScheduler"),
        "diffusers:MiniMaxH3Scheduler",
    ),
)

FLOW_HEUN = replace(
    runge_kutta(
        "flow-heun",
        "Heun (flow matching)",
        VELOCITY,
        (1,),
        ((sp.S.One,), (HALF, HALF)),
        order=2,
        cite="lipman2023flow",
        summary="Heun's method on the velocity in t.",
    ),
    aliases=("diffusers:FlowMatchHeunDiscreteScheduler",),
)
FLOW_MIDPOINT = replace(
    runge_kutta(
        "flow-midpoint",
        "Midpoint (flow matching)",
        VELOCITY,
        (HALF,),
        ((HALF,), (sp.S.Zero, sp.S.One)),
        order=2,
        cite="lipman2023flow",
        summary="The midpoint method on the velocity in t.",
    ),
    aliases=("rf-solver-2",),
)


def flow_adams(degree: int, start: Method) -> Method:
    """The interpolant of that degree through the last velocities, integrated exactly in t."""
    return Method(
        name=f"flow-ab{degree + 1}",
        since="0.2.0",
        label=f"Adams-Bashforth {degree + 1} (flow matching)",
        family="flow",
        frame=VELOCITY,
        rows=(Row(nodes=(NOW, *(past(k) for k in range(1, degree + 1))), rule=exact),),
        order=degree + 1,
        cite="lipman2023flow",
        summary=f"Integrate the interpolant in t of the last {degree + 1} velocities exactly.",
        start=start,
    )


FLOW_AB2 = flow_adams(1, FLOW_EULER)
FLOW_AB3 = flow_adams(2, FLOW_AB2)

ALL = (FLOW_EULER, FLOW_HEUN, FLOW_MIDPOINT, FLOW_AB2, FLOW_AB3)
