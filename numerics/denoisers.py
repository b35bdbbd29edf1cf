"""The denoiser contract, and adapters to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from .errors import InputError, nearest, of_type, runnable
from .generated.prediction_functions import CONVERT, PARTS, PREDICTIONS
from .points import Point

DENOISER = "a denoiser: a function (x, at, prediction), such as a mixture"


class Denoiser(Protocol):
    """denoise(x, at, prediction) -> what a model predicts at x, shaped like x.

    prediction: "data" x0hat = E[x_0 | x], "noise" epshat = (x - alpha x0hat)/sigma, "score" -epshat/sigma,
    "velocity" alpha' x0hat + sigma' epshat, with alpha, sigma and their derivatives those of the point, or "v"
    (alpha epshat - sigma x0hat)/sqrt(alpha^2 + sigma^2), which is the velocity in the angle where variance is preserved
    (Salimans & Ho 2022).
    """

    def __call__(self, x: Tensor, at: Point, prediction: str, /) -> Tensor: ...


def convert(x: Tensor, value: Tensor, at: Point, source: str, target: str) -> Tensor:
    """The target prediction from the source prediction: a x + b value (theory/prediction_formulas.py).

    Raises InputError at a point without data or without noise, where one does not determine the other.
    """
    if source == target:
        return value
    try:
        a, b = CONVERT[source, target](at.alpha, at.sigma, at.dalpha, at.dsigma)
    except ZeroDivisionError:
        level = f"alpha = {at.alpha:g}, sigma = {at.sigma:g}"
        raise InputError("prediction", target, f"one that {source} determines at {level}") from None
    return a * x + b * value


def parts(prediction: str, at: Point) -> tuple[float, float]:
    """(p, q) of a prediction F = p x0 + q eps (theory/prediction_formulas.py)."""
    return PARTS[prediction](at.alpha, at.sigma, at.dalpha, at.dsigma)


def adapt(network: Callable[[Tensor, Point], Tensor], prediction: str, dtype: torch.dtype | None = None) -> Denoiser:
    """A denoiser from a network that predicts one thing: the contract that `sample` and all wrappers work with.

    network(x, at) -> its prediction at x = alpha x0 + sigma eps, shaped like x; `at` has alpha, sigma and t.
    prediction: what the network returns: "data" (x0), "noise" (eps), "score" (-eps/sigma), "velocity"
    (alpha' x0 + sigma' eps) or "v" (alpha eps - sigma x0, over sqrt(alpha^2 + sigma^2); Salimans and Ho 2022).
    dtype: what the network computes in; x is cast to it, and the result back to the dtype of x, in which conversions
    between predictions are computed.
    Returns denoise(x, at, wanted) -> the wanted prediction, shaped like x.  Raises InputError on an unknown prediction.

    >>> import torch
    >>> import samplerproof as sp
    >>> network = torch.nn.Linear(2, 2)
    >>> denoise = sp.adapt(lambda x, at: network(x), "noise", dtype=torch.float32)
    >>> denoise(torch.ones(5, 2, dtype=torch.float64), sp.schedule("edm").point(1.0), "data").shape
    torch.Size([5, 2])
    """
    runnable("network", network, "a function (x, at)")
    of_type("prediction", prediction, str, f"one of {', '.join(PREDICTIONS)}")
    if dtype is not None:
        of_type("dtype", dtype, torch.dtype, "a dtype, such as torch.float32, or None")
    if prediction not in PREDICTIONS:
        raise InputError("prediction", prediction, f"not a prediction; {nearest(prediction, PREDICTIONS)}")

    def denoise(x: Tensor, at: Point, wanted: str) -> Tensor:
        value = network(x if dtype is None else x.to(dtype), at)
        return convert(x, value.to(x.dtype), at, prediction, wanted)

    return denoise


@dataclass
class Counting:
    """A denoiser that counts its evaluations and stores their points."""

    denoise: Denoiser
    points: list[Point] = field(default_factory=list)

    def __call__(self, x: Tensor, at: Point, prediction: str) -> Tensor:
        self.points.append(at)
        return self.denoise(x, at, prediction)

    @property
    def calls(self) -> int:
        return len(self.points)
