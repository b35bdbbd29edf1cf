"""External networks made from one of our own, so that their outputs are known, and descriptions that may be wrong."""

from __future__ import annotations

from functools import cache

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from samplerproof.numerics.checkpoints.checkpoint import OUTPUTS
from samplerproof.numerics.checkpoints.description import toml
from samplerproof.numerics.checkpoints.load import load
from samplerproof.numerics.denoisers import Denoiser
from samplerproof.numerics.points import Point
from samplerproof.numerics.schedules import schedule

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
SCHEDULE = {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0, "t_min": 1e-4, "t_max": 1.0}


@cache
def rings(dtype: torch.dtype) -> Denoiser:
    return load("rings").denoiser(dtype)


class External(nn.Module):
    """The kept network of rings as a function of t on VP, predicting one of data, noise, v and flow."""

    def __init__(self, prediction: str) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.ones(()))
        self.prediction = prediction

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        at = VP.point(min(max(float(t[0].double()), 0.0), 1.0))
        denoise = rings(x.dtype)
        p, q = OUTPUTS[self.prediction](at)
        return self.size.to(x.dtype) * (p * denoise(x, at, "data") + q * denoise(x, at, "noise"))


def noise() -> nn.Module:
    return External("noise")


def data() -> nn.Module:
    return External("data")


def v() -> nn.Module:
    return External("v")


def flow() -> nn.Module:
    return External("flow")


class Untrained(nn.Module):
    """An untrained network: the best linear prediction for data of unit variance, times `gain`, plus a constant."""

    def __init__(self, prediction: str, gain: float = 1.0, constant: float = 0.0) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.ones(()))
        self.prediction, self.gain, self.constant = prediction, gain, constant

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        at = VP.point(min(max(float(t[0].double()), 0.0), 1.0))
        p, q = OUTPUTS[self.prediction](at)
        return self.gain * (p * at.alpha + q * at.sigma) * x + self.constant * torch.ones_like(x)


def linear_noise() -> nn.Module:
    return Untrained("noise")


def linear_data() -> nn.Module:
    return Untrained("data")


def linear_flow() -> nn.Module:
    return Untrained("flow")


def zero() -> nn.Module:
    return Untrained("v")  # its best linear prediction is 0


def constant() -> nn.Module:
    return Untrained("v", constant=0.3)


def scaled() -> nn.Module:
    return Untrained("data", gain=0.2)


def not_a_module() -> int:
    return 3


def written(folder, made: str = "noise", prediction: str = "noise", size: float = 1.0, **changes):
    """Write a folder with an external network and its description.  changes: of keys, None leaves one out."""
    folder.mkdir(exist_ok=True)
    save_file({"size": torch.tensor(size)}, folder / "model.safetensors")
    description = {"format": 1, "kind": "module", "name": "external", "prediction": prediction, "shape": [2]}
    description |= {"network": {"module": f"networks:{made}", "weights": "model.safetensors"}, "schedule": SCHEDULE}
    description |= changes
    (folder / "checkpoint.toml").write_text(
        toml({k: v for k, v in description.items() if v is not None}), encoding="utf-8"
    )
    return folder


def point(lam: float) -> Point:
    """A variance-preserving point."""
    return VP.point(float(VP.time(torch.tensor(lam, dtype=torch.float64))))
