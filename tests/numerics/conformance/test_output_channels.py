"""Samplers that read two outputs of their model: what they are at equal outputs and at different ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import guided_samplers
import pytest
import torch
from torch import Tensor

import samplerproof as sp
from samplerproof.numerics.conformance.adapters.callables import function
from samplerproof.numerics.conformance.adapters.external_sampler import ExternalSampler
from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.judge.compare import deviations, same_shape
from samplerproof.numerics.conformance.judge.verdict import judge
from samplerproof.numerics.conformance.process.probes import SHAPE, departures
from samplerproof.numerics.conformance.report import Verdict
from samplerproof.numerics.conformance.verify import verify
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.external_run import Draw, Finish, Model
from samplerproof.numerics.guided_tables import CFG_PP, RULES, guided_table, with_conditions
from samplerproof.numerics.readback import BATCH, image, trace
from samplerproof.numerics.repeated_evaluations import without_repeated_evaluations
from samplerproof.numerics.table_file import plain_table, table_of

STEPS = 8
GRID = sp.Grid.from_sigmas([80.0, 20.0, 4.0, 1.0, 0.2, 0.05])
FLOW = sp.grid(sp.schedule("flow"), "flow", 5, shift=2)


def verdict_on(sampler: ExternalSampler, against: str) -> Verdict:
    """The verdict from runs in both precisions."""
    runs = {}
    for exact in (False, True):
        with sampler.float64() if exact else nullcontext():
            dtype = torch.float64 if exact else torch.float32
            runs[STEPS, exact] = trace(sampler.on(STEPS), sampler.prediction, dtype)
    return judge(sampler.info, runs, STEPS, against)


def plain(number: float | str) -> float:
    """A number of a file."""
    return float.fromhex(number) if isinstance(number, str) else number


def of(name: str, against: str = "ddim", **options: Any) -> Verdict:
    return verdict_on(function(getattr(guided_samplers, name), options), against)


@pytest.mark.parametrize(
    ("name", "options", "against", "guidance"),
    [
        ("ddim_cfg", {}, "ddim", "ddim on the guided outputs; guided = unconditional + w (conditional - un…, w = 7.5"),
        ("ddim_cfg", {"w": 1.0}, "ddim", "ddim on the conditional output alone"),
        ("two_m_batch", {"w": 3.0}, "dpm-solver++-2m", "dpm-solver++-2m on the guided outputs; …, w = 3"),
        ("cfg_pp", {}, "ddim", "CFG++ of ddim; …the noise of the unconditional one; …, w = 0.6"),
        ("cfg_pp_midpoint", {}, "dpm-solver-2s", "CFG++ of dpm-solver-2s; …of the unconditional one; …, w = 0.6"),
        (
            "in_an_interval",
            {},
            "ddim",
            "ddim on the guided outputs; …, w = 1 in evaluations 1 to 2, 4 in evaluations 3 t…",
        ),
        ("ramped", {}, "ddim", "ddim on the guided outputs; …, with its own w in every evaluation: 1.5, 1.83333, …"),
        ("halves", {}, "ddim", "ddim on the guided outputs; guided = first half + w (second half - first half), w = 3"),
    ],
)
def test_guidance_is_named_where_the_outputs_differ(
    name: str, options: dict[str, Any], against: str, guidance: str
) -> None:
    """Assert that a sound sampler is its record where outputs are equal, and how it reads them is said."""
    found = of(name, against, **options)
    assert found.exit_code == 0
    assert found.matches == [against]
    parts = guidance.split("…")
    assert found.guidance is not None
    assert found.guidance.startswith(parts[0])
    assert all(part in found.guidance for part in parts)


@pytest.mark.parametrize("name", ["ddim_cfg", "cfg_pp"])
def test_a_weight_that_is_off_by_a_millionth_in_one_step_is_found(name: str) -> None:
    """Assert that the step and the output are named, although the sampler is ddim where outputs are equal."""
    found = of(name, off=1 + 1e-6)
    assert (found.verdict, found.exit_code) == ("different-formula", 1)
    errors = [f.detail for f in found.findings if f.severity == "error"]
    assert errors[0].startswith("step 4: outputs[0] of the ")
    assert any("where its outputs are equal it is ddim" in f.detail for f in found.findings)
    assert of(name, off=1.0).exit_code == 0


@pytest.mark.parametrize(("pp", "said"), [(False, "w = -6.5 multiplies the conditional output"), (True, "exchanged")])
def test_exchanged_conditions_are_found(pp: bool, said: str) -> None:
    """Assert that a sampler that takes one condition for the other is named as such."""
    found = of("exchanged", pp=pp)
    assert found.exit_code == 1
    assert any(said in f.detail and "exchanged" in f.detail for f in found.findings)


def test_runs_on_other_inputs_agree_with_the_trace() -> None:
    """Assert that batches of several samples are split into their conditions as one sample is."""
    sampler = function(guided_samplers.two_m_batch, {})
    with sampler.float64():
        run = sampler.on(4)
        found = trace(run, "data")
        assert found.channel[:2] == ("unconditional", "conditional")
        assert found.nfe == 8
        assert departures(run, found) == ()


def test_an_exception_on_what_is_drawn_anew_is_an_error() -> None:
    """Assert it of a run that takes only the shapes that are always tried."""
    run = function(guided_samplers.two_m_batch, {}).on(4)

    def known(start: Tensor, model: Model, draw: Draw) -> Finish:
        if tuple(start.shape[:-1]) not in (BATCH, SHAPE):
            raise ValueError("another shape")
        return run(start, model, draw)

    (found,) = departures(known, trace(run, "data"))
    line = "on inputs of a shape that is drawn anew: ValueError: another shape"
    assert (found.verdict, found.kind, found.detail) == ("error", "exception", line)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda denoise, x, s, cond, uncond: denoise(x, s, cond + uncond + 1), "not one of those given"),
        (lambda denoise, x, s, cond, uncond: denoise(x, s, 3), "the condition of the model is int; pass on cond"),
        (lambda denoise, x, s, cond, uncond: denoise(x, s, cond, uncond), "takes one condition, or cond, uncond"),
    ],
)
def test_a_condition_that_is_none_of_those_given_is_refused(change: Callable[..., Tensor], said: str) -> None:
    """Assert that one line names what the model was passed."""

    def sampler(denoise: Any, x: Tensor, sigmas: Tensor, cond: Any, uncond: Any) -> Tensor:
        for s in sigmas[:-1]:
            x = x + change(denoise, x, s, cond, uncond)
        return x

    with pytest.raises(SamplingError, match=said):
        trace(function(sampler, {}).on(4), "data")
    with pytest.raises(SamplingError, match="a batch of 2 states, which are not copies of one"):
        trace(function(guided_samplers.two_states, {}).on(4), "data")


@pytest.mark.parametrize("name", ["dpm-solver++-2m", "edm-heun", "ipndm-2"])
def test_every_rule_is_the_record_where_outputs_are_equal(name: str) -> None:
    """Assert that the two columns add up to the record's table, and that a run of the table returns them."""
    for on, rule in product((GRID, FLOW), RULES):
        table = sp.tabulate(name, on)
        two = guided_table(table, rule)
        found = without_repeated_evaluations(image(two, "data")).table
        assert torch.allclose(torch.stack([*two.channels.values()]).sum(dim=0), two.outputs, atol=1e-12)
        assert on is FLOW or two.prediction != "data" or found.isclose(two)
        equal = image(table, "data").table
        assert same_shape(found, equal)
        assert max(d.error for d in deviations(found, equal)) < 1e-12


def test_cfg_pp_is_the_formula_of_its_paper() -> None:
    """Assert that a run of the table of CFG++ is DDIM with the noise of the unconditional output, in every frame."""
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(GRID.steps, 2, 3, generator=generator, dtype=torch.float64)
    x = start = 80 * torch.randn(3, generator=generator, dtype=torch.float64)
    for (g, u), (s, t) in zip(outputs, pairwise(GRID.columns.sigma), strict=True):
        x = g + t * (x - u) / s

    def both(wanted: str) -> Any:
        answers = iter(outputs)

        def denoise(at_state: Tensor, at: sp.Point, prediction: str) -> Tensor:
            data = next(answers)
            return data if prediction == "data" else (at_state - data) / at.sigma

        return denoise

    for name in ("ddim", "gradient-estimation?gamma=1"):  # with data and with noise predictions
        table = sp.tabulate(name, GRID)
        assert torch.allclose(sp.sample(both(name), start, guided_table(table, CFG_PP)), x, rtol=1e-12)
        with pytest.raises(SamplingError, match="returned shape"):
            sp.sample(lambda y, at, wanted: y, start, guided_table(table, CFG_PP))


COMFY = """
import comfy.model_patcher

def _with_hook(extra_args, after):
    options = extra_args.get("model_options", {}).copy()
    extra_args["model_options"] = comfy.model_patcher.set_model_options_post_cfg_function(
        options, after, disable_cfg1_optimization=True)

def _multistep(model, x, sigmas, extra_args, older, late):
    seen = {}
    def after(args):
        seen["u"] = args["uncond_denoised"]
        return args["denoised"]
    _with_hook(extra_args, after)
    old = last = None
    for s, t in zip(sigmas, sigmas[1:]):
        g = model(x, s * x.new_ones([x.shape[0]]), **extra_args)
        u, h = seen["u"], (s / t).log()
        e = g if old is None else g + h / last * (g - old) / 2
        x = t / s * (x + g - u) - (-h).expm1() * e
        old, last = (u if older else g), h
    return x

def sample_multi_cfg_pp(model, x, sigmas, extra_args=None, callback=None, disable=None):
    return _multistep(model, x, sigmas, extra_args, False, False)

def sample_older_cfg_pp(model, x, sigmas, extra_args=None, callback=None, disable=None):
    return _multistep(model, x, sigmas, extra_args, True, False)

def sample_single_cfg_pp(model, x, sigmas, extra_args=None, callback=None, disable=None, late=False):
    seen = {}
    def after(args):
        seen["u"] = args["uncond_denoised"]
        return args["denoised"]
    _with_hook(extra_args, after)
    for s, t in zip(sigmas, sigmas[1:]):
        r, one = (t / s).sqrt(), x.new_ones([x.shape[0]])
        g = model(x, s * one, **extra_args)
        u = seen["u"]
        there = r * (x + g - u) + (1 - r) * g
        mid = model(there, s * r * one, **extra_args)
        x = t / s * (x + g - (seen["u"] if late else u)) + (1 - t / s) * mid
    return x
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with samplers in the interface of ComfyUI."""
    folder = tmp_path_factory.mktemp("ComfyUI")
    for name, text in (("k_diffusion/sampling.py", COMFY), ("k_diffusion/__init__.py", ""), ("__init__.py", "")):
        file = folder / "comfy" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("name", "against", "guidance"),
    [
        ("multi_cfg_pp", "dpm-solver++-2m", "CFG++ of dpm-solver++-2m; "),
        (
            "older_cfg_pp",
            "dpm-solver++-2m",
            "CFG++ of dpm-solver++-2m on the guided output of the step itself and the un",
        ),
        ("single_cfg_pp", "dpm-solver++-2s", "CFG++ of dpm-solver++-2s; "),
    ],
)
def test_callbacks_of_comfyui_are_read_as_two_columns(checkout: str, name: str, against: str, guidance: str) -> None:
    """Assert that a sampler that is called back with the unconditional output is named as the CFG++ that it is."""
    found = verdict_on(resolve(f"comfyui:{name}", checkout), against)
    assert found.exit_code == 0
    assert found.guidance is not None
    assert found.guidance.startswith(guidance)


def test_an_output_that_a_later_call_overwrites_is_named(checkout: str) -> None:
    """Assert that the unconditional output of the wrong evaluation is found, with the one that is right."""
    found = verdict_on(resolve("comfyui:single_cfg_pp?late=true", checkout), "dpm-solver++-2s")
    assert found.exit_code == 1
    said = [f.detail for f in found.findings if "of the unconditional output" in f.detail]
    assert said[0].startswith("step 1: outputs[0] of the unconditional output is ")
    assert said[0].endswith("that belongs to the output one evaluation ago")


def test_two_columns_go_through_files(tmp_path: Path) -> None:
    """Assert that a table with channels is written, read and judged, and refused where they do not add up."""
    two = with_conditions(guided_table(sp.tabulate("dpm-solver++-2m", GRID), CFG_PP), 0.6)
    data = json.loads(json.dumps(plain_table(two)))
    assert table_of(data) == two
    assert table_of(data) != sp.tabulate("dpm-solver++-2m", GRID)
    path = tmp_path / "table.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    found = verify(str(path), "dpm-solver++-2m")
    assert found.exit_code == 0
    assert found.guidance is not None
    assert found.guidance.startswith("CFG++ of dpm-solver++-2m; ")
    assert found.guidance.endswith("w = 0.6")
    data["channels"]["conditional"][1][0] = plain(data["channels"]["conditional"][1][0]) + 1e-6
    with pytest.raises(InputError, match=r"table.channels: .* in row 1, lag 0'; "):
        table_of(data)
    data["outputs"][1][0] = plain(data["outputs"][1][0]) + 1e-6
    path.write_text(json.dumps(data), encoding="utf-8")
    assert verify(str(path), "dpm-solver++-2m").exit_code == 1


def recorded(off: float) -> dict[str, Any]:
    """A run of CFG++ as a port in another language writes it, with the channel of every evaluation."""
    generator = torch.Generator().manual_seed(0)
    evaluations: list[dict[str, Any]] = []

    def random() -> Tensor:
        return torch.randn(1, 1, 1, 2 + 2 * GRID.steps, generator=generator, dtype=torch.float64)

    def denoise(x: Tensor, s: Tensor, channel: str = "", cond: str = "") -> Tensor:
        answer = random()
        vectors = {"input": x.flatten().tolist(), "output": answer.flatten().tolist()}
        evaluations.append({"point": [1.0, float(s)], "channel": channel or cond, **vectors})
        return answer

    start, levels = 80 * random(), GRID.columns.sigma
    end = guided_samplers.cfg_pp(denoise, start, levels, "conditional", "unconditional", off=off)
    run = {"format": 1, "prediction": "data", "start": start.flatten().tolist(), "noises": []}
    grid = [[1.0, s] for s in levels.tolist()]
    return {**run, "evaluations": evaluations, "end": end.flatten().tolist(), "grid": grid}


def test_a_recorded_run_says_which_output_it_asked_for(tmp_path: Path) -> None:
    """Assert that a run with channels is judged by both columns, and that one that is off by 1e-6 does not conform."""
    path = tmp_path / "run.json"
    path.write_text(json.dumps(recorded(1.0)), encoding="utf-8")
    found = verify(str(path), "ddim")
    assert found.exit_code == 0
    assert (found.guidance or "").startswith("CFG++ of ddim; ")
    path.write_text(json.dumps(recorded(1 + 1e-6)), encoding="utf-8")
    off = verify(str(path), "ddim")
    assert off.exit_code == 1
    # Both outputs are off by as much.
    assert any(re.match(r"step 4: outputs\[0\] of the (un)?conditional output", f.detail) for f in off.findings)


def test_read_back_has_a_column_for_each_output() -> None:
    """Assert that the table of a function with two conditions has both, and prints them."""
    found = sp.read_back(guided_samplers.cfg_pp, GRID)
    expected = with_conditions(guided_table(sp.tabulate("ddim", GRID), CFG_PP), 0.6)
    assert [*found.channels] == ["conditional", "unconditional"]
    assert found.isclose(expected)
    assert not found.isclose(sp.tabulate("ddim", GRID))
    assert "conditional[-1]  unconditional[-1]" in str(found)


GUIDED = """
def guided(denoise, x, sigmas, cond, uncond, swap=False):
    for s, t in zip(sigmas[:-1], sigmas[1:]):
        c, u = denoise(x, s, cond), denoise(x, s, uncond)
        c, u = (u, c) if swap else (c, u)
        d = u + 3 * (c - u)
        x = d + t / s * (x - d)
    return x
"""


@pytest.mark.parametrize(("options", "code"), [("", 0), pytest.param("?swap=true", 1, marks=pytest.mark.slow)])
def test_the_command_judges_two_outputs(options: str, code: int, tmp_path: Path) -> None:
    """Assert it of a function in a process of its own, with its order observed where both outputs are equal."""
    file = tmp_path / "mine.py"
    file.write_text(GUIDED, encoding="utf-8")
    answer = verify(f"{file}:guided{options}", "ddim", 8)
    assert answer.exit_code == code, answer.findings
    assert answer.observed_order == pytest.approx(1, abs=0.1)
    assert answer.guidance is not None
    assert ("w = 3" in answer.guidance, "w = -2" in answer.guidance) == (code == 0, code == 1)
