"""Samplers of every kind get their own verdict, or an error with its reason; never the verdict of another."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.conformance.adapters import diffusers_timesteps
from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.forward_processes import point
from samplerproof.numerics.conformance.process.fault_origin import with_origin
from samplerproof.numerics.conformance.report import Verdict
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.external_run import Draw, Finish, Model, Run
from samplerproof.numerics.readback import trace
from samplerproof.numerics.repeated_evaluations import without_repeated_evaluations
from samplerproof.numerics.testing import verdict_of

STEPS = 6
RIGHT = {
    "preserving": "ddim",
    "narrow": "ddim",
    "guided": "dpm-solver++-2m",
    "guided_by_one": "ddim",
    "flow_heun": "flow-heun",
    "rounded_levels": "ddim",
    "own_noise": "ddim-eta",
    "trajectory": "trajectory-consistency",
    "own_levels": "ddim",
    "inverse": "ddim",
    "inverse?told=1": "ddim",
}
WRONG = {
    "preserving?off=1.000001": "ddim",
    "preserving?scale=1.000001": "ddim",
    "narrow?off=1.000001": "ddim",
    "guided?off=1.000001": "dpm-solver++-2m",
    "guided_by_one?off=1.000001": "ddim",
    "flow_heun?half=0.500001": "flow-heun",
    "flow_heun": "edm-heun",
    "rounded_levels?off=1.000001": "ddim",
    "own_noise?off=1.000001": "ddim-eta",
    "consistency": "ddim-eta",
    "consistency?off=1.000001": "consistency",
    "trajectory?gamma=0.300001": "trajectory-consistency",
    "own_levels?off=1.000001": "ddim",
    "inverse?off=1.000001": "ddim",
    "every_second?off=1.000001": "ddim",
    "asks_once": "ddim",
    "ignores_outputs": "ddim",
}


def judged(name: str, against: str | None) -> Verdict:
    return verdict_of(resolve(f"external_samplers:{name}"), STEPS, against)


@pytest.mark.tried("honest samplers with odd habits")
@pytest.mark.parametrize(
    "name", [n if n in ("preserving", "flow_heun") else pytest.param(n, marks=pytest.mark.slow) for n in RIGHT]
)
def test_a_right_sampler_of_another_kind_conforms(name: str) -> None:
    """Assert that it equals its record."""
    answer = judged(name, RIGHT[name])
    assert (answer.verdict, answer.exit_code, answer.matches) == ("roundoff", 0, [RIGHT[name]])
    assert answer.max_relative_error_float64 is not None
    assert answer.max_relative_error_float64 < 1e-10


@pytest.mark.tried("planted faults")
@pytest.mark.parametrize(
    "name", [name if name == "asks_once" else pytest.param(name, marks=pytest.mark.slow) for name in WRONG]
)
def test_a_wrong_one_does_not(name: str) -> None:
    """Assert that a coefficient off by 1e-6, a scaled start and other formulas are found."""
    answer = judged(name, WRONG[name])
    gone = name == "flow_heun"  # at sigma = 0, where its own process ends, the state over alpha = 1 divides 0 by 0
    assert (answer.verdict, answer.exit_code) == ("non-finite" if gone else "different-formula", 1)


@pytest.mark.slow
def test_a_share_of_noise_is_found() -> None:
    """Assert consistency in every bit, and that another value of gamma is named."""
    answer = judged("consistency", "consistency")
    assert (answer.verdict, answer.exit_code, answer.matches) == ("identical", 0, ["consistency"])
    assert judged("trajectory?gamma=0.4", None).matches == ["trajectory-consistency?gamma=2/5"]


@pytest.mark.slow
def test_the_churn_of_a_run_is_found() -> None:
    """Assert its value, which the steps of the run share, and that a share of its own in every step is another one."""
    assert judged("churned?churn=1.5", None).matches == ["edm-churn?churn=3/2"]
    answer = judged("churned?each=0.25", None)
    assert (answer.verdict, answer.exit_code) == ("different-formula", 1)
    assert any("on the 6 steps asked for it is edm-churn?churn=3/2" in f.detail for f in answer.findings)


@pytest.mark.slow
def test_a_strength_by_step_is_named_and_is_no_record() -> None:
    """Assert that an unnamed one is of another formula, with the family and the strengths that it has."""
    answer = judged("trajectory?falling=0.5", None)
    assert (answer.verdict, answer.exit_code, answer.matches) == ("different-formula", 1, [])
    (finding,) = [f for f in answer.findings if f.kind == "formula"]
    assert re.search(r"every step is one of ddim-eta, .* with eta = \d", finding.detail)
    assert answer.nearest is not None
    assert answer.nearest.startswith("ddim-eta with eta_i = ")


def test_what_cannot_be_judged_is_an_error_with_its_reason() -> None:
    """Assert that the exit code is not 1."""
    answer = judged("never_asks", None)
    assert (answer.verdict, answer.exit_code) == ("error", 2)
    assert "never evaluates its model" in answer.findings[0].detail


def test_skipped_evaluations_are_ddim_on_fewer_levels() -> None:
    """Assert that a sampler that takes each output twice is ddim on every second level, and fails for that alone."""
    answer = judged("every_second", "ddim")
    assert (answer.verdict, answer.matches, answer.exit_code) == ("roundoff", ["ddim"], 1)
    (wrong,) = [f for f in answer.findings if f.severity == "error"]
    assert "evaluated at 3 of the 6 given levels, every second one" in wrong.detail


@pytest.mark.parametrize("against", ["dpm-solver-2s", None])
def test_a_level_of_nan_is_not_finite(against: str | None) -> None:
    """Assert it of a last step to 0 without a guard, where the model is evaluated at nan, whether or not the record is
    named: the same rows on the flow, which has no such step, are no way out.
    """
    answer = judged("unguarded", against)
    assert (answer.verdict, answer.exit_code, answer.matches) == ("non-finite", 1, [])
    assert answer.nearest == "dpm-solver-2s down to the level before"
    assert answer.findings[0].detail.startswith("in the last step to sigma = 0, on karras levels with a 0 appended")


@pytest.mark.slow
def test_unusual_habits_are_reported() -> None:
    """Assert that a scaled start, rounded levels, a process and repeated evaluations are named."""
    for name, against, words in (
        ("preserving?scale=1.5", "ddim", "first evaluated at 1.5 times the start"),
        ("rounded_levels", "ddim", "rounded to bfloat16"),
        ("flow_heun", "flow-heun", "judged on flow"),
        ("own_levels", "ddim", "levels of its own, 54.598"),
        ("inverse", "ddim", "runs from data to noise"),
        ("inverse?told=1", "ddim", "the model is evaluated at the level to which each step leads"),
        ("guided", "dpm-solver++-2m", "6 evaluations repeat one at the same state"),
    ):
        assert any(words in finding.detail for finding in judged(name, against).findings), name


@pytest.mark.slow
def test_a_flow_record_is_found_without_its_name() -> None:
    """Assert that a run on alpha = 1 that is no record there is looked at on the flow."""
    assert judged("flow_heun", None).matches == ["flow-heun"]


def evaluating_twice(move: float) -> Run:
    """DDIM in one step with the mean of two evaluations, at states with a relative distance of `move`."""

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        high, low = point("ve", 1.0, 2.0), point("ve", 1.0, 1.0)
        d = (model(start, high, 0) + model(start + move * start, high, 0)) / 2
        return Finish(d + (start - d) / 2, (high, low))

    return run


def test_evaluations_at_one_state_are_one_and_at_others_are_not() -> None:
    """Assert that their outputs add up where the states differ by rounding, and not beyond."""
    (once, twice) = (without_repeated_evaluations(trace(evaluating_twice(move), "data")) for move in (1e-15, 1e-12))
    assert (once.nfe, twice.nfe) == (1, 2)
    assert once.vectors[-1].tolist() == [0.5, 0.5]
    assert len(once.superposition) == len(once.points) == 2


def test_a_timestep_of_nan_has_no_level() -> None:
    """Assert that nothing is raised where a scheduler holds NaN, and that other timesteps keep their levels."""
    config = {"num_train_timesteps": 3}
    levels = diffusers_timesteps.integer(SimpleNamespace(config=config, alphas_cumprod=torch.tensor([0.9, 0.5, 0.1])))
    found = levels([2.0, float("nan"), 1.0])
    assert [lam == lam for lam in found.lam] == [True, False, True]
    assert found.lam[2] == pytest.approx(0.0)


def test_a_class_of_another_kind_is_refused_in_one_line() -> None:
    """Assert that the message states what to do with it."""
    with pytest.raises(InputError, match="how this class is stepped is not known; give it process"):
        resolve("external_samplers:Solver")


def test_an_exception_has_an_owner() -> None:
    """Assert that an exception without any code of the sampler is attributed to the adapter, and others are not."""
    with pytest.raises(ValueError, match="float") as caught:
        diffusers_timesteps.TimestepMap(lambda t: t, 0.0, 0.0)(["x"])
    assert with_origin(caught.value, "no") == "ValueError: no"  # this test stands for the sampler
    ours = caught.value.with_traceback(caught.tb.tb_next)
    assert with_origin(ours, "no").endswith("not the sampler itself: ValueError: no")
