"""The schedulers of diffusers: how each is stepped, what its options claim, and why some have no table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import diffusers_layouts as layouts
from . import diffusers_timesteps as timesteps
from .diffusers_layouts import Layout
from .diffusers_timesteps import Clock

Chosen = Mapping[str, Any]
Claim = tuple[str | None, int | None]


def one_row(made: Any, answer: Tensor, timestep: Any, x: Tensor, arguments: Chosen, layout: Layout, i: int) -> Tensor:
    """A call of `step` as pipelines make it."""
    following: Tensor = made.step(answer, timestep, x, **arguments)[0]
    return following


def plainly(made: Any, steps: int) -> None:
    """Set the timesteps, and start from the first, as pipelines do; where the shift of the grid depends on the size of
    an image, it is by e.
    """
    made.set_timesteps(steps, **({"mu": 1.0} if made.config.get("use_dynamic_shifting") else {}))
    if hasattr(made, "set_begin_index"):
        made.set_begin_index(0)


def without_middle(made: Any, steps: int) -> None:
    """SCM's own middle timestep is for two steps only."""
    made.set_timesteps(steps, intermediate_timesteps=None)
    made.set_begin_index(0)


def as_it_is(made: Any, x: Tensor, answer: Tensor, i: int) -> Tensor:
    return answer


def by_preconditioning(made: Any, x: Tensor, data: Tensor, i: int) -> Tensor:
    """The raw output F for which c_skip x + c_out F is the data prediction."""
    one, none = torch.ones(1, dtype=x.dtype), torch.zeros(1, dtype=x.dtype)
    sigma = made.sigmas[layouts.begin(made) + i]
    c_skip = made.precondition_outputs(one, none, sigma)
    c_out = made.precondition_outputs(none, one, sigma)
    raw: Tensor = (data - c_skip * x) / c_out
    return raw


@dataclass(frozen=True)
class Entry:
    """How a class is stepped.

    layout(scheduler, steps): after prepare(scheduler, steps).  formula: the prediction that its formula is in.
    claim(options): the record that it names, and the order that the options speak of.
    clips: options that make it not linear.  answer: what the model's prediction is handed over as.
    data_frame(options): whether an algorithm of several works on data predictions, where that is an option.
    numbers: parameters of the record that change from step to step.
    lives_on: the process, unless options say another.  clock: what its timesteps mean, None where the levels are made
    from them.
    """

    layout: Callable[[Any, int], Layout]
    formula: str = "noise"
    claim: Callable[[Chosen], Claim] = lambda chosen: (None, None)
    clips: tuple[str, ...] = ("thresholding",)
    prepare: Callable[[Any, int], None] = plainly
    step: Callable[..., Tensor] = one_row
    answer: Callable[[Any, Tensor, Tensor, int], Tensor] = as_it_is
    data_frame: Callable[[Chosen], bool] | None = None
    numbers: Callable[[Any, Layout], dict[str, tuple[float, ...]]] = lambda made, layout: {}
    lives_on: str = "vp"
    clock: Callable[[Any], Clock] | None = timesteps.whole

    def natural(self, settings: Chosen) -> str:
        """The prediction that its formula is in, with these settings."""
        if self.data_frame is None:
            return self.formula
        return "data" if self.data_frame(settings) else "noise"

    def process(self, chosen: Chosen) -> str:
        return "flow" if chosen.get("use_flow_sigmas") else self.lives_on


def always(name: str | None, order: int | None = None) -> Callable[[Chosen], Claim]:
    """One record whatever the options."""
    return lambda chosen: (name, order)


MULTISTEP = {
    ("dpmsolver++", 1): "ddim",
    ("dpmsolver++", 2, "midpoint"): "dpm-solver++-2m",
    ("dpmsolver++", 2, "heun"): "exp-adams-2",
    ("dpmsolver++", 3): "dpm-solver++-3m-published",
    ("dpmsolver", 1): "ddim",
    ("dpmsolver", 2, "midpoint"): "sde-dpm-solver-2m?tau=0",
    ("dpmsolver", 2, "heun"): "exp-adams-noise-2",
    ("dpmsolver", 3): "dpm-solver-3m-published",
    ("sde-dpmsolver++", 1): "ddpm",
    ("sde-dpmsolver++", 2, "midpoint"): "sde-dpm-solver++-2m",
    ("sde-dpmsolver++", 2, "heun"): "sa-solver-2",
    ("sde-dpmsolver++", 3): "sde-dpm-solver++-3m-published",
    ("sde-dpmsolver", 1): "sde-dpm-solver-1",
    ("sde-dpmsolver", 2, "midpoint"): "sde-dpm-solver-2m",
}
SINGLESTEP = {
    ("dpmsolver++", 2, "midpoint"): "dpm-solver++-2s",
    ("dpmsolver++", 2, "heun"): "dpm-solver++-2s-taylor",
    ("dpmsolver++", 3, "midpoint"): "dpm-solver++-3s",
    ("dpmsolver++", 3, "heun"): "dpm-solver++-3s-taylor",
    ("dpmsolver", 2, "midpoint"): "dpm-solver-2s",
    ("dpmsolver", 2, "heun"): "dpm-solver-2s-taylor",
    ("dpmsolver", 3, "midpoint"): "dpm-solver-3s",
    ("dpmsolver", 3, "heun"): "dpm-solver-3s-taylor",
    ("sde-dpmsolver++", 2, "midpoint"): "sde-dpm-solver++-2s",
}


def by_table(table: Mapping[tuple[Any, ...], str]) -> Callable[[Chosen], Claim]:
    """The record of an algorithm, its order and its type."""

    def claim(chosen: Chosen) -> Claim:
        algorithm, order = chosen["algorithm_type"], chosen["solver_order"]
        name = table.get((algorithm, order, chosen["solver_type"])) or table.get((algorithm, order))
        return name or ("ddim" if order == 1 and not algorithm.startswith("sde") else None), order

    return claim


def unipc(chosen: Chosen) -> Claim:
    order, suffix = chosen["solver_order"], {"bh1": "-bh1", "bh2": ""}.get(chosen["solver_type"])
    if suffix is None or not chosen.get("predict_x0", True) or chosen.get("disable_corrector"):
        return None, order
    return f"unipc-{order}{suffix}", order


def deis(chosen: Chosen) -> Claim:
    order = chosen["solver_order"]
    return {1: "ddim", 2: "exp-adams-noise-2", 3: "exp-adams-noise-3"}.get(order), order


def adams(chosen: Chosen) -> Claim:
    """The mode few_steps of SA-Solver's authors; corrector_order counts outputs, the new one included."""
    predictor, corrector = chosen["predictor_order"], chosen["corrector_order"]
    known = {(1, 2): "p1c1", (2, 2): "p2c1", (2, 3): "p2c2", (3, 3): "p3c2", (3, 4): "p3c3"}
    if chosen.get("algorithm_type") == "noise_prediction" or (predictor, corrector) not in known:
        return None, predictor
    return f"sa-solver-{known[predictor, corrector]}-few-steps", predictor


def taus(made: Any, layout: Layout) -> dict[str, tuple[float, ...]]:
    return {"tau": tuple(float(made.tau_func(t)) for t in layout.calls)}


def eta_of(default: float) -> Callable[[Chosen], Claim]:
    """DDIM at a strength of noise."""

    def claim(chosen: Chosen) -> Claim:
        eta = chosen.get("eta", default)
        return ("ddim", 1) if eta == 0 else (f"ddim-eta?eta={eta}", 1)

    return claim


def ddpm(chosen: Chosen) -> Claim:
    return {"fixed_small": "ddpm", "fixed_small_log": "ddpm", "fixed_large": "ddpm-large"}.get(
        chosen["variance_type"]
    ), 1


def adams_bashforth(chosen: Chosen) -> Claim:
    order = chosen.get("order", 4)
    return ("ddim" if order == 1 else f"deis-rhoab{order - 1}"), order


def flow_euler(chosen: Chosen) -> Claim:
    return None if chosen.get("stochastic_sampling") else "flow-euler", 1


def pndm(chosen: Chosen) -> Claim:
    """The mixture of four outputs is of order 2; on equal steps it may look like 4, but its name promises none."""
    return ("plms" if chosen["skip_prk_steps"] else "pndm"), 2


def by_boundary(made: Any, x: Tensor, data: Tensor, i: int) -> Tensor:
    """The raw output F for which c_skip x + c_out F is the data prediction."""
    c_skip, c_out = made.get_scalings_for_boundary_condition(made.sigmas[layouts.begin(made) + i])
    raw: Tensor = (data - c_skip * x) / c_out
    return raw


def towards_data(made: Any, x: Tensor, answer: Tensor, i: int) -> Tensor:
    """The velocity the other way round."""
    return -answer


def with_next(made: Any, answer: Tensor, timestep: Any, x: Tensor, arguments: Chosen, layout: Layout, i: int) -> Tensor:
    """unCLIP's pipeline says to which timestep the step goes."""
    following = layout.calls[i + 1] if i + 1 < len(layout.calls) else None
    moved: Tensor = made.step(answer, timestep, x, prev_timestep=following, **arguments)[0]
    return moved


def with_batch(
    made: Any, answer: Tensor, timestep: Any, x: Tensor, arguments: Chosen, layout: Layout, i: int
) -> Tensor:
    """Würstchen's pipeline gives a timestep for every sample."""
    moved: Tensor = made.step(answer, timestep.expand(x.shape[0]), x, **arguments)[0]
    return moved


def with_memory(
    made: Any, answer: Tensor, timestep: Any, x: Tensor, arguments: Chosen, layout: Layout, i: int
) -> Tensor:
    """CogVideoX's pipeline carries the last data prediction from step to step."""
    before = layout.calls[i - 1] if i else None
    old = made.carried if i else None
    moved, made.carried = made.step(answer, old, timestep, before, x, **arguments)[:2]
    result: Tensor = moved
    return result


CLASSES: dict[str, Entry] = {
    "DDIMScheduler": Entry(layouts.by_product, claim=eta_of(0.0), clips=("thresholding", "clip_sample")),
    "DDIMParallelScheduler": Entry(layouts.by_product, claim=eta_of(0.0), clips=("thresholding", "clip_sample")),
    "CogVideoXDDIMScheduler": Entry(layouts.by_product, claim=eta_of(0.0), clips=("clip_sample",)),
    "CogVideoXDPMScheduler": Entry(
        layouts.by_product,
        "data",
        always("sde-dpm-solver++-2m", 2),
        ("clip_sample",),
        step=with_memory,
    ),
    "DDPMScheduler": Entry(layouts.by_product, "data", ddpm, ("thresholding", "clip_sample")),
    "DDPMParallelScheduler": Entry(layouts.by_product, "data", ddpm, ("thresholding", "clip_sample")),
    "UnCLIPScheduler": Entry(layouts.to_data, "data", ddpm, ("clip_sample",), step=with_next),
    "DDPMWuerstchenScheduler": Entry(layouts.by_function, "noise", always("ddpm", 1), (), step=with_batch, clock=None),
    "PNDMScheduler": Entry(layouts.linear_multistep, claim=pndm, clips=()),
    "IPNDMScheduler": Entry(layouts.by_angle, "velocity", always("ipndm-4", 4), (), clock=timesteps.angle),
    "LCMScheduler": Entry(layouts.to_data, "data", clips=("thresholding", "clip_sample")),
    "TCDScheduler": Entry(layouts.to_first, claim=always(None, 1), clips=("thresholding", "clip_sample")),
    "DPMSolverMultistepScheduler": Entry(
        layouts.by_sigma,
        claim=by_table(MULTISTEP),
        data_frame=lambda chosen: str(chosen.get("algorithm_type", "dpmsolver++")).endswith("++"),
    ),
    "DPMSolverSinglestepScheduler": Entry(
        layouts.by_blocks,
        claim=by_table(SINGLESTEP),
        data_frame=lambda chosen: str(chosen.get("algorithm_type", "dpmsolver++")).endswith("++"),
    ),
    "DEISMultistepScheduler": Entry(layouts.by_sigma, claim=deis),
    "UniPCMultistepScheduler": Entry(
        layouts.by_sigma, claim=unipc, data_frame=lambda chosen: bool(chosen.get("predict_x0", True))
    ),
    "SASolverScheduler": Entry(
        layouts.by_sigma,
        claim=adams,
        data_frame=lambda chosen: chosen.get("algorithm_type", "data_prediction") == "data_prediction",
        numbers=taus,
    ),
    "EDMEulerScheduler": Entry(
        layouts.exploding,
        "data",
        always("ddim", 1),
        (),
        answer=by_preconditioning,
        lives_on="ve",
        clock=timesteps.quarter,
    ),
    "EDMDPMSolverMultistepScheduler": Entry(
        layouts.exploding,
        "data",
        by_table(MULTISTEP),
        answer=by_preconditioning,
        lives_on="ve",
        clock=timesteps.quarter,
    ),
    "CosineDPMSolverMultistepScheduler": Entry(
        layouts.exploding,
        "data",
        lambda chosen: (("sde-dpm-solver++-2m" if chosen["solver_order"] == 2 else "ddpm"), chosen["solver_order"]),
        (),
        answer=by_preconditioning,
        lives_on="ve",
        clock=timesteps.angle,
    ),
    "EulerDiscreteScheduler": Entry(layouts.exploding, claim=always("ddim", 1), clips=(), lives_on="ve"),
    "EulerAncestralDiscreteScheduler": Entry(layouts.exploding, claim=always("ddim-eta", 1), clips=(), lives_on="ve"),
    "HeunDiscreteScheduler": Entry(
        layouts.trapezoid("ve"), claim=always("edm-heun", 2), clips=("clip_sample",), lives_on="ve"
    ),
    "KDPM2DiscreteScheduler": Entry(layouts.midpoint(0), claim=always("dpm-solver-2s", 2), clips=(), lives_on="ve"),
    "KDPM2AncestralDiscreteScheduler": Entry(layouts.midpoint(1), claim=always(None, None), clips=(), lives_on="ve"),
    "DPMSolverSDEScheduler": Entry(layouts.by_doubled, claim=always("dpmpp-sde", 2), clips=(), lives_on="ve"),
    "LMSDiscreteScheduler": Entry(layouts.exploding, claim=adams_bashforth, clips=(), lives_on="ve"),
    "CMStochasticIterativeScheduler": Entry(
        layouts.exploding,
        "data",
        clips=("clip_denoised",),
        answer=by_boundary,
        lives_on="ve",
        clock=timesteps.thousand,
    ),
    "SCMScheduler": Entry(layouts.by_time, "velocity", clips=(), prepare=without_middle, clock=None),
    "FlowMatchEulerDiscreteScheduler": Entry(
        layouts.on_flow, "velocity", flow_euler, (), lives_on="flow", clock=timesteps.flowing
    ),
    "FlowMapEulerDiscreteScheduler": Entry(
        layouts.on_flow,
        "velocity",
        always("flow-euler", 1),
        (),
        lives_on="flow",
        clock=timesteps.flowing,
    ),
    "MiniMaxH3Scheduler": Entry(
        layouts.on_flow,
        "velocity",
        always("flow-euler", 1),
        (),
        answer=towards_data,
        lives_on="flow",
        clock=timesteps.upwards,
    ),
    "FlowMatchHeunDiscreteScheduler": Entry(
        layouts.trapezoid("flow"),
        "velocity",
        always("flow-heun", 2),
        (),
        lives_on="flow",
        clock=timesteps.flowing,
    ),
    "FlowMatchLCMScheduler": Entry(
        layouts.on_flow, "velocity", always(None, 1), (), lives_on="flow", clock=timesteps.flowing
    ),
    "LTXEulerAncestralRFScheduler": Entry(
        layouts.on_flow, "velocity", always(None, 1), (), lives_on="flow", clock=timesteps.flowing
    ),
}
TOKENS = "it samples tokens, not vectors"
INVERSE = "it runs from data to noise"
NO_TABLE: dict[str, str] = {
    "AmusedScheduler": TOKENS,
    "BlockRefinementScheduler": TOKENS,
    "DiscreteDDIMScheduler": TOKENS,
    "EntropyBoundScheduler": TOKENS,
    "VQDiffusionScheduler": TOKENS,
    "DDIMInverseScheduler": INVERSE,
    "DPMSolverMultistepInverseScheduler": INVERSE,
    "ConsistencyDecoderScheduler": "its model answers with a decoded image, at two levels only",
    "HeliosScheduler": "its stages change the resolution of the sample, and with it the noise",
    "HeliosDMDScheduler": "its steps take levels and noise from the pipeline, which the class does not hold",
    "PiflowScheduler": "its model answers with a policy, a function of the state, not with a vector",
    "RFD4ProteinaScheduler": "it samples coordinates under a mask, with a score rescaled in time",
    "RePaintScheduler": "its steps mix in a given image under a mask, and go back and forth",
    "KarrasVeScheduler": "its pipeline runs the churn and the correction itself, outside of `step`",
    "ScoreSdeVeScheduler": "its corrector's step size is the norm of the score: not linear",
    "ScoreSdeVpScheduler": "it has no `step`; a pipeline calls `step_pred` with a score",
}
