"""Schedulers of diffusers with other predictions, other last steps, other beginnings, and classes made from them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch

from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.report import Verdict
from samplerproof.numerics.testing import verdict_of

diffusers = pytest.importorskip("diffusers", reason="diffusers is in the extra `peers`")
pytestmark = pytest.mark.filterwarnings("ignore")

from samplerproof.numerics.conformance.adapters.diffusers import of_class, scheduler  # noqa: E402

STEPS = 6
V = {
    "EulerDiscreteScheduler": "ddim",
    "EulerAncestralDiscreteScheduler": "ddim-eta",
    "HeunDiscreteScheduler": "edm-heun",
    "KDPM2DiscreteScheduler": "dpm-solver-2s",
    "LMSDiscreteScheduler": "deis-rhoab3",
    "DPMSolverSDEScheduler": "dpmpp-sde",
    "DPMSolverMultistepScheduler": "dpm-solver++-2m",
}
SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
SVD = {"timestep_type": "continuous", "use_karras_sigmas": True, "sigma_min": 0.002, "sigma_max": 700.0}
TRAILING = {"clip_sample": False, "timestep_spacing": "trailing"}
FAMILY: list[tuple[str, dict[str, Any]]] = [("LTXEulerAncestralRFScheduler", {})]
CONSISTENT: list[tuple[str, dict[str, Any], str]] = [
    ("FlowMatchLCMScheduler", {}, "consistency"),
    ("LCMScheduler", {}, "consistency"),
    ("LCMScheduler", {"prediction_type": "epsilon"}, "consistency"),
    ("TCDScheduler", {}, "trajectory-consistency"),
    ("TCDScheduler", {"eta": 0.8}, "trajectory-consistency"),
    ("TCDScheduler", {"eta": 0.0}, "ddim"),
    ("FlowMatchEulerDiscreteScheduler", {"stochastic_sampling": True}, "consistency"),
]


def conforms(answer: Verdict, record: str) -> bool:
    return (answer.verdict, answer.exit_code, answer.matches) == ("roundoff", 0, [record])


@pytest.mark.parametrize(
    "name",
    [
        *list(V)[:1],
        *(pytest.param(name, marks=pytest.mark.slow) for name in list(V)[1:]),
    ],
)
def test_a_model_of_v_conforms_as_one_of_the_noise_does(name: str) -> None:
    """Assert that v is that of the variance-preserving state on every process."""
    answer = verdict_of(scheduler(name, {"prediction_type": "v_prediction"}), STEPS)
    assert answer.verdict == "roundoff"
    assert answer.max_relative_error_float64 is not None
    assert answer.max_relative_error_float64 < 1e-14
    assert answer.matches[0].partition(" ")[0] == V[name]


@pytest.mark.slow
@pytest.mark.parametrize("options", [SNR, SVD], ids=["zero SNR", "continuous"])
def test_models_of_v_are_met_on_these_grids(options: dict[str, Any]) -> None:
    """Assert that Euler conforms from the pure noise of a zero signal, and on continuous levels."""
    assert conforms(
        verdict_of(scheduler("EulerDiscreteScheduler", {"prediction_type": "v_prediction", **options}), STEPS), "ddim"
    )


def altered(share: float) -> type:
    """Euler, v times a share."""

    def step(self: Any, model_output: Any, *given: Any, **named: Any) -> Any:
        return diffusers.EulerDiscreteScheduler.step(self, share * model_output, *given, **named)

    return type("Mine", (diffusers.EulerDiscreteScheduler,), {"step": step})


@pytest.mark.slow
@pytest.mark.tried("planted faults")
def test_a_wrong_v_does_not_conform() -> None:
    """Assert that v off by 1e-6, and v used as the noise, are other formulas."""
    options = {"prediction_type": "v_prediction"}
    assert conforms(verdict_of(of_class(altered(1.0), options), STEPS), "ddim")
    answer = verdict_of(of_class(altered(1 + 1e-6), options), STEPS)
    assert (answer.verdict, answer.exit_code) == ("different-formula", 1)

    class Taken(diffusers.EulerDiscreteScheduler):
        def step(self, *given: Any, **named: Any) -> Any:
            self.register_to_config(prediction_type="epsilon")
            return super().step(*given, **named)

    answer = verdict_of(of_class(Taken, options), STEPS)
    assert (answer.verdict, answer.matches) == ("different-formula", [])


@pytest.mark.slow
def test_pndm_mixes_velocities_of_other_states() -> None:
    """Assert that it is not its formula with v, as it is with the noise."""
    assert verdict_of(scheduler("PNDMScheduler", {}), 10).verdict == "roundoff"
    assert verdict_of(scheduler("PNDMScheduler", {"prediction_type": "v_prediction"}), 10).exit_code == 1


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("DDPMScheduler", 6),
        *(pytest.param("DDPMScheduler", n, marks=pytest.mark.slow) for n in (7, 15, 21, 24, 28, 35, 30)),
        *(pytest.param("DDPMParallelScheduler", n, marks=pytest.mark.slow) for n in (6, 8)),
    ],
)
def test_the_last_step_leads_to_the_previous_timestep_of_the_class(name: str, steps: int) -> None:
    """Assert that DDPM's leads to the data, whether or not its timestep is a whole stride.

    The parallel class's batched step takes one stride from the timestep: another step where strides are not equal.
    """
    answer = verdict_of(scheduler(name, TRAILING), steps)
    batched = [f for f in answer.findings if f.kind == "batch"]
    assert (answer.verdict, answer.matches) == ("roundoff", ["ddpm"])
    assert bool(batched) == (name == "DDPMParallelScheduler" and 1000 % steps != 0)
    assert answer.exit_code == bool(batched)


def test_the_last_step_of_ddim_is_one_stride() -> None:
    """Assert that DDIM's leads to the level of a timestep of 0 where the stride does, and there it conforms."""
    run = scheduler("DDIMScheduler", TRAILING).on(28)  # timesteps 964 .. 35, strides of 35
    levels: list[Any] = []
    finish = run(torch.zeros(1, 1, 1, 1), lambda x, at, to: levels.append(at) or x * 0, lambda like, span=None: like)
    assert (len(levels), finish.grid[-1].alpha < 1) == (28, True)


@pytest.mark.slow
def test_noise_added_after_the_last_step_is_found() -> None:
    """Assert that DDPM of the larger variance adds noise where its last timestep is not 0, on every grid."""
    for steps in (6, 8):
        answer = verdict_of(scheduler("DDPMScheduler", {**TRAILING, "variance_type": "fixed_large"}), steps)
        assert answer.exit_code == 1
        (finding,) = [f for f in answer.findings if f.kind == "formula"]
        assert f"step {steps}: noises[0]" in finding.detail


@pytest.mark.slow
def test_a_timestep_that_is_no_number_is_not_finite() -> None:
    """Assert that the verdict is that of the sampler, and no exception of the adapter."""
    answer = verdict_of(scheduler("KDPM2AncestralDiscreteScheduler", {"beta_schedule": "squaredcos_cap_v2"}), 4)
    assert (answer.verdict, answer.exit_code) == ("non-finite", 1)
    assert "step 1 of" in answer.findings[0].detail
    assert "timestep 2 is not a number" in answer.findings[0].detail


@pytest.mark.parametrize(
    ("name", "options", "record"),
    [pytest.param(*case, marks=pytest.mark.slow) for case in CONSISTENT],
)
def test_schedulers_of_consistency_models_are_recognised(name: str, options: dict[str, Any], record: str) -> None:
    """Assert that LCM, without the boundary condition of its function, its flow form and TCD equal their records."""
    assert conforms(verdict_of(scheduler(name, options), STEPS), record)


@pytest.mark.slow
@pytest.mark.tried("planted faults")
@pytest.mark.parametrize("name", ["FlowMatchLCMScheduler", "LCMScheduler", "TCDScheduler"])
def test_more_noise_than_the_record_has_is_found(name: str) -> None:
    """Assert it of a state that is off by 1e-6 after every step."""
    base = getattr(diffusers, name)

    def step(self: Any, *given: Any, **named: Any) -> Any:
        return ((1 + 1e-6) * base.step(self, *given, **named)[0],)

    answer = verdict_of(of_class(type("Mine", (base,), {"step": step}), {}), STEPS)
    assert (answer.verdict, answer.exit_code) == ("different-formula", 1)


@pytest.mark.parametrize(("name", "options"), [pytest.param(*case, marks=pytest.mark.slow) for case in FAMILY])
def test_a_strength_by_step_is_named(name: str, options: dict[str, Any]) -> None:
    """Assert that steps of DDIM's family are called so, and that no record has them."""
    answer = verdict_of(scheduler(name, options), STEPS)
    assert (answer.verdict, answer.exit_code, answer.matches) == ("different-formula", 1, [])
    assert any("every step is one of ddim-eta" in f.detail and "eta = " in f.detail for f in answer.findings)


class ImageToImage(diffusers.EulerDiscreteScheduler):  # type: ignore[misc, name-defined]
    """The last half of the timesteps, and the index at which it begins."""

    late = 0

    def set_timesteps(self, num_inference_steps: int, device: Any = None, **others: Any) -> None:
        super().set_timesteps(2 * num_inference_steps, device=device)
        self.timesteps = self.timesteps[num_inference_steps:]

    def set_begin_index(self, begin_index: int = 0) -> None:
        super().set_begin_index(len(self.sigmas) - 1 - len(self.timesteps) - self.late)


class Late(ImageToImage):
    """That begins a level too early."""

    late = 1


class Aligned(diffusers.DPMSolverMultistepScheduler):  # type: ignore[misc, name-defined]
    """Six timesteps for every number of steps."""

    def set_timesteps(self, num_inference_steps: int | None = None, device: Any = None, **others: Any) -> None:
        super().set_timesteps(device=device, timesteps=[999, 736, 455, 233, 124, 24])


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes as those of a module of the user's own."""
    module = ModuleType("schedulers_of_mine")
    for cls in (ImageToImage, Late, Aligned):
        setattr(module, cls.__name__, cls)
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("mine")
def test_a_class_of_ones_own_is_found_by_its_path() -> None:
    """Assert that it is stepped as what it is made from, claims what that claims, and keeps its name."""
    target = resolve("schedulers_of_mine:Aligned?solver_order=1")
    assert (target.info.name, target.info.reference) == ("schedulers_of_mine:Aligned?solver_order=1", "ddim")
    assert all(variant.startswith("schedulers_of_mine:Aligned?solver_order=1&") for variant in target.info.variants)
    assert conforms(verdict_of(resolve("schedulers_of_mine:Aligned"), STEPS), "dpm-solver++-2m")


@pytest.mark.slow
@pytest.mark.usefixtures("mine")
def test_a_run_that_begins_at_an_image_is_read_from_there() -> None:
    """Assert that its levels are those from the index on at which it begins."""
    answer = verdict_of(resolve("schedulers_of_mine:ImageToImage"), STEPS)
    assert conforms(answer, "ddim")
    assert [f.detail for f in answer.findings if f.kind == "grid"] == []
    late = verdict_of(resolve("schedulers_of_mine:Late"), STEPS)
    assert any("means lambda" in f.detail for f in late.findings)


@pytest.mark.slow
@pytest.mark.tried("honest samplers with odd habits")
def test_digits_lost_at_high_noise_are_no_other_formula() -> None:
    """Assert it where a single row loses them, in 1 - sigma; its grid ends with noise left and fails."""
    options = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    answer = verdict_of(scheduler("DEISMultistepScheduler", options), 20)
    assert (answer.verdict, answer.exit_code) == ("roundoff", 1)
    assert {f.kind for f in answer.findings if f.severity == "error"} == {"grid"}
