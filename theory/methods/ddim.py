"""DDIM: the one-node rule in the data frame, and in the noise frame."""

from __future__ import annotations

from ..exponential import exact
from ..frames import DATA
from ..method import Method
from ..rows import NOW, Row

DDIM = Method(
    name="ddim",
    label="DDIM",
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

ALL = (DDIM,)
