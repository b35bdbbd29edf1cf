"""The noise level that a model is given, as a map of its own: the coefficients stay those of the true level."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from ..denoisers import DENOISER, Denoiser, convert
from ..errors import InputError, of_type, positive, runnable
from ..generated.prediction_functions import PREDICTIONS
from ..grids import Grid
from ..points import Point

Level = Callable[[Tensor, Point], Point]


def with_level(denoise: Denoiser, level: Level, prediction: str = "noise") -> Denoiser:
    """A denoiser whose model is given the level `level(x, at)` in place of `at`: F(x, at) = F_model(x, level(x, at)).

    level: a map from the input and its true point to the point that the model receives.
    prediction: what the model returns, F above; other predictions follow from it by the coefficients of the true point,
    so that only the model's answer changes. The identity map changes nothing.
    Raises InputError on an unknown prediction, and on what cannot be called.
    Timestep Aligner (arXiv 2310.09469) is the map of `given_levels.aligner`.

    >>> import torch
    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([1.0], [0.0], stds=[1.0])
    >>> edm = sp.schedule("edm")
    >>> later = sp.techniques.with_level(mixture, lambda x, at: edm.point(0.5 * at.sigma))
    >>> x = torch.ones(1, 1, dtype=torch.float64)
    >>> float(later(x, edm.point(2.0), "noise")), float(mixture(x, edm.point(1.0), "noise"))
    (0.5, 0.5)
    """
    runnable("denoise", denoise, DENOISER)
    runnable("level", level, "a function (x, at) that returns a point")
    if prediction not in PREDICTIONS:
        raise InputError("prediction", prediction, f"one of {', '.join(PREDICTIONS)}")

    def at_its_level(x: Tensor, at: Point, wanted: str) -> Tensor:
        place = level(x, at)
        of_type("level(x, at)", place, Point, "a point of a process, such as schedule.point(0.5)")
        if place == at:  # the identity map changes no bit
            return denoise(x, at, wanted)
        return convert(x, denoise(x, place, prediction), at, prediction, wanted)

    return at_its_level


def times_ratio(grid: Grid, ratios: Sequence[float]) -> Level:
    """The map t_n -> ratios[n] t_n at the points n of a grid; other points stay.  ratios: one number > 0 a step.

    Raises InputError on another number of ratios, on one that is not positive, on a time that the schedule does not
    have, and on a discrete process.
    """
    schedule = grid.required_schedule
    if len(ratios) != grid.steps:
        raise InputError("ratios", f"{len(ratios)} numbers", f"{grid.steps}, one a step")
    places = {}
    for n, (at, ratio) in enumerate(zip(grid.points, ratios, strict=False)):
        positive(f"ratios[{n}]", ratio)
        places[at.t] = at if ratio == 1 else schedule.point(ratio * at.t)

    return lambda x, at: places.get(at.t, at)
