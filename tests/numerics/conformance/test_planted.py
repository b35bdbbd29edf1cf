"""Samplers with one fault each: it is found, with its step and entry, and its name where it has one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import planted
import pytest
from planted import Fault, check, spoilt, variance_exploding, variance_preserving, verdict_on
from shapes import first_of_each

from samplerproof.numerics.conformance.adapters.external_sampler import ExternalSampler

pytestmark = pytest.mark.usefixtures("remembered_references")
RECORD = {
    "euler": "ddim",
    "heun": "edm-heun",
    "two_m": "dpm-solver++-2m",
    "two_s": "dpm-solver++-2s",
    "ancestral": "ddim-eta?eta=1/2",
    "sde_two_m": "sde-dpm-solver++-2m",
    "sde_two_s": "dpmpp-sde",
    "ddim": "ddim",
    "ddim_v": "ddim",
    "ddpm": "ddpm",
    "two_m to 0": "dpm-solver++-2m",
    "adams in small steps": "exp-adams-2",
}
LEVELS = {
    "two_m to 0": [80.0, 40.0, 18.0, 8.0, 3.0, 1.0, 0.3, 0.05, 0.0],
    "adams in small steps": [math.exp(0.004 - 0.001 * k) for k in range(9)],
}
PRESERVING = ("ddim", "ddim_v", "ddpm")
# fmt: off
FAULTS = [
    # Euler
    Fault("sign of the step", "euler", "x + (t - s) * d", "x - (t - s) * d", 1, "states[0]"),
    Fault("model evaluated at the next level", "euler", "denoise(x, s)", "denoise(x, t)", 1, words="lambda"),
    Fault("one step too few", "euler", "pairwise(sigmas)", "pairwise(sigmas[:-1])", 8, words="step 8"),
    Fault("divided by the wrong level", "euler", "/ s", "/ t", 1, "states[0]"),
    Fault("clipped", "euler", "denoise(x, s)", "denoise(x, s).clamp(-1, 1)", 1, "", "superposition", "not-linear"),
    Fault("thresholded", "euler", "denoise(x, s)", "(lambda d: d / d.abs().max().clamp(1))(denoise(x, s))", 1, "",
          "superposition", "not-linear"),
    Fault("evaluated again where it is large", "euler", "denoise(x, s)",
          "denoise(denoise(x, s) if x.abs().max() > 2 else x, s)", None, "", "number of its evaluations", "not-linear"),
    Fault("output in half", "euler", "denoise(x, s)", "denoise(x, s).half().to(x)", 1, "", "float16", "not-linear"),
    Fault("state in bfloat16", "euler", "(x - denoise(x, s))", "(x.bfloat16().to(x) - denoise(x, s))", 1, "",
          "bfloat16", "not-linear"),
    Fault("level in half", "euler", "(t - s)", "(t - s).half().to(x)", 1, "states[0]"),
    Fault("written into the start", "euler", "x = x +", "x +=", None, "", "start", "roundoff", "state", exit=1),
    Fault("another dtype", "euler", "return x", "return x.half()", 8, "", "float16", "not-linear"),
    Fault("another shape", "euler", "return x", "return x[..., None]", 7, "", "ends with", "error"),
    Fault("another sample every time", "euler", "return x", "kept.append(x); return x * len(kept)", None, "",
          "another answer", kind="memory"),
    # Heun
    Fault("slope of the new state by the old level", "heun", "/ t", "/ s", 1, "states[1]"),
    Fault("slope from the old state", "heun", "(there -", "(x -", 1, "states[1]"),
    Fault("sum for the mean", "heun", "(d + e) / 2", "(d + e)", 1, "states[1]"),
    Fault("weights of another mean", "heun", "(d + e) / 2", "(d + 2 * e) / 3", 1, "outputs[0]"),
    Fault("evaluated at the old level again", "heun", "denoise(there, t)", "denoise(there, s)", 1, words="lambda"),
    # 2M
    Fault("sign of the difference", "two_m", "d + (", "d - (", 2, "outputs"),
    Fault("ratio inverted", "two_m", "(lam[n] - lam[n - 1]) / h", "h / (lam[n] - lam[n - 1])", 2, "outputs"),
    Fault("ratio of other steps", "two_m", "lam[n] - lam[n - 1]", "lam[n - 1] - lam[n - 2]", 2, "outputs"),
    Fault("equal steps assumed", "two_m", "r = (lam[n] - lam[n - 1]) / h", "r = 1", 2, "outputs"),
    Fault("a half missing", "two_m", "(2 * r)", "r", 2, "outputs"),
    Fault("levels for their logarithms", "two_m", "-sigmas.log()", "-sigmas", 1, "outputs[0]"),
    Fault("h with the other sign", "two_m", "torch.expm1(-h)", "torch.expm1(h)", 1, "outputs[0]"),
    Fault("history never moved on", "two_m", "outputs[-2]", "outputs[0]", 3, "outputs"),
    Fault("history of zeros at the start", "two_m", "-sigmas.log(), []", "-sigmas.log(), [torch.zeros_like(x)]", 1,
          "outputs[0]"),
    Fault("history of the run before", "two_m", "-sigmas.log(), []", "-sigmas.log(), kept", None, "",
          "of an earlier run", "error"),
    Fault("written into the output", "two_m", "d = d +", "d +=", 3, "outputs"),
    Fault("that is found, too", "two_m", "d = d +", "d +=", None, "", "output 2", kind="state"),
    Fault("last step of order 1", "two_m", "sigmas[n + 1] > 0", "n < len(sigmas) - 2", None, "",
          "last steps of lower order", "roundoff"),
    Fault("order 1 one step too early", "two_m", "sigmas[n + 1] > 0", "n < len(sigmas) - 3", 7, "outputs", "ddim"),
    Fault("not a number at 0", "two_m to 0", " and sigmas[n + 1] > 0", "", 8, "", "not finite", "non-finite"),
    # 2S
    Fault("whole step to the stage", "two_s", "torch.expm1(-h / 2)", "torch.expm1(-h)", 1, "outputs[0]"),
    Fault("middle in sigma", "two_s", "s * torch.exp(-h / 2)", "(s + t) / 2", 1, "outputs[0]"),
    Fault("state of the stage not used", "two_s", "denoise(inside, middle)", "denoise(x, middle)", 1, "states"),
    Fault("step from the stage", "two_s", "t / s * x", "t / s * inside", 1, "states[1]"),
    # ancestral
    Fault("variance for the deviation", "ancestral", "up * noise(x)", "up**2 * noise(x)", 1, "noises[0]"),
    Fault("eta^2 for eta", "ancestral", "up = eta *", "up = eta**2 *", 1, "noises[0]"),
    Fault("no noise in the first step", "ancestral", "noise(x)", "noise(x) * (n > 0)", 1, "noises[0]"),
    Fault("no noise in the last step", "ancestral", "noise(x)", "noise(x) * (n < 7)", None, "",
          "no noise in the last step", "roundoff"),
    Fault("deviations subtracted", "ancestral", "(t**2 - up**2).sqrt()", "t - up", 1, "states[0]"),
    Fault("split swapped", "ancestral", "(down - s)", "(up - s)", 1, "states[0]"),
    Fault("up beyond the level", "ancestral", "* (t**2 * (s**2 - t**2) / s**2).sqrt()", "* t**2", 1, "", "not finite",
          "non-finite"),
    # SDE-2M
    Fault("noise outside the scale", "sde_two_m", "t * weight.sqrt()", "weight.sqrt()", 1, "noises[0]"),
    Fault("noise at the old level", "sde_two_m", "t * weight.sqrt()", "s * weight.sqrt()", 1, "noises[0]"),
    Fault("root missing", "sde_two_m", "weight.sqrt()", "weight", 1, "noises[0]"),
    Fault("a 2 missing", "sde_two_m", "-2 * h", "-h", 1, "noises[0]"),
    Fault("decay missing", "sde_two_m", "* torch.exp(-h) * x", "* x", 1, "states[0]"),
    Fault("half of the correction", "sde_two_m", "(2 * r)", "r", 2, "outputs"),
    # two stages and one path
    Fault("noise of its own", "sde_two_s", "noise(x, s, t)", "noise(x)", 1, "noises"),
    Fault("noise of the wrong half", "sde_two_s", "noise(x, s, middle)", "noise(x, middle, t)", 1, "noises"),
    # DDIM and DDPM
    Fault("root of alpha^2 missing", "ddim", "/ now.sqrt()", "/ now", 1, "states[0]"),
    Fault("alpha and sigma swapped", "ddim", "following.sqrt() * data + (1 - following).sqrt() * eps",
          "(1 - following).sqrt() * data + following.sqrt() * eps", 1, "outputs[0]"),
    Fault("one step's alpha for the product", "ddim", "/ now.sqrt()", "/ (now / following).sqrt()", 1, "states[0]"),
    Fault("noise used as data", "ddim", "data = (x - (1 - now).sqrt() * eps) / now.sqrt()", "data = eps", 1,
          "outputs[0]"),
    Fault("alpha^2 in half", "ddim", "following.sqrt() *", "following.half().to(x).sqrt() *", 1, "states[0]"),
    Fault("evaluated a step too late", "ddim", "model(x, n)", "model(x, n + 1)", 1, words="lambda"),
    Fault("sign of the velocity", "ddim_v", "now.sqrt() * x -", "now.sqrt() * x +", 1, "outputs[0]"),
    Fault("velocity used as noise", "ddim_v", "(1 - now).sqrt() * x + now.sqrt() * v", "v", 1, "states[0]"),
    Fault("posterior variance for its root", "ddpm", "(1 - a)).sqrt() * noise()", "(1 - a)) * noise()", 1,
          "noises[0]"),
    Fault("the larger variance", "ddpm", "((1 - following) / (1 - now) * (1 - a))", "(1 - a)", 1, "noises[0]",
          "ddpm-large"),
]
# fmt: on


def target(
    base: str, plant: Callable[[Callable[..., object]], Callable[..., object]] = lambda call: call
) -> ExternalSampler:
    call = plant(getattr(planted, base.split()[0]))
    return variance_preserving(call) if base in PRESERVING else variance_exploding(call, LEVELS.get(base))


@pytest.mark.parametrize("base", RECORD)
def test_a_right_sampler_conforms(base: str) -> None:
    answer = verdict_on(target(base), RECORD[base])
    assert (answer.verdict, answer.exit_code) == ("roundoff", 0)
    assert {f.kind for f in answer.findings} == {"roundoff"}
    assert answer.max_relative_error is not None
    assert answer.max_relative_error < 1e-6


@pytest.mark.tried("planted faults")
@pytest.mark.parametrize("fault", first_of_each(FAULTS, lambda fault: fault.entry.partition("[")[0], str))
def test_a_fault_is_found_where_it_is(fault: Fault) -> None:
    planted.kept.clear()
    check(fault, verdict_on(target(fault.base, lambda call: spoilt(call, fault.old, fault.new)), RECORD[fault.base]))


def test_lost_digits_are_counted() -> None:
    """exp(-h) - 1 for expm1(-h), over h: it is still the formula, and in float64 it shows no more."""
    base = "adams in small steps"
    answer = verdict_on(
        target(base, lambda call: spoilt(call, "torch.expm1(-h) / h", "(torch.exp(-h) - 1) / h")), RECORD[base]
    )
    assert (answer.verdict, answer.exit_code) == ("roundoff", 0)
    assert answer.max_relative_error is not None
    assert answer.max_relative_error > 5e-6
    (finding,) = answer.findings
    assert re.search(r"\d\d ulp of float32, step \d, outputs", finding.detail)
