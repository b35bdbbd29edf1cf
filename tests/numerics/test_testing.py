"""Assertions for external tests: right samplers pass, and a failure shows what to do."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from samplerproof.numerics import testing
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.testing import assert_conforms, assert_grid, assert_order

Denoise = Callable[[Tensor, Tensor], Tensor]


def multistep(denoise: Denoise, x: Tensor, sigmas: Tensor, slip: float = 1.0) -> Tensor:
    """DPM-Solver++(2M) as papers write it, of order 1 in a last step to 0; slip multiplies the second difference."""
    before = None
    for s, t in pairwise(sigmas):
        h = (s / t).log()
        d = now = denoise(x, s)
        if before is not None and t > 0:
            r = (before[0] / s).log() / h
            d = now + slip * (now - before[1]) / (2 * r)
        x = t / s * x - torch.expm1(-h) * d
        before = s, now
    return x


def ancestral(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Callable[[Tensor], Tensor]) -> Tensor:
    for s, t in pairwise(sigmas):
        d = denoise(x, s)
        up = t * (1 - (t / s) ** 2).sqrt()
        x = d + (t / s) ** 2 * (x - d) + up * noise(x)
    return x


def test_what_is_right_passes() -> None:
    assert assert_conforms(multistep, "dpm-solver++-2m").matches[0] == "dpm-solver++-2m"
    assert assert_order(multistep, 2, steps=8).observed_order == pytest.approx(2, abs=0.35)
    assert assert_conforms(ancestral, "ddpm", steps=8).verdict == "roundoff"
    assert assert_order(ancestral, 1, steps=8).observed_order == pytest.approx(1, abs=0.35)


def test_another_formula_is_found_by_step_entry_and_name() -> None:
    with pytest.raises(AssertionError) as fault:
        assert_conforms(multistep, "exp-adams-2", steps=8)
    message = str(fault.value)
    assert "is not exp-adams-2: different-formula" in message
    assert "step 2: outputs[" in message
    assert "the whole run is dpm-solver++-2m" in message
    with pytest.raises(AssertionError, match="step 2"):
        assert_conforms(multistep, "dpm-solver++-2m", steps=8, options={"slip": 1 + 1e-6})


def test_an_order_that_is_not_reached_fails_with_the_observed_one() -> None:
    with pytest.raises(
        AssertionError, match=r"order 2\.\d\d observed, 3 expected; .*equals dpm-solver\+\+-2m, .* is 2"
    ):
        assert_order(multistep, 3, steps=8)
    with pytest.raises(AssertionError, match=r"order [01]\.\d\d observed, 2 expected"):
        assert_order(multistep, 2, steps=8, options={"slip": 0.5})


def test_a_sampler_that_raises_or_bends_fails_the_assertion() -> None:
    def broken(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
        raise RuntimeError("out of ideas")

    def clipped(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
        return multistep(lambda x, s: denoise(x, s).clamp(-1, 1), x, sigmas)

    for check in (lambda f: assert_conforms(f, "ddim", steps=6), lambda f: assert_order(f, 1, steps=6)):
        with pytest.raises(AssertionError, match="RuntimeError: out of ideas"):
            check(broken)
        with pytest.raises(AssertionError, match="superposition"):
            check(clipped)


def test_levels_of_a_sampler_that_makes_its_own_cannot_be_read() -> None:
    """Assert it of levels that rise once."""

    def own(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
        return multistep(denoise, x, torch.tensor([9.0, 2.0, 3.0, 1.0, 0.5]).to(sigmas))

    said = "does not use the given sigmas but levels of its own, from 9 on: take the levels from `sigmas`"
    with pytest.raises(AssertionError, match=f"no levels can be read: .*{said}"):
        assert_grid(own, "karras", steps=4)


def test_the_state_of_the_process_is_put_back() -> None:
    def careless(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        return multistep(denoise, x, sigmas)

    before = torch.get_default_dtype(), torch.get_rng_state()
    assert_conforms(careless, "dpm-solver++-2m", steps=6)
    assert torch.get_default_dtype() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_bad_input_is_one_line() -> None:
    for call, message in [
        (lambda: assert_conforms(multistep, "dpm-2m"), "dpm-2m"),
        (lambda: assert_conforms("nowhere", "ddim"), "nowhere"),
        (lambda: assert_conforms("math:sin", "ddim"), "math:sin"),
        (lambda: assert_conforms(multistep, "ddim", options={"slop": 1}), "slop"),
        (lambda: assert_conforms("math:sin", "ddim", options={"a": math.pi}), "options"),
    ]:
        with pytest.raises(InputError, match=message) as fault:
            call()
        assert "\n" not in str(fault.value)


@pytest.mark.filterwarnings("ignore")
def test_the_documented_example_runs_against_diffusers() -> None:
    pytest.importorskip("diffusers", reason="diffusers is in the extra `peers`")
    assert testing.__doc__ is not None
    lines = [line for line in testing.__doc__.splitlines() if not line or line.startswith("    ")]
    example = textwrap.dedent("\n".join(lines)).strip()
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    space: dict[str, Callable[[], None]] = {}
    exec(example, space)
    tests = [name for name in space if name.startswith("test_")]
    assert len(tests) == 3
    for name in tests:
        space[name]()


@pytest.mark.filterwarnings("ignore")
def test_a_class_made_from_one_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers", reason="diffusers is in the extra `peers`")

    class Mine(diffusers.EulerDiscreteScheduler):  # type: ignore[misc,name-defined]
        pass

    assert assert_conforms(Mine, "ddim", steps=8).reference == "ddim"
    with pytest.raises(AssertionError, match="different-formula"):
        assert_conforms(Mine, "dpm-solver++-2m", steps=8)


@pytest.mark.parametrize("steps", [0, -1, 10**9, float("nan")])
def test_a_number_of_steps_that_cannot_be_judged_is_one_line(steps: Any) -> None:
    """Assert that sp.verify has the limits of the command, for a function too."""
    with pytest.raises(InputError, match=r"steps: got .*; a (whole )?number"):
        testing.verdict_here(lambda denoise, x, sigmas: x, steps=steps)


@pytest.mark.parametrize("sampler", [5, None])
def test_what_cannot_be_called_is_one_line(sampler: Any) -> None:
    """Assert that a sampler that is no function is refused by its field."""
    with pytest.raises(InputError, match=rf"target: got {sampler}; a function"):
        testing.verdict_here(sampler, steps=5)


def test_a_sampler_that_leaves_python_is_an_error() -> None:
    """Assert that the process of the caller goes on."""

    def leaves(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
        raise SystemExit(0)

    verdict = testing.verdict_here(leaves, steps=5)
    assert (verdict.verdict, verdict.exit_code) == ("error", 2)
