"""Schedulers of diffusers against the catalogue, where diffusers is installed."""

from __future__ import annotations

import re
from contextlib import nullcontext

import pytest
import torch

from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.conformance.adapters.diffusers_classes import CLASSES, NO_TABLE
from samplerproof.numerics.conformance.adapters.target import NoTable, split
from samplerproof.numerics.conformance.judge.compare import deviations, same_shape
from samplerproof.numerics.conformance.judge.differences import nearest_variant
from samplerproof.numerics.conformance.judge.grid_checks import findings
from samplerproof.numerics.conformance.judge.references import candidates
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.readback import trace
from samplerproof.numerics.testing import verdict_of

pytest.importorskip("diffusers", reason="diffusers is in the extra `peers`")
pytestmark = pytest.mark.filterwarnings("ignore")

from samplerproof.numerics.conformance.adapters.diffusers import scheduler  # noqa: E402

RIGHT = {
    "DDIMScheduler?clip_sample=false": "ddim",
    "DDIMScheduler?clip_sample=false&eta=0.5": "ddim-eta?eta=1/2",
    "DDPMScheduler?clip_sample=false": "ddpm",
    "DDPMScheduler?clip_sample=false&variance_type=fixed_large": "ddpm-large",
    "UnCLIPScheduler?clip_sample=false": "ddpm",
    "DDPMWuerstchenScheduler": "ddpm",
    "CogVideoXDDIMScheduler": "ddim",
    "CogVideoXDPMScheduler": "sde-dpm-solver++-2m",
    "DPMSolverMultistepScheduler": "dpm-solver++-2m",
    "DPMSolverMultistepScheduler?solver_type=heun": "exp-adams-2",
    "DPMSolverMultistepScheduler?solver_order=3": "dpm-solver++-3m-published",
    "DPMSolverMultistepScheduler?algorithm_type=sde-dpmsolver++": "sde-dpm-solver++-2m",
    "DPMSolverMultistepScheduler?algorithm_type=sde-dpmsolver&final_sigmas_type=sigma_min": "sde-dpm-solver-2m",
    "DPMSolverMultistepScheduler?use_flow_sigmas=true&prediction_type=flow_prediction": "dpm-solver++-2m",
    "DPMSolverSinglestepScheduler?lower_order_final=true": "dpm-solver++-2s",
    "DEISMultistepScheduler": "exp-adams-noise-2",
    "DEISMultistepScheduler?solver_order=3": "exp-adams-noise-3",
    "UniPCMultistepScheduler": "unipc-2",
    "UniPCMultistepScheduler?solver_order=3": "unipc-3",
    "EDMEulerScheduler": "ddim",
    "EDMDPMSolverMultistepScheduler": "dpm-solver++-2m",
    "EulerDiscreteScheduler": "ddim",
    "EulerAncestralDiscreteScheduler": "ddim-eta",
    "HeunDiscreteScheduler": "edm-heun",
    "KDPM2DiscreteScheduler": "dpm-solver-2s",
    "LMSDiscreteScheduler": "deis-rhoab3",
    "FlowMatchEulerDiscreteScheduler": "flow-euler",
    "FlowMatchHeunDiscreteScheduler": "flow-heun",
    "MiniMaxH3Scheduler": "flow-euler",
}


def errors(target: str) -> dict[str, float]:
    """The deviation in float64 from the reference's variants, by name."""
    _, name, options = split(f"diffusers:{target}")
    sampler = scheduler(name, options)
    with sampler.float64():
        seen = trace(sampler.on(20), sampler.prediction)
    assert sampler.info.reference is not None
    mine, result = seen.table, {}
    for ref in candidates(seen, sampler.info.process, (sampler.info.reference,)):
        if same_shape(mine, ref.table):
            result[ref.record.name] = min(
                result.get(ref.record.name, 1.0), max(d.error for d in deviations(mine, ref.table))
            )
    return result


@pytest.mark.parametrize("target", RIGHT)
def test_right_schedulers_agree_in_both_precisions_within_what_rounding_explains(target: str) -> None:
    """Assert it row by row, of some variant of the record; and that a thousandth is more than rounding in most rows."""
    _, name, options = split(f"diffusers:{target}")
    sampler = scheduler(name, options)
    for float64 in (False, True):
        with sampler.float64() if float64 else nullcontext():
            seen = trace(sampler.on(20), sampler.prediction, torch.float64 if float64 else torch.float32)
        near = nearest_variant(seen, sampler.info.process, RIGHT[target])
        assert near is not None
        assert near.off == []
        assert 2 * sum(bound < 1e-3 for bound in near.bounds) > len(near.bounds)


@pytest.mark.parametrize("name", [name for name in CLASSES if "Inverse" not in name])  # a record run backwards
def test_what_a_class_claims_is_found_by_its_alias(name: str) -> None:
    """Where it claims a record at all, with the options that it has by default."""
    claimed = scheduler(name, {}).info.reference
    alias = METHODS.get(resolve(f"diffusers:{name}").name) if claimed else None
    assert claimed is None or (alias is not None and alias.name == claimed)


@pytest.mark.parametrize(
    ("eta", "name"), [pytest.param(0.0, "ddim", marks=pytest.mark.slow), (0.5, "ddim-eta?eta=1/2")]
)
def test_ddim_between_uneven_timesteps_is_ddim_step_by_step_and_does_not_chain(eta: float, name: str) -> None:
    options = {"clip_sample": False, "timestep_spacing": "linspace", "eta": eta}
    answer = verdict_of(scheduler("DDIMScheduler", options), 12)
    assert answer.verdict == "different-formula"
    assert any(f"every step is {name} from where it starts" in finding.detail for finding in answer.findings)
    assert verdict_of(scheduler("DDIMScheduler", {**options, "timestep_spacing": "leading"}), 12).exit_code == 0


def test_a_dropped_difference_in_the_third_order_of_the_stochastic_solver_is_seen() -> None:
    """As of 0.42.1 the third-order branch of sde-dpmsolver++ is no row of the published method."""
    found = errors("DPMSolverMultistepScheduler?algorithm_type=sde-dpmsolver++&solver_order=3")
    assert found["sde-dpm-solver++-3m-published"] > 0.1


def test_clipping_is_not_linear_there() -> None:
    sampler = scheduler("DDIMScheduler", {})
    assert sampler.info.nonlinear == ("clip_sample=true",)
    assert max(trace(sampler.on(20), sampler.prediction).superposition) > 0.1
    straight = scheduler("DDIMScheduler", {"clip_sample": False})
    assert straight.info.nonlinear == ()
    assert max(trace(straight.on(20), straight.prediction, torch.float32).superposition) < 1e-5


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("Nope", {}, "not a scheduler of diffusers"),
        ("DDIMScheduler", {"solver_order": 2}, "DDIMScheduler takes"),
    ],
)
def test_bad_input_is_one_line(name: str, options: dict[str, object], expected: str) -> None:
    with pytest.raises(InputError, match=expected) as fault:
        scheduler(name, options)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("name", NO_TABLE)
def test_a_class_without_a_table_is_refused_with_its_reason(name: str) -> None:
    with pytest.raises(NoTable, match="not a linear sampler of a diffusion: it") as fault:
        scheduler(name, {})
    assert "\n" not in str(fault.value)


def test_the_module_is_as_it_was_after_a_run_in_float64() -> None:
    import diffusers.schedulers.scheduling_ddim as module

    sampler = scheduler("DDIMScheduler", {"clip_sample": False})
    before = {key: id(value) for key, value in vars(module).items()}, torch.get_default_dtype(), torch.Tensor.float
    with sampler.float64():
        trace(sampler.on(5), sampler.prediction)
        assert module.torch is not torch
    assert before == ({k: id(v) for k, v in vars(module).items()}, torch.get_default_dtype(), torch.Tensor.float)


NOT_NOISIEST = "it should be the noisiest"  # where a class puts its first level by default


def grid_findings(name: str, steps: int = 20, **options: object) -> list[str]:
    """The findings, without that about the first level of a class that has `leading` timesteps."""
    sampler = scheduler(name, options)
    with sampler.float64():
        run = trace(sampler.on(steps), sampler.prediction)
    found = findings(run, sampler.info.process)
    return [finding.detail for finding in found if NOT_NOISIEST not in finding.detail]


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "DDPMWuerstchenScheduler"])
def test_models_receive_the_levels_of_the_steps(name: str) -> None:
    """Assert it, and that every step chains; except for alpha = 0 at the start, and PNDM's last step."""
    lines = [line for line in grid_findings(name) if "starts at alpha = 0" not in line]
    assert [line.partition(":")[0] for line in lines] == EXPECTED.get(name, [])


PNDM = ["step 20 has length zero"]
EXPECTED = {"PNDMScheduler": PNDM, "DDIMInverseScheduler": ["step 1"]}  # its model is passed the level reached


def test_pndm_without_runge_kutta_takes_its_first_step_twice() -> None:
    """Assert the step of each evaluation, as in Stable Diffusion, and no other finding."""
    sampler = scheduler("PNDMScheduler", {"skip_prk_steps": True})
    with sampler.float64():
        found = trace(sampler.on(6), sampler.prediction)
    assert found.step == (0, 1, 1, 2, 3, 4, 5, 6)
    (found,) = grid_findings("PNDMScheduler", skip_prk_steps=True)
    assert found == f"{PNDM[0]}: level 20 is sigma/alpha = 0.0100005, as level 19; it should be below"


MULTISTEP = "DPMSolverMultistepScheduler"


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        (MULTISTEP, {"use_karras_sigmas": True}, []),  # rounded to the nearest timestep
        (MULTISTEP, {"use_exponential_sigmas": True}, ["step 3: timestep 892 means .* up to 0.054"]),  # rounded down
        (MULTISTEP, {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}, ["step 16: timestep 249 means"]),
        ("EulerDiscreteScheduler", {"use_exponential_sigmas": True}, []),  # not rounded
        ("EulerDiscreteScheduler", {"interpolation_type": "log_linear"}, ["means .* in 19 of 20 .* up to 2.1,"]),
        ("EulerDiscreteScheduler", {"timestep_type": "continuous", "prediction_type": "v_prediction"}, []),
        ("SASolverScheduler", {"use_flow_sigmas": True}, ["length zero", "timestep 249 means", "with noise left"]),
        ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}, []),
        ("DDIMScheduler", {"clip_sample": False, "timestep_spacing": "trailing"}, []),
    ],
)
def test_timesteps_of_another_level_are_found(name: str, options: dict[str, object], expected: list[str]) -> None:
    found = grid_findings(name, **options)
    assert len(found) == len(expected)
    assert all(re.search(pattern, line) for pattern, line in zip(expected, found, strict=True))


def test_one_timestep_for_two_levels_and_a_jump_are_found() -> None:
    found = grid_findings(MULTISTEP, 60, use_lu_lambdas=True)
    assert [line.partition(",")[0] for line in found] == [
        f"step {n}: timestep {t} as before" for n, t in ((58, 1), (60, 0))
    ]
    assert (
        "goes more than half of the way"
        in grid_findings("DDIMScheduler", 2, clip_sample=False, timestep_spacing="trailing")[0]
    )
