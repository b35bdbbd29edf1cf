"""TableScheduler in pipelines of diffusers, beside their own schedulers."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import samplerproof as sp
from samplerproof.numerics.table_file import write_table

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),  # diffusers under numpy 2
]
pytest.importorskip("diffusers")

import diffusers  # noqa: E402

from samplerproof.schedulers import TableScheduler  # noqa: E402

SAME = [  # class, settings, the method that it is
    ("DDIMScheduler", {"clip_sample": False}, "ddim"),
    ("DDIMScheduler", {"clip_sample": False, "prediction_type": "v_prediction"}, "ddim"),
    ("EulerDiscreteScheduler", {}, "ddim"),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True, "timestep_spacing": "trailing"}, "ddim"),
    ("DPMSolverMultistepScheduler", {}, "dpm-solver++-2m"),
    ("DPMSolverMultistepScheduler", {"prediction_type": "sample"}, "dpm-solver++-2m"),
    ("UniPCMultistepScheduler", {}, "unipc-2"),
    ("HeunDiscreteScheduler", {}, "edm-heun"),
    ("KDPM2DiscreteScheduler", {}, "dpm-solver-2s"),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, "flow-euler"),
    ("FlowMatchHeunDiscreteScheduler", {}, "flow-heun"),
]


def network(x: Tensor, t: Any) -> Tensor:
    """A smooth function of the sample and the timestep."""
    return torch.tanh(0.7 * x + 0.3 * x.roll(1, -1)) + 1e-3 * float(t) * torch.cos(x) / 3


def run(
    scheduler: Any, steps: int = 9, begin: int = 0, sigmas: list[float] | None = None, scale: float = 1.0
) -> Tensor:
    """A loop as pipelines have it, from a start times `scale`."""
    scheduler.set_timesteps(**({"num_inference_steps": steps} if sigmas is None else {"sigmas": sigmas}))
    if begin:
        scheduler.set_begin_index(begin * scheduler.order)
    times = scheduler.timesteps[begin * scheduler.order :]
    x, generator = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    if begin:
        x = scheduler.add_noise(x, torch.ones_like(x), times[:1].repeat(2))
    else:
        x = x * getattr(scheduler, "init_noise_sigma", 1.0) * scale
    options = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    for t in times:
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(network(seen, t), t, x, **options)[0]
    return x


ALIKE = ("KDPM2DiscreteScheduler", "FlowMatchHeunDiscreteScheduler")  # have the settings of other classes


def drop_in(own: Any, method: str, **options: Any) -> Any:
    if type(own).__name__ in ALIKE:
        options["levels_of"] = type(own).__name__
    return TableScheduler.from_config(own.config, method=method, **options)


@pytest.mark.parametrize(("name", "settings", "method"), SAME)
def test_the_same_record_is_the_same_loop(name: str, settings: dict[str, Any], method: str) -> None:
    """Assert that a loop with our scheduler gives the sample of the class's own, from the noisiest level and from a
    later one, and that another method does not; and also where one step is left.
    """
    own = getattr(diffusers, name)(**settings)
    expected = run(own, 1)
    assert float((run(drop_in(own, method), 1) - expected).abs().max()) < 1e-5 * float(expected.abs().max())
    for begin in (0, 4) if hasattr(own, "set_begin_index") and hasattr(own, "add_noise") else (0,):
        expected = run(own, begin=begin)
        bound = 1e-5 * float(expected.abs().max())
        assert float((run(drop_in(own, method), begin=begin) - expected).abs().max()) < bound
        other = "unipc-3" if method != "unipc-3" else "ddim"
        assert float((run(drop_in(own, other), begin=begin) - expected).abs().max()) > bound


def test_levels_of_one_s_own() -> None:
    """Assert that timesteps, sigmas and kinds of grid of one's own are the levels of the run, on classes that take
    them and on those that do not; and that unknown ones are refused in one line.
    """
    ddim, flow = diffusers.DDIMScheduler(), diffusers.FlowMatchEulerDiscreteScheduler()
    made = drop_in(ddim, "unipc-2")
    made.set_timesteps(timesteps=[900, 500, 100])
    assert made.timesteps.tolist() == [900, 500, 100]
    products = ddim.alphas_cumprod[[900, 500, 100]]
    assert made.sigmas[:3].tolist() == pytest.approx(((1 - products) / products).sqrt().tolist())
    made.set_timesteps(sigmas=[10.0, 1.0, 0.1])
    ratio = [p.sigma / p.alpha for p in made.levels.grid.points]
    assert ratio == pytest.approx([10.0, 1.0, 0.1, 0.0])
    made = drop_in(flow, "flow-euler", grid="flow?shift=3")
    made.set_timesteps(4)
    assert made.timesteps.tolist() == pytest.approx([1000, 900, 750, 500], rel=1e-3)
    made = drop_in(diffusers.EulerDiscreteScheduler(), "ddim", grid="karras")
    made.set_timesteps(5)
    own = diffusers.EulerDiscreteScheduler(use_karras_sigmas=True)
    own.set_timesteps(5)
    assert made.sigmas.tolist() == pytest.approx(own.sigmas.tolist(), rel=1e-5)
    assert made.timesteps.tolist() == pytest.approx(own.timesteps.tolist(), rel=1e-3, abs=1e-2)
    with pytest.raises(sp.InputError, match="method"):
        TableScheduler(method="dpm-2m")
    with pytest.raises(sp.InputError, match="grid"):
        drop_in(ddim, "ddim", grid="karas").set_timesteps(4)
    with pytest.raises(sp.InputError, match="levels_of: got 'EDMEulerScheduler'"):
        TableScheduler(levels_of="EDMEulerScheduler")
    with pytest.raises(sp.InputError, match="config"):
        TableScheduler.from_config({"colour": 1})


@pytest.mark.parametrize(
    ("name", "given", "line"),
    [
        ("DDIMScheduler", {"num_inference_steps": 0}, "num_inference_steps: got 0; a whole number, at least 1"),
        ("DDIMScheduler", {"timesteps": [100, 500]}, "timesteps[1]: got 500.0; a level in [0, 999]"),
        ("DDIMScheduler", {"timesteps": [1000, 500]}, "timesteps[0]: got 1000.0; a level in [0, 999]"),
        ("DDIMScheduler", {"timesteps": []}, "timesteps: got []; at least one level"),
        ("DDIMScheduler", {"timesteps": ["a"]}, "timesteps[0]: got 'a'; a finite number"),
        ("DDIMScheduler", {"sigmas": [200.0, 1.0]}, "sigmas[0]: got 200.0; a level in [0, 158."),
        ("EulerDiscreteScheduler", {"sigmas": [0.1, 0.5]}, "sigmas[1]: got 0.5; a level in"),
        ("EulerDiscreteScheduler", {"timesteps": [9, 1], "sigmas": [2.0, 1.0]}, "sigmas: got [2.0, 1.0]; left out"),
        ("EulerDiscreteScheduler", {"num_inference_steps": 4, "mu": 1.0}, "mu: got 1.0; left out, as EulerDiscrete"),
        ("FlowMatchEulerDiscreteScheduler", {"sigmas": [14.0, 1.0]}, "sigmas[0]: got 14.0; a level in [0, 1], where"),
        ("DDIMInverseScheduler", {"num_inference_steps": 4}, "levels_of: got 'DDIMInverseScheduler'; a scheduler from"),
    ],
)
def test_levels_that_are_wrong_are_one_line(name: str, given: dict[str, Any], line: str) -> None:
    """Assert what is said of levels that rise, are of another process or beyond the trained ones, or are none."""
    with pytest.raises(sp.InputError) as fault:
        drop_in(getattr(diffusers, name)(), "ddim").set_timesteps(**given)
    assert str(fault.value).startswith(line)


def test_lists_of_levels_have_any_kind_of_number() -> None:
    """Assert that a flow takes both lists, as CogView4 passes them, and that one level is enough."""
    flow, sigmas = diffusers.FlowMatchEulerDiscreteScheduler(), torch.linspace(1, 0.2, 5)
    made = drop_in(flow, "flow-euler")
    made.set_timesteps(sigmas=sigmas, timesteps=1000 * sigmas)
    flow.set_timesteps(sigmas=sigmas.tolist(), timesteps=(1000 * sigmas).tolist())
    assert made.sigmas.tolist() == pytest.approx(flow.sigmas.tolist())
    made.set_timesteps(torch.tensor(3))
    assert made.num_inference_steps == 3
    made = drop_in(diffusers.DDIMScheduler(), "unipc-3")
    made.set_timesteps(timesteps=[999])
    assert made.timesteps.tolist() == [999]


def test_timesteps_that_are_logarithms() -> None:
    """Assert that stages between the levels, and a kind of grid, have log(sigma)/4 on a model that is asked so."""
    own = diffusers.EulerDiscreteScheduler(
        sigma_min=0.002,
        sigma_max=700.0,
        timestep_type="continuous",
        prediction_type="v_prediction",
        use_karras_sigmas=True,
    )
    for made in (drop_in(own, "dpm-solver-2s"), drop_in(own, "dpm-solver-2s", grid="karras")):
        made.set_timesteps(6)
        asked = [at.sigma for at, wanted in zip(made.table.points, made.table.evaluated, strict=True) if wanted]
        assert made.timesteps.tolist() == pytest.approx((torch.tensor(asked).log() / 4).tolist(), abs=1e-5)


@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"])
def test_a_table_file_runs_on_every_process(name: str, tmp_path: Path) -> None:
    """Assert that a table file at alpha = 1 gives the loop of its method on these levels, on vp, ve and the flow; that
    one with a weight off by 1e-4 does not; and that it is refused on other steps, levels and begins.
    """
    ratios = [10.0, 4.0, 1.5, 0.5, 0.1, 0.0]
    table = sp.tabulate("dpm-solver++-2m", sp.Grid.from_sigmas(ratios))
    write_table(table, tmp_path / "two_m.json")
    outputs = table.outputs.clone()
    outputs[2, 0] += 1e-4
    write_table(dataclasses.replace(table, outputs=outputs), tmp_path / "off.json")
    own = getattr(diffusers, name)(**({"clip_sample": False} if name == "DDIMScheduler" else {}))
    levels = [s / (1 + s) for s in ratios] if name.startswith("Flow") else ratios
    same = drop_in(own, "dpm-solver++-2m")
    expected = run(same, sigmas=levels if name == "EulerDiscreteScheduler" else levels[:-1])  # its list has the 0
    made = drop_in(own, str(tmp_path / "two_m.json"))
    size = float(expected.abs().max())
    start = 1.0 if name != "EulerDiscreteScheduler" else float(same.init_noise_sigma) / ratios[0]
    assert float((run(made, 5, scale=start) - expected).abs().max()) < 1e-5 * size
    assert float((run(drop_in(own, str(tmp_path / "off.json")), 5, scale=start) - expected).abs().max()) > 1e-5 * size
    with pytest.raises(sp.InputError, match="num_inference_steps: got 6; 5, the steps of the table"):
        made.set_timesteps(6)
    with pytest.raises(sp.InputError, match="grid: got 'karras'"):
        drop_in(own, str(tmp_path / "two_m.json"), grid="karras")
    if not name.startswith("Flow"):
        write_table(sp.tabulate("ddim", sp.Grid.from_sigmas([5000.0, 1.0, 0.1])), tmp_path / "far.json")
        with pytest.raises(sp.InputError, match="where the model was trained"):
            drop_in(own, str(tmp_path / "far.json")).set_timesteps(2)


def test_configurations_go_both_ways(tmp_path: Path) -> None:
    """Assert that a saved scheduler is loaded as it was, also from the folder of another class and after that of a
    third, that its configuration makes other classes, and that settings of the class are taken or refused.
    """
    made = drop_in(diffusers.DDIMScheduler(beta_start=2e-4), "unipc-3", grid="karras?rho=5")
    made.save_pretrained(tmp_path)
    again = TableScheduler.from_pretrained(tmp_path)
    assert torch.equal(run(again), run(made))
    assert again.own.config.beta_start == 2e-4
    euler = diffusers.EulerDiscreteScheduler.from_config(again.config)
    assert euler.config.beta_start == 2e-4
    assert json.loads((tmp_path / "scheduler_config.json").read_text())["method"] == "unipc-3"
    assert drop_in(euler, "ddim").config.levels_of == "EulerDiscreteScheduler"
    assert drop_in(made, "ddim").config.levels_of == "DDIMScheduler"
    euler.save_pretrained(tmp_path)
    loaded = TableScheduler.from_pretrained(tmp_path, method="ddim", timestep_spacing="trailing")
    spaced = diffusers.EulerDiscreteScheduler.from_pretrained(tmp_path, timestep_spacing="trailing")
    assert float((run(loaded) - run(spaced)).abs().max()) < 1e-5 * float(run(spaced).abs().max())
    assert float((run(loaded) - run(euler)).abs().max()) > 1e-5 * float(run(spaced).abs().max())
    with pytest.raises(sp.InputError, match="metod: got 'ddim'; one of method, grid, levels_of, or a setting of Euler"):
        TableScheduler.from_config(euler.config, metod="ddim")
    with pytest.raises(sp.InputError, match="prediction_type: got 'noise'; one of epsilon, sample, v_prediction"):
        drop_in(euler, "ddim", prediction_type="noise")
    with pytest.raises(sp.InputError, match="levels_of=CLASS, one of LCMScheduler, TCDScheduler"):
        drop_in(diffusers.LCMScheduler(), "ddim")


def test_copies_are_between_runs() -> None:
    """Assert that copies and pickles run as the scheduler does, and that one made within a run has no timesteps."""
    made = drop_in(diffusers.DPMSolverMultistepScheduler(), "unipc-3")
    expected = run(made)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert torch.equal(run(other), expected)
    made.set_timesteps(4)
    x = torch.ones(1, 3, 4, 4)
    made.step(x, made.timesteps[0], x)
    other = copy.deepcopy(made)
    with pytest.raises(sp.InputError, match="timesteps: got 'none'; call set_timesteps first"):
        other.step(x, made.timesteps[1], x)
    assert torch.equal(run(other), expected)


def test_noise_is_from_the_generator() -> None:
    """Assert that a stochastic method repeats with the seed of its generator, and with the class's own."""
    own = diffusers.EulerAncestralDiscreteScheduler()
    made = drop_in(own, "ddim-eta?eta=1")
    assert torch.equal(run(made), run(made))
    assert float((run(made) - run(own)).abs().max()) < 1e-5 * float(run(own).abs().max())


def test_verify_finds_the_record() -> None:
    """Assert that our class, with a method, is that record."""
    found = sp.verify("samplerproof.schedulers:TableScheduler?method=unipc-3&levels_of=EulerDiscreteScheduler", steps=8)
    assert (found.verdict, list(found.matches)) == ("roundoff", ["unipc-3"])
    assert not [finding for finding in found.findings if finding.severity == "error"]
