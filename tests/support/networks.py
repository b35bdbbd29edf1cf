"""Networks of others, made of one of ours: what they give is known, and what is said of them may be a lie."""

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


class Stranger(nn.Module):
    """The kept network of rings, told t of a schedule of ours, giving one of the four."""

    def __init__(self, gives: str) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.ones(()))
        self.gives = gives

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        at = VP.point(min(max(float(t[0].double()), 0.0), 1.0))
        denoise = rings(x.dtype)
        p, q = OUTPUTS[self.gives](at)
        return self.size.to(x.dtype) * (p * denoise(x, at, "data") + q * denoise(x, at, "noise"))


def noise() -> nn.Module:
    return Stranger("noise")


def data() -> nn.Module:
    return Stranger("data")


def v() -> nn.Module:
    return Stranger("v")


def flow() -> nn.Module:
    return Stranger("flow")


class Untrained(nn.Module):
    """What has learnt nothing of its data: the best linear answer for data of size 1, times `gain`, plus a constant."""

    def __init__(self, gives: str, gain: float = 1.0, constant: float = 0.0) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.ones(()))
        self.gives, self.gain, self.constant = gives, gain, constant

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        at = VP.point(min(max(float(t[0].double()), 0.0), 1.0))
        p, q = OUTPUTS[self.gives](at)
        return self.gain * (p * at.alpha + q * at.sigma) * x + self.constant * torch.ones_like(x)


def linear_noise() -> nn.Module:
    return Untrained("noise")


def linear_data() -> nn.Module:
    return Untrained("data")


def linear_flow() -> nn.Module:
    return Untrained("flow")


def zero() -> nn.Module:
    return Untrained("v")  # of which the best linear answer is 0


def constant() -> nn.Module:
    return Untrained("v", constant=0.3)


def scaled() -> nn.Module:
    return Untrained("data", gain=0.2)


def not_a_module() -> int:
    return 3


def written(folder, made: str = "noise", prediction: str = "noise", size: float = 1.0, **changes):
    """A folder with a stranger's weights and its description; changes: of the description, None leaves out."""
    folder.mkdir(exist_ok=True)
    save_file({"size": torch.tensor(size)}, folder / "model.safetensors")
    told = {"format": 1, "kind": "module", "name": "stranger", "prediction": prediction, "shape": [2]}
    told |= {"network": {"module": f"networks:{made}", "weights": "model.safetensors"}, "schedule": SCHEDULE}
    told |= changes
    (folder / "checkpoint.toml").write_text(toml({k: v for k, v in told.items() if v is not None}), encoding="utf-8")
    return folder


def point(lam: float) -> Point:
    """A point that preserves variance."""
    return VP.point(float(VP.time(torch.tensor(lam, dtype=torch.float64))))
