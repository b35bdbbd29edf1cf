"""DDIM, and Heun's method in EDM's variable."""

from __future__ import annotations

from ..exponential import exact
from ..frames import DATA, NOISE_RHO, VELOCITY
from ..method import NOW, Method, Row, stage

DDIM = Method(
    name="ddim",
    family="ddim",
    frame=DATA,
    rows=(Row(nodes=(NOW,), rule=exact),),
    order=1,
    cite="song2021ddim",
    summary="Hold the data prediction fixed over the step.",
    aliases=(
        *("edm-euler", "exp-adams-1", "exp-adams-noise-1", "dpm-solver-1", "dpm-solver++-1", "unip-1"),
        *("deis-tab0", "deis-rhoab0"),
        *("diffusers:DDIMScheduler", "diffusers:DDIMParallelScheduler", "diffusers:EulerDiscreteScheduler"),
        *("diffusers:EDMEulerScheduler", "diffusers:CogVideoXDDIMScheduler"),
        *("k-diffusion:sample_euler", "comfyui:ddim", "comfyui:euler"),
    ),
)

EDM_HEUN = Method(
    name="edm-heun",
    family="edm",
    frame=NOISE_RHO,
    rows=(
        Row(nodes=(NOW,), rule=exact),
        Row(nodes=(NOW, stage(1)), rule=exact),
    ),
    order=2,
    cite="karras2022edm",
    summary="Trapezoid rule in rho, the new output taken at a DDIM step's result.",
    aliases=("deis-rho-heun", "diffusers:HeunDiscreteScheduler", "k-diffusion:sample_heun", "comfyui:heun"),
)

FLOW_EULER = Method(
    name="flow-euler",
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
