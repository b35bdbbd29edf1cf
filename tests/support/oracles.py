"""Slow, plain, 50-digit versions of what numerics computes: densities from their definition, quantiles by bisection.

Nothing here is shared with the code under test: scores come from dense linear algebra on the covariances as given,
distribution functions from erfc, roots from bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mpmath.ctx_mp import MPContext

mp = MPContext()  # our own context: other tests keep their precision
mp.dps = 50
mpf = mp.mpf


class Law(NamedTuple):
    """A Gaussian mixture: weights, means [K][d], covariances [K] as mpmath matrices."""

    weights: list[Any]
    means: list[Any]
    covariances: list[Any]


def law(weights: Sequence[float], means: Any, covariances: Any) -> Law:
    """A law from floats, which are exact numbers; the weights are normalised exactly."""
    total = sum(mpf(w) for w in weights)
    columns = [mp.matrix([mpf(float(v)) for v in mean]) for mean in means]
    return Law([mpf(w) / total for w in weights], columns, [mp.matrix(c) for c in covariances])


def components(p: Law, alpha: float, sigma: float, x: Sequence[Any]) -> list[tuple[Any, Any]]:
    """(w_k N_k(x), V_k^-1 (x - alpha mu_k)) of alpha x0 + sigma eps."""
    a, s, out = mpf(alpha), mpf(sigma), []
    for weight, mean, covariance in zip(p.weights, p.means, p.covariances, strict=True):
        v = a**2 * covariance + s**2 * mp.eye(len(mean))
        difference = mp.matrix([mpf(c) for c in x]) - a * mean
        solved = mp.lu_solve(v, difference) if len(mean) > 1 else difference / v[0, 0]
        square = sum(difference[i] * solved[i] for i in range(len(mean)))
        out.append((weight * mp.exp(-square / 2) / mp.sqrt(mp.det(2 * mp.pi * v)), solved))
    return out


def density(p: Law, alpha: float, sigma: float, x: Sequence[Any]) -> Any:
    return sum(mass for mass, _ in components(p, alpha, sigma, x))


def score(p: Law, alpha: float, sigma: float, x: Sequence[Any]) -> Any:
    parts = components(p, alpha, sigma, x)
    total = sum(mass for mass, _ in parts)
    return -sum((mass * solved for mass, solved in parts), mp.zeros(len(x), 1)) / total


def tails(p: Law, alpha: float, sigma: float, x: Any) -> tuple[Any, Any]:
    """(F(x), 1 - F(x)) of a one-dimensional law, each to full relative accuracy."""
    below, above = mpf(0), mpf(0)
    for weight, mean, covariance in zip(p.weights, p.means, p.covariances, strict=True):
        deviation = mp.sqrt(mpf(alpha) ** 2 * covariance[0, 0] + mpf(sigma) ** 2)
        z = (mpf(x) - mpf(alpha) * mean[0]) / deviation / mp.sqrt(2)
        below, above = below + weight * mp.erfc(-z) / 2, above + weight * mp.erfc(z) / 2
    return below, above


def bisect(f: Callable[[Any], Any], low: Any, high: Any, digits: int = 25) -> Any:
    """The root of an increasing f in [low, high]."""
    low, high = mpf(low), mpf(high)
    while high - low > mpf(10) ** -digits * max(1, abs(low), abs(high)):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < 0 else (low, middle)
    return (low + high) / 2


def quantile(p: Law, alpha: float, sigma: float, below: Any, above: Any) -> Any:
    """The point with these two tail masses; the smaller of them decides."""
    reach = max(abs(mpf(alpha) * m[0]) for m in p.means)
    reach += 45 * max(mp.sqrt(mpf(alpha) ** 2 * c[0, 0] + mpf(sigma) ** 2) for c in p.covariances)
    if below < above:
        return bisect(lambda y: tails(p, alpha, sigma, y)[0] - below, -reach, reach)
    return bisect(lambda y: above - tails(p, alpha, sigma, y)[1], -reach, reach)
