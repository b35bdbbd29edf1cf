"""Schedulers made from those of diffusers with one fault each: found, located and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from planted import Fault, check, spoilt, verdict_on
from shapes import first_of_each

from samplerproof.numerics.conformance.adapters.external_sampler import ExternalSampler
from samplerproof.numerics.conformance.adapters.target import split

diffusers = pytest.importorskip("diffusers", reason="diffusers is in the extra `peers`")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("remembered_references")]

from samplerproof.numerics.conformance.adapters.diffusers import of_class  # noqa: E402

DDIM = "DDIMScheduler?clip_sample=false"
NOISY = "DDIMScheduler?clip_sample=false&eta=0.5"
DDIM_V = "DDIMScheduler?clip_sample=false&prediction_type=v_prediction"
DDPM = "DDPMScheduler?clip_sample=false"
LARGE = "DDPMScheduler?clip_sample=false&variance_type=fixed_large"
TWO_M = "DPMSolverMultistepScheduler"
KARRAS = "DPMSolverMultistepScheduler?use_karras_sigmas=true"
SDE = "DPMSolverMultistepScheduler?algorithm_type=sde-dpmsolver++"
UNIPC, EULER, HEUN = "UniPCMultistepScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler"
ANCESTRAL, FLOW = "EulerAncestralDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"
SECOND = "multistep_dpm_solver_second_order_update"

# fmt: off
FAULTS = [
    Fault("to a timestep too early", DDIM, "// self.num_inference_steps\n", "// self.num_inference_steps - 1\n", 1,
          "outputs[0]"),
    Fault("no longer chained", DDIM, "// self.num_inference_steps\n", "// self.num_inference_steps - 1\n", 1,
          words="leads to lambda", kind="grid"),
    Fault("to the first level for 0", DDIM, "else self.final_alpha_cumprod", "else self.alphas_cumprod[0]", 8,
          "outputs[0]"),
    Fault("clipped", DDIM, "# 5. compute variance:", "pred_original_sample.clamp_(-1, 1)  #", 1, "", "superposition",
          "not-linear"),
    Fault("alpha and sigma swapped", DDIM, "(sample - beta_prod_t ** (0.5) * model_output) / alpha_prod_t ** (0.5)",
          "(sample - alpha_prod_t ** (0.5) * model_output) / beta_prod_t ** (0.5)", 1, "outputs[0]"),
    Fault("noise used as data", DDIM, "(sample - beta_prod_t ** (0.5) * model_output) / alpha_prod_t ** (0.5)",
          "model_output", 1, "outputs[0]"),
    Fault("root missing", DDIM, "(sample - beta_prod_t ** (0.5) * model_output) / alpha_prod_t ** (0.5)",
          "(sample - beta_prod_t * model_output) / alpha_prod_t", 1, "states[0]"),
    Fault("eta^2 for eta", NOISY, "eta * variance ** (0.5)", "eta**2 * variance ** (0.5)", 1, "noises[0]"),
    Fault("variance for the deviation", NOISY, "eta * variance ** (0.5)", "eta * variance", 1, "noises[0]"),
    Fault("noise not taken off the rest", NOISY, " - std_dev_t**2)", ")", 1, "outputs[0]"),
    Fault("sign of the velocity", DDIM_V, "pred_epsilon = (alpha_prod_t**0.5) * model_output + ",
          "pred_epsilon = (alpha_prod_t**0.5) * model_output - ", 1, "states[0]"),
    Fault("root missing", DDPM, "current_alpha_t ** (0.5) * beta", "current_alpha_t * beta", 1, "states[0]"),
    Fault("the larger variance", DDPM, "(1 - alpha_prod_t_prev) / (1 - alpha_prod_t) * current_beta_t",
          "current_beta_t", 1, "noises[0]", "ddpm-large", method="_get_variance"),
    Fault("noise in the last step", LARGE, "if t > 0:", "if t >= 0:", 8, "noises[0]"),
    Fault("history swapped", TWO_M, "model_output_list[-1], model_output_list[-2]",
          "model_output_list[-2], model_output_list[-1]", 2, "outputs", method=SECOND),
    Fault("ratio inverted", TWO_M, "r0 = h_0 / h", "r0 = h / h_0", 2, "outputs", method=SECOND),
    Fault("index of the history off by one", TWO_M, "self.sigmas[self.step_index - 1]",
          "self.sigmas[max(self.step_index - 2, 0)]", 3, "outputs", method=SECOND),
    Fault("history not kept", TWO_M, "self.model_outputs[i] = self.model_outputs[i + 1]",
          "self.model_outputs[i] = model_output", 2, "outputs", "that of ddim"),
    Fault("order 2 without history", TWO_M, "self.lower_order_nums < 1", "self.lower_order_nums < 0", 0, "",
          "NoneType", "error"),
    Fault("order 2 at 0", TWO_M, "len(self.timesteps) - 1) and", "len(self.timesteps) - 2) and", 8, "", "not finite",
          "non-finite"),
    Fault("root missing", SDE, "torch.sqrt(1.0 - torch.exp(-2 * h))", "(1.0 - torch.exp(-2 * h))", 1, "noises[0]",
          method="dpm_solver_first_order_update"),
    Fault("a half missing", SDE, "+ 0.5 * (alpha_t", "+ (alpha_t", 2, "outputs", method=SECOND),
    Fault("passes the timestep before", TWO_M, "torch.from_numpy(timesteps)", "torch.from_numpy(timesteps - 1)", 1, "",
          "means lambda", "roundoff", "grid", method="set_timesteps"),
    Fault("levels for their logarithms", KARRAS, "log_sigma = np.log(np.maximum(sigma, 1e-10))", "log_sigma = sigma",
          2, "", "means lambda", "roundoff", "grid", method="_sigma_to_t"),
    Fault("noise left in the end", TWO_M, "sigma_last = 0", "sigma_last = 0.1", 8, "", "with noise left", "roundoff",
          "grid", method="set_timesteps", exit=1),
    Fault("corrected by the old output", UNIPC, "this_model_output=model_output_convert",
          "this_model_output=self.model_outputs[-1]", 2, "outputs"),
    Fault("never corrected", UNIPC, "self.step_index > 0 and", "self.step_index > 99 and", 2, "outputs",
          r"that of dpm-solver\+\+-2m"),
    Fault("a step's own outputs", UNIPC, "(lambda_si - lambda_s0) / h", "(lambda_s0 - lambda_si) / h", 3, "outputs",
          method="multistep_uni_c_bh_update"),
    Fault("sign of the step", EULER, "self.sigmas[self.step_index + 1] - sigma_hat",
          "sigma_hat - self.sigmas[self.step_index + 1]", 1, "outputs[0]"),
    Fault("level of the step before", EULER, "sigma = self.sigmas[self.step_index]",
          "sigma = self.sigmas[max(self.step_index - 1, 0)]", 2, "outputs[0]"),
    Fault("level of the next step", EULER, "sigma = self.sigmas[self.step_index]",
          "sigma = self.sigmas[self.step_index + 1]", 8, "", "not finite", "non-finite"),
    Fault("written into the sample", EULER, "prev_sample = sample + derivative * dt",
          "prev_sample = sample.add_(derivative * dt)", None, "", "start", "roundoff", "state", exit=1),
    Fault("in half", EULER, "sample = sample.to(torch.float32)",
          "sample = sample.to(torch.float16).to(torch.float32)", None, "", "float16", "not-linear", "roundoff"),
    Fault("slope by the old level", HEUN, "(sample - pred_original_sample) / sigma_next",
          "(sample - pred_original_sample) / self.sigmas[self.step_index - 1]", 1, "outputs[0]"),
    Fault("deviations subtracted", ANCESTRAL, "(sigma_to**2 - sigma_up**2) ** 0.5", "(sigma_to - sigma_up)", 1,
          "outputs[0]"),
    Fault("noise at the old level", ANCESTRAL, "noise * sigma_up", "noise * sigma_from", 1, "noises[0]"),
    Fault("sign of the step", FLOW, "sample + dt * model_output", "sample - dt * model_output", 1, "outputs[0]"),
]
# fmt: on


def target(base: str, **methods: Callable[..., Any]) -> ExternalSampler:
    _, name, options = split(f"diffusers:{base}")
    return of_class(type("Mine", (getattr(diffusers, name),), methods), options)


def judged(sampler: ExternalSampler) -> Any:
    assert sampler.info.reference is not None
    return verdict_on(sampler, sampler.info.reference)


@pytest.mark.parametrize("base", dict.fromkeys(fault.base for fault in FAULTS))
def test_a_right_one_conforms(base: str) -> None:
    answer = judged(target(base))
    assert answer.verdict in ("identical", "roundoff")  # which of the two depends on the processor
    assert answer.exit_code == 0
    known = ("starts at alpha = 0", "it should be the noisiest")  # where a class begins by default
    assert not [f for f in answer.findings if f.kind == "grid" and not any(words in f.detail for words in known)]


def test_history_of_the_run_before_is_found() -> None:
    """A list of the class, not of the object."""
    shared: list[Any] = [None, None]

    def set_timesteps(self: Any, steps: int) -> None:
        diffusers.DPMSolverMultistepScheduler.set_timesteps(self, steps)
        self.model_outputs, self.lower_order_nums = shared, int(shared[1] is not None)

    answer = judged(target(TWO_M, set_timesteps=set_timesteps))
    assert (answer.verdict, answer.exit_code) == ("error", 2)
    assert "of an earlier run" in answer.findings[0].detail


@pytest.mark.tried("planted faults")
@pytest.mark.parametrize("fault", first_of_each(FAULTS, lambda fault: fault.entry.partition("[")[0], str))
def test_a_fault_is_found_where_it_is(fault: Fault) -> None:
    method = getattr(getattr(diffusers, fault.base.partition("?")[0]), fault.method)
    check(fault, judged(target(fault.base, **{fault.method: spoilt(method, fault.old, fault.new)})))
