"""The schedulers of diffusers: how each is stepped, which record its options claim, and why some have no table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import diffusers_layouts as layouts
from . import diffusers_timesteps as timesteps
from .diffusers_claims import (
    MULTISTEP,
    SINGLESTEP,
    Claim,
    Options,
    adams,
    adams_bashforth,
    always,
    ddpm,
    deis,
    eta_of,
    flow_euler,
    from_table,
    pndm,
    unipc,
)
from .diffusers_consistency import before_boundary_condition, gammas, raw_of_boundary_condition, trajectory
from .diffusers_layouts import Layout
from .diffusers_timesteps import TimestepMap


def plain_step(
    scheduler: Any, output: Tensor, timestep: Any, x: Tensor, arguments: Options, layout: Layout, i: int
) -> Tensor:
    """A call of `step` as pipelines make it."""
    following: Tensor = scheduler.step(output, timestep, x, **arguments)[0]
    return following


def set_timesteps(scheduler: Any, steps: int) -> None:
    """Set the timesteps and start from the first, as pipelines do. Where the shift of the grid depends on the size of
    an image, mu is 1.
    """
    scheduler.set_timesteps(steps, **({"mu": 1.0} if scheduler.config.get("use_dynamic_shifting") else {}))
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)


def without_intermediate_timestep(scheduler: Any, steps: int) -> None:
    """Set the timesteps of SCM without its intermediate one, which is for two steps only."""
    scheduler.set_timesteps(steps, intermediate_timesteps=None)
    scheduler.set_begin_index(0)


def unchanged(scheduler: Any, x: Tensor, output: Tensor, i: int) -> Tensor:
    return output


def raw_of_preconditioning(scheduler: Any, x: Tensor, data: Tensor, i: int) -> Tensor:
    """The raw output F with c_skip x + c_out F = data prediction, from `precondition_outputs`."""
    one, none = torch.ones(1, dtype=x.dtype), torch.zeros(1, dtype=x.dtype)
    sigma = scheduler.sigmas[layouts.begin(scheduler) + i]
    c_skip = scheduler.precondition_outputs(one, none, sigma)
    c_out = scheduler.precondition_outputs(none, one, sigma)
    raw: Tensor = (data - c_skip * x) / c_out
    return raw


@dataclass(frozen=True)
class SchedulerSpec:
    """How a class is stepped.

    layout(scheduler, steps): after prepare(scheduler, steps).  formula: the prediction that its formula uses.
    claim(options): the record that it names, and the order in its options.
    nonlinear: boolean options that make it nonlinear.  output: converts the prediction to what `step` takes.
    network: converts that to what a network returns whose boundary condition the class adds.
    data_frame(options): whether the algorithm that an option chooses uses data predictions; None where no option does.
    numbers(scheduler, layout, arguments of `step`): parameters of the record that change from step to step.
    process: unless options choose another.
    timestep_map: from timesteps to levels, None where the levels are functions of them.
    """

    layout: Callable[[Any, int], Layout]
    formula: str = "noise"
    claim: Callable[[Options], Claim] = lambda options: (None, None)
    nonlinear: tuple[str, ...] = ("thresholding",)
    prepare: Callable[[Any, int], None] = set_timesteps
    step: Callable[..., Tensor] = plain_step
    output: Callable[[Any, Tensor, Tensor, int], Tensor] = unchanged
    network: Callable[[Any, Tensor, Tensor, int], Tensor] = unchanged
    data_frame: Callable[[Options], bool] | None = None
    numbers: Callable[[Any, Layout, Options], dict[str, tuple[float, ...]]] = lambda scheduler, layout, arguments: {}
    process: str = "vp"
    timestep_map: Callable[[Any], TimestepMap] | None = timesteps.integer

    def natural(self, options: Options) -> str:
        """The prediction that its formula uses, with these options."""
        if self.data_frame is None:
            return self.formula
        return "data" if self.data_frame(options) else "noise"

    def process_for(self, options: Options) -> str:
        if "levels_of" in options:
            return CLASSES[options["levels_of"]].process_for({k: v for k, v in options.items() if k != "levels_of"})
        return "flow" if options.get("use_flow_sigmas") else self.process


def of_levels(scheduler: Any, name: str) -> TimestepMap:
    """The timestep map of a scheduler of a class."""
    found = CLASSES[name].timestep_map
    assert found is not None
    return found(scheduler)


def taus(scheduler: Any, layout: Layout, arguments: Options) -> dict[str, tuple[float, ...]]:
    return {"tau": tuple(float(scheduler.tau_func(t)) for t in layout.calls)}


def negated(scheduler: Any, x: Tensor, output: Tensor, i: int) -> Tensor:
    """The velocity from noise to data."""
    return -output


def along_sigmas(scheduler: Any, x: Tensor, output: Tensor, i: int) -> Tensor:
    """The velocity; from noise to data where the sigmas are inverted."""
    return -output if scheduler.config.get("invert_sigmas") else output


def step_with_next_timestep(
    scheduler: Any, output: Tensor, timestep: Any, x: Tensor, arguments: Options, layout: Layout, i: int
) -> Tensor:
    """As unCLIP's pipeline, which passes the next timestep."""
    following = layout.calls[i + 1] if i + 1 < len(layout.calls) else None
    moved: Tensor = scheduler.step(output, timestep, x, prev_timestep=following, **arguments)[0]
    return moved


def step_with_batch_of_timesteps(
    scheduler: Any, output: Tensor, timestep: Any, x: Tensor, arguments: Options, layout: Layout, i: int
) -> Tensor:
    """As Würstchen's pipeline, which passes a timestep for every sample."""
    moved: Tensor = scheduler.step(output, timestep.expand(x.shape[0]), x, **arguments)[0]
    return moved


def step_with_last_output(
    scheduler: Any, output: Tensor, timestep: Any, x: Tensor, arguments: Options, layout: Layout, i: int
) -> Tensor:
    """As CogVideoX's pipeline, which passes the last data prediction to the next step."""
    before = layout.calls[i - 1] if i else None
    old = scheduler.last_output if i else None
    moved, scheduler.last_output = scheduler.step(output, old, timestep, before, x, **arguments)[:2]
    result: Tensor = moved
    return result


CLASSES: dict[str, SchedulerSpec] = {
    "DDIMScheduler": SchedulerSpec(
        layouts.vp_from_timesteps, claim=eta_of(0.0), nonlinear=("thresholding", "clip_sample")
    ),
    "DDIMInverseScheduler": SchedulerSpec(layouts.vp_from_data, claim=always("ddim", 1), nonlinear=("clip_sample",)),
    "DDIMParallelScheduler": SchedulerSpec(
        layouts.vp_from_timesteps, claim=eta_of(0.0), nonlinear=("thresholding", "clip_sample")
    ),
    "CogVideoXDDIMScheduler": SchedulerSpec(layouts.vp_from_timesteps, claim=eta_of(0.0), nonlinear=("clip_sample",)),
    "CogVideoXDPMScheduler": SchedulerSpec(
        layouts.vp_from_timesteps,
        "data",
        always("sde-dpm-solver++-2m", 2),
        ("clip_sample",),
        step=step_with_last_output,
    ),
    "DDPMScheduler": SchedulerSpec(layouts.vp_from_timesteps, "data", ddpm, ("thresholding", "clip_sample")),
    "DDPMParallelScheduler": SchedulerSpec(layouts.vp_from_timesteps, "data", ddpm, ("thresholding", "clip_sample")),
    "UnCLIPScheduler": SchedulerSpec(layouts.vp_to_zero, "data", ddpm, ("clip_sample",), step=step_with_next_timestep),
    "DDPMWuerstchenScheduler": SchedulerSpec(
        layouts.vp_from_alpha_function,
        "noise",
        always("ddpm", 1),
        (),
        step=step_with_batch_of_timesteps,
        timestep_map=None,
    ),
    "PNDMScheduler": SchedulerSpec(layouts.pndm, claim=pndm, nonlinear=()),
    "IPNDMScheduler": SchedulerSpec(
        layouts.vp_from_alphas_and_betas, "velocity", always("ipndm-4", 4), (), timestep_map=timesteps.angle
    ),
    "LCMScheduler": SchedulerSpec(
        layouts.vp_to_zero,
        "data",
        always("consistency"),
        ("thresholding", "clip_sample"),
        network=before_boundary_condition,
    ),
    "TCDScheduler": SchedulerSpec(
        layouts.vp_to_first_level, claim=trajectory, nonlinear=("thresholding", "clip_sample"), numbers=gammas
    ),
    "DPMSolverMultistepScheduler": SchedulerSpec(
        layouts.vp_from_sigmas,
        claim=from_table(MULTISTEP),
        data_frame=lambda options: str(options.get("algorithm_type", "dpmsolver++")).endswith("++"),
    ),
    "DPMSolverMultistepInverseScheduler": SchedulerSpec(
        layouts.vp_from_sigmas,
        claim=from_table(MULTISTEP),
        data_frame=lambda options: str(options.get("algorithm_type", "dpmsolver++")).endswith("++"),
    ),
    "DPMSolverSinglestepScheduler": SchedulerSpec(
        layouts.singlestep_blocks,
        claim=from_table(SINGLESTEP),
        data_frame=lambda options: str(options.get("algorithm_type", "dpmsolver++")).endswith("++"),
    ),
    "DEISMultistepScheduler": SchedulerSpec(layouts.vp_from_sigmas, claim=deis),
    "UniPCMultistepScheduler": SchedulerSpec(
        layouts.vp_from_sigmas, claim=unipc, data_frame=lambda options: bool(options.get("predict_x0", True))
    ),
    "SASolverScheduler": SchedulerSpec(
        layouts.vp_from_sigmas,
        claim=adams,
        data_frame=lambda options: options.get("algorithm_type", "data_prediction") == "data_prediction",
        numbers=taus,
    ),
    "EDMEulerScheduler": SchedulerSpec(
        layouts.ve_from_sigmas,
        "data",
        always("ddim", 1),
        (),
        output=raw_of_preconditioning,
        process="ve",
        timestep_map=timesteps.quarter_log_sigma,
    ),
    "EDMDPMSolverMultistepScheduler": SchedulerSpec(
        layouts.ve_from_sigmas,
        "data",
        from_table(MULTISTEP),
        output=raw_of_preconditioning,
        process="ve",
        timestep_map=timesteps.quarter_log_sigma,
    ),
    "CosineDPMSolverMultistepScheduler": SchedulerSpec(
        layouts.ve_from_sigmas,
        "data",
        lambda options: (("sde-dpm-solver++-2m" if options["solver_order"] == 2 else "ddpm"), options["solver_order"]),
        (),
        output=raw_of_preconditioning,
        process="ve",
        timestep_map=timesteps.angle,
    ),
    "EulerDiscreteScheduler": SchedulerSpec(
        layouts.ve_from_sigmas, claim=always("ddim", 1), nonlinear=(), process="ve"
    ),
    "EulerAncestralDiscreteScheduler": SchedulerSpec(
        layouts.ve_from_sigmas, claim=always("ddim-eta", 1), nonlinear=(), process="ve"
    ),
    "HeunDiscreteScheduler": SchedulerSpec(
        layouts.trapezoid("ve"), claim=always("edm-heun", 2), nonlinear=("clip_sample",), process="ve"
    ),
    "KDPM2DiscreteScheduler": SchedulerSpec(
        layouts.midpoint(0), claim=always("dpm-solver-2s", 2), nonlinear=(), process="ve"
    ),
    "KDPM2AncestralDiscreteScheduler": SchedulerSpec(
        layouts.midpoint(1), claim=always(None, None), nonlinear=(), process="ve"
    ),
    "DPMSolverSDEScheduler": SchedulerSpec(
        layouts.midpoint_of_doubled_sigmas, claim=always("dpmpp-sde", 2), nonlinear=(), process="ve"
    ),
    "LMSDiscreteScheduler": SchedulerSpec(layouts.ve_from_sigmas, claim=adams_bashforth, nonlinear=(), process="ve"),
    "CMStochasticIterativeScheduler": SchedulerSpec(
        layouts.ve_from_sigmas,
        "data",
        nonlinear=("clip_denoised",),
        output=raw_of_boundary_condition,
        process="ve",
        timestep_map=timesteps.thousand_quarter_log_sigma,
    ),
    "SCMScheduler": SchedulerSpec(
        layouts.vp_from_angles, "velocity", nonlinear=(), prepare=without_intermediate_timestep, timestep_map=None
    ),
    "FlowMatchEulerDiscreteScheduler": SchedulerSpec(
        layouts.flow_from_sigmas,
        "velocity",
        flow_euler,
        (),
        output=along_sigmas,
        process="flow",
        timestep_map=timesteps.flow,
    ),
    "FlowMapEulerDiscreteScheduler": SchedulerSpec(
        layouts.flow_from_sigmas,
        "velocity",
        always("flow-euler", 1),
        (),
        process="flow",
        timestep_map=timesteps.flow,
    ),
    "MiniMaxH3Scheduler": SchedulerSpec(
        layouts.flow_from_sigmas,
        "velocity",
        always("flow-euler", 1),
        (),
        output=negated,
        process="flow",
        timestep_map=timesteps.reversed_flow,
    ),
    "FlowMatchHeunDiscreteScheduler": SchedulerSpec(
        layouts.trapezoid("flow"),
        "velocity",
        always("flow-heun", 2),
        (),
        process="flow",
        timestep_map=timesteps.flow,
    ),
    "FlowMatchLCMScheduler": SchedulerSpec(
        layouts.flow_from_sigmas, "velocity", always("consistency"), (), process="flow", timestep_map=timesteps.flow
    ),
    "LTXEulerAncestralRFScheduler": SchedulerSpec(
        layouts.flow_from_sigmas, "velocity", always(None, 1), (), process="flow", timestep_map=timesteps.flow
    ),
}

# With samplerproof's own: the table of any method, on the levels of another class.
STEPPED = CLASSES | {
    "TableScheduler": SchedulerSpec(
        layouts.of_table,
        claim=lambda options: (options["method"], None),
        nonlinear=("thresholding", "clip_sample"),
        timestep_map=lambda made: of_levels(made.own, made.config.levels_of),
    ),
}
TOKENS = "it samples tokens, not vectors"
NO_TABLE: dict[str, str] = {
    "AmusedScheduler": TOKENS,
    "BlockRefinementScheduler": TOKENS,
    "DiscreteDDIMScheduler": TOKENS,
    "EntropyBoundScheduler": TOKENS,
    "VQDiffusionScheduler": TOKENS,
    "ConsistencyDecoderScheduler": "its model returns a decoded image, at two levels only",
    "HeliosScheduler": "its stages change the resolution of the sample, and with it the noise",
    "HeliosDMDScheduler": "its steps take levels and noise from the pipeline, which the class does not hold",
    "PiflowScheduler": "its model returns a policy, a function of the state, not with a vector",
    "RFD4ProteinaScheduler": "it samples coordinates under a mask, with a score rescaled in time",
    "RePaintScheduler": "its steps mix in a given image under a mask, and go back and forth",
    "KarrasVeScheduler": "its pipeline runs the churn and the correction itself, outside of `step`",
    "ScoreSdeVeScheduler": "its corrector's step size is the norm of the score: not linear",
    "ScoreSdeVpScheduler": "it has no `step`; a pipeline calls `step_pred` with a score",
}
