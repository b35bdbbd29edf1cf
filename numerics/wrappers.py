"""Denoisers made from denoisers: guidance, thresholding, clipping, score errors. They are never part of a sampler."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .denoisers import DENOISER, Denoiser, convert
from .errors import InputError, finite_number, number, positive, runnable
from .generated.prediction_functions import CONVERT
from .points import Point


def guided(conditional: Denoiser, unconditional: Denoiser, scale: float) -> Denoiser:
    """Classifier-free guidance: d = u + scale (c - u); scale 0 is the unconditional denoiser, 1 the conditional.

    The formula is the same in every prediction, since predictions are affine images of each other with the same part of
    x for c and u. x has any shape and dtype; both denoisers are evaluated at the same point.
    Raises InputError on a scale that is not finite.  Ho and Salimans 2022, eq. 6, with scale = w + 1.

    >>> import torch
    >>> import samplerproof as sp
    >>> conditional = sp.GaussianMixture([1.0], [2.0], stds=[0.1])
    >>> unconditional = sp.GaussianMixture([1.0], [0.0], stds=[0.1])
    >>> denoise = sp.guided(conditional, unconditional, scale=3.0)
    >>> denoise(torch.zeros(1, 1), sp.schedule("edm").point(100.0), "data").round(decimals=3)
    tensor([[6.]])
    """
    runnable("conditional", conditional, DENOISER)
    runnable("unconditional", unconditional, DENOISER)
    finite_number("scale", scale)

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        c, u = conditional(x, at, prediction), unconditional(x, at, prediction)
        return torch.lerp(u, c, scale)  # exact at 0 and at 1

    return denoise


def thresholded(denoise: Denoiser, quantile: float = 0.995, ceiling: float = 1.0) -> Denoiser:
    """Dynamic thresholding: x0hat <- clip(x0hat, -s, s)/s with s = max(quantile of |x0hat| in the sample, ceiling).

    For data in [-1, 1]: the result lies there, and equals x0hat where |x0hat| <= 1 = ceiling. Other predictions are
    recomputed from it. The map is not linear, so superposition fails, and not smooth: a corner on a trajectory costs
    O(h^2), which keeps the order of first- and second-order samplers and reduces that of higher ones.
    x [n, ...]: each of the n samples has its own s over all other axes, in the dtype of x; the quantile is interpolated
    linearly (torch.quantile refuses large samples).
    Raises InputError on a quantile outside [0, 1], a ceiling that is not positive and finite, and x without a batch.
    Saharia et al. 2022, section 2.3; ceiling as in the code of DPM-Solver++ (Lu et al. 2022).

    >>> import torch
    >>> import samplerproof as sp
    >>> denoise = sp.thresholded(sp.GaussianMixture([1.0], [[3.0, 0.5]], stds=[0.0]), quantile=1.0)
    >>> denoise(torch.zeros(1, 2), sp.schedule("edm").point(1.0), "data")
    tensor([[1.0000, 0.1667]])
    """
    runnable("denoise", denoise, DENOISER)
    number("quantile", quantile, "a number in [0, 1]")
    positive("ceiling", ceiling, "positive and finite")
    if not 0 <= quantile <= 1:
        raise InputError("quantile", quantile, "a number in [0, 1]")

    def threshold(data: Tensor) -> Tensor:
        if data.ndim < 2 or not data[0].numel():
            raise InputError("x", list(data.shape), "a batch first, then at least one axis that is not empty")
        s = _quantile(data.abs().flatten(1), quantile).clamp(min=ceiling)
        s = s.reshape(-1, *[1] * (data.ndim - 1))
        return torch.maximum(torch.minimum(data, s), -s) / s

    return _on_data(denoise, threshold)


def clipped(denoise: Denoiser, low: float, high: float) -> Denoiser:
    """Static thresholding: x0hat <- clip(x0hat, low, high); other predictions are recomputed from it.

    x of any shape and dtype.  Raises InputError unless low < high.  Saharia et al. 2022, section 2.3.
    """
    if not low < high:
        raise InputError("low", low, f"below high = {high}")
    return _on_data(denoise, lambda data: data.clamp(low, high))


def with_score_error(denoise: Denoiser, size: float, frequency: float) -> Denoiser:
    """A denoiser with a score error: s + size sin(frequency x), entry by entry; other predictions accordingly.

    x of any shape.  Raises InputError on numbers that are not finite.
    """
    for name, value in (("size", size), ("frequency", frequency)):
        finite_number(name, value)

    def off(x: Tensor, at: Point, prediction: str) -> Tensor:
        return denoise(x, at, prediction) + score_share(at, prediction) * size * torch.sin(frequency * x)

    return off


def with_error(denoise: Denoiser, error: Callable[[Tensor, Point], Tensor], prediction: str = "noise") -> Denoiser:
    """A denoiser with error(x, at) added to one of its predictions; the others follow from it.

    x of any shape, error(x, at) shaped like it.  Raises InputError on what cannot be called.
    """
    runnable("denoise", denoise, DENOISER)
    runnable("error", error, "a function (x, at) that returns a tensor like x")

    def off(x: Tensor, at: Point, wanted: str) -> Tensor:
        return convert(x, denoise(x, at, prediction) + error(x, at), at, prediction, wanted)

    return off


def with_noise_scaled(denoise: Denoiser, factor: float) -> Denoiser:
    """A denoiser whose noise prediction is factor * epshat, and so its score factor * s; others accordingly.

    x of any shape.  Raises InputError on a factor that is not finite.
    """
    runnable("denoise", denoise, DENOISER)
    finite_number("factor", factor)

    def scaled(x: Tensor, at: Point, prediction: str) -> Tensor:
        return convert(x, factor * denoise(x, at, "noise"), at, "noise", prediction)

    return scaled


def score_share(at: Point, prediction: str) -> float:
    """The error of a prediction for an error of one in the score."""
    return 1.0 if prediction == "score" else CONVERT["score", prediction](*at[:2], *at[3:])[1]


def _on_data(denoise: Denoiser, change: Callable[[Tensor], Tensor]) -> Denoiser:
    """A denoiser with a changed data prediction, from which all other predictions are recomputed."""

    def changed(x: Tensor, at: Point, prediction: str) -> Tensor:
        return convert(x, change(denoise(x, at, "data")), at, "data", prediction)

    return changed


def _quantile(values: Tensor, q: float) -> Tensor:
    """The q-quantile along axis 1, between order statistics linearly: [n, m] -> [n]."""
    place = q * (values.shape[1] - 1)
    low, high = (values.kthvalue(1 + int(k), dim=1).values for k in (math.floor(place), math.ceil(place)))
    return low + (place - math.floor(place)) * (high - low)
