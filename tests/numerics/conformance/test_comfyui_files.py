"""Files of users with samplers for ComfyUI, as its nodes have them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from samplerproof.numerics.conformance.adapters.external_sampler import ExternalSampler
from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.judge.compare import deviations, same_shape
from samplerproof.numerics.conformance.judge.references import candidates
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.readback import trace

# What a checkout has of it, and a file that imports from it, as well as what runs models.
SAMPLING = """
import comfy.model_sampling

def to_d(x, sigma, denoised):
    return (x - denoised) / sigma

def flow(model):
    return isinstance(model.inner_model.inner_model.model_sampling, comfy.model_sampling.CONST)
"""
OWN = """
import comfy.samplers
from comfy.k_diffusion.sampling import flow, to_d
from comfy.samplers import KSampler


def sample_own(model, x, sigmas, extra_args=None, callback=None, disable=None, eta=1.0, noise_sampler=None):
    KSampler.SAMPLERS.append("own")
    extra_args.get("seed")
    for i in range(len(sigmas) - 1):
        s, t = sigmas[i], sigmas[i + 1]
        d = to_d(x, s, model(x, s * x.new_ones([x.shape[0]]), **extra_args))
        up = 0 if flow(model) else min(t, eta * (t**2 * (s**2 - t**2) / s**2) ** 0.5)
        x = x + d * ((t**2 - up**2) ** 0.5 - s) * FACTOR + (up * noise_sampler(s, t) if eta else 0)
    return x
"""
EQUAL = 1e-13


def distance(sampler: ExternalSampler, name: str) -> float:
    """The worst row against a record, in float64."""
    with sampler.float64():
        found = trace(sampler.on(6), sampler.prediction, torch.float64)
    (table,) = [ref.table for ref in candidates(found, sampler.info.process, (name,)) if not ref.ending]
    assert same_shape(found.table, table)
    return max(d.error for d in deviations(found.table, table))


@pytest.mark.parametrize(("factor", "most"), [("1", EQUAL), ("1.000001", 1e-5)])
def test_a_sampler_is_called_as_comfyui_calls_it(tmp_path: Path, factor: str, most: float) -> None:
    """Assert that its imports are found, that it is given noise, options and a process, and that 1e-6 shows."""
    file, sampling = tmp_path / "own_nodes.py", tmp_path / "ComfyUI" / "comfy" / "k_diffusion" / "sampling.py"
    sampling.parent.mkdir(parents=True)
    sampling.write_text(SAMPLING, encoding="utf-8")
    file.write_text(OWN.replace("FACTOR", factor), encoding="utf-8")
    target, path = f"{file}:sample_own", str(tmp_path / "ComfyUI")
    noisy, plain = resolve(target, path), resolve(f"{target}?eta=0", path)
    assert noisy.in_process is not None
    for sampler, name in (
        (noisy, "ddim-eta?eta=1"),
        (plain, "ddim"),
        (noisy.in_process("flow", "data"), "flow-euler"),
    ):
        assert most / 1e4 < distance(sampler, name) + EQUAL < 2 * most
    with pytest.raises(InputError, match=r"got 'import comfy'; a file that imports it, with --path DIR, a checkout of"):
        resolve(target)
    with pytest.raises(InputError, match="no option sigma; takes eta"):
        resolve(f"{target}?sigma=1", path)
