"""What people ask in public about samplers: each input has its right verdict, from both sides where it has two."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.report import Verdict
from samplerproof.numerics.conformance.verify import verify
from samplerproof.numerics.testing import verdict_of

STEPS = 12
ZERO_SNR = "DDIMScheduler?rescale_betas_zero_snr=true&clip_sample=false&timestep_spacing=trailing"


class Right(NamedTuple):
    """The right answer.  words: in its findings, its guidance or its nearest record.  order: the least and the most."""

    verdict: str
    exit_code: int
    matches: str | None = None
    words: str = ""
    order: tuple[float, float] = (-9.0, 9.0)


SLOW = {
    "euler_pp": Right("roundoff", 0, "ddim", "CFG++ of ddim"),
    "in_an_interval": Right("roundoff", 0, "ddim", "w = 1 in evaluations 1 to "),
    "extrapolated": Right("different-formula", 1, None, "ddim on steps 1 and 2; it differs from step 3 on"),
    "reused": Right("roundoff", 1, "ddim", "its model is evaluated at 8 of the 12 given levels"),
    "two_m": Right("roundoff", 0, "dpm-solver++-2m", order=(1.8, 2.2)),
    "two_m?inverted=1": Right("different-formula", 1),
    "two_m?mean=1": Right("different-formula", 1, order=(-1, 1.2)),
    "ddim_eta?eta=0.5": Right("roundoff", 0, "ddim-eta?eta=1/2", "it is judged on vp"),
    "ddim_eta?broken=1": Right("different-formula", 1, order=(-9, 0.6)),
    "flow_sde": Right("different-formula", 1, order=(0.7, 1.2)),
    "ancestral": Right("roundoff", 0, "ddim-eta"),
    "ancestral?drift=0": Right("different-formula", 1, order=(-9, 0.6)),
    "ancestral_flow": Right("different-formula", 1, None, "every step is one of ddim-eta"),
    "flow_midpoint": Right("roundoff", 0, "flow-midpoint", "it is judged on flow", (1.7, 2.3)),
    "flow_midpoint?at=0.500001": Right("different-formula", 1),
    "gradient_estimation": Right("roundoff", 0, "ipndm-2"),
    "gradient_estimation?gamma=1.500001": Right("different-formula", 1),
    "adams": Right("roundoff", 0, "deis-rhoab1"),
    "adams?off=1.000001": Right("different-formula", 1),
    "pairs_of_levels": Right("different-formula", 1, None, " steps do not chain"),
    "asked_elsewhere": Right("different-formula", 1, None, "do not chain"),
    "momentum": Right("different-formula", 1, order=(0.6, 1.3)),
    "in_numpy": Right("roundoff", 0, "dpm-solver++-2m"),
}
QUICK = {"two_m?inverted=1": "dpm-solver++-2m", "in_numpy": "dpm-solver++-2m"}  # fast, since a record is named


def lines(answer: Verdict) -> Iterator[str]:
    yield from (f.detail for f in answer.findings)
    yield from (answer.guidance or "", answer.nearest or "")


def check(answer: Verdict, right: Right) -> None:
    assert (answer.verdict, answer.exit_code) == right[:2], answer.findings
    assert right.matches in (None, *answer.matches)
    assert any(right.words in line for line in lines(answer)), [*lines(answer)]
    low, high = right.order
    assert answer.observed_order is None or low < answer.observed_order < high


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_a_function_that_people_ask_about(name: str) -> None:
    """Assert its verdict where no record is named, as its reporter would bring it."""
    check(verdict_of(resolve(f"public_samplers:{name}"), STEPS), SLOW[name])


@pytest.mark.parametrize("name", QUICK)
def test_a_function_that_should_be_a_record(name: str) -> None:
    """Assert that the record is confirmed or denied."""
    check(verdict_of(resolve(f"public_samplers:{name}"), STEPS, QUICK[name]), SLOW[name])


def test_evaluations_that_depend_on_the_values_are_named_by_the_command() -> None:
    """Assert it of an answer that comes from a process: its vectors are those of a run on zeros."""
    answer = verify("public_samplers:reused_by_value", steps=STEPS)
    check(answer, Right("not-linear", 2, None, "the number of its evaluations"))


SCHEDULERS = {
    ("FlowMatchEulerDiscreteScheduler?shift_terminal=0.1", 1): Right("non-finite", 1, None, "timestep 1 is not a"),
    ("FlowMatchEulerDiscreteScheduler?shift_terminal=0.1", 4): Right("roundoff", 0, "flow-euler"),
    ("FlowMatchEulerDiscreteScheduler?invert_sigmas=true", 4): Right("identical", 0, "flow-euler"),
    ("FlowMatchEulerDiscreteScheduler?invert_sigmas=true&stochastic_sampling=true", 4): Right("different-formula", 1),
    ("PNDMScheduler?prediction_type=v_prediction", 20): Right("different-formula", 1, None, "rows differ from pndm"),
    ("DDIMInverseScheduler?clip_sample=false", 10): Right("roundoff", 0, "ddim", "from sigma/alpha = 0 up to"),
    ("DDIMInverseScheduler?clip_sample=false&set_alpha_to_one=false", 10): Right(
        "roundoff", 0, "ddim", "the timestep of the level to which the step leads"
    ),
    ("DPMSolverMultistepInverseScheduler", 10): Right(
        "roundoff", 0, "dpm-solver++-2m (last steps of lower order)", "from sigma/alpha = 0.0100013 up to 157.407"
    ),
    ("DPMSolverMultistepInverseScheduler?timestep_spacing=trailing", 10): Right(
        "roundoff",
        1,
        "dpm-solver++-2m",
        "step 10 has length zero: level 10 is sigma/alpha = 157.407, as level 9; it should be above",
    ),
    (f"{ZERO_SNR}&prediction_type=epsilon", 20): Right("non-finite", 1),
    (f"{ZERO_SNR}&prediction_type=v_prediction", 20): Right("roundoff", 0, "ddim"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("target", "steps"), SCHEDULERS)
def test_a_scheduler_that_people_ask_about(target: str, steps: int) -> None:
    """Assert its verdict with the options and steps at which it was reported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(verdict_of(resolve(f"diffusers:{target}"), steps), SCHEDULERS[target, steps])
