"""`samplerproof verify` as it is typed: answers, exit codes, bad input, a page, a sweep."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from samplerproof.numerics.conformance import verify as verify_module
from samplerproof.numerics.conformance.report import Verdict
from samplerproof.numerics.conformance.verify import ranges

Command = Callable[..., tuple[int, str, str]]

SAMPLERS = '''
from itertools import pairwise

import torch


def euler(denoise, x, sigmas):
    for s, t in pairwise(sigmas):
        x = x + (t - s) * (x - denoise(x, s)) / s
    return x


def slipped(denoise, x, sigmas):
    """The sign of its third step is wrong."""
    for n, (s, t) in enumerate(pairwise(sigmas)):
        x = x + (-1 if n == 2 else 1) * (t - s) * (x - denoise(x, s)) / s
    return x


def clipped(denoise, x, sigmas):
    return euler(lambda x, s: denoise(x, s).clamp(-1, 1), x, sigmas)


def loops(denoise, x, sigmas):
    while True:
        denoise(x, sigmas[0])


def picky(denoise, x, sigmas):
    """On 5 steps it raises, on 31 it is not finite; a verdict on 12 steps never draws these numbers."""
    if len(sigmas) == 6:
        raise IndexError("five")
    return euler(denoise, x, sigmas) * (float("inf") if len(sigmas) == 32 else 1)
'''


@pytest.fixture
def verify(in_process: Command, tmp_path: Path) -> Command:
    """Run `samplerproof verify …` in a folder with the samplers."""
    (tmp_path / "here" / "mine.py").write_text(SAMPLERS, encoding="utf-8")
    return partial(in_process, "verify")


@pytest.fixture(scope="module")
def computed_once() -> Iterator[None]:
    """The verdict on a sampler, which several tests show, is computed for the first of them."""
    known: dict[tuple[object, ...], Verdict] = {}

    def remembered(target: str, against: str, steps: int, *others: Any, **named: Any) -> Verdict:
        if (target, against, steps) not in known:
            known[target, against, steps] = compute(target, against, steps, *others, **named)
        return known[target, against, steps]

    with pytest.MonkeyPatch.context() as patch:
        compute = verify_module.verify
        patch.setattr(verify_module, "verify", remembered)
        yield


KEYS = {
    "target",
    "verdict",
    "matches",
    "reference",
    "max_relative_error",
    "max_relative_error_float64",
    "local_orders",
    "observed_order",
    "findings",
}


@pytest.mark.usefixtures("computed_once")
def test_a_sampler_that_is_the_named_record(verify: Command, tmp_path: Path) -> None:
    """Assert the verdict on a function that equals its reference."""
    code, out, err = verify("mine:euler", "--against", "ddim", "--steps", 8, "--json", "--html", "new/page.html")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer.keys() >= KEYS
    assert (answer["target"], answer["verdict"], answer["reference"]) == ("mine:euler", "roundoff", "ddim")
    assert answer["matches"] == ["ddim"]
    assert answer["max_relative_error_float64"] < 1e-14 < answer["max_relative_error"] < 1e-5
    assert answer["observed_order"] == pytest.approx(1, abs=0.3)
    assert len(answer["local_orders"]) == 8
    assert {f["kind"] for f in answer["findings"]} == {"roundoff"}
    assert list(answer["growth"]) == ["5", "8", "10", "40", "200"]  # the nearest below and above, 5 and 25 times
    page = (tmp_path / "here" / "new" / "page.html").read_text(encoding="utf-8")
    assert "mine:euler" in page
    assert "<svg" in page
    assert "methods/ddim.html" in page
    assert not re.findall(r"""(?:src|href)=["']?(?!#)[^"'\s>]+""", page.replace("xlink:href", "href")), "it is alone"


@pytest.mark.usefixtures("computed_once")
def test_the_answer_on_a_terminal(verify: Command) -> None:
    """Assert the lines that are printed for a verdict."""
    code, out, err = verify("mine:euler", "--against", "ddim", "--steps", 8)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "mine:euler: roundoff"
    assert "  against ddim" in lines
    assert "  equals ddim" in lines
    assert any(
        re.fullmatch(r"  order: proved 1, of single steps [\d.]+ to [\d.]+, observed [\d.]+", line) for line in lines
    )
    grown = ", ".join(rf"\S+ on {n}" for n in (5, 8, 10, 40, 200))
    assert any(re.fullmatch(rf"  roundoff as shipped: {grown} steps", line) for line in lines)
    assert "  page: methods/ddim.html of the book; samplerproof methods ddim" in lines


def test_a_sampler_that_is_not_located_and_named(verify: Command) -> None:
    """Assert the verdict and the step of a row that deviates, in one finding."""
    code, out, err = verify("mine:slipped", "--against", "ddim", "--steps", 8)
    assert (code, err) == (1, "")
    assert "mine:slipped: different-formula" in out
    assert "step 3: " in out
    assert "1 of 8" not in out  # one finding says it


@pytest.mark.parametrize(
    ("target", "verdict", "said"),
    [
        ("mine:clipped", "not-linear", "superposition"),
        ("mine:nothing", "error", "no object of this name in mine"),
        pytest.param("diffusers:NopeScheduler", "error", "diffusers", marks=pytest.mark.slow),
        pytest.param("nowhere:at_all", "error", "no module nowhere", marks=pytest.mark.slow),
    ],
)
def test_what_has_no_answer_answers_json_all_the_same(verify: Command, target: str, verdict: str, said: str) -> None:
    """Assert JSON and exit code 2 for a target that cannot be run."""
    code, out, err = verify(target, "--steps", 5, "--json")
    assert (code, err) == (2, "")
    answer = json.loads(out)
    assert answer.keys() >= KEYS
    assert answer["verdict"] == verdict
    assert said in answer["findings"][0]["detail"]


def test_a_sampler_that_loops_is_ended(verify: Command) -> None:
    """Assert that a target which does not return ends at the time limit."""
    code, out, err = verify("mine:loops", "--timeout", 2, "--json")
    assert (code, err) == (2, "")
    answer = json.loads(out)
    assert answer["verdict"] == "error"
    assert "2 s" in answer["findings"][0]["detail"]


def test_a_sweep_finds_the_numbers_of_steps_that_fail(verify: Command) -> None:
    """Assert that the sweep reports the numbers of steps on which a target fails."""
    code, out, err = verify("mine:picky", "--against", "ddim", "--steps", 12, "--sweep", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    found = {f["kind"]: f["detail"] for f in answer["findings"] if f["kind"] in ("exception", "non-finite")}
    assert found == {
        "exception": "mine:picky on N = 5: IndexError: five",
        "non-finite": "mine:picky on N = 31: in the last step",
    }
    assert [setting["target"] for setting in answer["sweep"]] == ["mine:picky"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mine",), "target"),
        (("mine:euler?steps",), "option=value"),
        (("mine:euler", "--against", "dmi"), "ddim"),
        (("mine:euler", "--steps", 0), "a number from 1"),
        (("mine:euler", "--timeout", 0), "timeout"),
        (("mine:euler", "--timeout", "nan"), "timeout"),
        (("mine:euler", "--html", "mine.py/page.html"), "--html"),
        (("mine:euler", "--html", "."), "--html"),
    ],
)
def test_bad_input_is_one_line(verify: Command, arguments: tuple[object, ...], said: str) -> None:
    """Assert one line on standard error and exit code 2."""
    code, out, err = verify(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("samplerproof: ")
    assert err.count("\n") == 1
    assert said in err


def test_ranges() -> None:
    """Assert how lists of numbers are shortened."""
    assert ranges([5, 6, 7, 9, 11, 12]) == "5..7, 9, 11..12"


@pytest.mark.slow  # a quarter of a minute: every refinement of the observed order
def test_third_order_of_diffusers_multistep_solver(verify: Command) -> None:
    """Assert that solver_order=3 is the published 3M, which has order 2."""
    pytest.importorskip("diffusers", reason="diffusers is in the extra `peers`")
    code, out, _ = verify("diffusers:DPMSolverMultistepScheduler?solver_order=3", "--json")
    answer = json.loads(out)
    assert (code, answer["verdict"], answer["matches"]) == (1, "roundoff", ["dpm-solver++-3m-published"])
    assert (answer["nominal_order"], answer["promised_order"]) == (2, 3)
    assert 1.9 < answer["observed_order"] < 2.5
    (finding,) = [f for f in answer["findings"] if f["kind"] == "order"]
    assert "samplerproof prove dpm-solver++-3m-published" in finding["detail"]


def test_clipping_in_diffusers_ddim_is_explained(verify: Command) -> None:
    """Assert that the finding names the option which makes the scheduler not linear."""
    pytest.importorskip("diffusers", reason="diffusers is in the extra `peers`")
    code, out, _ = verify("diffusers:DDIMScheduler", "--json")
    answer = json.loads(out)
    assert (code, answer["verdict"]) == (2, "not-linear")
    assert "clip_sample=true does that" in answer["findings"][0]["detail"]
    code, out, _ = verify("diffusers:DDIMScheduler?clip_sample=false", "--json")
    answer = json.loads(out)
    assert (code, answer["verdict"], answer["matches"]) == (0, "roundoff", ["ddim"])
