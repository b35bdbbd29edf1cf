"""The denoiser contract, and adapters to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from .errors import InputError, nearest
from .generated.prediction_functions import CONVERT, PARTS, PREDICTIONS
from .points import Point


class Denoiser(Protocol):
    """denoise(x, at, prediction) -> what a model predicts at x, shaped like x.

    prediction: "data" x0hat = E[x_0 | x], "noise" epshat = (x - alpha x0hat)/sigma, "score" -epshat/sigma,
    "velocity" alpha' x0hat + sigma' epshat, with alpha, sigma and their derivatives those of the point, or "v"
    (alpha epshat - sigma x0hat)/sqrt(alpha^2 + sigma^2), which is the velocity in the angle where variance is preserved
    (Salimans & Ho 2022).
    """

    def __call__(self, x: Tensor, at: Point, prediction: str, /) -> Tensor: ...


def convert(x: Tensor, value: Tensor, at: Point, source: str, target: str) -> Tensor:
    """The target prediction from the source prediction: a x + b value (theory/prediction_formulas.py)."""
    if source == target:
        return value
    a, b = CONVERT[source, target](at.alpha, at.sigma, at.dalpha, at.dsigma)
    return a * x + b * value


def parts(prediction: str, at: Point) -> tuple[float, float]:
    """(p, q) of a prediction F = p x0 + q eps (theory/prediction_formulas.py)."""
    return PARTS[prediction](at.alpha, at.sigma, at.dalpha, at.dsigma)


def adapt(network: Callable[[Tensor, Point], Tensor], gives: str, dtype: torch.dtype | None = None) -> Denoiser:
    """Put a network that predicts one thing behind the contract.

    network(x, at) -> its prediction of kind `gives`, shaped like x.  dtype: what the network computes in; x is cast
    to it here and nowhere else, the conversion is done in x's own dtype.  Raises InputError on an unknown kind.
    """
    if gives not in PREDICTIONS:
        raise InputError("gives", gives, f"not a prediction; {nearest(gives, PREDICTIONS)}")

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        value = network(x if dtype is None else x.to(dtype), at)
        return convert(x, value.to(x.dtype), at, gives, prediction)

    return denoise


@dataclass
class Counting:
    """A denoiser that counts its evaluations and remembers where they were made."""

    denoise: Denoiser
    points: list[Point] = field(default_factory=list)

    def __call__(self, x: Tensor, at: Point, prediction: str) -> Tensor:
        self.points.append(at)
        return self.denoise(x, at, prediction)

    @property
    def calls(self) -> int:
        return len(self.points)
