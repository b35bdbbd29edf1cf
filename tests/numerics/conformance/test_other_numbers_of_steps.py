"""Samplers that take another number of steps than they are asked for, and classes on levels that are drawn anew."""

from itertools import pairwise

import pytest
import torch

from samplerproof.numerics.conformance.adapters.objects import of_object
from samplerproof.numerics.conformance.adapters.target import NoSteps, NoTable
from samplerproof.numerics.conformance.adapters.unobserved import CALLED
from samplerproof.numerics.conformance.on_yours import read
from samplerproof.numerics.conformance.report import ANEW, STEPS_ANEW
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.readback import trace
from samplerproof.numerics.testing import assert_conforms, verdict_of

pytest.importorskip("diffusers", reason="diffusers is in the extra `peers`")
pytestmark = pytest.mark.filterwarnings("ignore")

from diffusers import DDIMScheduler, EulerDiscreteScheduler  # noqa: E402

GRID = Grid.from_sigmas([10.0, 3.0, 1.0, 0.3, 0.1])


def euler(denoise, x, sigmas):
    for s, t in pairwise(sigmas):
        x = x + (t - s) / s * (x - denoise(x, s))
    return x


def one_more(denoise, x, sigmas):
    return euler(denoise, x, torch.cat([sigmas[:1], (sigmas[:1] * sigmas[1:2]) ** 0.5, sigmas[1:]]))


def down_to_the_data(denoise, x, sigmas):
    return denoise(euler(denoise, x, sigmas), sigmas[-1])


def one_fewer(denoise, x, sigmas):
    return euler(denoise, x, sigmas[:-1])


class Stepped:
    """Euler, a step at a time, on levels that `changed` makes of those asked for."""

    process, prediction = "ve", "data"

    def levels(self, levels):
        self.at = self.changed([(1.0, level.sigma) for level in levels])
        return self.at

    def changed(self, levels):
        return levels

    def step(self, n, x, model, noise):
        s, t = self.at[n][1], self.at[n + 1][1]
        return x + (t - s) / s * (x - model(x, self.at[n]))


class OnFlow(Stepped):
    process = "flow"


class StepsToZero(Stepped):
    def changed(self, levels):
        return [*levels, (1.0, 0.0)]


class StepsTooFew(Stepped):
    def changed(self, levels):
        return levels[:-1]


class StepsBetween(Stepped):
    def changed(self, levels):
        return [levels[0], (1.0, 5.0), *levels[1:]]


class OneMore(EulerDiscreteScheduler):
    def set_timesteps(self, num_inference_steps, **given):
        super().set_timesteps(num_inference_steps + 1, **given)


@pytest.mark.parametrize(
    ("sampler", "kind", "why"),
    [
        (StepsBetween, NoSteps, "asked for 4 steps, it takes 5"),  # run as it is, on a model
        (down_to_the_data, NoTable, "one step more, from sigma = 0.1 to 0: its sample is a data prediction"),
        (one_fewer, NoTable, "it takes 3, and none to the last level: noise is left"),
        (StepsToZero, NoTable, "one step more, from sigma / alpha = 0.1 to 0"),
        (StepsTooFew, NoTable, "it takes 3, and none to the last level"),
        (OneMore, NoTable, "asked for them, it has 6 levels, and not 5"),
    ],
)
def test_a_study_says_why_it_cannot_judge_other_steps(sampler, kind, why) -> None:
    with pytest.raises(NoTable, match=why.replace("/", ".")) as raised:
        read(of_object(sampler, {}), GRID)
    assert type(raised.value) is kind
    assert len(str(raised.value).splitlines()) == 1
    for sound in (euler, Stepped):
        assert read(of_object(sound, {}), GRID)[1] == ""
    assert read(of_object(one_more, {}), GRID)[0].nfe == 5  # of which one is a stage


@pytest.mark.parametrize(
    ("sampler", "words", "severity"),
    [
        (StepsTooFew, "asked for 6 steps, it takes 5, and none to the last level", "error"),
        (StepsToZero, "it takes one step more", "note"),
        (OneMore, "asked for 6 steps, it takes 7", "note"),
    ],
)
def test_a_verdict_says_it_too(sampler, words, severity) -> None:
    external = of_object(sampler, {})
    (remark,) = trace(external.on(6), external.prediction).remarks
    assert (remark.kind, remark.severity) == ("grid", severity)
    assert words in remark.text
    sound = of_object(EulerDiscreteScheduler if sampler is OneMore else Stepped, {})
    assert not trace(sound.on(6), sound.prediction).remarks


class KnowsItsLevels(EulerDiscreteScheduler):
    """Right on the levels that it makes itself, off by 1e-3 on any others."""

    def set_timesteps(self, num_inference_steps, **given):
        super().set_timesteps(num_inference_steps, **given)
        self.made = self.sigmas

    def step(self, model_output, timestep, sample, **given):
        own = torch.equal(self.sigmas, self.made)
        return super().step(model_output if own else 1.001 * model_output, timestep, sample, **given)


class KnowsItsSteps(DDIMScheduler):
    """Right on the numbers of steps that it expects, off by 1e-3 on others."""

    def step(self, model_output, timestep, sample, **given):
        own = self.num_inference_steps in (5, 10, 20)
        return super().step(model_output if own else 1.001 * model_output, timestep, sample, **given)


@pytest.mark.parametrize(
    ("sound", "fault", "line"),
    [
        (EulerDiscreteScheduler(), KnowsItsLevels(), f"other grid: {ANEW}"),
        (DDIMScheduler(clip_sample=False), KnowsItsSteps(clip_sample=False), STEPS_ANEW),
    ],
)
def test_a_class_is_judged_on_what_is_drawn_anew(sound, fault, line) -> None:
    verdict = assert_conforms(sound, "ddim", 10)
    assert line in verdict.coverage
    assert f"covered: {line}" in str(verdict)
    wrong = verdict_of(of_object(fault, {}), 10, "ddim")
    assert wrong.verdict == "different-formula"
    assert any(finding.detail.startswith("on ") and finding.severity == "error" for finding in wrong.findings)


def test_the_coverage_has_the_direct_call() -> None:
    assert CALLED in assert_conforms(euler, "ddim", 6).coverage
    assert CALLED not in assert_conforms(Stepped, "ddim", 6).coverage


def test_a_class_has_levels_with_a_last_0_where_sigma_is_its_level() -> None:
    on_ve, on_flow = of_object(Stepped, {}).info, of_object(OnFlow, {}).info
    assert on_ve.zero in on_ve.grids
    assert on_flow.zero is None
    assert set(on_ve.grids) - set(on_flow.grids) == {on_ve.zero}
