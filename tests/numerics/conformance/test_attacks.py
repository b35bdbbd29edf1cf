"""Samplers that are right on the first probes only are detected, and honest ones with odd habits conform."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import attacks
import honest_samplers
import pytest
import torch

from samplerproof.numerics.conformance.adapters.callables import function
from samplerproof.numerics.conformance.judge.verdict import judge
from samplerproof.numerics.conformance.report import DRAWN_ANEW
from samplerproof.numerics.conformance.verify import jobs, others, verify
from samplerproof.numerics.readback import trace
from samplerproof.numerics.testing import assert_conforms, verdict_of

STEPS = attacks.STEPS
FOUND: dict[Callable[..., Any], tuple[str, int, str, str]] = {
    attacks.by_dtype_total: ("different-formula", 1, "formula", "as shipped, where rounding explains "),
    attacks.by_dtype: ("different-formula", 1, "formula", "as shipped, where rounding explains "),
    attacks.by_dtype_little: ("different-formula", 1, "formula", "as shipped, where rounding explains "),
    attacks.by_steps: ("different-formula", 1, "formula", "on 5 steps: step 1: "),
    attacks.few_steps: ("different-formula", 1, "formula", "on 5 steps: step 1: "),
    attacks.by_count: ("different-formula", 1, "formula", "on 10 steps: step 10: "),
    attacks.at_zero: ("non-finite", 1, "non-finite", "step 8 of 8, the last to sigma = 0"),
    attacks.by_grid: ("different-formula", 1, "formula", "on levels from 14.6 to 0.03 equal in log sigma: step 1"),
    attacks.batch_mix: ("not-linear", 2, "batch", "mixes the samples of a batch"),
    attacks.channel_mix: ("not-linear", 2, "batch", "mixes channels"),
    attacks.place_mix: ("not-linear", 2, "batch", "mixes places"),
    attacks.by_shape: ("different-formula", 1, "batch", "on inputs of shape [2, 3, 4, 9]"),
    attacks.by_name: ("different-formula", 1, "formula", "called by other code"),
    attacks.contiguous_bug: ("different-formula", 1, "formula", "channels-last memory"),
    attacks.grad_bug: ("different-formula", 1, "formula", "where gradients are off"),
    attacks.stale: ("different-formula", 1, "memory", "after another run the same inputs give another answer"),
    attacks.counts: ("different-formula", 1, "memory", "after another run the same inputs give another answer"),
    attacks.clips_12: ("not-linear", 2, "range", "10000 do not"),
    attacks.clips_12_state: ("not-linear", 2, "range", "10000 do not"),
    attacks.cuts_off: ("not-linear", 2, "range", "standard deviation 0.0001"),
    attacks.in_inference_mode: ("different-formula", 1, "formula", "computes something else in torch.inference_mode"),
    attacks.on_wide_samples: ("different-formula", 1, "batch", "on inputs of shape [1, 1, 1, "),
    attacks.view_of_input: ("roundoff", 1, "state", "writes into start"),
    attacks.output_view: ("roundoff", 1, "state", "writes into output 1"),
}
QUICK = (  # one of a kind
    attacks.by_dtype_total,
    attacks.by_steps,
    attacks.at_zero,
    attacks.by_grid,
    attacks.batch_mix,
    attacks.stale,
    attacks.clips_12,
    attacks.output_view,
)
UNSEEN = (attacks.half_bug, attacks.silent)  # book/read_back.md
HONEST = tuple(
    sampler if k % 7 == 0 else pytest.param(sampler, marks=pytest.mark.slow)
    for k, sampler in enumerate(
        (
            attacks.ddim,
            honest_samplers.buffers,
            honest_samplers.out_of_place_buffer,
            honest_samplers.views,
            honest_samplers.returns_a_view,
            honest_samplers.keeps_all,
            honest_samplers.generator,
            honest_samplers.thread,
            honest_samplers.prints,
            honest_samplers.in_numpy,
            honest_samplers.floats,
            honest_samplers.float64_inside,
            honest_samplers.caches,
            honest_samplers.no_grad,
            honest_samplers.level_for_every_sample,
            honest_samplers.recursive,
            honest_samplers.einsum,
            honest_samplers.sample_by_sample,
            honest_samplers.global_seed,
            honest_samplers.guarded_end,
            honest_samplers.noise_unused,
            honest_samplers.returns_float64,
        )
    )
)


def test_there_are_twenty_of_each() -> None:
    """Assert it of attacks and of honest samplers with odd habits: each is tried below."""
    assert len(FOUND) >= 20
    assert len(HONEST) >= 20


def name(call: Callable[..., Any]) -> str:
    return call.__name__


@pytest.fixture(
    params=[
        "VarianceExploding",
        *(pytest.param(form, marks=pytest.mark.slow) for form in ("VariancePreserving", "Flow")),
    ]
)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The coordinates in which the samplers compute."""
    monkeypatch.setattr(attacks, "form", attacks.FORMS[request.param])
    return str(request.param)


@pytest.mark.tried("samplers that pass for another")
@pytest.mark.usefixtures("form")
@pytest.mark.parametrize(
    "attack", [a if a in QUICK else pytest.param(a, marks=pytest.mark.slow) for a in FOUND], ids=name
)
def test_what_is_right_on_the_first_probes_alone_is_found(attack: Callable[..., Any]) -> None:
    """Assert that each has its verdict, its exit code and its finding, and fails the assertion of conformity."""
    verdict, code, kind, words = FOUND[attack]
    attacks.last.clear()
    answer = verdict_of(function(attack, {}), STEPS, "ddim")
    assert (answer.verdict, answer.exit_code) == (verdict, code)
    assert any(f.kind == kind and f.severity == "error" and words in f.detail for f in answer.findings), answer.findings
    if verdict != "roundoff":
        assert answer.matches == []


@pytest.mark.usefixtures("form")
def test_without_its_attack_it_conforms() -> None:
    """Assert it in every form, so that it is the attack that is found."""
    answer = verdict_of(function(attacks.ddim, {}), STEPS, "ddim")
    assert (answer.verdict, answer.exit_code) == ("roundoff", 0)


@pytest.mark.tried("samplers that pass for another")
@pytest.mark.parametrize(
    "row", [0, 7, pytest.param(4, marks=pytest.mark.slow), pytest.param(6, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("off", [1e-3, pytest.param(0.01, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "where",
    ["AccurateVariancePreserving", *(pytest.param(f, marks=pytest.mark.slow) for f in ("VarianceExploding", "Flow"))],
)
def test_a_row_that_is_off_in_float32_alone_is_found(
    where: str, off: float, row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that rounding explains no fault of 0.1 % at large or small sigma, where 1 - alpha^2 would lose as much but
    is not computed.
    """
    monkeypatch.setattr(attacks, "form", attacks.FORMS[where])
    answer = verdict_of(function(attacks.one_row, {"row": row, "off": off}), STEPS, "ddim")
    assert (answer.verdict, answer.exit_code, answer.matches) == ("different-formula", 1, [])
    if (where, off, row) == ("AccurateVariancePreserving", 1e-3, -1):
        (off_by,) = [f.detail for f in answer.findings if f.detail.startswith("step 8: ")]
        assert "as shipped, where rounding explains" in off_by


@pytest.mark.parametrize(
    ("options", "verdict"),
    [({}, "roundoff"), ({"off": 3e-4}, "different-formula"), ({"off": 1e-6, "in_float64": 1}, "different-formula")],
)
def test_divisions_by_short_steps_hide_no_fault(options: dict[str, Any], verdict: str) -> None:
    """Assert that the bound for float32 of a sampler of three evaluations is what its run in float64 shows: the bound
    for divisions by h^2 would explain a fault of 0.03 %.
    """
    sampler = function(attacks.three_s, options)
    runs = {(30, d is torch.float64): trace(sampler.on(30), "data", d) for d in (torch.float32, torch.float64)}
    assert judge(sampler.info, runs, 30, "dpm-solver++-3s").verdict == verdict


@pytest.mark.slow
@pytest.mark.parametrize("attack", [attacks.by_dtype_total, attacks.batch_mix, attacks.output_view], ids=name)
def test_the_assertion_of_conformity_fails_on_it(attack: Callable[..., Any]) -> None:
    """Assert that assert_conforms raises with the finding, for every verdict."""
    words = FOUND[attack][3]
    with pytest.raises(AssertionError) as fault:
        assert_conforms(attack, "ddim", STEPS)
    assert words in str(fault.value)


@pytest.mark.tried("honest samplers with odd habits")
@pytest.mark.parametrize("sampler", HONEST, ids=name)
def test_an_honest_one_conforms(sampler: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Assert that odd habits change neither the verdict nor the exit code, and that nothing is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = assert_conforms(sampler, "ddim", STEPS)
    assert (answer.verdict, answer.exit_code) == ("roundoff", 0)
    assert not [f for f in answer.findings if f.severity == "error"]


def test_an_honest_one_may_fail_in_inference_mode() -> None:
    """Assert that one that needs gradients inside conforms, with a note, since the mode forbids them."""
    answer = assert_conforms(attacks.needs_gradients, "ddim", STEPS)
    (note,) = [f for f in answer.findings if "cannot run in torch.inference_mode: RuntimeError" in f.detail]
    assert (answer.exit_code, note.severity) == (0, "note")


@pytest.mark.slow
@pytest.mark.parametrize("sampler", UNSEEN, ids=name)
def test_what_is_not_varied_is_not_seen(sampler: Callable[..., Any]) -> None:
    """Assert that what the book lists as not varied is indeed not: were it seen, the list would be wrong."""
    assert verdict_of(function(sampler, {}), STEPS, "ddim").exit_code == 0


def test_a_last_step_to_0_can_be_left_out() -> None:
    """Assert that a sampler that is not finite there conforms without it, and that the coverage shows which was run."""
    answer = assert_conforms(attacks.at_zero, "ddim", STEPS, zero=False)
    assert not any("with a 0 appended" in line for line in answer.coverage)
    with pytest.raises(AssertionError, match="the last to sigma = 0"):
        assert_conforms(attacks.at_zero, "ddim", STEPS)
    assert any("with a 0 appended" in line for line in assert_conforms(attacks.ddim, "ddim", STEPS).coverage)


def test_the_coverage_lists_what_is_varied() -> None:
    """Assert the lines of the coverage, and that more than the steps asked for are run."""
    coverage = assert_conforms(attacks.ddim, "ddim", STEPS).coverage
    for words in (
        "float32, as shipped: 5, 8, 10",
        "float64: 5, 8, 10",
        "[2, 3, 4, w]",
        "10000",
        "0 appended",
        "inference_mode",
    ):
        assert any(words in line for line in coverage), (words, coverage)
    assert (others(20), others(4), others(700)) == ([10, 25], [5], [500])
    one, other = ([job for job in jobs("a:b", 20) if job.grid != DRAWN_ANEW] for _ in range(2))
    assert one == other
    assert {job.steps for job in jobs("a:b", 20) if job.grid in (0, 1)} != {20}
    assert len({job.steps for _ in range(40) for job in jobs("a:b", 20) if job.grid == DRAWN_ANEW}) > 1


@pytest.mark.slow
def test_the_command_finds_it_too() -> None:
    """Assert in a process of its own that a float32 that is off by 200 % leaves with exit code 1, with its coverage."""
    answer = verify("attacks:by_dtype_total", "ddim", steps=STEPS)
    assert (answer.verdict, answer.exit_code, answer.matches) == ("different-formula", 1, [])
    assert answer.plain()["findings"][-1]["severity"] == "error"
    assert any("uneven levels" in line for line in answer.plain()["coverage"])
    assert torch.get_default_dtype() is torch.float32
