"""Grids of schedulers with one fault each are found and named; those of the libraries as they are have no finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from samplerproof.numerics.conformance.judge import grid_checks
from samplerproof.numerics.conformance.report import Finding
from samplerproof.numerics.grid_kinds.all_kinds import parse
from samplerproof.numerics.grids import grid
from samplerproof.numerics.kind_checks import kind_findings
from samplerproof.numerics.level_checks import first_of_each
from samplerproof.numerics.readback import trace
from samplerproof.numerics.schedules import schedule

diffusers = pytest.importorskip("diffusers", reason="diffusers is in the extra `peers`")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]

from samplerproof.numerics.conformance.adapters.diffusers import of_class, scheduler  # noqa: E402
from samplerproof.numerics.conformance.adapters.external_sampler import ExternalSampler  # noqa: E402

EULER, FLOW, TWO_M = "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler", "DPMSolverMultistepScheduler"
EDM = "EDMEulerScheduler"
STEPS = 12
Levels = torch.Tensor


def findings_of(sampler: ExternalSampler, steps: int) -> list[Finding]:
    with sampler.float64():
        run = trace(sampler.on(steps), sampler.prediction)
    return grid_checks.findings(run, sampler.info.process)


@dataclass(frozen=True)
class Fault:
    """A fault of a grid.  change: the levels (with the last 0) and timesteps -> those with the fault.

    step, words, severity: of the finding.  also: words of findings that follow from the fault.
    """

    name: str
    base: str
    change: Callable[[Levels, Levels], tuple[Levels, Levels]]
    step: int
    words: str
    severity: str = "note"
    also: tuple[str, ...] = ("means lambda", "as before, at", "no reference")
    options: tuple[tuple[str, Any], ...] = ()


def repeated(at: int) -> Callable[[Levels, Levels], tuple[Levels, Levels]]:
    def change(sigmas: Levels, times: Levels) -> tuple[Levels, Levels]:
        sigmas[at] = sigmas[at - 1]
        return sigmas, times

    return change


def swapped(sigmas: Levels, times: Levels) -> tuple[Levels, Levels]:
    sigmas[[4, 5]], times[[4, 5]] = sigmas[[5, 4]], times[[5, 4]]
    return sigmas, times


def rounding(cast: Callable[[Levels], Levels]) -> Callable[[Levels, Levels], tuple[Levels, Levels]]:
    return lambda sigmas, times: (cast(sigmas), times)


def shifted(sigmas: Levels, times: Levels) -> tuple[Levels, Levels]:
    twice = 3 * sigmas / (1 + 2 * sigmas)
    return twice, twice[:-1] * 1000


# fmt: off
FAULTS = [
    Fault("a level twice", EULER, repeated(5), 5, "step 5 has length zero: level 5 is sigma = "),
    Fault("a last step of length zero", EULER, repeated(STEPS), STEPS, f"step {STEPS} has length zero", "error",
          ("with noise left", "goes more than half")),
    Fault("levels that rise", EULER, swapped, 5, "step 5 adds noise: level 5 is sigma = "),
    Fault("first level not the noisiest", EULER, lambda s, t: (torch.cat([s[:1] * 0.6, s[1:]]), t), 0,
          "level 0 is sigma = 8.76878; it should be the noisiest that the model was trained on, sigma = 14.6146"),
    Fault("beyond the model", EULER, lambda s, t: (torch.cat([s[:1] * 4, s[1:]]), t), 0,
          "level 0 is sigma = 58.4586, outside: the noisiest that the model was trained on is sigma = 14.6146"),
    Fault("rounded to bfloat16", EULER, rounding(lambda s: s.to(torch.bfloat16).to(s.dtype)), 0, "rounded to bfloat16"),
    Fault("rounded to float16", EULER, rounding(lambda s: s.to(torch.float16).to(s.dtype)), 0, "rounded to float16"),
    Fault("whole numbers", EDM, rounding(torch.round), 0, "level 0 is sigma = 80: all are whole numbers",
          also=("means lambda", "length zero", "leads to lambda")),
    Fault("timesteps of the step before", EULER, lambda s, t: (s, torch.cat([t[:1], t[:-1]])), 2, "means lambda"),
    Fault("timesteps in bfloat16", EULER, lambda s, t: (s, t.to(torch.bfloat16).to(t.dtype)), 3, "means lambda"),
    Fault("shift applied twice", FLOW, shifted, 6, "level 6 is sigma = 0.883035; it should be 0.715628",
          options=(("shift", 3.0),)),
    Fault("noise left in the end", TWO_M, lambda s, t: (torch.cat([s[:-1], s[-2:-1] * 0.5]), t), STEPS,
          "with noise left", "error", ("goes more than",)),
]
# fmt: on


def target(fault: Fault | None, base: str, options: dict[str, Any]) -> ExternalSampler:
    """A class derived from one of diffusers, whose levels and timesteps are changed."""
    original = getattr(diffusers, base)

    def set_timesteps(self: Any, steps: int, device: Any = None, **others: Any) -> None:
        original.set_timesteps(self, steps, device=device, **others)
        if fault is not None:
            sigmas, times = fault.change(self.sigmas.clone(), self.timesteps.clone())
            self.sigmas, self.timesteps = sigmas.to(self.sigmas.dtype), times.to(self.timesteps.dtype)

    return of_class(type("Mine", (original,), {"set_timesteps": set_timesteps}), options)


STABLE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def settings(fault: Fault) -> dict[str, Any]:
    return STABLE if fault.base in (EULER, TWO_M) else dict(fault.options)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found_and_named(fault: Fault) -> None:
    """Assert the finding with its level, and no finding besides those that follow from it."""
    found = findings_of(target(fault, fault.base, settings(fault)), STEPS)
    named = [f for f in found if fault.words in f.detail]
    assert named, [f.detail for f in found]
    assert (named[0].step, named[0].severity, named[0].kind) == (fault.step, fault.severity, "grid")
    others = [f.detail for f in found if f not in named and not any(words in f.detail for words in fault.also)]
    assert others == []


@pytest.mark.parametrize("base", [EULER, TWO_M, FLOW, EDM])
def test_the_same_classes_without_the_fault_have_no_finding(base: str) -> None:
    """Assert the other side."""
    for steps in (5, STEPS, 50):
        assert findings_of(target(None, base, STABLE if base in (EULER, TWO_M) else {}), steps) == []


def test_the_shift_of_diffusers_is_found_at_the_cleanest_level() -> None:
    """Assert that sigma_min, shifted in the constructor too, is found for a shift of 3, and not for a shift of 1."""
    (found,) = findings_of(scheduler(FLOW, {"shift": 3.0}), 20)
    assert found.detail == "the shift is applied twice to level 19: it is sigma = 0.00892857 and should be 0.00299401"
    assert (found.severity, found.step) == ("note", 19)


# Classes whose first timestep is by default the last of the model; `leading` timesteps begin earlier, which is found.
SOUND = (
    *(EULER, TWO_M, FLOW, "HeunDiscreteScheduler", "LMSDiscreteScheduler", "KDPM2DiscreteScheduler"),
    *("EulerAncestralDiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DPMSolverSinglestepScheduler"),
    *("DEISMultistepScheduler", "UniPCMultistepScheduler", "SASolverScheduler", "EDMEulerScheduler"),
    *("EDMDPMSolverMultistepScheduler", "CosineDPMSolverMultistepScheduler", "FlowMatchHeunDiscreteScheduler"),
)
KINDS = (
    *("karras", "karras?rho=3&zero=1", "uniform-log-sigma", "polyexponential?rho=2", "beta?zero=1", "kl-optimal"),
    *("karras-sigma?rho=5", "tangent?scale=1/2", "gits?coeff=0.8"),
    *("uniform-sigma", "trailing", "linspace", "simple", "normal", "sgm-uniform", "ays-sd1", "ays-sdxl", "gits"),
    *("scheduler:k-diffusion:get_sigmas_karras?sigma_min=0.03&sigma_max=14.6", "oss-wan?zero=1", "flow?shift=3"),
    *("scheduler:k-diffusion:get_sigmas_exponential?sigma_min=0.03&sigma_max=14.6", "flow-dynamic"),
    *("scheduler:k-diffusion:get_sigmas_polyexponential?sigma_min=0.03&sigma_max=14.6", "linear-quadratic"),
    "scheduler:k-diffusion:get_sigmas_vp",
)


@pytest.mark.parametrize("name", SOUND)
def test_sound_classes_have_no_finding(name: str) -> None:
    """Assert it of diffusers' classes as they are, on 5 to 50 steps."""
    for steps in (5, 20, 50):
        assert [f.detail for f in findings_of(scheduler(name, {}), steps)] == []


@pytest.mark.parametrize("name", KINDS)
def test_sound_kinds_have_no_finding(name: str) -> None:
    """Assert it of kinds of grid of our own and of k-diffusion's functions, on 5 to 50 steps."""
    process = schedule("flow" if name.startswith(("flow", "oss", "linear-q")) else "edm")
    ends = {"t_min": 1e-3, "t_max": 1.0, "sigma_min": 0.03, "sigma_max": 14.6}
    kind, parameters = (name, {}) if name.startswith("scheduler:") else parse(name, ends)
    for steps in (5, 10, 20, 32, 50):
        found = kind_findings(process, kind, parameters, grid(process, kind, steps, **parameters))
        assert [f.detail for f in found] == []


def test_leading_timesteps_begin_below_the_noisiest_level() -> None:
    """Assert it of DDIM as it is, the note that its first level depends on N, and neither with trailing ones."""
    for spacing, least in (("leading", 1), ("trailing", 0)):
        sampler = scheduler("DDIMScheduler", {"clip_sample": False, "timestep_spacing": spacing})
        found = [f for f in findings_of(sampler, 10) if "it should be the noisiest" in f.detail]
        assert [f.step for f in found] == [0] * least
        with sampler.float64():
            grids = {steps: trace(sampler.on(steps), sampler.prediction).grid for steps in (10, 20)}
        assert len(first_of_each(grids, "vp")) == least
