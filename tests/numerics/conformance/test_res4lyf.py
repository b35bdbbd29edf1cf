"""RES4LYF's samplers: a small file of the interface of its sample_rk_beta, and the step to 0 without an evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from samplerproof.numerics.conformance.adapters.process_levels import ZERO
from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.judge.compare import deviations, same_shape
from samplerproof.numerics.conformance.judge.references import candidates
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.readback import Trace, trace

STEPS, EQUAL = 5, 1e-13
ENDING = "extra_options=enable_final_model_call"
RULES = """
RK_SAMPLER_NAMES_BETA_NO_FOLDERS = ["none", "euler", "midpoint_2s", "back_1s"]
IRK_SAMPLER_NAMES_BETA_NO_FOLDERS = ["back_1s"]
"""
SAMPLING = """
import torch
import pywt
import comfy.samplers
from comfy.model_sampling import EPS
from ..res4lyf import RESplain
from .rk_coefficients_beta import RK_SAMPLER_NAMES_BETA_NO_FOLDERS

def sample_rk_beta(model, x, sigmas, extra_args=None, disable=None, rk_type=None, implicit_sampler_name=None, c2=0.5,
                   c3=1.0, eta=0.5, eta_substep=0.5, noise_anchor=1.0, implicit_steps_full=0, implicit_steps_diag=0,
                   BONGMATH=True, extra_options=""):
    process, asked = model.inner_model.inner_model.model_sampling, extra_options.split()
    assert isinstance(process, EPS) and eta == eta_substep == 0
    assert rk_type or implicit_sampler_name == "back_1s"
    RESplain("begins", debug=True)
    def denoised(state, sigma):
        return model(state, sigma * state.new_ones(len(state)), **extra_args).to(x.dtype)
    if "work_dtype=float64" not in asked:
        x = x.float()
    for s, t in zip(sigmas, sigmas[1:]):
        if t == 0 and s == process.sigma_min:
            if "enable_final_model_call" in asked:
                eps = (x - denoised(x, s)) / s
            return process.calculate_denoised(s, eps, x)
        eps = (x - denoised(x, s)) / s
        if rk_type == "midpoint_2s":
            middle = (s + t) / 2
            y = x + (middle - s) * eps
            eps = (y - denoised(y, middle)) / middle
        x = x + (t - s) * eps * FACTOR
    return x
"""


@pytest.fixture
def checkout(tmp_path: Path) -> str:
    """A folder with its two files, whose sampler is sound."""
    return written(tmp_path / "sound", 1.0)


def written(folder: Path, factor: float) -> str:
    """The same, with a step that is off by a factor."""
    (folder / "beta").mkdir(parents=True)
    (folder / "beta" / "rk_coefficients_beta.py").write_text(RULES, encoding="utf-8")
    (folder / "beta" / "rk_sampler_beta.py").write_text(f"FACTOR = {factor}\n{SAMPLING}", encoding="utf-8")
    return str(folder)


def read(target: str, path: str, dtype: torch.dtype = torch.float64, grid: str | None = None) -> Trace:
    """A run, read back."""
    sampler = resolve(target, path)
    with sampler.float64():
        return trace(sampler.on(STEPS, grid), sampler.prediction, dtype)


def distance(found: Trace, name: str) -> float:
    """The worst row against a record."""
    tables = [ref.table for ref in candidates(found, "ve", (name,)) if same_shape(found.table, ref.table)]
    return min((max(d.error for d in deviations(found.table, table)) for table in tables), default=float("inf"))


@pytest.mark.parametrize("name", ["euler", "back_1s"])
def test_its_rules_are_read_back_in_both_precisions(tmp_path: Path, checkout: str, name: str) -> None:
    """Assert Euler's table, explicit or not, in float64 by its own option, and that a factor of 1 + 1e-6 shows."""
    assert distance(read(f"res4lyf:{name}", checkout), "ddim") < EQUAL
    off = distance(read(f"res4lyf:{name}", written(tmp_path / "off", 1 + 1e-6)), "ddim")
    assert 1e-9 < off < 1e-3
    single = distance(read(f"res4lyf:{name}", checkout, torch.float32), "ddim")
    assert EQUAL < single < 1e-5


@pytest.mark.parametrize(("name", "each"), [("euler", 1), ("midpoint_2s", 2)])
def test_a_last_step_without_an_evaluation_is_found_in_its_place(checkout: str, name: str, each: int) -> None:
    """Assert that the step to 0 has no evaluation of its own, and one where its option asks for it."""
    found = read(f"res4lyf:{name}", checkout, grid=ZERO)
    assert found.nfe == each * (STEPS - 1)
    assert found.step[-2:] == (STEPS - 3 + each, STEPS)  # a start that is not evaluated is not seen
    asked = read(f"res4lyf:{name}?{ENDING}", checkout, grid=ZERO)
    assert asked.nfe == found.nfe + 1
    assert (distance(asked, "ddim") < EQUAL) == (name == "euler")
    assert distance(found, "ddim") == float("inf")
    assert found.grid[-1].sigma == 0


def test_what_its_menu_lacks_is_named(checkout: str, tmp_path: Path) -> None:
    """Assert one line for a name, an option and a folder that it does not have."""
    with pytest.raises(InputError, match="nearest: euler"):
        resolve("res4lyf:eulr", checkout)
    with pytest.raises(InputError, match="no option eta"):
        resolve("res4lyf:euler?eta=0.5", checkout)
    with pytest.raises(InputError, match=r"a folder with beta/rk_sampler_beta.py, as a checkout of ClownsharkBatwing"):
        resolve("res4lyf:euler", str(tmp_path))
