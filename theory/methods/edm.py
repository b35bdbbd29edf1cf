"""Heun's method in EDM's variable."""

from __future__ import annotations

from ..exponential import exact
from ..frames import NOISE_RHO
from ..method import Method
from ..rows import NOW, Row, stage

EDM_HEUN = Method(
    name="edm-heun",
    label="Heun (EDM)",
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

ALL = (EDM_HEUN,)
