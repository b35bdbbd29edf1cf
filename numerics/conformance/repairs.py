"""The smallest changes that repair deviations in diffusers 0.42.1, applied to a copy of the module in memory."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType

from ..errors import InputError
from .adapters.diffusers import of_class
from .adapters.external_sampler import ExternalSampler
from .adapters.target import split
from .report import Verdict

PACKAGE = "diffusers.schedulers"


@dataclass(frozen=True)
class Repair:
    """A change to the module of a scheduler.  target: the setting that deviates.

    changes: (old, new) texts.  what: the fault that they repair.
    against: the record that the repaired sampler equals, if another than the target's reference.
    """

    target: str
    module: str
    changes: tuple[tuple[str, str], ...]
    what: str
    against: str | None = None


MULTISTEP, UNIPC = "scheduling_dpmsolver_multistep", "scheduling_unipc_multistep"
SECOND_DIFFERENCE = ("D2 = (1.0 / (r0 + r1)) * (D1_0 - D1_1)", "D2 = (2.0 / (r0 + r1)) * (D1_0 - D1_1)")
DERIVATIVE = "the second divided difference is half of the second derivative, in place of which it is used"
STRIDE = (
    "prev_timestep = timestep - self.config.num_train_timesteps // self.num_inference_steps",
    "prev_timestep = next((int(t) for t in self.timesteps if t < timestep), -1)",
)
NEXT = "a step leads to the start of the next one, not a whole number of training steps further"
REPAIRS: tuple[Repair, ...] = (
    Repair(
        "diffusers:DPMSolverMultistepScheduler?solver_order=3",
        MULTISTEP,
        (SECOND_DIFFERENCE,),
        DERIVATIVE,
        "exp-adams-3",
    ),
    Repair(
        "diffusers:DPMSolverMultistepScheduler?use_karras_sigmas=true&solver_order=3",
        MULTISTEP,
        (SECOND_DIFFERENCE,),
        DERIVATIVE,
        "exp-adams-3",
    ),
    Repair(
        "diffusers:DPMSolverMultistepScheduler?algorithm_type=dpmsolver&final_sigmas_type=sigma_min&solver_order=3",
        MULTISTEP,
        (SECOND_DIFFERENCE,),
        DERIVATIVE,
        "exp-adams-noise-3",
    ),
    Repair(
        "diffusers:EDMDPMSolverMultistepScheduler?solver_order=3",
        "scheduling_edm_dpmsolver_multistep",
        (SECOND_DIFFERENCE,),
        DERIVATIVE,
        "exp-adams-3",
    ),
    Repair(
        "diffusers:DPMSolverMultistepScheduler?algorithm_type=sde-dpmsolver++&solver_order=3",
        MULTISTEP,
        (("(2.0 * h) ** 2 - 0.5)) * D2", "(2.0 * h) ** 2 + 0.5)) * D2"),),
        "the sign of 1/2 in the weight of the second difference, which does not vanish with the step otherwise",
    ),
    Repair(
        "diffusers:DDIMScheduler?clip_sample=false&timestep_spacing=linspace",
        "scheduling_ddim",
        (STRIDE,),
        NEXT,
    ),
    Repair(
        "diffusers:UniPCMultistepScheduler?solver_type=bh1",
        UNIPC,
        (("x_t = x_t_ - alpha_t * B_h * pred_res", "x_t = x_t_ if D1s is None else x_t_ - alpha_t * B_h * pred_res"),),
        "B(h) is infinite in the last step, where nothing is added",
    ),
    Repair(
        "diffusers:UniPCMultistepScheduler?predict_x0=false",
        UNIPC,
        (
            ("sigma_t * h_phi_1 * m0", "(alpha_t * sigma_s0 / alpha_s0 - sigma_t) * m0"),
            ("x_t = x_t_ - sigma_t * B_h * pred_res", "x_t = x_t_ if D1s is None else x_t_ - sigma_t * B_h * pred_res"),
        ),
        "sigma_t (e^h - 1) in closed form: in the last step sigma_t is 0 and e^h infinite",
    ),
    Repair(
        "diffusers:UniPCMultistepScheduler?lower_order_final=false",
        UNIPC,
        (
            (
                "        if self.config.lower_order_final:",
                "        last = self.step_index == len(self.timesteps) - 1 and self.sigmas[-1] == 0\n"
                "        if self.config.lower_order_final or last:",
            ),
        ),
        "a step to sigma = 0 is one of order 1, as DPMSolverMultistepScheduler takes it",
    ),
)


def repair_of(target: str) -> Repair | None:
    """The repair of that target, if one is known."""
    return next((repair for repair in REPAIRS if repair.target == target), None)


def with_repair(verdict: Verdict) -> Verdict:
    """A verdict that fails, with the repair of its target where one is known."""
    return replace(verdict, repair=diff_of(verdict.target)) if verdict.exit_code == 1 else verdict


def diff_of(target: str) -> str | None:
    """The repair of a target as a unified diff; None where none is known."""
    repair = repair_of(target)
    if repair is None:
        return None
    path = f"src/{PACKAGE.replace('.', '/')}/{repair.module}.py"
    changed = [
        line
        for old, new in repair.changes
        for line in ("@@", *(f"-{text}" for text in old.splitlines()), *(f"+{text}" for text in new.splitlines()))
    ]
    return "\n".join([f"--- a/{path}", f"+++ b/{path}", *changed])


def repaired(target: str) -> ExternalSampler:
    """The target, from a repaired copy of its module.  Raises InputError where no repair applies to this version."""
    repair = repair_of(target)
    if repair is None:
        raise InputError("target", target, "no repair of it is known")
    _, name, options = split(target)
    return of_class(getattr(_copy(repair), name), options, f"diffusers:{name}")


def _copy(repair: Repair) -> ModuleType:
    original = import_module(f"{PACKAGE}.{repair.module}")
    source = inspect.getsource(original)
    for old, new in repair.changes:
        if old not in source:
            raise InputError("target", repair.target, f"{old!r} is not in {repair.module} of this version")
        source = source.replace(old, new)
    copy = ModuleType(f"{original.__name__}_repaired")
    copy.__package__, copy.__file__ = PACKAGE, original.__file__
    sys.modules[copy.__name__] = copy  # the adapter looks up a class there
    exec(compile(source, f"<{repair.module} repaired>", "exec"), vars(copy))
    return copy
