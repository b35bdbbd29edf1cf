"""Is a network what its description says? A few evaluations tell, whatever it was trained on.

In y = alpha x0 + sigma eps the output of a trained network has, at the noisy end, a slope on eps that is known, and at
the clean end one on x0:

    noise  eps: 1 and 0     data  x0: 0 and 1     v  alpha eps - sigma x0: ~0 and ~0     flow  eps - x0: 1 and -1

The data is not known here, so x0 is drawn with the network itself, taken for each of the four in turn. With these
samples the network must, in the middle, do better than one that knows only their size and mean, or it denoises nothing:
nowhere much worse, and somewhere clearly better. An output that is zero, constant, or a multiple of the input fails.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import InputError, SamplingError
from ..grids import from_times
from ..sample import sample
from ..schedules import schedule
from ..tableau import tabulate
from .checkpoint import GIVES, Checkpoint, unit_point

WITHIN = 0.4  # of both slopes; another kind is 1 away
CLEARLY = 0.2  # another kind is likelier if it is nearer by so much
END = 5.0  # |lambda| of the two ends, or the end of what was trained on
NEAREST = 2.0  # an end nearer to the middle tells nothing
STEPS = 20  # of DPM-Solver++ 2M, for x0
VALUES = 1024  # numbers in a batch, at least
MIDDLE = (-1.0, 0.0, 1.0, 2.0, 3.0)  # log(alpha size / sigma) where a network has something to tell
LEFT = 1.1  # of v there, at most; a network that knows only size and mean of the data leaves 1 everywhere
LEARNT = 0.95  # of v at one of these levels, at most
UNKNOWN = (math.inf, math.inf)  # what is left where nothing can be told


def check(checkpoint: Checkpoint) -> None:
    """Raises InputError where the shape or the kind of prediction cannot be what is said, naming what it is likely."""
    count = max(4, math.ceil(VALUES / math.prod(checkpoint.shape)))
    eps = torch.randn((count, *checkpoint.shape), generator=torch.Generator().manual_seed(0))
    low, high = max(checkpoint.span[0], -END), min(checkpoint.span[1], END)
    if low > -NEAREST or high < NEAREST:
        allowed = f"trained at least from lambda = -{NEAREST:g} to {NEAREST:g}, or nothing can be told"
        raise InputError("checkpoint: lambda", list(checkpoint.span), allowed)
    noisy, clean = checkpoint.native(low), checkpoint.native(high)
    on_noise = _slope(_output(checkpoint, noisy.sigma * eps, noisy.t), eps)
    measured = f"slope {on_noise:.2f} on the noise at lambda = {low:.3g}"
    off: dict[str, float] = {}
    left: dict[str, tuple[float, float]] = {}
    for kind, gives in GIVES.items():
        off[kind] = abs(on_noise - gives(noisy)[1])
        other = replace(checkpoint, gives=kind)
        data = _drawn(other, eps.flip(0), low, high) if off[kind] <= WITHIN else None
        if data is None:
            left[kind] = UNKNOWN
            continue
        on_data = _slope(_output(checkpoint, clean.alpha * data + clean.sigma * eps, clean.t), data)
        off[kind], left[kind] = max(off[kind], abs(on_data - gives(clean)[0])), _left(other, data, eps)
        if kind == checkpoint.gives:
            measured += f", {on_data:.2f} on the data at {high:.3g}"
    said = checkpoint.gives
    credible = [k for k in GIVES if off[k] <= WITHIN and left[k][0] <= LEARNT and left[k][1] <= LEFT]
    likely = min(credible, key=lambda kind: off[kind], default=None)
    if said in credible and off[said] <= off[likely or said] + CLEARLY:
        return
    if likely is None and off[said] <= WITHIN and left[said] != UNKNOWN:
        best, worst = left[said]
        reason = f"{worst:.3g} times as far off as none" if worst > LEFT else f"{best:.3g} of the error of none is left"
        raise InputError("checkpoint", checkpoint.name, f"a trained denoiser; {reason}")
    guess = "as none that we know" if likely is None else f"as one that predicts {likely!r}"
    raise InputError("checkpoint: prediction", said, f"the network answers {guess} ({measured})")


def _left(checkpoint: Checkpoint, data: Tensor, eps: Tensor) -> tuple[float, float]:
    """Where noise and data are of one size, how much of v is left, at least and at most."""
    data = data * checkpoint.unit
    mean = data.mean(0)
    size = float((data - mean).square().sum(0).mean().div(len(data) - 1).sqrt())
    denoise = checkpoint.denoiser(torch.float32)
    left: list[float] = []
    for level in MIDDLE:
        lam = level - math.log(size)
        if not checkpoint.span[0] <= lam <= checkpoint.span[1]:
            continue
        at, unit = unit_point(lam), unit_point(level)
        y = at.alpha * data + at.sigma * eps
        v = unit.alpha * eps - unit.sigma * (data - mean) / size
        found = unit.alpha * denoise(y, at, "noise") - unit.sigma * (denoise(y, at, "data") - mean) / size
        left.append(float((found - v).square().mean() / v.square().mean()))
    return UNKNOWN if any(map(math.isnan, left)) else (min(left, default=0.0), max(left, default=0.0))


def _output(checkpoint: Checkpoint, y: Tensor, t: float) -> Tensor:
    """What the network itself answers at its native point; InputError unless it is finite and shaped like y."""
    try:
        with torch.no_grad():
            value = checkpoint.network.eval()(y, torch.full((len(y),), t))
    except Exception as fault:  # a stranger's network may raise anything on a shape that is not its own
        reason = " ".join(str(fault).split())[:120]
        raise InputError(
            "checkpoint: shape", list(checkpoint.shape), f"a shape that the network takes ({reason})"
        ) from None
    if not isinstance(value, Tensor) or value.shape != y.shape:
        found = list(value.shape[1:]) if isinstance(value, Tensor) else type(value).__name__
        raise InputError("checkpoint: shape", list(checkpoint.shape), f"the network answers with {found}")
    if not bool(torch.isfinite(value).all()):
        raise InputError("checkpoint", checkpoint.name, f"finite answers; not so at t = {t:.3g}")
    return value


def _drawn(checkpoint: Checkpoint, noise: Tensor, low: float, high: float) -> Tensor | None:
    """Samples as the network counts them, or None where the run diverges."""
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
    """The slope of the regression of one on the other, whose means are taken off."""
    on = (on - on.mean(0)).double()
    return float((value.double() * on).sum() / on.square().sum())
