"""Several models in one run, each on its own range of noise levels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from .denoisers import DENOISER, Denoiser
from .errors import InputError, number, runnable
from .points import Point


def stitched(denoisers: Sequence[Denoiser], levels: Sequence[float]) -> Denoiser:
    """The first model where lambda < levels[0], the next from there to levels[1], …, the last from levels[-1] on.

    denoisers: noisiest first, one more than levels.  levels: lambda = log(alpha/sigma), rising strictly; -inf and inf
    give a model nothing. x has any shape. A denoiser reads alpha and sigma of the point: models that were trained on
    different schedules are stitched at the same lambda.
    T-Stitch's fraction r of small steps is the level of t = 1 - r, `schedule.point(1 - r).lam`.
    Raises InputError on another number of levels, levels out of order or not numbers, mixtures of different dimensions
    or networks of different shapes, and, in a run, where a model returns another shape than x.  Pan et al. 2025.

    >>> import torch
    >>> import samplerproof as sp
    >>> large = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> small = sp.GaussianMixture([1.0], [0.165], stds=[1.08])
    >>> denoise = sp.techniques.stitched([small, large], levels=[-1.0])
    >>> x, noisy, clean = torch.ones(1, 1), sp.schedule("edm").point(5.0), sp.schedule("edm").point(0.5)
    >>> bool(denoise(x, noisy, "data") == small(x, noisy, "data"))
    True
    >>> bool(denoise(x, clean, "data") == large(x, clean, "data"))
    True
    """
    models, ends = list(denoisers), list(levels)
    if len(models) < 2 or len(models) != len(ends) + 1:
        raise InputError("levels", f"{len(ends)} for {len(models)} models", "one less than models, at least one")
    for i, model in enumerate(models):
        runnable(f"denoisers[{i}]", model, DENOISER)
    for i, level in enumerate(ends):
        number(f"levels[{i}]", level, "a number")
        if math.isnan(level):
            raise InputError(f"levels[{i}]", level, "a number")
        if i and not level > ends[i - 1]:
            raise InputError(f"levels[{i}]", level, f"above levels[{i - 1}] = {ends[i - 1]:g}: lambda rises")
    for name, called in (("dim", "dimension"), ("shape", "shape of a sample")):
        known = {i: getattr(model, name) for i, model in enumerate(models) if hasattr(model, name)}
        for i, value in known.items():
            if value != (first := next(iter(known.values()))):
                raise InputError(f"denoisers[{i}].{name}", value, f"one {called} for all models, here {first}")

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        which = sum(at.lam >= level for level in ends)
        d = models[which](x, at, prediction)
        if d.shape != x.shape:
            raise InputError(f"denoisers[{which}]", tuple(d.shape), f"the shape of x, {tuple(x.shape)}")
        return d

    return denoise
