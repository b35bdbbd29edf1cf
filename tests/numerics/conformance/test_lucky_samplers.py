"""Samplers that are right on what a verifier tends to try are found, and honest ones written in other ways conform."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable
from typing import Any

import lucky_samplers as lucky
import odd_habits
import pytest
import torch
from attacks import STEPS
from lucky_samplers import history, runs

from samplerproof.numerics.conformance.adapters.callables import function
from samplerproof.numerics.conformance.adapters.process_levels import ANEW, anew
from samplerproof.numerics.conformance.process.drawn_inputs import DRAWN
from samplerproof.numerics.conformance.report import DRAWN_ANEW
from samplerproof.numerics.conformance.verify import FEW, jobs, verify
from samplerproof.numerics.testing import verdict_of

NOT_LINEAR, DIFFERENT, ERROR = ("not-linear", 2), ("different-formula", 1), ("error", 2)
FOUND: dict[Callable[..., Any], tuple[tuple[str, int], str]] = {
    lucky.on_basis_vectors: (NOT_LINEAR, "deviate from superposition"),
    lucky.on_sparse_outputs: (NOT_LINEAR, "deviate from superposition"),
    lucky.on_known_seeds: (DIFFERENT, "it computes something else (drawn from seed "),
    lucky.on_positive_means: (NOT_LINEAR, "deviate from superposition"),
    lucky.on_negative_means: (NOT_LINEAR, "it is not linear on inputs of standard deviation"),
    lucky.between_sizes: (NOT_LINEAR, "it is not linear on inputs of standard deviation"),
    lucky.of_small_values: (NOT_LINEAR, "it is not linear on inputs of standard deviation"),
    lucky.by_width: (DIFFERENT, "on inputs of shape ["),
    lucky.by_batch: (DIFFERENT, "on inputs of shape ["),
    lucky.by_channels: (DIFFERENT, "on inputs of shape ["),
    lucky.first_sample: (DIFFERENT, "on inputs of shape [2, 3, 4, 9]"),
    lucky.by_usual_steps: (DIFFERENT, "on levels from 14.6 to 0.03 equal in log sigma: step 1: states[0]"),
    lucky.by_known_draws: (DIFFERENT, ": step 1: states[0]"),
    lucky.by_ends: (DIFFERENT, ": step 1: states[0]"),
    lucky.by_uneven: (DIFFERENT, ": step 1: states[0]"),
    lucky.at_zero_a_share_is_left: (DIFFERENT, "a 0 appended: step 8: states[0] is 0.1, ddim has 0"),
    lucky.in_a_window: (DIFFERENT, "states[0] is "),
    lucky.by_module: (DIFFERENT, "called by other code"),
    lucky.by_stack: (DIFFERENT, "called by other code"),
    lucky.by_name_of_the_model: (DIFFERENT, "called by other code"),
    lucky.by_modes: (DIFFERENT, "called by other code"),
    lucky.by_environment: (DIFFERENT, "called by other code"),
    lucky.in_the_main_thread: (DIFFERENT, "called by other code"),
    lucky.first_runs: (DIFFERENT, "after another run the same inputs give another answer"),
    lucky.leaks_history: (DIFFERENT, "after another run the same inputs give another answer"),
    lucky.patches_equal: (ERROR, "it replaces torch.equal: what it computes cannot be read"),
    lucky.patches_the_table: (ERROR, "it replaces samplerproof.numerics.readback._as_trace"),
    lucky.patches_the_check: (ERROR, "probes.departures, Code.replaced: what it computes cannot be read after that"),
    lucky.rounds_its_levels: (DIFFERENT, "step 1: states[0] is 0.4877085, ddim has 0.48770856"),
    lucky.off_by_a_millionth: (DIFFERENT, "the row is off by 1.1e-06 in float64"),
    lucky.noise_in_the_middle: (DIFFERENT, "step 5: noises[0] is 0.709459627, ddim-eta has 0.710169796"),
    lucky.same_noise_twice: (DIFFERENT, "step 2: noises[1] is"),
}
QUICK = (lucky.by_width, lucky.by_ends, lucky.at_zero_a_share_is_left, lucky.by_module, lucky.patches_the_table)
HONEST = {**dict.fromkeys(odd_habits.DDIM, "ddim"), **dict.fromkeys(odd_habits.TWO_M, "dpm-solver++-2m")}


def name(call: Callable[..., Any]) -> str:
    return call.__name__


@pytest.fixture(autouse=True)
def afresh() -> None:
    """Nothing is left of the runs of another sampler."""
    runs[0] = 0
    history.clear()


def record(sampler: Callable[..., Any]) -> str:
    return "ddim-eta?eta=1" if "noise" in inspect.signature(sampler).parameters else "ddim"


@pytest.mark.tried("samplers that pass for another")
@pytest.mark.usefixtures("remembered_references")
@pytest.mark.parametrize(
    "sampler", [s if s in QUICK else pytest.param(s, marks=pytest.mark.slow) for s in FOUND], ids=name
)
def test_one_that_is_right_on_usual_probes_alone_is_found(
    sampler: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert its verdict, its exit code and its finding; and that what it replaces is put back."""
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "here")  # which pytest removes between the phases of a test
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # as in the process of a verdict: that of xdist is beside
    equal, answer = torch.equal, verdict_of(function(sampler, {}), STEPS, record(sampler))
    verdict, words = FOUND[sampler]
    assert (answer.verdict, answer.exit_code, answer.matches) == (*verdict, []), answer.findings
    assert any(f.severity == "error" and words in f.detail for f in answer.findings), answer.findings
    assert torch.equal is equal


@pytest.mark.slow
@pytest.mark.tried("samplers that pass for another")
def test_one_that_goes_by_the_clock_is_found() -> None:
    """Assert it whatever the verdict, which is a matter of time."""
    assert verdict_of(function(lucky.by_clock, {}), STEPS, "ddim").exit_code in (1, 2)


@pytest.mark.slow
@pytest.mark.tried("samplers that pass for another")
@pytest.mark.parametrize("sampler", [lucky.by_environment, lucky.patches_the_table], ids=name)
def test_the_command_finds_it_too(sampler: Callable[..., Any]) -> None:
    """Assert it in a process of its own."""
    verdict, words = FOUND[sampler]
    answer = verify(f"lucky_samplers:{sampler.__name__}", "ddim", steps=STEPS)
    assert (answer.verdict, answer.exit_code) == verdict, answer.findings
    assert any(words in f.detail for f in answer.findings), answer.findings


@pytest.mark.tried("honest samplers with odd habits")
@pytest.mark.parametrize(
    "sampler", [s if k in (5, 13) else pytest.param(s, marks=pytest.mark.slow) for k, s in enumerate(HONEST)], ids=name
)
def test_an_honest_one_conforms(sampler: Callable[..., Any]) -> None:
    """Assert that the way in which it is written changes neither verdict nor exit code, and nothing is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = verdict_of(function(sampler, {}), STEPS, HONEST[sampler])
    assert (answer.verdict, answer.exit_code, answer.matches) == ("roundoff", 0, [HONEST[sampler]]), answer.findings
    assert not [f for f in answer.findings if f.severity == "error"]
    assert DRAWN in answer.coverage
    assert f"other grid: {ANEW}" in answer.coverage


def test_what_is_drawn_anew_differs_from_answer_to_answer() -> None:
    """Assert it of the levels, and that their number of steps is one that no other run has."""
    assert anew(8) != anew(8)
    for _ in range(20):
        lengths = torch.tensor(anew(5), dtype=torch.float64).log().diff()
        assert float(lengths.min() / lengths.max()) == pytest.approx(6)
    for steps in (8, 20):
        asked = jobs("a:b", steps)
        drawn = {job.steps for job in asked if job.grid == DRAWN_ANEW}
        others = {job.steps for job in asked if job.grid != DRAWN_ANEW}
        assert len(drawn) == 1
        assert drawn <= set(FEW) - others
