"""Wan's flow solvers: wan/utils/fm_solvers.py and fm_solvers_unipc.py, which are made after diffusers' classes."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor

from ....external_run import Draw
from ..callables import Denoise, check_options
from ..diffusers_classes import CLASSES
from ..external_sampler import ExternalSampler
from ..own_draws import drawing_from
from ..target import typed
from .found import Library
from .of_solver import external

SOURCE = "a checkout of Wan-Video/Wan2.1"
FILES = {  # of a class: its file, and the class of diffusers after which it is made
    "FlowDPMSolverMultistepScheduler": ("wan/utils/fm_solvers.py", "DPMSolverMultistepScheduler"),
    "FlowUniPCMultistepScheduler": ("wan/utils/fm_solvers_unipc.py", "UniPCMultistepScheduler"),
}
OPTIONS = ("solver_order", "algorithm_type", "solver_type", "lower_order_final", "euler_at_final", "predict_x0")


def wan(name: str, options: dict[str, Any], path: str | None = None) -> ExternalSampler:
    """A scheduler of Wan, options to its constructor, on levels of the flow; its model returns the velocity.

    Raises InputError: not found, no such class, an unknown option.
    """
    file, base = FILES.get(name, FILES["FlowUniPCMultistepScheduler"])
    library = Library("wan", file, SOURCE)
    module, target = library.file_module(path), typed("wan", name, options)
    cls = library.member(module, name, list(FILES))
    parameters = inspect.signature(cls).parameters
    defaults = {key: p.default for key, p in parameters.items() if key in OPTIONS}
    check_options(target, options, defaults)

    def solve(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
        scheduler = cls(**options)
        scheduler.set_timesteps(len(sigmas) - 1, shift=1.0)
        scheduler.sigmas = sigmas  # its own are in float32
        scheduler.timesteps = sigmas[:-1] * 1000
        scheduler.set_begin_index(0)
        for t, sigma in zip(scheduler.timesteps, sigmas[:-1], strict=True):
            with drawing_from(draw, x):
                x = scheduler.step(denoise(x, sigma), t, x, return_dict=False)[0]
        return x

    reference, order = CLASSES[base].claim({**defaults, **options})
    return external(
        target, solve, vars(module), prediction="velocity", reference=reference, order=order, process="flow"
    )
