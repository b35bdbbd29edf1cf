"""Methods of the catalogue as schedulers of diffusers and functions of k-diffusion and ComfyUI."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch

import samplerproof as sp
from samplerproof.schedulers import sampler

SIGMAS = torch.tensor([10.0, 4.0, 1.5, 0.5, 0.1, 0.0], dtype=torch.float64)
MIXTURE = sp.GaussianMixture([0.4, 0.6], [-1.0, 1.2], stds=[0.3, 0.2])


def model(x: torch.Tensor, sigma: torch.Tensor, **_: object) -> torch.Tensor:
    return MIXTURE(x, sp.schedule("edm").point(float(sigma[0])), "data")


@pytest.mark.parametrize("name", ["dpm-solver++-2m", "unipc-3", "edm-heun", "ipndm-4"])
def test_the_function_is_the_method(name: str) -> None:
    """Assert that a run of the function is that of `sample`, for one and for two evaluations a step, and that the
    callback is called with every evaluation.
    """
    x, seen = torch.linspace(-20, 20, 7, dtype=torch.float64)[:, None], []
    made = sampler(name)(model, x, SIGMAS, callback=lambda shown: seen.append(float(shown["sigma"])))
    table = sp.tabulate(name, sp.Grid.from_sigmas(SIGMAS))
    assert torch.allclose(made, sp.sample(MIXTURE, x, table), rtol=1e-12, atol=1e-12)
    assert len(seen) == table.nfe
    assert not torch.allclose(made, sampler("ddim")(model, x, SIGMAS), atol=1e-6)


def test_the_function_draws_from_the_sampler_of_noise() -> None:
    """Assert that noise comes from noise_sampler, which is passed the levels of its step, else from the seed."""
    x, asked = torch.ones(3, 1, dtype=torch.float64), []

    def noise_sampler(sigma: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        asked.append((float(sigma), float(after)))
        return torch.full_like(x, 0.5 + len(asked))

    run = sampler("ddim-eta?eta=1")
    made = run(model, x, SIGMAS, noise_sampler=noise_sampler)
    assert asked == list(zip(SIGMAS.tolist()[:-2], SIGMAS.tolist()[1:-1], strict=True))
    draws = iter(range(9))
    table = sp.tabulate("ddim-eta?eta=1", sp.Grid.from_sigmas(SIGMAS))
    again = sp.sample(MIXTURE, x, table, noise=lambda like, _: torch.full_like(like, 1.5 + next(draws)))
    assert torch.allclose(made, again, rtol=1e-12, atol=1e-12)
    seeds = [run(model, x, SIGMAS, extra_args={"seed": seed}) for seed in (1, 1, 2)]
    assert torch.equal(seeds[0], seeds[1])
    assert not torch.equal(seeds[0], seeds[2])


def test_a_model_of_a_flow_is_found_out() -> None:
    """Assert that a model of ComfyUI whose sampling is CONST runs on the flow, from sigma = 1, and others do not."""
    const = type("Own", (type("CONST", (), {}),), {})()
    levels = torch.tensor([1.0, 0.7, 0.3, 0.0], dtype=torch.float64)
    x = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    grid = sp.grid(sp.schedule("flow"), "list", 3, sigmas=levels.tolist())

    def denoise(x: torch.Tensor, sigma: torch.Tensor, **_: object) -> torch.Tensor:
        return MIXTURE(x, sp.schedule("flow").point(float(sigma[0])), "data")

    denoise.inner_model = types.SimpleNamespace(model_sampling=const)  # type: ignore[attr-defined]
    expected = sp.sample(MIXTURE, x, sp.tabulate("dpm-solver++-2m", grid))
    assert torch.allclose(sampler("dpm-solver++-2m")(denoise, x, levels), expected, rtol=1e-12, atol=1e-12)
    denoise.inner_model.model_sampling = object()  # type: ignore[attr-defined]
    assert not torch.allclose(sampler("dpm-solver++-2m")(denoise, x, levels), expected, atol=1e-3)


def test_the_function_refuses() -> None:
    """Assert that unknown methods, processes and levels that rise are refused in one line."""
    with pytest.raises(sp.InputError, match="method"):
        sampler("dpm-2m")
    with pytest.raises(sp.InputError, match="process: got 'vp'"):
        sampler("ddim", process="vp")
    with pytest.raises(sp.InputError, match=r"sigmas\[1\]: got 2.0"):
        sampler("ddim")(model, torch.ones(1, 1), torch.tensor([1.0, 2.0]))


def test_comfyui_loads_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that the file of nodes loads beside ComfyUI's own module and makes a SAMPLER of a method."""
    comfy = types.ModuleType("comfy")
    comfy.samplers = types.ModuleType("comfy.samplers")  # type: ignore[attr-defined]
    comfy.samplers.KSAMPLER = lambda function: ("KSAMPLER", function)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "comfy", comfy)
    monkeypatch.setitem(sys.modules, "comfy.samplers", comfy.samplers)
    file = Path(sampler.__code__.co_filename).with_name("comfyui_nodes.py")
    spec = importlib.util.spec_from_file_location("nodes_under_test", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    node = module.NODE_CLASS_MAPPINGS["SamplerproofSampler"]
    assert "unipc-3" in node.INPUT_TYPES()["required"]["method"][0]
    ((kind, function),) = getattr(node(), node.FUNCTION)("ddim-eta", "eta=1/2")
    assert kind == "KSAMPLER"
    x = torch.ones(1, 1)
    assert function(model, x, SIGMAS, extra_args={"seed": 1}).shape == x.shape
