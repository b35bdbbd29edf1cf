"""What an answer says where it is no: what is not linear, which entry of a row differs, a method that has no record."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.conformance.adapters.callables import function
from samplerproof.numerics.conformance.judge.one_tableau import runge_kutta
from samplerproof.numerics.conformance.judge.verdict import judge
from samplerproof.numerics.conformance.report import Failure, Verdict
from samplerproof.numerics.conformance.verify import refined
from samplerproof.numerics.conformance.verify_file import verify_file
from samplerproof.numerics.exports import golden_run
from samplerproof.numerics.grids import grid
from samplerproof.numerics.readback import Trace, trace
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.table_file import plain_table
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.testing import verdict_of

Denoise = Callable[..., Tensor]
STEPS = 6
KARRAS = grid(schedule("edm"), "karras", 8, sigma_min=0.02, sigma_max=20)


def changed(denoise: Denoise, x: Tensor, sigmas: Tensor, what: str = "") -> Tensor:
    """DDIM that changes the output of its model, in one of several ways that are not those of a table."""
    for s, t in pairwise(sigmas):
        data = denoise(x, s)
        if what == "clipped":
            data = data.clamp(-1, 1)
        elif what == "centred":
            data = data - 0.01 * data.mean(dim=(-1, -2), keepdim=True)
        elif what == "scaled":
            data = data * (1 + 0.1 * data.abs().mean())
        elif what == "uniform":
            data = data + torch.rand(x.shape[-1:], dtype=x.dtype)
        x = data + t / s * (x - data)
    return x


def ancestral(denoise: Denoise, x: Tensor, sigmas: Tensor, power: int = 1, samples: int = 9) -> Tensor:
    """Euler's ancestral sampler, with its noise to a power, or one for several samples."""
    for s, t in pairwise(sigmas):
        up = t * (1 - t * t / (s * s)).sqrt()
        data = denoise(x, s)
        x = data + (t * t - up * up).clamp(min=0).sqrt() / s * (x - data) + up**power * torch.randn_like(x[:samples])
    return x


def stops_early(denoise: Denoise, x: Tensor, sigmas: Tensor, left: int = 1) -> Tensor:
    for s, t in pairwise(sigmas[: len(sigmas) - left]):
        data = denoise(x, s)
        x = data + t / s * (x - data)
    return x


def one_level_late(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """The model is asked at the level to which the step leads."""
    for s, t in pairwise(sigmas):
        data = denoise(x, t)
        x = data + t / s * (x - data)
    return x


def classical(velocity: Denoise, x: Tensor, sigmas: Tensor, slope: float = 0.5) -> Tensor:
    """The classical method of order 4 on the flow."""
    for s, t in pairwise(sigmas):
        h = t - s
        one = velocity(x, s)
        two = velocity(x + h / 2 * one, s + h / 2)
        three = velocity(x + slope * h * two + (0.5 - slope) * h * one, s + h / 2)
        four = velocity(x + h * three, t)
        x = x + h * (one + 2 * two + 2 * three + four) / 6
    return x


def of_order_three(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    def slope(y: Tensor, s: Tensor) -> Tensor:
        return (y - denoise(y, s)) / s

    for s, t in pairwise(sigmas):
        h = t - s
        one = slope(x, s)
        three = slope(x + 2 / 3 * h * slope(x + h / 3 * one, s + h / 3), s + 2 / 3 * h)
        x = x + h / 4 * (one + 3 * three)
    return x


def judged(call: Callable[..., Tensor], against: str | None = None, **options: Any) -> Verdict:
    return verdict_of(function(call, options), STEPS, against, zero=False)


def words(answer: Verdict) -> str:
    return "\n".join([answer.nearest or "", *(f.detail for f in answer.findings)])


BENT = {
    "clipped": "inputs of standard deviation 0.01 pass: it clips larger ones",
    "centred": "it mixes places: one place of a channel moves another",
    "scaled": "it mixes the samples of a batch: one sample moves another",
    "uniform": "it adds noise that is not seen, or a constant",
}


@pytest.mark.parametrize("what", BENT)
def test_what_is_not_linear_is_said(what: str) -> None:
    """Assert the reason and no other; advice on noise is given where some is drawn."""
    answer = judged(changed, what=what)
    assert (answer.verdict, answer.exit_code) == ("not-linear", 2)
    assert [k for k, line in BENT.items() if line in words(answer)] == [what]
    assert ("take the noise from a parameter" in words(answer)) == (what == "uniform")
    assert "rounding to bfloat16" not in words(answer)


def test_one_noise_for_all_samples_is_found() -> None:
    """Assert that it is told from a sampler whose noise has the shape of the state."""
    answer = judged(ancestral, "ddim-eta?eta=1", samples=1)
    assert (answer.verdict, answer.exit_code) == ("different-formula", 1)
    assert "noise has the shape of the state" in words(answer)
    assert judged(ancestral, "ddim-eta?eta=1").exit_code == 0


def test_a_missing_last_step_is_named() -> None:
    """Assert the record on the steps that it takes; a run that lacks two steps does not lack the last one alone."""
    answer = judged(stops_early, "ddim", left=1)
    assert (answer.nearest, answer.exit_code) == (f"ddim on steps 1 to {STEPS - 1}", 1)
    assert "none to the last level" in words(answer)
    assert "none to the last level" not in words(judged(stops_early, "ddim", left=2))


@pytest.mark.slow
def test_noise_that_is_too_large_is_named() -> None:
    """Assert the record whose rest it has, with the entry found and that of the record."""
    answer = judged(ancestral, power=2)
    assert answer.nearest is not None
    assert "is the closest record; it differs from step 1 on: noises[0], its own noise, is " in answer.nearest


def test_a_tableau_of_a_method_without_a_record_is_read() -> None:
    """Assert the classical method on the flow, by fractions, another entry where it has another, and none of DDIM."""
    for slope, third in ((0.5, "0, 1/2"), (0.25, "1/4, 1/4")):
        flow = function(classical, {"slope": slope}).in_process("flow", "velocity")
        (found,) = runge_kutta(trace(flow.on(STEPS), "velocity"), "flow")
        rows = f"c = 0, 1/2, 1/2, 1; A = 1/2; {third}; 0, 0, 1; b = 1/6, 1/3, 1/3, 1/6"
        assert f"one Runge-Kutta method for velocities of the flow: {rows};" in found.detail
    for other in (function(stops_early, {"left": 0}), function(one_level_late, {})):
        assert runge_kutta(trace(other.on(STEPS), "data"), "ve") == []


@pytest.mark.slow
def test_the_tableau_is_in_the_answer() -> None:
    """Assert it of a function that is Heun's method of order 3 in sigma, beside the verdict."""
    answer = judged(of_order_three)
    assert (answer.verdict, answer.exit_code) == ("different-formula", 1)
    assert "for noise predictions over sigma/alpha: c = 0, 1/3, 2/3; A = 1/3; 0, 2/3; b = 1/4, 0, 3/4" in words(answer)


def _on_table(tmp_path: Path, number: Callable[[float], float], change: float = 0.0, turned: bool = False) -> Verdict:
    """The verdict on the table of 2M whose numbers are written in some way, with one weight that is off."""
    table = tabulate("dpm-solver++-2m", KARRAS)
    outputs = table.outputs.clone()
    outputs[3, 0] *= 1 + change
    outputs[1:] = outputs[1:].flip(1) if turned else outputs[1:]
    data = plain_table(replace(table, outputs=outputs))
    for key in ("states", "outputs"):
        data[key] = [
            [number(float(c) if not isinstance(c, str) else float.fromhex(c)) for c in row] for row in data[key]
        ]
    (tmp_path / "port.json").write_text(json.dumps(data))
    return verify_file(str(tmp_path / "port.json"))


def seven_digits(value: float) -> float:
    return float(f"{value:.7g}")


def in_float32(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float32))


@pytest.mark.parametrize("number", [in_float32, pytest.param(seven_digits, marks=pytest.mark.slow)])
def test_a_table_of_float32_is_judged_in_float32(number: Callable[[float], float], tmp_path: Path) -> None:
    """Assert that the table conforms, and that one written in full is judged in float64."""
    sound = _on_table(tmp_path, number)
    assert (sound.verdict, sound.matches[0], sound.max_relative_error_float64) == ("roundoff", "dpm-solver++-2m", None)
    assert "numbers of float32" in sound.coverage[0]
    assert _on_table(tmp_path, float).max_relative_error_float64 is not None


@pytest.mark.slow
def test_a_weight_that_is_off_is_found_in_the_precision_of_a_table(tmp_path: Path) -> None:
    """Assert it of one that is off by 1e-4 in float32, and by 1e-6 in float64, with the entry."""
    for number, change in ((in_float32, 1e-4), (float, 1e-6)):
        wrong = _on_table(tmp_path, number, change)
        assert wrong.exit_code == 1
        assert "it differs from step 4 on: outputs[0], the newest output, is " in words(wrong)


@pytest.mark.slow
def test_coefficients_in_the_other_order_are_named(tmp_path: Path) -> None:
    """Assert it of a table whose rows have the oldest output first."""
    answer = _on_table(tmp_path, float, turned=True)
    assert answer.exit_code == 1
    assert "stand in the other order" in words(answer)


@pytest.mark.slow
def test_a_run_in_float32_is_judged_on_its_own_process(tmp_path: Path) -> None:
    """Assert that a weight off by 1e-5 is not explained by what another process loses in float32; the sound run is."""
    table = tabulate("dpm-solver++-2m", KARRAS)
    for change, code in ((0.0, 0), (1e-5, 1)):
        outputs = table.outputs.clone()
        outputs[1:-1, 1] *= 1 + change
        outputs[1:-1, 0] += table.outputs[1:-1, 1] - outputs[1:-1, 1]
        data = golden_run(replace(table, outputs=outputs), KARRAS.points)
        (tmp_path / "run.json").write_text(json.dumps(_rounded(data) | {"dtype": "float32"}))
        assert verify_file(str(tmp_path / "run.json")).exit_code == code


def _rounded(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _rounded(value) if key != "provenance" else value for key, value in data.items()}
    if isinstance(data, list):
        return [_rounded(value) for value in data]
    try:
        value = float.fromhex(data) if isinstance(data, str) else float(data)
    except ValueError:
        return data
    whole = isinstance(data, int)
    return data if whole or not math.isfinite(value) else in_float32(value)


def on_other_levels(denoise: Denoise, x: Tensor, sigmas: Tensor, what: str = "") -> Tensor:
    """DDIM that begins late, ends with a data prediction, or rounds its levels."""
    levels = sigmas[2:] if what == "late" else sigmas.half().to(x.dtype) if what == "rounded" else sigmas
    x = changed(denoise, x, levels)
    return denoise(x, sigmas[-1]) if what == "denoised" and sigmas[-1] > 0 else x


LEVELS = {
    "late": ("its model is first evaluated at level 2", 1),
    "denoised": ("it takes one step more, from sigma = 0.002 to 0", 0),
    "rounded": ("its levels are the given ones, rounded to float16", 0),
}


@pytest.mark.parametrize("what", LEVELS)
def test_levels_that_differ_from_those_given_are_said(what: str) -> None:
    """Assert that it is DDIM on the levels that it has, which are named."""
    line, code = LEVELS[what]
    answer = judged(on_other_levels, "ddim", what=what)
    assert (answer.verdict, answer.matches, answer.exit_code) == ("roundoff", ["ddim"], code)
    assert [k for k, (other, _) in LEVELS.items() if other in words(answer)] == [what]
    assert line in words(answer)


def euler_on_flow(velocity: Denoise, x: Tensor, sigmas: Tensor, stepped: float = 3.0, told: float = 3.0) -> Tensor:
    """Euler's method on levels that are shifted by numbers, for the step and for the model."""
    levels, given = (k * sigmas / (1 + (k - 1) * sigmas) for k in (stepped, told))
    for s, t, at in zip(levels, levels[1:], given, strict=False):
        x = x + (t - s) * velocity(x, at)
    return x


@pytest.mark.parametrize(("stepped", "code"), [(3.0, 0), pytest.param(1.0, 1, marks=pytest.mark.slow)])
def test_a_shift_inside_is_read(stepped: float, code: int) -> None:
    """Assert that shifted levels are Euler's method there, and that a shift of the model's levels only is a fault."""
    flow = function(euler_on_flow, {"stepped": stepped}).in_process("flow", "velocity")
    answer = verdict_of(flow, STEPS, "flow-euler", zero=False)
    assert answer.exit_code == code
    assert "it shifts the given levels by 3\n" in words(answer) + "\n"


def test_guidance_that_is_rescaled_is_not_linear() -> None:
    """Assert that a standard deviation, which is nan on one entry, is no error of the batch."""
    answer = judged(rescaled, "ddim")
    assert (answer.verdict, answer.exit_code) == ("not-linear", 2)
    assert "mixes" in words(answer)


def rescaled(denoise: Denoise, x: Tensor, sigmas: Tensor, cond: Any, uncond: Any) -> Tensor:
    for s, t in pairwise(sigmas):
        u, c = denoise(torch.cat([x, x]), s, torch.cat([uncond, cond])).chunk(2)
        data = u + 3 * (c - u)
        data = data * c.sub(c.mean()).norm() / data.sub(data.mean()).norm()  # 0 / 0 on one entry
        x = data + t / s * (x - data)
    return x


def with_momentum(denoise: Denoise, x: Tensor, sigmas: Tensor, how: str = "stacked") -> Tensor:
    made = {"stacked": torch.stack([x, x]), "channels": torch.cat([x, x], dim=1), "rows": torch.cat([x, x, x], dim=1)}
    return denoise(made[how], sigmas[0])


@pytest.mark.parametrize(("how", "said"), [("stacked", True), ("channels", True), ("rows", False)])
def test_position_and_momentum_are_not_judged(how: str, said: bool) -> None:
    """Assert the line that says so for a state of two components, and not of three."""
    answer = judged(with_momentum, "ddim", how=how)
    assert (answer.verdict, answer.exit_code) == ("error", 2)
    assert ("such as position and momentum, is not judged" in words(answer)) == said


def test_a_velocity_in_place_of_the_data_is_told_how_a_flow_is_named() -> None:
    """Assert it of the usual loop of a flow, judged without options; and that with the data it is no question."""

    def loop(denoise: Any, x: Tensor, sigmas: Tensor, of_data: int = 0) -> Tensor:
        for s, t in pairwise(sigmas):
            out = denoise(x, s)
            x = x + (t - s) * ((x - out) / s if of_data else out)
        return x

    for of_data in (False, True):
        sampler = function(loop, {"of_data": int(of_data)})
        runs: dict[tuple[int, bool], Trace | Failure] = {
            (n, True): trace(sampler.on(n), "data") for n in (5, *refined(5))
        }
        runs[5, False] = trace(sampler.on(5), "data", torch.float32)
        found = [f.detail for f in judge(sampler.info, runs, 5, None).findings]
        assert any("--prediction noise, or" in line and "--process flow" in line for line in found) is not of_data
