"""A checkpoint: a network with all that a sampler has to know of it, and the denoiser it makes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..denoisers import Denoiser, convert, parts
from ..errors import InputError
from ..points import Point

# What a network's output is, as the numbers (p, q) of p x0 + q eps at its own point (alpha, sigma).
GIVES: dict[str, Callable[[Point], tuple[float, float]]] = {
    "data": lambda at: (1.0, 0.0),
    "noise": lambda at: (0.0, 1.0),
    "v": lambda at: (-at.sigma, at.alpha),
    "flow": lambda at: (-1.0, 1.0),
}
# lambda -> the point at which the network was trained on this lambda; t is what it is told there.
Native = Callable[[float], Point]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """network(x, t): x [n, *shape] as at the native point of lambda, t [n] -> what it gives, shaped like x.

    gives: "data" x0, "noise" eps, "v" alpha eps - sigma x0 or "flow" eps - x0, of the native point.  unit: the size of
    the data in which native points are counted: x0 = unit times what the network calls the data.
    span: the lambda it was trained on, from noise to data.  sha256: of the files it was read from.
    counts: t is a level, a number that half precision does not hold: it is told in float32 at least.
    """

    name: str
    network: nn.Module
    gives: str
    native: Native
    shape: tuple[int, ...]
    span: tuple[float, float]
    sha256: str
    folder: Path
    unit: float = 1.0
    counts: bool = False

    def denoiser(self, dtype: torch.dtype = torch.float64, device: str | torch.device = "cpu") -> Denoiser:
        """The network, in a dtype and on a device of its own, behind the contract.

        It reads alpha and sigma alone: lambda = log(alpha/sigma) tells it where it is, and x is scaled to its native
        point of that lambda. So it works on every schedule, as a mixture does. x may be of any dtype and on any
        device, and the answer is as x is; the casts are made here and nowhere else.
        """
        network = copy.deepcopy(self.network).to(device=device, dtype=dtype).eval().requires_grad_(False)
        fine = torch.promote_types(dtype, torch.float32) if self.counts else dtype
        layout = torch.channels_last if len(self.shape) == 3 else torch.preserve_format  # twice as fast in float64

        def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
            lam = clock(at)
            native = self.native(lam)
            scale = native.sigma / at.sigma
            y = x * scale
            told = torch.full((len(x),), native.t, dtype=fine, device=device)
            with torch.no_grad():
                value = network(y.to(device=device, dtype=dtype, memory_format=layout), told)
            p, q = GIVES[self.gives](native)
            there = native._replace(dalpha=p, dsigma=q)
            value = value.to(device=x.device, dtype=x.dtype)
            data, noise = (convert(y, value, there, *_source(self.gives, kind)) for kind in ("data", "noise"))
            data = data * self.unit
            match prediction:
                case "data":
                    return data
                case "noise":
                    return noise
                case "score":
                    return -noise / at.sigma
            p, q = parts(prediction, at)
            return p * data + q * noise

        return denoise


def _source(gives: str, target: str) -> tuple[str, str]:
    """How the house calls what a network gives: v and flow are velocities p x0 + q eps."""
    return (gives if gives in ("data", "noise") else "velocity"), target


def clock(at: Point) -> float:
    """lambda = log(alpha / sigma); InputError where it is infinite, which no network is told."""
    if not (at.alpha > 0 and at.sigma > 0):
        raise InputError("at", (at.alpha, at.sigma), "a network needs alpha > 0 and sigma > 0: lambda is finite there")
    return math.log(at.alpha / at.sigma)


def unit_point(lam: float) -> Point:
    """alpha, sigma with alpha^2 + sigma^2 = 1 at lambda; t is lambda itself."""
    small = math.exp(-abs(lam))
    large = 1 / math.hypot(1, small)
    alpha, sigma = (large, large * small) if lam >= 0 else (large * small, large)
    return Point(alpha, sigma, lam)
