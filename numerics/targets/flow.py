"""The probability-flow ODE of a one-dimensional mixture, solved exactly: it keeps the values of the CDF.

In one dimension flow lines do not cross, so the mass to the left of a point is constant along its line and
y = F_to^{-1}(F_from(x)).  Levels are stored as log F and log(1 - F), and the smaller tail is inverted: accurate for
tail masses down to 1e-300 and less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_ndtr, ndtr, ndtri_exp
from torch import Tensor

from ..errors import InputError, of_type
from ..points import Point
from .mixture import GaussianMixture

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
EPS = float(np.finfo(np.float64).eps)
BLOCK = 1 << 15  # numbers in one working array
TINY = 1e-300
LARGEST = 300 * math.log(10)  # log of the largest slope: beyond it the exponential would overflow
POLISH = 5
CENTRAL = -23.0  # log of a tail mass of 1e-10
NODES = 257  # of an interpolant of the flow
MANY = 8 * NODES  # points, from which on it pays
ROUNDS = 400  # every second step at least halves a bracket; about sixty are needed at most


class _Line(NamedTuple):
    """The components of a one-dimensional law, as columns [K, 1]."""

    high: Array
    low: Array
    deviation: Array
    log_weight: Array

    def standardise(self, x: Array) -> Array:
        """z_k = (x - alpha mu_k) / std_k: [n] -> [K, n]."""
        z: Array = ((x - self.high) - self.low) / self.deviation
        return z

    def log_tail(self, z: Array, side: Array | float) -> Array:
        """log P(X < x) for side +1, log P(X > x) for side -1."""
        return _logsumexp(log_ndtr(side * z) + self.log_weight)

    def log_density(self, z: Array) -> Array:
        normal = self.log_weight - np.log(self.deviation) - np.log(2 * np.pi) / 2
        return _logsumexp(z * z * -0.5 + normal)


def log_tails(mixture: GaussianMixture, x: Tensor, at: Point) -> tuple[Tensor, Tensor]:
    """(log F(x), log(1 - F(x))) for the law of alpha x0 + sigma eps in one dimension; shapes [..., 1], float64."""
    line, flat = _line(mixture, at), _flat(x, "x")
    lower, upper = np.empty_like(flat), np.empty_like(flat)
    for part in _blocks(flat, mixture):
        z = line.standardise(flat[part])
        lower[part], upper[part] = line.log_tail(z, 1.0), line.log_tail(z, -1.0)
    return _like(lower, x), _like(upper, x)


def quantile(mixture: GaussianMixture, log_lower: Tensor, log_upper: Tensor, at: Point) -> Tensor:
    """The x with F(x) = exp(log_lower) and 1 - F(x) = exp(log_upper): the smaller tail decides.  Shapes [..., 1].

    Good to a few ulp of x and of the level: where the density is nearly zero between modes, a rounding of the
    level by eps moves x by eps / density.
    """
    line = _line(mixture, at)
    lower, upper = _flat(log_lower, "log_lower"), _flat(log_upper, "log_upper")
    x = np.empty_like(lower)
    for part in _blocks(lower, mixture):
        x[part] = _invert(line, lower[part], upper[part])
    return _like(x, log_lower)


def exact_flow(mixture: GaussianMixture, x: Tensor, source: Point, to: Point) -> tuple[Tensor, Tensor]:
    """The exact flow of the probability-flow ODE, y = F_to^{-1}(F_source(x)), and dy/dx = p_source(x) / p_to(y).

    mixture: in one dimension.  x [n, 1]: at the point `source` of the process.  Returns y and dy/dx at the point `to`,
    [n, 1] each, float64: flow lines do not cross, so the mass to the left of a point is constant (Song et al. 2021).
    dy/dx is at most 1e300: it is larger where a point lies far between narrow components.
    Raises InputError for a mixture in d > 1, a singular law, and x that is not finite.

    >>> import torch
    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([1.0], [0.0], stds=[1.0])
    >>> noisy, clean = sp.Grid.from_sigmas([3.0, 0.0]).points
    >>> y, slope = sp.exact_flow(mixture, torch.tensor([[10.0]]), noisy, clean)
    >>> round(float(y), 6), round(10 / 10**0.5, 6)
    (3.162278, 3.162278)
    """
    (flow,) = exact_flows(mixture, x, source, [to])
    return flow


def exact_flows(mixture: GaussianMixture, x: Tensor, source: Point, to: Sequence[Point]) -> list[tuple[Tensor, Tensor]]:
    """The same to several points, with the masses at the source computed once."""
    start, ends, flat = _line(mixture, source), [_line(mixture, point) for point in to], _flat(x, "x")
    y, slope = (np.empty((len(ends), len(flat))) for _ in range(2))
    between = _between(mixture, flat, source, to) if len(flat) >= MANY and mixture.components > 1 else None
    for part in _blocks(flat, mixture):
        z = start.standardise(flat[part])
        log_density, left = start.log_density(z), np.arange(z.shape[1])
        if between is not None:
            y[:, part], settled = _from_guesses(start, ends, z, between(flat[part]))
            left = np.flatnonzero(~settled)
        if len(left):
            origin = z[:, left]
            lower, upper = start.log_tail(origin, 1.0), start.log_tail(origin, -1.0)
        for k, end in enumerate(ends):
            if len(left):
                inverse, central = _invert(end, lower, upper), np.minimum(lower, upper) > CENTRAL
                y[k, part][left], _ = _polish(start, end, origin, inverse, central)
            log_slope = log_density - end.log_density(end.standardise(y[k, part]))
            slope[k, part] = np.exp(np.minimum(log_slope, LARGEST))
    return [(_like(value, x), _like(rate, x)) for value, rate in zip(y, slope, strict=True)]


def _between(
    mixture: GaussianMixture, flat: Array, source: Point, to: Sequence[Point]
) -> Callable[[Array], list[Array]]:
    """The flows to all points as cubic Hermite interpolants between equidistant nodes; NaN in the tails."""
    nodes = np.linspace(flat.min(), flat.max(), NODES)
    width = (nodes[-1] - nodes[0]) / (NODES - 1) or 1.0
    column = torch.from_numpy(nodes)[:, None]
    central = torch.minimum(*log_tails(mixture, column, source))[:, 0].numpy() > CENTRAL
    known = [[of[:, 0].numpy() for of in flow] for flow in exact_flows(mixture, column, source, to)]

    @np.errstate(all="ignore")
    def guesses(x: Array) -> list[Array]:
        j = np.clip(((x - nodes[0]) / width).astype(np.int64), 0, NODES - 2)
        s = (x - nodes[j]) / width
        outside, found = ~(central[j] & central[j + 1]), []
        for value, slope in known:
            step = value[j + 1] - value[j]
            left, right = width * slope[j] - step, width * slope[j + 1] - step
            found.append(value[j] + s * step + s * (1 - s) * ((1 - s) * left - s * right))
            found[-1][outside] = np.nan
        return found

    return guesses


def _from_guesses(start: _Line, ends: list[_Line], z: Array, guesses: list[Array]) -> tuple[Array, Mask]:
    """Flows [ends, n] from guesses, and a mask [n] of those that have settled at every end."""
    y, settled = np.empty((len(ends), z.shape[1])), np.ones(z.shape[1], dtype=bool)
    for k, (end, guess) in enumerate(zip(ends, guesses, strict=True)):
        y[k], at_end = _polish(start, end, z, guess, np.isfinite(guess))
        settled &= at_end
    return y, settled


@np.errstate(over="ignore")  # a step that is not finite leads out of the bracket, which is halved then
def _invert(line: _Line, lower: Array, upper: Array) -> Array:
    """Newton on the log of the smaller tail, kept in a bracket.

    The quantile of a mixture lies between those of its components at the same level.  A Newton step is taken only if
    it stays inside the bracket and is less than half of the step before, so that it cannot cycle; otherwise the
    bracket is halved.  The iteration ends with one last step when the residual is at the level of rounding.
    """
    # The bracket, from the quantiles of the components.
    side, level = np.where(lower < upper, 1.0, -1.0), np.minimum(lower, upper)
    own = line.high + line.low + line.deviation * (side * ndtri_exp(level))
    low, high = own.min(axis=0), own.max(axis=0)
    margin = 4 * EPS * np.maximum(np.abs(low), np.abs(high))
    low, high = low - margin, high + margin
    answer: Array = (low + high) / 2
    # Newton's method or bisection for the levels that are not yet solved.
    y, last, active = answer.copy(), high - low, np.arange(len(level))
    for _ in range(ROUNDS):
        z = line.standardise(y)
        log_tail = line.log_tail(z, side)
        hazard = np.exp(line.log_density(z) - log_tail)  # |d log tail / dy|, zero in a wide gap between modes
        residual = log_tail - level
        step = -side * residual / np.maximum(hazard, TINY)
        low, high = np.where(step > 0, y, low), np.where(step < 0, y, high)
        inside = (y + step >= low) & (y + step <= high)
        rounding = np.abs(residual) <= 4 * EPS * (np.abs(level) + hazard * np.abs(y))
        narrow = high - low <= 2 * EPS * np.maximum(np.abs(low), np.abs(high))
        newton = inside & (rounding | (np.abs(step) < last / 2))
        new = np.where(newton, y + step, np.where(rounding, y, (low + high) / 2))
        answer[active] = new
        keep = ~(rounding | narrow)
        if not keep.any():
            break
        active, last, y, side = active[keep], np.abs(new - y)[keep], new[keep], side[keep]
        level, low, high = level[keep], low[keep], high[keep]
    return answer


def _polish(start: _Line, end: _Line, z: Array, y: Array, where: Mask) -> tuple[Array, Mask]:
    """Newton on sum_k w_k (Phi(z_k to) - Phi(z_k from)) = 0, each difference by its smaller tails; and what settled.

    Between modes F is nearly constant, and differences of its values would cancel.  In the tails the logs are accurate
    enough, and a large step is rounding (p_to is nearly zero, the slope huge): neither is corrected.
    From the inverse one step suffices except between modes. Where p_to is small a step that rounds to zero proves
    nothing, and a point counts as not settled.
    """
    settled = np.zeros(len(y), dtype=bool)
    if len(z) == 1:
        return y, settled
    y, reach, active = y.copy(), end.deviation.min(), np.flatnonzero(where)
    weight, origin = np.exp(start.log_weight), z if len(active) == len(y) else z[:, active]
    height = weight / (end.deviation * math.sqrt(2 * math.pi))
    for _ in range(POLISH):
        other = end.standardise(y[active])
        side = np.where(origin + other > 0, -1.0, 1.0)
        moved = weight * side * (_ndtr(side * other) - _ndtr(side * origin))
        density = (height * np.exp(-0.5 * other * other)).sum(axis=0)
        step = -moved.sum(axis=0) / np.maximum(density, TINY)
        small = np.abs(step) < 0.05 * reach
        y[active[small]] += step[small]
        ended = np.abs(step) <= 1e-9 * reach
        settled[active[ended & (density * reach > 1e-7)]] = True
        more = small & ~ended
        if not more.any():
            break
        active, origin = active[more], origin[:, more]
    return y, settled


def _ndtr(z: Array) -> Array:
    values: Array = ndtr(z)
    return values


def _line(mixture: GaussianMixture, at: Point) -> _Line:
    of_type("mixture", mixture, GaussianMixture, "a GaussianMixture")
    if mixture.dim != 1:
        raise InputError("target.means", f"d = {mixture.dim}", "the exact flow needs one dimension")
    law = mixture.marginal(at)
    with np.errstate(divide="ignore"):
        log_weight = np.log(mixture.weights.numpy())[:, None]
    return _Line(law.high[:, 0].numpy(), law.low[:, 0].numpy(), law.variance[:, 0].sqrt().numpy(), log_weight)


def _logsumexp(terms: Array) -> Array:
    top: Array = terms.max(axis=0)
    return top if len(terms) == 1 else np.log(np.exp(terms - top).sum(axis=0)) + top


def _flat(x: Tensor, name: str) -> Array:
    of_type(name, x, Tensor, "a tensor [n, 1]")
    values = x.detach().to("cpu", torch.float64)
    if values.ndim == 0 or values.shape[-1] != 1:
        raise InputError(name, list(values.shape), "shape [n, 1]")
    if not bool(torch.isfinite(values).all()):
        raise InputError(name, "a value that is not finite", "finite numbers")
    return values.reshape(-1).numpy()


def _blocks(flat: Array, mixture: GaussianMixture) -> list[slice]:
    size = max(1, BLOCK // mixture.components)
    return [slice(start, start + size) for start in range(0, len(flat), size)]


def _like(values: Array, x: Tensor) -> Tensor:
    return torch.from_numpy(values).reshape(x.shape).to(x.device)
