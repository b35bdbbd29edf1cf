"""Predictions of isotropic components by two plain matrix products, where a bound of their rounding is small enough.

With h = 1/(2 v), logarithms of shares are log w - h |m|^2 + 2 h m.x - h |x|^2, of which the last term is left out where
all components have it. The rounding of such a sum is at most (d + 8) 2^-53 times the sum of the terms' sizes, in any
order of summation (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1): d + 2 operations on a term,
and those by which its factors were made. |x|^2 is a rounded sum itself and is counted twice. With |m.x| <= |m| |x| that
is a bound from |x|, the farthest mean and the largest h; errors that were found are a hundredth of it and less.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .block_arrays import BLOCK

ROUNDING = 2.0**-53
LOSS, LOSS_OF_OTHERS = 5e-13, 2.0**-27  # of shares in float64, and in dtypes of fewer digits: a sixteenth of eps
LARGEST = 690.0  # size of logarithms up to which shares are normal numbers without a shift
# Numbers in a block: more than elsewhere, for fewer calls; rows a power of two apart would share lines of the cache.
IN_BLOCK = BLOCK * 31 // 10


class PlainProducts(NamedTuple):
    """The factors of the products, and how far points may be from the origin.

    near64, near_others: distances |x| up to which the bound is at most LOSS and LOSS_OF_OTHERS: that of the relative
    error of every unnormalised share, and that of the sum's error in units of the narrowest component's deviation times
    the largest gain_k / v_k.  unshifted: the |x| up to which logarithms are at most LARGEST.
    slope [K, d | d + 1]: of the logarithm to base 2 in x, and in |x|^2 where variances differ; level [K, 1]: at x = 0.
    sums [d + 1 | d + 2, K]: offset_k - pull_k m_k, one, and pull_k = gain_k / v_k where they differ; else it is `pull`.
    """

    near64: float
    near_others: float
    unshifted: float
    slope: Tensor
    level: Tensor
    sums: Tensor
    pull: float | None

    def near(self, dtype: torch.dtype) -> float:
        """The |x| up to which points of this dtype are near enough."""
        return self.near64 if dtype == torch.float64 else self.near_others


def plain_products_of(
    means: Tensor, squares: Tensor, half: Tensor, log_weight: Tensor, pull: Tensor, offset: Tensor | None
) -> PlainProducts:
    """The factors for means [K, d], their squares, -h log2(e), log2 of weights and pulls [K | 1, 1], offset [K, d]."""
    count, dim = means.shape
    alike, one_pull = bool((half == half[0]).all()), bool((pull == pull[0]).all())
    slope = [-2 * half * means] if alike else [-2 * half * means, half.expand(count, 1)]
    shift = -pull * means if offset is None else offset - pull * means
    ones = [torch.ones_like(squares)] if one_pull else [torch.ones_like(squares), pull]

    # Sums of sizes of terms are h (power |x|^2 + 2 |x| |m| + |m|^2) + |log w|; the |x|^2 is itself a rounded sum.
    steepest, farthest = float(half.abs().max()) * math.log(2), float(squares.max().sqrt())
    lightest = float(log_weight[log_weight.isfinite()].abs().max()) * math.log(2)
    power = 0 if alike else 2

    def within(most: float) -> float:
        spare = (most - lightest) / steepest - farthest**2
        across = farthest + math.sqrt(max(0, farthest**2 + power * spare))
        return math.copysign(math.inf, spare) if spare < 0 or across == 0 else spare / across

    def near(loss: float) -> float:
        # The second product: 2 K + 6 operations on a mean, and on x where it is multiplied by a sum; else 3.
        deviation, most = math.sqrt(0.5 / steepest), 2 * count + 6
        summed = (loss / ROUNDING * deviation - most * float(means.abs().max())) / (3 if one_pull else most)
        return min(within(loss / ((dim + 8) * ROUNDING)), summed)

    return PlainProducts(
        near64=near(LOSS),
        near_others=near(LOSS_OF_OTHERS),
        unshifted=within(LARGEST),
        slope=torch.cat(slope, dim=1),
        level=half * squares + log_weight,
        sums=torch.cat([shift, *ones], dim=1).T.contiguous(),
        pull=float(pull[0]) if one_pull else None,
    )


def by_plain_products(of: PlainProducts, points: Tensor, farthest: float) -> Tensor:
    """sum_k r_k (offset_k + pull_k (x - m_k)) at points [n, d] with |x| <= farthest: [n, d], in their dtype.

    Summed in float64.  Where farthest <= of.near(dtype), shares and sum are within the bound that PlainProducts states.
    """
    (count, columns), (n, dim) = of.slope.shape, points.shape
    answer = torch.empty_like(points)
    size = max(1, min(n, IN_BLOCK // max(count, columns)))
    shares, rows, whole = (
        of.slope.new_empty(shape) for shape in ((count, size), (size, columns), (len(of.sums), size))
    )
    for start in range(0, n, size):
        block = points[start : start + size]
        if len(block) < size:
            shares, rows, whole = shares[:, : len(block)], rows[: len(block)], whole[:, : len(block)]
        x = rows[:, :dim].copy_(block)
        if columns > dim:
            torch.sum(x * x, dim=1, out=rows[:, dim])
        torch.addmm(of.level, of.slope, rows.T, out=shares)
        if farthest > of.unshifted:
            shares.sub_(shares.amax(dim=0))
        torch.mm(of.sums, shares.exp2_(), out=whole)
        each = whole[dim].reciprocal_()
        mean, place = whole[:dim].mul_(each).T, answer[start : start + size]
        if of.pull is None:
            torch.addcmul(mean, x, whole[dim + 1].mul_(each)[:, None], out=place)
        else:
            torch.add(mean, x, alpha=of.pull, out=place)
    return answer
