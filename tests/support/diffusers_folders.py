"""Folders of diffusers' format for tests: networks of its classes with their descriptions, written and read back."""

from __future__ import annotations

import tomllib

import pipelines
import torch
from safetensors.torch import save_file

from samplerproof.numerics.checkpoints.description import toml

WEIGHTS = "diffusion_pytorch_model.safetensors"
# the class of a network -> its description beside the weights
DESCRIPTIONS = {
    "UNet2DModel": {},
    "UNet2DConditionModel": {"condition": "text.safetensors"},
    "DiTTransformer2DModel": {"label": 3},
}


def described(folder, **keys):
    text = toml({"format": 1, "kind": "diffusers", **keys})
    (folder / "checkpoint.toml").write_text(text, encoding="utf-8")
    return folder


def written(folder, name, made=None, **changes):
    """A folder with an untrained network of that class and all its inputs."""
    pipelines.saved(folder, pipelines.network(name, **changes), made)
    if DESCRIPTIONS[name]:
        described(folder, **DESCRIPTIONS[name])
    if "condition" in DESCRIPTIONS[name]:
        save_file(
            {"prompt": torch.randn(5, 8, generator=torch.Generator().manual_seed(1))}, folder / "text.safetensors"
        )
    return folder


def noises(shape, count=2):
    return torch.randn((count, *shape), dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def read(folder):
    """What `load` hands to load_diffusers: no check of what an untrained network answers."""
    path = folder / "checkpoint.toml"
    return folder, tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else None
