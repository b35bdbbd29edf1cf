"""A reference flow in any dimension: the probability-flow ODE by DOP853, all points in one solve.

In xhat = x / sqrt(alpha^2 + sigma^2) and lambda = log(alpha / sigma) the ODE does not depend on the schedule:

    d xhat / d lambda = -ahat shat (ahat epshat - shat x0hat),   ahat = alpha / sqrt(alpha^2 + sigma^2),

shat likewise.  Since d ahat / d lambda = ahat shat^2 and d shat / d lambda = -shat ahat^2, the right side is the
velocity prediction of the scaled process, with lambda as its time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.integrate import DOP853
from torch import Tensor

from ..denoisers import Denoiser
from ..errors import InputError, SamplingError
from ..points import Point

Array = npt.NDArray[np.float64]
MOST = 20_000  # evaluations; smooth targets and networks take hundreds to thousands


def reference_flow(
    denoise: Denoiser, x: Tensor, source: Point, to: Sequence[Point], rtol: float = 1e-12
) -> list[Tensor]:
    """The flow of x [n, d] from source to each point of `to`, in this order: a list of [n, d], float64.

    denoise: a mixture, or any denoiser that uses only alpha and sigma; it is called with alpha^2 + sigma^2 = 1.
    rtol bounds the estimated error of a step in every coordinate of every point (Hairer, Norsett and Wanner,
    Solving Ordinary Differential Equations I, section II.5).
    InputError at alpha = 0 or sigma = 0, where lambda is infinite; SamplingError on a value that is not finite
    and after MOST evaluations.
    """
    state = x.detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(state).all()):
        raise InputError("x", "a value that is not finite", "finite numbers")
    clock, y = _clock("source", source), (state / math.hypot(source.alpha, source.sigma)).numpy().ravel()
    shape, answers, asked = state.shape, [], itertools.count(1)

    def slope(lam: float, flat: Array) -> Array:
        if next(asked) > MOST:
            raise SamplingError(f"the reference takes more than {MOST} evaluations: at lambda = {lam:.6g} it is stiff")
        point = _unit_point(lam)
        value = denoise(torch.from_numpy(flat).reshape(shape), point, "velocity").numpy().ravel()
        if not np.isfinite(value).all():
            raise SamplingError(f"the denoiser is not finite at lambda = {lam:.6g}")
        return value

    for i, point in enumerate(to):
        end = _clock(f"to[{i}]", point)
        y, clock = solve(slope, clock, end, y, rtol), end
        answers.append(torch.from_numpy(y * math.hypot(point.alpha, point.sigma)).reshape(shape).to(x.device))
    return answers


def flow_in_steps(denoise: Denoiser, x: Tensor, source: Point, to: Point, longest: float) -> Tensor:
    """The flow of x over a short way, by the classical Runge-Kutta method in equal steps of lambda, at most `longest`.

    A step h leaves a relative error of some h^5/100.  InputError at alpha = 0 or sigma = 0.
    """
    start, end = _clock("source", source), _clock("to", to)
    count = math.ceil(abs(end - start) / longest)
    y = x / math.hypot(source.alpha, source.sigma)
    for n in range(count):
        h = (end - start) / count
        first, middle, last = (_unit_point(start + (n + part) * h) for part in (0.0, 0.5, 1.0))
        k1 = denoise(y, first, "velocity")
        k2 = denoise(y + h / 2 * k1, middle, "velocity")
        k3 = denoise(y + h / 2 * k2, middle, "velocity")
        k4 = denoise(y + h * k3, last, "velocity")
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y * math.hypot(to.alpha, to.sigma)


class _EveryPoint(DOP853):  # type: ignore[misc]  # scipy ships no types
    """DOP853 with the maximum over coordinates as error norm: a root mean square would hide one point of a batch."""

    def _estimate_error_norm(self, K: Array, h: float, scale: Array) -> float:
        fifth, third = np.dot(K.T, self.E5) / scale, np.dot(K.T, self.E3) / scale
        weight = np.hypot(np.abs(fifth), 0.1 * np.abs(third))
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(np.nan_to_num(abs(h) * fifth**2 / weight).max(initial=0.0))


def solve(
    slope: Callable[[float, Array], Array], start: float, end: float, y: Array, rtol: float, clock: str = "lambda"
) -> Array:
    """y at the end of a clock where dy/dclock = slope(clock, y).  Raises SamplingError where the steps vanish."""
    if start == end or y.size == 0:
        return y
    solver = _EveryPoint(slope, start, y, end, rtol=rtol, atol=rtol)
    while solver.status == "running":
        message = solver.step()
        if solver.status == "failed":
            raise SamplingError(f"the reference stopped at {clock} = {solver.t:.6g}: {message}")
    result: Array = solver.y
    return result


def _clock(field: str, at: Point) -> float:
    if not (at.alpha > 0 and at.sigma > 0):
        raise InputError(field, (at.alpha, at.sigma), "alpha and sigma must be positive")
    return math.log(at.alpha / at.sigma)


def _unit_point(lam: float) -> Point:
    """The point of the process with alpha^2 + sigma^2 = 1 at lambda, and its derivatives in lambda."""
    small = math.exp(-abs(lam))
    large = 1 / math.hypot(1, small)
    alpha, sigma = (large, large * small) if lam >= 0 else (large * small, large)
    return Point(alpha, sigma, lam, alpha * sigma**2, -sigma * alpha**2)
