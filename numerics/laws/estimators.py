"""Estimated distances of samples from a law in d > 1, with intervals: energy distance, sliced W2 and moments.

Each is, or is the root of, a square |delta|^2 in a Hilbert space: of mean embeddings (energy), of quantile functions
along directions (sliced W2), of means and covariances (moments).  Means over pairs of different samples estimate the
square without bias, so that an estimate may be negative where the laws agree; a root is then 0.  With S the covariance
of the contribution of one sample to delta (Hoeffding 1948)

    var = 4 <delta, S delta> / n + 2 tr S^2 / n^2,

where the first term is normal and the second, the square of the noise, is the only one if the laws agree.

The 95 % intervals invert a test of every value t >= 0: they contain the values that the estimate does not reject, with
the variance that it would have at t, for delta scaled to that size.  The lower end uses the quantile of a gamma law
with the skewness there.  The upper end uses the normal quantile, which is conservative: the variance of an estimate
that is too low is underestimated too, and with the skewness 5 to 7 intervals of 100 would end below the exact value.
An interval that starts at 0 does not exclude that the laws agree.

The ideal width is 2 * 1.96 standard deviations (over repeats) of the square low^2..high^2 (of low..high for the
energy), that of a normal approximation with a known deviation.  tests/numerics/test_intervals.py checks normal laws
that differ by a shift, over 2,000 repeats of n = 400 samples at (d, shift) = (2, 0.15), (5, 0.3) and (10, 0.3): the
coverage is not below 95 % at the level 1e-4, and the mean width at most 1.3 times the ideal.  Where the laws agree
(d = 5, n = 200) 96 to 98 of 100 intervals contain 0, and their mean width is 1.0 to 1.4 times the ideal.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import hadamard
from scipy.optimize import brentq
from scipy.special import gammaincinv, ndtri
from torch import Tensor

from ..errors import InputError
from .gaussian import Gaussian

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

FEWEST = 100
TAIL = 0.025  # on either side
DIRECTIONS = 64  # of sliced W2, drawn once from a separate seed: the same in every study
DIRECTION_SEED = 0
GROUPS = 8  # of samples, which make GROUPS - 1 balanced halvings
CHUNK = 128  # samples in memory at a time, against as many
LEAD = 4 * CHUNK  # first samples, from whose pairs tr S^2 is estimated
CUBED = 200  # first samples, from whose triples tr S^3 is estimated
PARTS = 16  # groups of samples, for the uncertainty of ratios of estimates
SKEWEST = math.sqrt(8)  # the skewness of one squared normal number, the largest of their sums


class Estimate(NamedTuple):
    """A value estimated from samples, and the 95 % confidence interval [low, high] around it.

    low <= 0 where the estimate may be noise; below 0 if the value is.  needed: there, about as many samples as the
    interval needs to exclude 0, if the value is the estimate, or the noise of one that is less.
    groups: the contributions of PARTS groups of samples, i modulo PARTS, to the relative error of the value, to first
    order.  Estimates from common samples err together: the uncertainty of their ratio is that of differences of groups.
    """

    value: float
    low: float
    high: float
    needed: int | None = None
    groups: tuple[float, ...] = ()


class Square(NamedTuple):
    """An unbiased estimate of |delta|^2 from n samples, with estimates of the terms of its variance and skewness.

    along: <delta, S delta>.  along2: <delta, S^2 delta>.  third: the third moment of a sample's contribution to
    <delta, .>.  trace2, trace3: tr S^2, tr S^3.  pairs: the factor of the trace2 term where not all pairs are used.
    groups: of the contributions of samples to its error.
    """

    value: float
    n: int
    along: float
    along2: float
    third: float
    trace2: float
    trace3: float
    pairs: float = 1.0
    groups: tuple[float, ...] = ()


def energy(x: Tensor, y: Tensor) -> Estimate:
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo 2013) from samples x [n, d], y [n, d].

    The U-statistic: the mean over i != j of |x_i - y_j| + |y_i - x_j| - |x_i - x_j| - |y_i - y_j|.  It is unbiased, so
    it may be negative where the laws agree; the distance is quadratic in a small error, as KL is. O(n^2 d) time, in
    blocks.  Raises InputError on other shapes, fewer than 100 samples and values that are not finite.
    """
    _check(x, y)
    n, pairs = len(x), torch.stack([x, y], dim=1).double()
    sums = torch.zeros(n, dtype=torch.float64)
    lead = torch.zeros(min(n, LEAD), min(n, LEAD), dtype=torch.float64)
    for a in range(0, n, CHUNK):
        for b in range(a, n, CHUNK):
            rows, columns = slice(a, a + CHUNK), slice(b, b + CHUNK)
            part = _energies(pairs[rows], pairs[columns])
            if a == b:
                part.fill_diagonal_(0)
            else:
                sums[columns] += part.sum(dim=0)
            sums[rows] += part.sum(dim=1)
            if b < LEAD:
                lead[rows, columns], lead[columns, rows] = part, part.T
    found = _square(float(sums.sum()) / (n * (n - 1)), sums / (n - 1), lead)
    low, high = interval(found)
    return Estimate(found.value, min(low, found.value), high, needed(found, low), relative(found.groups, found.value))


def sliced_w2(x: Tensor, y: Tensor) -> Estimate:
    """Sliced W2: the root of the mean over directions u of W2^2(u . X, u . Y), from samples x [n, d], y [n, d].

    Along each of 64 fixed random directions W2 between samples is exact, by sorting, but not zero for samples of one
    law: the differences of order statistics of one half of the samples times those of the other half have no such
    bias. The mean over 7 halvings, by a Hadamard matrix as in balanced repeated replication (McCarthy 1969), has 8/7 of
    the variance of all pairs; up to 7 samples at the end are left out.  A bias remains from differences in shape that
    n/2 order statistics do not resolve.  Raises InputError as `energy`.
    """
    _check(x, y)
    n = len(x) // GROUPS * GROUPS
    generator = torch.Generator().manual_seed(DIRECTION_SEED)
    directions = torch.randn(DIRECTIONS, x.shape[1], generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    along = [(directions @ s[:n].double().T).numpy() for s in (x, y)]
    square = 0.0
    for row in hadamard(GROUPS)[1:] > 0:
        first = row[np.arange(n) % GROUPS]
        one, other = (
            np.sort(along[0][:, half], axis=1) - np.sort(along[1][:, half], axis=1) for half in (first, ~first)
        )
        square += float(np.mean(one * other)) / (GROUPS - 1)
    order = [values.argsort(axis=1) for values in along]
    ascending = [np.take_along_axis(values, by, axis=1) for values, by in zip(along, order, strict=True)]
    share = _potential(ascending[0], ascending[1], order[0]) + _potential(ascending[1], ascending[0], order[1])
    size = math.isqrt(n)  # of blocks of samples, from whose order statistics the traces are estimated
    blocks = torch.from_numpy(_by_block(along[0], size) - _by_block(along[1], size))
    found = _square(square, torch.from_numpy(share), blocks @ blocks.T, size)
    return _root(found._replace(pairs=GROUPS / (GROUPS - 1)))


def moment_error(x: Tensor, target: Gaussian) -> Estimate:
    """(|m|^2 + |C - I|_F^2)^{1/2} with mean m and covariance C of L^-1 (x - m_target), L L^T = C_target.

    x [n, d] against the exact mean and covariance of the law it aims at: in standard deviations of that law, in all
    coordinates together.  tr C^2 without bias for any law by Himeno and Yamada (2014), eq. 2.
    Raises InputError on other shapes, fewer than 100 samples and values that are not finite.
    """
    _check(x, x)
    factor = torch.linalg.cholesky(target.covariance)
    white = torch.linalg.solve_triangular(factor, (x.double() - target.mean).T, upper=False).T
    (n, d), mean = white.shape, white.mean(dim=0)
    centred = white - mean
    covariance, size = centred.T @ centred / (n - 1), centred.square().sum(dim=1)
    trace, squares = float(covariance.trace()), float(covariance.square().sum())
    fourth = float(size.square().sum()) / (n - 1)
    unbiased = (n - 1) / (n * (n - 2) * (n - 3)) * ((n - 1) * (n - 2) * squares + trace**2 - n * fourth)
    square = float(mean.square().sum()) - trace / n + unbiased - 2 * trace + d
    # A pair contributes w_i . w_j + <c_i c_i' - I, c_j c_j' - I>, c centred; means over j != i leave out j = i.
    excess = covariance - torch.eye(d, dtype=torch.float64)
    share = white @ mean + ((centred @ excess) * centred).sum(dim=1)
    own = white.square().sum(dim=1) + size.square() - size
    first = slice(min(n, LEAD))
    lead = white[first] @ white[first].T + (centred[first] @ centred[first].T).square()
    return _root(_square(square, (n * share - own) / (n - 1), lead))


def coupled_moment_error(x: Tensor, y: Tensor, target: Gaussian) -> Estimate:
    """The same as moment_error(x, target), with samples y [n, d] of the target as control variates.

    x_i and y_i may depend on each other, and the estimate has the less noise the closer they are: with a = x - y and
    s = x + y, whitened, m = E a and C - I = E (s_c a_c' + a_c s_c')/2, c for centred. Both squares are means over
    different samples, without bias: of pairs for |m|^2, of fours for |C - I|^2.
    Raises InputError as moment_error.
    """
    _check(x, y)
    factor = torch.linalg.cholesky(target.covariance)
    apart, total = (torch.linalg.solve_triangular(factor, v.double().T, upper=False).T for v in (x - y, x + y))
    n, mean = len(x), apart.mean(dim=0)
    a, s = apart - mean, total - total.mean(dim=0)
    mixed = s.T @ a / (n - 1)
    excess = (mixed + mixed.T) / 2  # C - I
    square = float(mean.square().sum() - a.square().sum() / (n * (n - 1))) + _fours(a, s, mixed)
    # A pair contributes a_i . a_j + <g_i, g_j> with g = (s a' + a s')/2; means over j != i leave out j = i.
    share = apart @ mean + ((s @ excess) * a).sum(dim=1)
    own = apart.square().sum(dim=1) + _sizes(a, s)
    b, c, d = (v[: min(n, LEAD)] for v in (a, s, apart))
    lead = d @ d.T + ((c @ c.T) * (b @ b.T) + (c @ b.T) * (b @ c.T)) / 2
    return _root(_square(square, (n * share - own) / (n - 1), lead))


def _sizes(a: Tensor, s: Tensor) -> Tensor:
    """|(s a' + a s')/2|_F^2 of each sample [n]."""
    return (a.square().sum(dim=1) * s.square().sum(dim=1) + (a * s).sum(dim=1).square()) / 2


def _fours(a: Tensor, s: Tensor, mixed: Tensor) -> float:
    """|(M + M')/2|_F^2, M the covariance of s and a, without bias: the mean of <D_ij, D_kl> over different i, j, k, l.

    D_ij = (s_ij a_ij' + a_ij s_ij')/4 with s_ij = s_i - s_j. From centred a, s [n, d], and their sample covariance M:
    products with one index in common, and with both, are subtracted from the square of the mean of D_ij.
    """
    n = len(a)
    symmetric = (mixed + mixed.T) / 2
    whole, sizes = float(symmetric.square().sum()), _sizes(a, s)
    # Sums over i of |sum_j D_ij|^2, and over i and j of |D_ij|^2.
    rows = (n * n * float(sizes.sum()) + 3 * n * (n - 1) ** 2 * whole) / 4
    p, q, r = s.square().sum(dim=1), a.square().sum(dim=1), (s * a).sum(dim=1)
    lengths = 2 * n * float(p @ q) + 2 * float(p.sum() * q.sum()) + 4 * (n - 1) ** 2 * float(mixed.square().sum())
    across = float(((s.T @ s) * (a.T @ a)).sum()) + (n - 1) ** 2 * float((mixed * mixed.T).sum())
    products = 2 * n * float(r @ r) + 2 * float(r.sum()) ** 2 + 2 * across
    both = (lengths + products) / 8
    different = (n * (n - 1)) ** 2 * whole - 4 * (rows - both) - 2 * both
    return different / (n * (n - 1) * (n - 2) * (n - 3))


def interval(of: Square) -> tuple[float, float]:
    """The lowest and the highest value t >= 0 of |delta|^2 that the estimate does not reject at 95 %.

    In units of (tr S^2)^{1/2}.  A negative estimate has the highest value of 0 (Mandelkern and Schultz 2000).
    """
    least = max(of.value, 0.0)
    unit = math.sqrt(of.trace2) if of.trace2 > 0 else max(of.along, 0.0) / (least or math.inf)
    if unit == 0:
        return least, least
    n, value, least = of.n, of.value / unit, least / unit
    trace3 = min(max(of.trace3 / unit**3, 0.0), 1.0)
    at_zero = 2 * of.pairs / n**2  # the variance at t = 0
    # Slopes of the terms in t, from their values at the estimate; near t = 0 from those of the noise.
    noise = math.sqrt(at_zero)
    slope = (max(of.along / unit**2, 0.0) + noise * trace3) / (least + noise)
    slope2 = (max(of.along2 / unit**3, 0.0) + noise * trace3**2) / (least + noise)
    third = of.third / unit**3 / math.pow(least + noise, 1.5)

    def variance(t: float) -> float:
        return at_zero + 4 * slope * t / n

    def skewness(t: float) -> float:
        cumulant = 8 * trace3 * math.pow(of.pairs, 1.5) / n**3 + (24 * slope2 * t + 8 * third * math.pow(t, 1.5)) / n**2
        return min(max(cumulant / math.pow(variance(t), 1.5), -SKEWEST), SKEWEST)

    def above(t: float) -> float:
        return (value - t) / math.sqrt(variance(t)) - _quantile(skewness(t), 1 - TAIL)

    low = 0.0 if above(0.0) <= 0 else float(brentq(above, 0.0, value, xtol=1e-9 * noise))
    reach = float(ndtri(1 - TAIL)) ** 2
    half = 2 * reach * slope / n  # (high - least)^2 = reach variance(high)
    return low * unit, (least + half + math.sqrt(half**2 + reach * variance(least))) * unit


def _quantile(skewness: float, p: float) -> float:
    """The p-quantile of the gamma law (Pearson's type III) with mean 0, variance 1 and this skewness."""
    if abs(skewness) < 1e-3:
        return float(ndtri(p))
    if skewness < 0:
        return -_quantile(-skewness, 1 - p)
    shape = 4 / skewness**2
    return (float(gammaincinv(shape, p)) - shape) / math.sqrt(shape)


def needed(of: Square, low: float) -> int | None:
    """About how many samples put the lower end of the interval above 0; None where it is.

    It is above 0 where the value exceeds a quantile of the noise, which falls like 1/n; a margin of one standard
    deviation is added.
    """
    if low > 0 or of.trace2 <= 0:
        return None
    noise = math.sqrt(2 * of.pairs * of.trace2) / of.n
    count = of.n * (_quantile(SKEWEST, 1 - TAIL) + 1) * noise / max(of.value, noise)
    return int(float(f"{count:.2g}"))


def _root(of: Square) -> Estimate:
    low, high = interval(of)
    value, groups = math.sqrt(max(of.value, 0.0)), relative(of.groups, 2 * of.value)
    return Estimate(value, math.sqrt(low), math.sqrt(high), needed(of, low), groups)


def in_groups(contributions: Tensor) -> tuple[float, ...]:
    """The sums of contributions [n] over the groups of samples."""
    which = torch.arange(len(contributions)) % PARTS
    return tuple(torch.zeros(PARTS, dtype=torch.float64).index_add_(0, which, contributions).tolist())


def relative(groups: tuple[float, ...], size: float) -> tuple[float, ...]:
    """Contributions over a size, to 6 digits; none where it is not positive."""
    return tuple(float(f"{part / size:.6g}") for part in groups) if size > 0 else ()


def _square(value: float, share: Tensor, products: Tensor, size: int = 1) -> Square:
    """A Square from the contributions of samples, share [n], and the products <delta_i, delta_j> [k, k] of the first k.

    size: of the blocks of samples that have one delta_i each.  U-centred (Szekely and Rizzo 2014), the products are
    those of noise, and the mean of their squares over pairs estimates tr S^2 without bias.
    """
    n, k = len(share), len(products)
    products = products.clone().fill_diagonal_(0)
    sums, total = products.sum(dim=1), products.sum()
    own = (sums - sums.mean()) / (k - 1)  # <delta, delta_i - delta>
    centred = products - (sums[:, None] + sums) / (k - 2) + total / ((k - 1) * (k - 2))
    centred.fill_diagonal_(0)
    few, c = centred[:CUBED, :CUBED], min(k, CUBED)
    trace2 = size**2 * float(centred.square().sum()) / (k * (k - 3))
    trace3 = size**3 * float((few @ few * few).sum()) / (c * (c - 1) * (c - 2))
    around = share - share.mean()
    along = float(around.square().sum()) / (n - 1) - trace2 / n
    along2 = size**2 * float(own @ centred @ own) / (k * (k - 1))
    return Square(value, n, along, along2, float(around.pow(3).mean()), trace2, trace3, 1.0, in_groups(2 * around / n))


def _energies(a: Tensor, b: Tensor) -> Tensor:
    """|x_i - y_j| + |y_i - x_j| - |x_i - x_j| - |y_i - y_j| of pairs a [n, 2, d], b [m, 2, d]: [n, m]."""
    # The fast mode, |x|^2 + |y|^2 - 2 x.y, loses half of the digits of short distances.
    apart = torch.cdist(a.flatten(0, 1), b.flatten(0, 1), compute_mode="donot_use_mm_for_euclid_dist")
    apart = apart.view(len(a), 2, len(b), 2)
    return apart[:, 0, :, 1] + apart[:, 1, :, 0] - apart[:, 0, :, 0] - apart[:, 1, :, 1]


def _potential(values: Array, others: Array, order: Whole) -> Array:
    """The contribution of each sample to mean W2^2 / 2: Kantorovich's potential, the integral of x - T(x)."""
    moved = values - others
    rising = np.zeros_like(values)
    np.cumsum((moved[:, 1:] + moved[:, :-1]) / 2 * np.diff(values, axis=1), axis=1, out=rising[:, 1:])
    by_sample = np.empty_like(rising)
    np.put_along_axis(by_sample, order, rising, axis=1)
    share: Array = by_sample.mean(axis=0)
    return share


def _by_block(along: Array, size: int) -> Array:
    """The order statistics of blocks of `size` samples, all directions in a row, in the norm of a mean square."""
    count = along.shape[1] // size
    blocks: Array = np.sort(along[:, : count * size].reshape(DIRECTIONS, count, size), axis=2)
    return blocks.transpose(1, 0, 2).reshape(count, -1) / math.sqrt(DIRECTIONS * size)


def _check(x: Tensor, y: Tensor) -> None:
    if x.ndim != 2 or x.shape != y.shape:
        raise InputError("samples", [list(x.shape), list(y.shape)], "two equal shapes [n, d]")
    if len(x) < FEWEST:
        raise InputError("samples", len(x), f"at least {FEWEST}")
    if not bool(torch.isfinite(x).all() and torch.isfinite(y).all()):
        raise InputError("samples", "a value that is not finite", "finite numbers")
