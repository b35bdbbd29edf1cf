"""Every kind of grid that a library has gives the library's levels, in float64 to 1e-12."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from grid_levels import CLOSE, EDM, FLOW, SD_ENDS, STEPS, VP, off, ours

from samplerproof.numerics.advice.advice_text import OPTIONS
from samplerproof.numerics.advice.advice_text import diffusers as advised
from samplerproof.numerics.advice.candidates import Candidate
from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.conformance.adapters import k_diffusion
from samplerproof.numerics.conformance.adapters.in_float64 import in_float64
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grid_kinds.all_kinds import KINDS, parameter_names
from samplerproof.numerics.grid_kinds.model_levels import model_levels
from samplerproof.numerics.grid_kinds.read_back_levels import ModelSampling
from samplerproof.numerics.grids import grid
from samplerproof.numerics.tableau import tabulate

diffusers = pytest.importorskip("diffusers")
# diffusers' own arrays of numpy are made from tensors.
pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def of_diffusers(name: str, steps: int, **options: Any) -> torch.Tensor:
    """`sigmas` of a class of diffusers whose code computes in float64."""
    cls = getattr(diffusers, name)
    module = vars(__import__(cls.__module__, fromlist=["_"]))
    mu = {"mu": options.pop("mu")} if "mu" in options else {}
    given = {"sigmas": options.pop("sigmas")(steps)} if "sigmas" in options else {}
    with in_float64(module):
        made = cls(**options)
        made.set_timesteps(**({} if given else {"num_inference_steps": steps}), **mu, **given)
        sigmas: torch.Tensor = made.sigmas
    return sigmas


ZERO_SNR = {"rescale_betas_zero_snr": True}
EULER, DPM, FLOW_EULER = "EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "FlowMatchEulerDiscreteScheduler"
DIFFUSERS: dict[str, tuple[str, dict[str, Any]]] = {
    "leading": (EULER, {**SD, "timestep_spacing": "leading"}),
    "leading?steps_offset=1": (EULER, {**SD, "timestep_spacing": "leading", "steps_offset": 1}),
    "trailing": (EULER, {**SD, "timestep_spacing": "trailing"}),
    "linspace": (EULER, {**SD, "timestep_spacing": "linspace"}),
    "trailing?betas=linear&beta_start=0.0001&beta_end=0.02": (EULER, {"timestep_spacing": "trailing"}),
    "linspace?betas=squaredcos": (EULER, {"beta_schedule": "squaredcos_cap_v2"}),
    "trailing?zero_snr=1": (EULER, {**SD, **ZERO_SNR, "timestep_spacing": "trailing"}),
    "leading?drop=1": (DPM, {**SD, "timestep_spacing": "leading"}),
    "linspace?drop=1&rounded=1": (DPM, {**SD, "timestep_spacing": "linspace"}),
    "diffusers:DPMSolverMultistepScheduler": (DPM, SD),
    "flow?t_min=1/1000&zero=1": (FLOW_EULER, {}),
    "diffusers:FlowMatchEulerDiscreteScheduler": (FLOW_EULER, {}),
    "flow?shift=3&t_min=3/1002&zero=1": (FLOW_EULER, {"shift": 3.0}),
    "diffusers:FlowMatchEulerDiscreteScheduler?shift=3": (FLOW_EULER, {"shift": 3.0}),
    "flow-dynamic?mu=0.75": (
        FLOW_EULER,
        {"use_dynamic_shifting": True, "mu": 0.75, "sigmas": lambda n: np.linspace(1.0, 1 / n, n)},
    ),
}


@pytest.mark.parametrize("name", DIFFUSERS)
def test_levels_are_those_of_diffusers(name: str) -> None:
    """Assert equality to 1e-12 at every number of steps with the code of diffusers in float64, and that one part in a
    million shows.
    """
    cls, options = DIFFUSERS[name]
    for steps in STEPS:
        found, theirs = ours(name, steps), of_diffusers(cls, steps, **options)
        assert off(found, theirs) < CLOSE, steps
        assert off([found[0] * (1 + 1e-6), *found[1:]], theirs) > 5e-7


ENDED = {"karras": {}, "exponential": {}, "beta": {}}


@pytest.mark.parametrize("kind", ENDED)
def test_spaced_sigmas_are_those_of_diffusers(kind: str) -> None:
    """Assert the same where diffusers spaces sigma between two ends: the first and the last of its own levels."""
    options = {**SD, f"use_{kind}_sigmas": True, "timestep_spacing": "linspace"}
    for steps in STEPS[1:]:
        theirs = of_diffusers(EULER, steps, **options)
        ends = {"sigma_max": float(theirs[0]), "sigma_min": float(theirs[-2])}
        found = ours(f"diffusers:use_{kind}_sigmas", steps, **ends)
        assert off(found, theirs) < CLOSE, steps
        assert off(ours(f"diffusers:use_{kind}_sigmas", steps, **{**ends, "sigma_max": ends["sigma_max"] * (1 + 1e-6)}),
                   theirs) > 5e-7  # fmt: skip


def test_float32_levels_as_shipped_are_ours_to_its_roundoff() -> None:
    """Assert 1e-6 where diffusers rounds once, and 1e-3 where it multiplies 1000 factors out in float32."""
    for steps in STEPS:
        flow = diffusers.FlowMatchEulerDiscreteScheduler()
        flow.set_timesteps(steps)
        assert off(ours("diffusers:FlowMatchEulerDiscreteScheduler", steps), flow.sigmas) < 1e-6
        euler = diffusers.EulerDiscreteScheduler(**SD, timestep_spacing="trailing")
        euler.set_timesteps(steps)
        assert 1e-9 < off(ours("trailing", steps), euler.sigmas) < 1e-3


K = k_diffusion.sampling()
LOW, HIGH = SD_ENDS["sigma_min"], SD_ENDS["sigma_max"]
K_DIFFUSION: dict[str, Callable[[int], Any]] = {
    "k-diffusion:get_sigmas_karras": lambda n: K.get_sigmas_karras(n, LOW, HIGH),
    "karras?rho=5&zero=1": lambda n: K.get_sigmas_karras(n, LOW, HIGH, rho=5.0),
    "k-diffusion:get_sigmas_exponential": lambda n: K.get_sigmas_exponential(n, LOW, HIGH),
    "k-diffusion:get_sigmas_polyexponential": lambda n: K.get_sigmas_polyexponential(n, LOW, HIGH),
    "polyexponential?rho=2&zero=1": lambda n: K.get_sigmas_polyexponential(n, LOW, HIGH, rho=2.0),
}


@pytest.mark.parametrize("name", K_DIFFUSION)
def test_levels_are_those_of_k_diffusion(name: str) -> None:
    """Assert equality to 1e-12 with its functions in float64, and to 1e-6 as shipped."""
    for steps in STEPS:
        found = ours(name, steps)
        with in_float64(vars(K)):
            assert off(found, K_DIFFUSION[name](steps)) < CLOSE
        assert off(found, K_DIFFUSION[name](steps)) < 2e-6


def test_uniform_times_of_the_vp_schedule_are_those_of_k_diffusion() -> None:
    """Assert equality with get_sigmas_vp, whose levels are sigma/alpha."""
    for steps in STEPS:
        columns = grid(VP, "k-diffusion:get_sigmas_vp", steps, t_min=1e-3, t_max=1.0).columns
        with in_float64(vars(K)):
            assert off(columns.rho.tolist(), K.get_sigmas_vp(steps)) < CLOSE


def test_normal_is_what_k_diffusion_makes_of_a_discrete_model() -> None:
    """Assert equality with DiscreteSchedule.get_sigmas on the same levels."""
    levels = model_levels({"betas": "scaled-linear", "beta_start": 0.00085, "beta_end": 0.012, "train": 1000,
                           "zero_snr": 0, "shift": 1.0})  # fmt: skip
    with k_diffusion._without_training():
        external = import_module("k_diffusion.external")
    for steps in STEPS:
        with in_float64(vars(external)):
            model = external.DiscreteSchedule(torch.tensor(levels.sigmas), quantize=False)
            assert off(ours("k-diffusion:DiscreteSchedule.get_sigmas", steps), model.get_sigmas(steps)) < CLOSE


# Functions such as ComfyUI has, for reading back, written down from their description: (model_sampling, steps).
def simple(model_sampling: Any, steps: int) -> list[float]:
    stride = len(model_sampling.sigmas) / steps
    return [
        float(model_sampling.sigmas[len(model_sampling.sigmas) - 1 - math.floor(n * stride)]) for n in range(steps)
    ] + [0.0]


def clocked(model_sampling: Any, steps: int, sgm: bool) -> list[float]:
    ends = model_sampling.timestep(model_sampling.sigma_max), model_sampling.timestep(model_sampling.sigma_min)
    times = np.linspace(float(ends[0]), float(ends[1]), steps + sgm)[:steps]
    return [float(model_sampling.sigma(torch.tensor(t, dtype=torch.float64))) for t in times] + [0.0]


def normal(model_sampling: Any, steps: int) -> list[float]:
    return clocked(model_sampling, steps, False)


def sgm_uniform(model_sampling: Any, steps: int) -> list[float]:
    return clocked(model_sampling, steps, True)


def ddim_uniform(model_sampling: Any, steps: int) -> list[float]:
    return [*model_sampling.sigmas.tolist()[1 :: len(model_sampling.sigmas) // steps][::-1], 0.0]


def beta(model_sampling: Any, steps: int, a: float = 0.6, b: float = 0.6) -> list[float]:
    places = np.rint(scipy.stats.beta.ppf(1 - np.arange(steps) / steps, a, b) * (len(model_sampling.sigmas) - 1))
    return [float(model_sampling.sigmas[int(p)]) for p in dict.fromkeys(places)] + [0.0]


def linear_quadratic(model_sampling: Any, steps: int, threshold: float = 0.025) -> list[float]:
    if steps == 1:
        return [float(model_sampling.sigma_max), 0.0]
    linear = steps // 2
    rest = steps - linear
    lead = linear - threshold * steps
    square, slope = lead / (linear * rest**2), threshold / linear - 2 * lead / rest**2
    amounts = [n * threshold / linear for n in range(linear)]
    amounts += [square * n**2 + slope * n + square * linear**2 for n in range(linear, steps)]
    return [(1 - u) * float(model_sampling.sigma_max) for u in [*amounts, 1.0]]


def kl_optimal(model_sampling: Any, steps: int) -> list[float]:
    share = np.arange(steps) / max(steps - 1, 1)
    return [*np.tan(share * math.atan(LOW) + (1 - share) * math.atan(HIGH)), 0.0]


COMFYUI = {f.__name__: f for f in (simple, normal, sgm_uniform, ddim_uniform, beta)}


@pytest.mark.parametrize("betas", ["scaled-linear", "flow"])
@pytest.mark.parametrize("name", COMFYUI)
def test_levels_are_those_of_comfyui(name: str, betas: str) -> None:
    """Assert equality with the rule, on a discrete model and on a shifted flow, by the alias and by reading back."""
    query = f"betas={betas}" + ("&shift=3" if betas == "flow" else "")
    options = {"betas": betas, **({"shift": 3.0} if betas == "flow" else {})}
    process = FLOW if betas == "flow" else EDM
    for steps in STEPS[1:] if betas == "flow" and name == "normal" else STEPS:
        found = ours(f"comfyui:{name}?{query}", steps)
        back = grid(process, COMFYUI[name], steps, **options).columns.sigma.tolist()
        assert off(found, back) < CLOSE, steps
        assert off([*found[:-2], found[-2] * (1 + 1e-6), 0.0], back) > 5e-7


def test_the_formulas_of_comfyui_that_need_only_ends() -> None:
    """Assert the same of linear_quadratic, on the flow and on sigma_max, and of kl_optimal."""
    model = ModelSampling(model_levels({"betas": "flow", "beta_start": 0.1, "beta_end": 0.2, "train": 1000,
                                        "zero_snr": 0, "shift": 1.0}))  # fmt: skip
    for steps in STEPS:
        assert off(ours("comfyui:linear_quadratic", steps, flow=True), linear_quadratic(model, steps)) < CLOSE
        assert off(ours("linear-quadratic?threshold=0.1", steps), linear_quadratic(model, steps, 0.1)) < CLOSE
        assert off(ours("comfyui:kl_optimal", steps), kl_optimal(model, steps)) < CLOSE


# What its functions returned, with the repository and its commit.
GOLDEN = json.loads((Path(__file__).parents[1] / "support" / "levels" / "comfyui.json").read_text("utf-8"))


@pytest.mark.parametrize("model", GOLDEN["models"])
@pytest.mark.parametrize("name", GOLDEN["levels"])
def test_levels_are_those_that_comfyui_returned(name: str, model: str) -> None:
    """Assert equality to 1e-12 with levels that its own functions made in float64, at every number of steps, and that
    one part in a million shows.
    """
    ends = {"sigma_min": GOLDEN["models"][model]["sigma_min"], "sigma_max": GOLDEN["models"][model]["sigma_max"]}
    of_ends = {key: ends[key] for key in ends if key in parameter_names(f"comfyui:{name}")}
    of_model = {"betas": "flow", "shift": 3.0} if model == "flow" else {}
    assert set(map(int, GOLDEN["levels"][name][model])) == set(STEPS)
    for steps, golden in GOLDEN["levels"][name][model].items():
        process = FLOW if model == "flow" else EDM
        made = grid(process, f"comfyui:{name}", int(steps), **(of_ends or of_model)).columns.sigma.tolist()
        assert len(made) == golden["count"]
        found, theirs = [made[int(n)] for n in golden["at"]], list(golden["at"].values())
        if None in theirs:  # kl_optimal divides 0 by 0 on one step
            assert (name, steps, found[1:]) == ("kl_optimal", "1", theirs[1:])
            continue
        assert off(found, theirs) < CLOSE, steps
        assert off([found[0] * (1 + 1e-6), *found[1:]], theirs) > 5e-7


def test_the_root_of_sigma_is_of_the_flow_where_a_library_has_one() -> None:
    """Assert the levels of diffusers' flow with Karras' spacing, which `karras` spaces in sigma/alpha."""
    for steps in STEPS[1:]:
        theirs = of_diffusers(FLOW_EULER, steps, use_karras_sigmas=True)
        ends = {"sigma_max": float(theirs[0]), "sigma_min": float(theirs[-2])}
        assert off(ours("diffusers:use_karras_sigmas", steps, flow=True, **ends), theirs) < CLOSE
        ends["sigma_max"] = 0.999  # sigma/alpha of 1 is infinite
        assert off(ours("karras?zero=1", steps, flow=True, **ends), theirs) > 1e-3


def test_an_advice_names_a_scheduler_that_has_the_levels() -> None:
    """Assert the option for every record: DDIM is Euler's there, and one that spaces no levels so is not named."""
    at = grid(EDM, "karras", 4, sigma_min=0.1, sigma_max=9.0)
    table, found = tabulate("ddim", at), {}
    for name in METHODS:
        for levels, option in OPTIONS.items():
            if (same := advised(Candidate(name, levels, table, at))) is not None:
                cls = getattr(diffusers, same["scheduler"])
                assert option.removesuffix("=True") in inspect.signature(cls).parameters
                assert (same["options"], f"diffusers:{same['scheduler']}" in resolve(name).aliases) == (option, True)
                found[name] = same["scheduler"]
    assert (found["ddim"], found["edm-heun"]) == (EULER, "HeunDiscreteScheduler")
    assert not {"ipndm-4", "pndm", "flow-euler", "flow-heun", "dpm-solver-3s"} & set(found)
    assert advised(Candidate("ddim", "uniform-t", table, at)) is None
    assert advised(Candidate("ddim", "beta", table)) is None


@pytest.mark.parametrize(
    "target",
    [
        "diffusers:EulerDiscreteScheduler?use_karras_sigmas=true",
        "diffusers:DDIMScheduler?timestep_spacing=trailing&clip_sample=false",
        "diffusers:FlowMatchEulerDiscreteScheduler?shift=3.0",
        "diffusers:EDMEulerScheduler",
        "k-diffusion:get_sigmas_karras?sigma_min=0.03&sigma_max=14.6",
    ],
)
def test_a_grid_is_read_back_from_a_library(target: str) -> None:
    """Assert the levels that the library itself holds, in its float32."""
    library, _, name = target.partition(":")
    process = FLOW if "Flow" in name else EDM
    found = grid(process, f"scheduler:{target}", 10).columns
    if library == "k-diffusion":
        theirs = K.get_sigmas_karras(10, 0.03, 14.6).tolist()
    elif "DDIM" in name:
        made = diffusers.DDIMScheduler(timestep_spacing="trailing")
        made.set_timesteps(10)
        bar = made.alphas_cumprod[made.timesteps].double()
        theirs = [*((1 - bar) / bar).sqrt().tolist(), 0.0]  # set_alpha_to_one
    else:
        made = getattr(diffusers, name.partition("?")[0])(**({"shift": 3.0} if "shift" in name else {}))
        if "karras" in name:
            made = diffusers.EulerDiscreteScheduler(use_karras_sigmas=True)
        made.set_timesteps(10)
        theirs = made.sigmas.tolist()
    assert off(found.sigma.tolist(), theirs) < 1e-6


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("scheduler:k-diffusion:to_d", {}, "a function get_sigmas_…"),
        ("scheduler:diffusers:Euler", {}, "not a scheduler of diffusers; nearest"),
        ("scheduler:diffusers:EulerDiscreteScheduler?rho=7", {}, "target option rho"),
        (
            "scheduler:EulerDiscreteScheduler",
            {},
            "one of scheduler:diffusers:Class, scheduler:k-diffusion:get_sigmas_…",
        ),
        ("diffusers:EulerDiscreteScheduler", {}, "scheduler:diffusers:EulerDiscreteScheduler"),
        ("diffusers:DDIMScheduler?rho=7", {}, "a scheduler are scheduler:diffusers:DDIMScheduler?rho=7"),
        ("EulerDiscreteScheduler", {}, "scheduler:diffusers:EulerDiscreteScheduler"),
        ("k-diffusion:get_sigmas_own", {}, "a function are scheduler:k-diffusion:get_sigmas_own"),
        ("my_file.py:levels", {}, "scheduler:my_file.py:levels"),
        ("k-diffusion:sample_euler", {}, "not a known grid; nearest: k-diffusion:get_sigmas_"),
        ("scheduler:k-diffusion:get_sigmas_karras", {}, "TypeError"),
        ("scheduler:k-diffusion:get_sigmas_vp", {"zero": 1}, "grid.zero: got 1; an option of the library"),
    ],
)
def test_what_a_library_does_not_have_is_one_line(kind: str, options: dict[str, Any], message: str) -> None:
    """Assert that an unknown class, function or option is refused by name."""
    with pytest.raises(InputError) as refused:
        grid(EDM, kind, 5, **options)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_more_steps_than_a_library_takes_are_one_line() -> None:
    """Assert that a class that raises on a number of steps is refused there, and taken below."""
    kind = "scheduler:diffusers:DDIMScheduler?timestep_spacing=trailing"
    with pytest.raises(InputError, match="steps: got 1001; a number of steps that DDIMScheduler takes") as refused:
        grid(EDM, kind, 1001)
    assert "\n" not in str(refused.value)
    assert grid(EDM, kind, 50).steps == 50


def test_every_kind_has_a_source() -> None:
    """Assert a paper or a place in code of every kind that others made, and aliases that are no kinds."""
    own = {"uniform-sigma", "list"}
    assert {kind.name for kind in KINDS.values() if not kind.cite and not kind.source} == own
    aliases = [alias for kind in KINDS.values() for alias in kind.names]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(KINDS)
    assert all(
        isinstance(value, Fraction) for kind in KINDS.values() for _, values in kind.aliases for _, value in values
    )
