"""The levels of a given grid in a scheduler of diffusers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ...grids import Grid
from ..forward_processes import on_process
from .diffusers_classes import SchedulerSpec
from .target import NoTable
from .visited_levels import CLOSE

OWN_LEVELS = "its levels are those of the grid, put into its attribute `sigmas`; its timesteps stay its own"
# The classes whose steps follow from their sigmas alone, and those in which every inner level stands twice.
ONCE = {
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
    "EDMEulerScheduler",
    "EDMDPMSolverMultistepScheduler",
    "CosineDPMSolverMultistepScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "LMSDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "FlowMatchLCMScheduler",
    "LTXEulerAncestralRFScheduler",
}
TWICE = {"HeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"}


def takes_levels(base: str) -> bool:
    """Whether a class can be put on any levels."""
    return base in ONCE or base in TWICE


@dataclass(frozen=True)
class Given:
    """The levels of a grid, for a scheduler of a process."""

    grid: Grid
    process: str

    def put(self, scheduler: Any, name: str, base: str, spec: SchedulerSpec, steps: int, dtype: torch.dtype) -> None:
        """Put the levels into a scheduler that is prepared for that many steps.

        name, base: of its class, and of the class of diffusers from which it is derived.

        Raises NoTable where its levels follow from its timesteps, unless they are those of the grid.
        """
        points = on_process(self.grid, self.process)
        if takes_levels(base):
            # In `sigmas`: sigma / alpha, on the other processes sigma; alpha where sigmas are inverted.
            held = "rho" if self.process == "vp" else "alpha" if scheduler.config.get("invert_sigmas") else "sigma"
            levels = [getattr(p, held) for p in points]
            if base in TWICE:
                levels = [levels[0], *(level for level in levels[1:-1] for _ in range(2)), levels[-1]]
            found = len(scheduler.sigmas)
            if found != len(levels):
                allowed = f"a scheduler of {steps} steps; asked for them, it has {found} levels, and not {len(levels)}"
                raise NoTable("grid", name, allowed)
            scheduler.sigmas = torch.tensor(levels, dtype=dtype)
            return
        own = spec.layout(scheduler, steps).grid
        for n, (mine, given) in enumerate(zip(own, points, strict=False)):
            apart = abs(mine.sigma * given.alpha - given.sigma * mine.alpha)
            if len(own) != len(points) or apart > CLOSE * given.sigma * max(mine.alpha, given.alpha):
                level, wanted = (p.rho for p in (mine, given))
                where = f"its level {n} is sigma / alpha = {level:.6g}, that of the grid {wanted:.6g}"
                raise NoTable("grid", name, f"a scheduler that takes the levels of a grid; it has its own: {where}")
