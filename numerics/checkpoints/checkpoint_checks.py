"""Checks that a network is a trained denoiser with the prediction of its description, from a few evaluations.

In y = alpha x0 + sigma eps the slope of a trained network's output on eps is known at the noisy end, and its slope on
x0 at the clean end:

    noise  eps: 1 and 0     data  x0: 0 and 1     v  alpha eps - sigma x0: ~0 and ~0     flow  eps - x0: 1 and -1

The slope on data that is not much wider than sigma at the clean end lies between that number and the one of Gaussian
data of the same size. On data that is narrower than that, as given a condition, no level shows it: there the slope of
x0 on the mean of the data at a noisy level must be 1. The data is not known here, so x0 is sampled with the network
itself, under each of the four predictions in turn. At intermediate levels the network must predict v of these samples
better than the best linear denoiser, which knows only their size and mean: nowhere much worse, and somewhere clearly
better. An output that is zero, constant, or a multiple of the input fails.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import InputError, SamplingError
from ..grids import from_times
from ..points import Point
from ..sample import sample
from ..schedules import schedule
from ..tableau import tabulate
from .checkpoint import OUTPUTS, Checkpoint, unit_point

WITHIN = 0.4  # tolerance of both slopes; those of another prediction differ by 1
CLEARLY = 0.2  # another prediction is more likely if its slopes are nearer by this
END = 5.0  # |lambda| of the two ends, or the end of the trained span
NEAREST = 2.0  # an end with a smaller |lambda| decides nothing
STEPS = 20  # of DPM-Solver++ 2M, for x0
VALUES = 1024  # numbers in a batch, at least
MIDDLE = (-1.0, 0.0, 1.0, 2.0, 3.0)  # log(alpha size / sigma) of the intermediate levels
LEFT = 1.1  # the largest relative error of v there; that of the best linear denoiser is 1
LEARNT = 0.95  # the relative error of v at the best of these levels, at most
UNKNOWN = (math.inf, math.inf)  # relative errors where no data could be sampled


def check(checkpoint: Checkpoint) -> None:
    """Raises InputError where the shape or the prediction of a description is wrong, naming the likely prediction."""
    count = max(4, math.ceil(VALUES / math.prod(checkpoint.shape)))
    eps = torch.randn((count, *checkpoint.shape), generator=torch.Generator().manual_seed(0))
    low, high = max(checkpoint.span[0], -END), min(checkpoint.span[1], END)
    if low > -NEAREST or high < NEAREST:
        allowed = f"trained at least from lambda = -{NEAREST:g} to {NEAREST:g}, or the prediction cannot be checked"
        raise InputError("checkpoint: lambda", list(checkpoint.span), allowed)
    # The slope on eps at the noisy end.
    noisy, clean = checkpoint.native(low), checkpoint.native(high)
    on_noise = _slope(_output(checkpoint, noisy.sigma * eps, noisy.t), eps)
    measured = f"slope {on_noise:.2f} on the noise at lambda = {low:.3g}"
    # Under each prediction: samples of the data, the slope on them at the clean end, the error in between.
    off: dict[str, float] = {}
    left: dict[str, tuple[float, float]] = {}
    for kind, output in OUTPUTS.items():
        off[kind] = abs(on_noise - output(noisy)[1])
        other = replace(checkpoint, prediction=kind)
        data = _sampled(other, eps.flip(0), low, high) if off[kind] <= WITHIN else None
        if data is None:
            left[kind] = UNKNOWN
            continue
        on_data = _slope(_output(checkpoint, clean.alpha * data + clean.sigma * eps, clean.t), data)
        size = _size(data)
        apart, text = _apart(on_data, *output(clean), clean, size), f"{on_data:.2f} on the data at {high:.3g}"
        if clean.alpha * size < clean.sigma:  # noise hides the differences of samples at every level, not their mean
            on_mean = _on_mean(other, data, eps)
            apart, text = abs(on_mean - 1), f"{on_mean:.2f} of x0 on the mean of the data at {-NEAREST:g}"
        off[kind], left[kind] = max(off[kind], apart), _errors(other, data, eps)
        if kind == checkpoint.prediction:
            measured += f", {text}"
    # The prediction described, or the likeliest one of those that the network could have.
    described = checkpoint.prediction
    credible = [k for k in OUTPUTS if off[k] <= WITHIN and left[k][0] <= LEARNT and left[k][1] <= LEFT]
    likely = min(credible, key=lambda kind: off[kind], default=None)
    if described in credible and off[described] <= off[likely or described] + CLEARLY:
        return
    if likely is None and off[described] <= WITHIN and left[described] != UNKNOWN:
        best, worst = left[described]
        found = worst if worst > LEFT else best
        reason = f"its squared error is {found:.3g} of that of the best linear denoiser"
        raise InputError("checkpoint", checkpoint.name, f"a trained denoiser; {reason}")
    guess = "like none of the known predictions" if likely is None else f"like one that predicts {likely!r}"
    raise InputError("checkpoint: prediction", described, f"the network's output is {guess} ({measured})")


def _apart(slope: float, p: float, q: float, at: Point, size: float) -> float:
    """The distance of a slope on the data from those between p, of wide data, and that of Gaussian data of a size."""
    kept = (at.alpha * size) ** 2 / (
        (at.alpha * size) ** 2 + at.sigma**2
    )  # the slope of x0; that of eps follows from y
    narrow = p * kept + q * at.alpha / at.sigma * (1 - kept)
    return max(min(p, narrow) - slope, slope - max(p, narrow), 0.0)


def _on_mean(checkpoint: Checkpoint, data: Tensor, eps: Tensor) -> float:
    """The slope of the prediction of x0 on the mean of the data at a noisy level, where it should be that mean."""
    at, mean = unit_point(-NEAREST), data.mean(0) * checkpoint.unit
    found = checkpoint.denoiser(torch.float32)(at.alpha * mean + at.sigma * eps, at, "data").mean(0)
    return float((found.double() * mean).sum() / mean.double().square().sum())


def _size(data: Tensor) -> float:
    """The standard deviation of the data [n, ...], over all coordinates."""
    return float((data - data.mean(0)).square().sum(0).mean().div(len(data) - 1).sqrt())


def _errors(checkpoint: Checkpoint, data: Tensor, eps: Tensor) -> tuple[float, float]:
    """The least and the largest relative squared error of v over the intermediate levels."""
    data = data * checkpoint.unit
    mean = data.mean(0)
    size = _size(data)
    denoise = checkpoint.denoiser(torch.float32)
    errors: list[float] = []
    for level in MIDDLE:
        lam = level - math.log(size)
        if not checkpoint.span[0] <= lam <= checkpoint.span[1]:
            continue
        at, unit = unit_point(lam), unit_point(level)
        y = at.alpha * data + at.sigma * eps
        v = unit.alpha * eps - unit.sigma * (data - mean) / size
        found = unit.alpha * denoise(y, at, "noise") - unit.sigma * (denoise(y, at, "data") - mean) / size
        errors.append(float((found - v).square().mean() / v.square().mean()))
    return UNKNOWN if any(map(math.isnan, errors)) else (min(errors, default=0.0), max(errors, default=0.0))


def _output(checkpoint: Checkpoint, y: Tensor, t: float) -> Tensor:
    """The network's own output at its native point; InputError unless it is finite and shaped like y."""
    try:
        with torch.no_grad():
            value = checkpoint.network.eval()(y, torch.full((len(y),), t))
    except Exception as fault:  # an external network may raise anything on another shape than its own
        reason = " ".join(str(fault).split())[:120]
        raise InputError(
            "checkpoint: shape", list(checkpoint.shape), f"a shape that the network takes ({reason})"
        ) from None
    if not isinstance(value, Tensor) or value.shape != y.shape:
        found = list(value.shape[1:]) if isinstance(value, Tensor) else type(value).__name__
        raise InputError("checkpoint: shape", list(checkpoint.shape), f"the network returns {found}")
    if not bool(torch.isfinite(value).all()):
        raise InputError("checkpoint", checkpoint.name, f"finite outputs; they are not at t = {t:.3g}")
    return value


def _sampled(checkpoint: Checkpoint, noise: Tensor, low: float, high: float) -> Tensor | None:
    """Samples of the data in the network's own units; None where the run diverges."""
    lam = torch.linspace(low, high, STEPS + 1, dtype=torch.float64)
    vp = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
    way = from_times(vp, vp.time(lam))
    denoise = checkpoint.denoiser(torch.float32)
    try:
        end = sample(denoise, way.point(0).sigma * noise, tabulate("dpm-solver++-2m", way), dtype=torch.float32)
    except SamplingError:
        return None
    data = denoise(end, way.point(STEPS), "data") / checkpoint.unit
    return data if bool(torch.isfinite(data).all()) and bool(data.any()) else None


def _slope(value: Tensor, on: Tensor) -> float:
    """The slope of the linear regression of `value` on `on`."""
    on = (on - on.mean(0)).double()
    return float((value.double() * on).sum() / on.square().sum())
