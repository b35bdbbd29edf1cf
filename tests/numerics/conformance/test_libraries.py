"""Targets by library: Azula where it is installed, and small files of the same interfaces in folders of their own."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest
import torch

from samplerproof.numerics.conformance import repairs
from samplerproof.numerics.conformance.adapters.external_sampler import ExternalSampler
from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.adapters.target import NoTable
from samplerproof.numerics.conformance.judge.compare import deviations, same_shape
from samplerproof.numerics.conformance.judge.references import candidates
from samplerproof.numerics.conformance.known_repairs import Repair
from samplerproof.numerics.conformance.verify import verify
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.readback import trace
from samplerproof.numerics.repeated_evaluations import without_repeated_evaluations

STEPS = 6
EQUAL = 1e-13

# A menu entry that asks its model what ComfyUI's do: the class of its process, a hook after guidance, noise.
COMFYUI = """
import torch
import comfy.model_patcher
import comfy.model_sampling
from comfy.utils import model_trange as trange

def sample_euler(model, x, sigmas, extra_args=None, callback=None, disable=None):
    s_in = x.new_ones([x.shape[0]])
    for i in trange(len(sigmas) - 1, disable=disable):
        denoised = model(x, sigmas[i] * s_in, **extra_args)
        x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i]) * FACTOR
    return x

def sample_euler_ancestral(model, x, sigmas, extra_args=None, callback=None, disable=None, eta=1., noise_sampler=None):
    flow = isinstance(model.inner_model.inner_model.model_sampling, comfy.model_sampling.CONST)
    s_in = x.new_ones([x.shape[0]])
    for i in trange(len(sigmas) - 1):
        s, t = sigmas[i], sigmas[i + 1]
        denoised = model(x, s * s_in, **extra_args)
        if flow:
            x = denoised + (x - denoised) * t / s
            continue
        up = min(t, eta * (t**2 * (s**2 - t**2) / s**2) ** 0.5)
        down = (t**2 - up**2) ** 0.5
        x = x + (x - denoised) / s * (down - s) + up * noise_sampler(s, t)
    return x

def sample_euler_cfg_pp(model, x, sigmas, extra_args=None, callback=None, disable=None):
    uncond = None
    def after(args):
        nonlocal uncond
        uncond = args["uncond_denoised"]
        return args["denoised"]
    options = extra_args.get("model_options", {}).copy()
    extra_args["model_options"] = comfy.model_patcher.set_model_options_post_cfg_function(
        options, after, disable_cfg1_optimization=True)
    for s, t in zip(sigmas, sigmas[1:]):
        denoised = model(x, s * x.new_ones([x.shape[0]]), **extra_args)
        x = denoised + (x - uncond) / s * t
    return x

def sample_dpm_adaptive(model, x, sigma_min, sigma_max):
    return x
"""
UNIPC = """
class UniPC:
    def __init__(self, model_fn, noise_schedule, algorithm_type="data_prediction", variant="bh1"):
        self.model, self.schedule = model_fn, noise_schedule
    def get_time_steps(self, skip_type, t_T, t_0, N, device):
        raise RuntimeError("a schedule in time")
    def sample(self, x, steps=20, t_start=None, t_end=None, order=2, skip_type="time_uniform", method="multistep",
               lower_order_final=True):
        print("first order only")
        times = self.get_time_steps(skip_type=skip_type, t_T=t_start, t_0=t_end, N=steps, device=x.device)
        for s, t in zip(times, times[1:]):
            h = self.schedule.marginal_lambda(t) - self.schedule.marginal_lambda(s)
            eps = self.model(x, s.expand(x.shape[0]))
            a, b = self.schedule.marginal_alpha(s), self.schedule.marginal_alpha(t)
            x = b / a * x - self.schedule.marginal_std(t) * h.expm1() * eps * FACTOR
        return x
"""
EDM = """
import click, dnnlib, PIL.Image
import torch
from torch_utils import distributed as dist

def edm_sampler(net, latents, class_labels=None, randn_like=torch.randn_like, num_steps=18, sigma_min=0.002,
                sigma_max=80, rho=7, S_churn=0, S_min=0, S_max=float("inf"), S_noise=1):
    sigma_min, sigma_max = max(sigma_min, net.sigma_min), min(sigma_max, net.sigma_max)
    i = torch.arange(num_steps, dtype=torch.float64)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    t = net.round_sigma((high + i / (num_steps - 1) * (low - high)) ** rho)
    t = torch.cat([t, torch.zeros_like(t[:1])])
    x = latents.to(torch.float64) * t[0]
    for n, (s, to) in enumerate(zip(t, t[1:])):
        d = (x - net(x, net.round_sigma(s), class_labels).to(torch.float64)) / s
        y = x + (to - s) * d
        if n < num_steps - 1:
            y = x + (to - s) * (d + (y - net(y, to, class_labels).to(torch.float64)) / to) / 2 * FACTOR
        x = y
    return x
"""
WAN = """
import torch
class FlowUniPCMultistepScheduler:
    def __init__(self, solver_order=2, solver_type="bh2"):
        pass
    def set_timesteps(self, num_inference_steps, shift=None):
        self.sigmas = torch.linspace(1, 0, num_inference_steps + 1)
    def set_begin_index(self, begin):
        self.n = begin
    def step(self, output, timestep, sample, return_dict=True):
        self.n += 1
        return (sample + FACTOR * (self.sigmas[self.n] - self.sigmas[self.n - 1]) * output,)
"""
SKRAMPLE = """
import math
from dataclasses import dataclass
from abc import ABC, abstractmethod
from typing import Any, NamedTuple
import types

class Step(NamedTuple):
    time_from: float
    time_to: float
    @staticmethod
    def from_int(position, amount):
        return Step(position / amount, (position + 1) / amount)

@dataclass(frozen=True)
class SampleInput:
    sample: Any
    prediction: Any
    step: Step
    noise: Any

@dataclass(frozen=True)
class SKSamples(SampleInput):
    final: Any

@dataclass(frozen=True)
class SkrampleSchedule(ABC):
    @property
    @abstractmethod
    def space(self): ...
    @abstractmethod
    def _points(self, t): ...
    def ipoints(self, t):
        import numpy as np
        return [tuple(p) for p in self._points(1 - np.asarray(t)).tolist()]

models = types.SimpleNamespace(DataModel=lambda: "data", NoiseModel=lambda: "noise")

@dataclass(frozen=True)
class StructuredSampler(ABC):
    @property
    def require_noise(self): return False
    @property
    def require_previous(self): return 0
    @abstractmethod
    def sample_packed(self, packed, model_transform, schedule, previous=()): ...

@dataclass(frozen=True)
class Euler(StructuredSampler):
    stochasticity: float = 0
    @property
    def require_noise(self): return self.stochasticity > 0
    def sample_packed(self, packed, model_transform, schedule, previous=()):
        assert model_transform == "data"
        (_, s, a), (_, t, b) = schedule.ipoints(packed.step)
        share = self.stochasticity * (1 - (a / b * t / s) ** 2)
        x, d = packed.sample, packed.prediction
        final = b * d + FACTOR * t * math.sqrt(1 - share) / s * (x - a * d)
        if self.require_noise:
            final = final + t * math.sqrt(share) * packed.noise
        return SKSamples(x, d, packed.step, packed.noise, final)
"""
AZULA = """
import torch
__all__ = ["Sampler", "DDIMSampler"]

class Sampler:
    def __init__(self, start=1.0, stop=0.0, steps=64, silent=False, dtype=None, device=None):
        self.silent = silent
    @property
    def timesteps(self):
        return torch.linspace(1, 0, 65)
    def __call__(self, x):
        for t, s in self.timesteps.unfold(0, 2, 1):
            x = self.step(x, t, s)
        return x

class DDIMSampler(Sampler):
    def __init__(self, denoiser, eta=0.0, **kwargs):
        super().__init__(**kwargs)
        self.denoiser, self.eta = denoiser, eta
    def step(self, x, t, s):
        (a, sigma), (b, to) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        share = self.eta * (1 - (a / b * to / sigma) ** 2)
        mean = self.denoiser(x, t).mean
        x = b * mean + FACTOR * to * torch.sqrt(1 - share) / sigma * (x - a * mean)
        return x + to * torch.sqrt(share) * torch.randn_like(x)
"""
FILES = {
    "azula": ("azula/sample.py", AZULA),
    "comfyui": ("comfy/k_diffusion/sampling.py", COMFYUI),
    "skrample": ("skrample/sampling/structured.py", SKRAMPLE),
    "unipc": ("uni_pc.py", UNIPC),
    "edm": ("generate.py", EDM),
    "wan": ("wan/utils/fm_solvers_unipc.py", WAN),
}


def checkout(folder: Path, library: str, factor: float = 1.0) -> str:
    """A folder with a file of the library's interface."""
    name, text = FILES[library]
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if library in ("azula", "skrample"):  # packages; `comfy` and `wan` are folders
        (folder / library / "__init__.py").touch()
    file.write_text(f"FACTOR = {factor}\n{text}", encoding="utf-8")
    return str(folder)


def distance(sampler: ExternalSampler, name: str) -> float:
    """The worst row against a record, in float64."""
    with sampler.float64():
        found = without_repeated_evaluations(trace(sampler.on(STEPS), sampler.prediction, torch.float64))
    references = [ref.table for ref in candidates(found, sampler.info.process, (name,))]
    return min(
        (
            max(d.error for d in deviations(found.table, table))
            for table in references
            if same_shape(found.table, table)
        ),
        default=float("inf"),
    )


@pytest.mark.parametrize(
    ("target", "record"),
    [
        ("comfyui:euler", "ddim"),
        ("comfyui:sample_euler", "ddim"),
        ("comfyui:ddim", "ddim"),
        ("azula:DDIMSampler?eta=1", "ddpm"),
        ("skrample:Euler", "ddim"),
        ("skrample:Euler?stochasticity=1", "ddpm"),
        ("unipc:UniPC?order=1", "ddim"),
        ("edm:edm_sampler", "edm-heun"),
        ("wan:FlowUniPCMultistepScheduler", "ddim"),
    ],
)
def test_a_checkout_is_read_back_and_a_wrong_factor_shows(tmp_path: Path, target: str, record: str) -> None:
    """Assert that a sampler in a folder has the table of its record, and one that is off by 1e-6 has not."""
    library = target.partition(":")[0]
    assert distance(resolve(target, checkout(tmp_path / "sound", library)), record) < EQUAL
    off = distance(resolve(target, checkout(tmp_path / "off", library, 1 + 1e-6)), record)
    assert 1e-9 < off < 1e-3


def test_comfyui_gives_noise_guidance_and_the_flow(tmp_path: Path) -> None:
    """Assert that ComfyUI's functions draw by the noise sampler, see the outputs without a prompt, and know a flow."""
    path = checkout(tmp_path, "comfyui")
    assert distance(resolve("comfyui:euler_ancestral", path), "ddim-eta?eta=1") < EQUAL
    assert distance(resolve("comfyui:euler_ancestral?eta=0.5", path), "ddim-eta?eta=1/2") < EQUAL
    assert distance(resolve("comfyui:euler_ancestral?eta=0.5", path), "ddim-eta?eta=1") > 1e-3
    assert distance(resolve("comfyui:euler_cfg_pp", path), "ddim") < EQUAL
    in_process = resolve("comfyui:euler_ancestral", path).in_process
    assert in_process is not None
    assert distance(in_process("flow", "data"), "ddim") < EQUAL
    with pytest.raises(InputError, match="ve or flow"):
        in_process("vp", "noise")
    with pytest.raises(NoTable, match="step sizes depend on the values"):
        resolve("comfyui:dpm_adaptive", path)


def test_what_is_lacking_is_named(tmp_path: Path) -> None:
    """Assert that a missing checkout, file, sampler or option is one line with its name, and how to give a folder."""
    with pytest.raises(InputError, match=r"sampling.py where Python looks for modules, or --path DIR"):
        resolve("comfyui:euler")
    with pytest.raises(InputError, match=r"path: .*a folder with uni_pc.py, as a checkout of wl-zhao/UniPC has it"):
        resolve("unipc:UniPC", str(tmp_path))
    path = checkout(tmp_path, "comfyui")
    with pytest.raises(InputError, match="nearest: sample_euler"):
        resolve("comfyui:eulr", path)
    with pytest.raises(InputError, match="no option order; takes eta"):
        resolve("comfyui:euler_ancestral?order=3", path)
    assert resolve("comfyui:euler", str(tmp_path / "comfy")).info.reference == "ddim"  # a folder inside will do
    (tmp_path / "generate.py").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="edm_sampler"):
        resolve("edm:edm_sampler", str(tmp_path))
    with pytest.raises(InputError, match="there is none of this name"):
        verify("comfyui:euler", path=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(("target", "record"), [("comfyui:euler", "ddim"), ("wan:FlowUniPCMultistepScheduler", "ddim")])
def test_a_file_of_a_checkout_is_repaired_in_memory_and_by_its_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, record: str
) -> None:
    """Assert that a repair leaves the file as it is, its patch applies, and other lines are refused, of a file
    that is imported and of one that is read as a module of its own.
    """
    library = target.partition(":")[0]
    path, file = checkout(tmp_path, library, 1.25), FILES[library][0]
    repair = Repair(target, file, (("FACTOR = 1.25", "FACTOR = 1.0"),), "a factor")
    monkeypatch.setattr(repairs, "REPAIRS", (repair,))
    assert distance(repairs.repaired(target, path), record) < EQUAL
    assert distance(resolve(target, path), record) > 0.1
    patch = repairs.patch_of(repair, path)
    subprocess.run(["git", "apply", "-"], cwd=path, input=patch.encode(), check=True)
    assert distance(resolve(target, path), record) < EQUAL
    with pytest.raises(InputError, match=rf"'FACTOR = 1.25' in {file}, which this version does not"):
        repairs.repaired(target, path)


INSTALLED = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("azula", "einops")), reason="not installed: azula, einops"
)


@INSTALLED
@pytest.mark.parametrize(
    ("target", "record"),
    [
        ("DDPMSampler", "ddpm"),
        ("DDIMSampler", "ddim"),
        ("DDIMSampler?eta=0.25", "ddim-eta?eta=1/2"),
        ("EulerSampler", "ddim"),
        ("HeunSampler", "edm-heun"),
        ("zABSampler?order=3", "deis-rhoab2"),
        ("zEABSampler", "exp-adams-noise-2"),
        ("xEABSampler?order=3", "exp-adams-3"),
    ],
)
def test_samplers_of_azula(target: str, record: str) -> None:
    """Assert that Azula's samplers have the tables of the records that they name."""
    sampler = resolve(f"azula:{target}")
    assert sampler.info.reference is not None
    assert distance(sampler, sampler.info.reference) < EQUAL
    assert distance(sampler, record) < EQUAL


@pytest.mark.slow
def test_a_library_in_a_folder_is_verified_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Assert that verify finds a library by its path, and gives the verdicts of a sound sampler and of one off."""
    sound = verify("comfyui:euler", steps=10, path=checkout(tmp_path / "sound", "comfyui"))
    assert (sound.verdict, sound.exit_code, sound.matches[0]) == ("roundoff", 0, "ddim")
    off = verify("comfyui:euler", steps=10, path=checkout(tmp_path / "off", "comfyui", 1 + 1e-6))
    assert (off.verdict, off.exit_code) == ("different-formula", 1)
    missing = verify("comfyui:euler", steps=10)
    assert (missing.verdict, missing.exit_code) == ("error", 2)
    assert "--path DIR" in missing.findings[0].detail
