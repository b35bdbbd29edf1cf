"""A checkpoint: a network with what is known of its training, and the denoiser made of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..denoisers import Denoiser, convert, parts
from ..errors import InputError, of_type
from ..points import Point

# By prediction, (p, q): the output of the network is p x0 + q eps at its own point (alpha, sigma).
OUTPUTS: dict[str, Callable[[Point], tuple[float, float]]] = {
    "data": lambda at: (1.0, 0.0),
    "noise": lambda at: (0.0, 1.0),
    "v": lambda at: (-at.sigma, at.alpha),
    "flow": lambda at: (-1.0, 1.0),
}
# lambda -> the native point: (alpha, sigma) at which the network was trained on this lambda, and its time argument t.
Native = Callable[[float], Point]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """network(x, t): x [n, *shape] as at the native point of lambda, t [n] -> its prediction, shaped like x.

    prediction: "data" x0, "noise" eps, "v" alpha eps - sigma x0 or "flow" eps - x0, at the native point.
    unit: the scale of the data at native points: x0 is `unit` times the data that the network was trained on.
    span: the lambda it was trained on, from noise to data.  sha256: of the files it was read from.
    integer_levels: t counts levels, and half precision cannot represent it: it is passed in float32 at least.
    """

    name: str
    network: nn.Module
    prediction: str
    native: Native
    shape: tuple[int, ...]
    span: tuple[float, float]
    sha256: str
    folder: Path
    unit: float = 1.0
    integer_levels: bool = False

    def __repr__(self) -> str:
        noise, data = self.span
        shape = ", ".join(map(str, self.shape))
        return f"Checkpoint({self.name!r}, {self.prediction} prediction, [{shape}], lambda {noise:.6g} to {data:.6g})"

    def denoiser(self, dtype: torch.dtype = torch.float64, device: str | torch.device = "cpu") -> Denoiser:
        """The network, copied to a dtype and a device, behind the denoiser contract.

        It reads alpha and sigma alone: x is scaled to the native point of lambda = log(alpha/sigma). So it works on
        every schedule, as a mixture does. x may be of any dtype and on any device, and so is the answer; all casts are
        made here. Its attribute `shape` is that of a sample, so that models of other shapes can be refused.
        """
        of_type("dtype", dtype, torch.dtype, "a dtype, such as torch.float64")
        network = copy.deepcopy(self.network).to(device=device, dtype=dtype).eval().requires_grad_(False)
        time_dtype = torch.promote_types(dtype, torch.float32) if self.integer_levels else dtype
        layout = torch.channels_last if len(self.shape) == 3 else torch.preserve_format  # twice as fast in float64

        def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
            # The network at the native point of the same lambda.
            native = self.native(finite_lambda(at))
            scale = native.sigma / at.sigma
            y = x * scale
            t = torch.full((len(x),), native.t, dtype=time_dtype, device=device)
            with torch.no_grad():
                value = network(y.to(device=device, dtype=dtype, memory_format=layout), t)
            # Its output as x0 and eps: v and flow are velocities p x0 + q eps.
            p, q = OUTPUTS[self.prediction](native)
            there = native._replace(dalpha=p, dsigma=q)
            source = self.prediction if self.prediction in ("data", "noise") else "velocity"
            value = value.to(device=x.device, dtype=x.dtype)
            data, noise = (convert(y, value, there, source, kind) for kind in ("data", "noise"))
            data = data * self.unit
            # The prediction that was asked for, at the caller's point.
            match prediction:
                case "data":
                    return data
                case "noise":
                    return noise
                case "score":
                    return -noise / at.sigma
            p, q = parts(prediction, at)
            return p * data + q * noise

        setattr(denoise, "shape", self.shape)  # noqa: B010, a function has no such attribute to a type checker
        return denoise


def finite_lambda(at: Point) -> float:
    """lambda = log(alpha / sigma); InputError where it is infinite: no network has such a level."""
    if not (at.alpha > 0 and at.sigma > 0):
        raise InputError("at", (at.alpha, at.sigma), "a network needs alpha > 0 and sigma > 0: lambda is finite there")
    return math.log(at.alpha / at.sigma)


def unit_point(lam: float) -> Point:
    """alpha, sigma with alpha^2 + sigma^2 = 1 at lambda; t is lambda itself."""
    small = math.exp(-abs(lam))
    large = 1 / math.hypot(1, small)
    alpha, sigma = (large, large * small) if lam >= 0 else (large * small, large)
    return Point(alpha, sigma, lam)
