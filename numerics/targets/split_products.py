"""Predictions of isotropic components by matrix products: plain ones where rounding allows, split ones beyond.

|x - m|^2 and sum_k w_k (x - m_k), multiplied out, are differences of numbers as large as |x|^2 and |x|. How many digits
cancel is bounded from the points, and plain products are taken where the bound is small enough (PlainProducts).

Elsewhere points, means and shares w_k are split into an upper part, a multiple of a fixed unit, and a rest of at most
half of it. Products of upper parts, and all their sums, are multiples of one unit with at most 53 binary digits: they
are exact in any order (Ozaki et al., Numer. Algorithms 59, 2012). What is left is 2^-20 or less of the whole, and so is
its rounding.

Exponentials are powers of two: factors hold log2(e), as torch.exp2 takes a third of the time of torch.exp.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .block_arrays import BLOCK
from .components import Marginal
from .plain_products import PlainProducts, by_plain_products, plain_products_of

DIGITS = 53
DIMENSIONS, COMPONENTS, NUMBERS = 8, 16, 1 << 15  # from which on products take less time; numbers: of differences
BEYOND = 8.0  # standard deviations from the means that are within reach
SPARE = 7  # binary digits by which shares are finer than the smallest deviation is of the reach


class Products(NamedTuple):
    """The factors of the products, for points with |x_i| <= reach, and those of plain products.

    unit, grain: the units of the upper parts of points and means, and of shares.  distance_rest, distance_upper
    [K, 2 d + 3 and d + 2]: they make squared distances of the rows in by_split_products.  half [K, 1]: -log2(e)/(2 v).
    log_weight [K, 1]: log2 of weights and determinants, at most 0.  relative [K, 1]: gain_k / v_k in units of `factor`,
    None if all are one.  means [d + 1, K] with a row of ones; upper [d + 1, K], rest [d, K]: their parts.
    offset [d, K]: of the prediction.
    """

    plain: PlainProducts
    reach: float
    unit: float
    grain: float
    distance_rest: Tensor
    distance_upper: Tensor
    half: Tensor
    log_weight: Tensor
    relative: Tensor | None
    factor: float
    upper: Tensor
    rest: Tensor
    means: Tensor
    offset: Tensor | None


def products_of(law: Marginal, gain: Tensor, offset: Tensor | None) -> Products | None:
    """The factors of sum_k r_k (offset_k + gain_k (x - m_k) / v_k), gain [K | 1, 1, 1], offset [K, d].

    None where differences are better: for few dimensions or components, for variances that differ between axes, for
    components so narrow beside their distance that the rounding of the rests would show, and for gains that are all
    zero.
    """
    count, dim = law.high.shape[:2]
    pull = gain * law.precision
    if dim < DIMENSIONS or count < COMPONENTS or pull.shape[1] > 1 or not bool(pull.any()):
        return None
    pull = pull[:, 0]
    # The units, such that sums of products have no more digits than there are.
    digits = (DIGITS - 2 - math.ceil(math.log2(dim))) // 2
    finer = DIGITS - 1 - digits - math.ceil(math.log2(count))
    least, largest = math.sqrt(law.variance.min()), math.sqrt(law.variance.max())
    farthest = float(law.high.abs().max()) + BEYOND * largest
    if not farthest < least * min(math.sqrt(2.0**digits / dim), 2.0 ** (finer - SPARE)) / 2:
        return None
    reach = 2.0 ** math.ceil(math.log2(farthest))
    unit, grain = reach * 2.0**-digits, 2.0**-finer
    upper = upper_part(law.high[..., 0], unit)
    rest = (law.high[..., 0] - upper) + law.low[..., 0]
    means, one, zero = upper + rest, upper.new_ones(count, 1), upper.new_zeros(count, 1)
    square, more = upper.square().sum(dim=1, keepdim=True), (rest * (upper + means)).sum(dim=1, keepdim=True)
    half, log_weight = -0.5 / math.log(2) * law.precision[:, 0], (law.log_weight - law.log_weight.max()) / math.log(2)
    equal = bool((pull == pull[0]).all())
    factor = float(pull[0] if equal else pull.abs().max())
    return Products(
        plain=plain_products_of(means, square + more, half, log_weight, pull, offset),
        reach=reach,
        unit=unit,
        grain=grain,
        distance_rest=torch.cat([-2 * means, one, -2 * rest, zero, more], dim=1),
        distance_upper=torch.cat([-2 * upper, one, square], dim=1),
        half=half,
        log_weight=log_weight,
        relative=None if equal else pull / factor,
        factor=factor,
        upper=torch.cat([upper, one], dim=1).T.contiguous(),
        rest=rest.T.contiguous(),
        means=torch.cat([means, one], dim=1).T.contiguous(),
        offset=None if offset is None else offset.T,
    )


def by_products(of: Products, x: Tensor) -> Tensor | None:
    """The prediction at points [n, d], in their dtype; None for few points, and for some beyond the reach."""
    if x.numel() * len(of.half) < NUMBERS:
        return None
    farthest = float(torch.linalg.vector_norm(x, dim=1).max())
    if farthest <= of.plain.near(x.dtype):
        return by_plain_products(of.plain, x, farthest)
    return by_split_products(of, x) if float(x.abs().max()) <= of.reach else None


def upper_part(values: Tensor, unit: float, out: Tensor | None = None) -> Tensor:
    """The nearest multiples of a unit, for values of at most 2^51 units."""
    shift = 1.5 * 2.0 ** (DIGITS - 1) * unit
    return torch.add(values, shift, out=out).sub_(shift)


def by_split_products(of: Products, points: Tensor) -> Tensor:
    """The prediction at points [n, d], |x_i| <= reach, right to rounding in float64, of which it takes the dtype."""
    count, dim = len(of.half), points.shape[1]
    answer = torch.empty_like(points)
    size = max(1, min(len(points), BLOCK // max(count, 2 * dim)))
    shares, coarse = (of.half.new_empty(count, size) for _ in range(2))
    # The rows that distances are made of: rest of x, |x|^2 without that of the upper part, upper part, its |x|^2, 1.
    rows, spare = of.half.new_ones(2 * dim + 3, size), of.half.new_empty(dim, size)
    for start in range(0, len(points), size):
        block = points[start : start + size].T.to(torch.float64)
        if block.shape[1] < size:
            shares, coarse, rows, spare = (array[:, : block.shape[1]] for array in (shares, coarse, rows, spare))
        rest, upper = rows[:dim], rows[dim + 1 : -2]
        # Squared distances, then shares.
        upper_part(block, of.unit, out=upper)
        torch.sub(block, upper, out=rest)
        torch.sum(torch.add(block, upper, out=spare).mul_(rest), dim=0, out=rows[dim])
        torch.sum(torch.mul(upper, upper, out=spare), dim=0, out=rows[-2])
        torch.mm(of.distance_upper, rows[dim + 1 :], out=shares)
        shares.addmm_(of.distance_rest, rows)
        torch.addcmul(of.log_weight, shares, of.half, out=shares)
        shares.sub_(shares.amax(dim=0)).exp2_()
        total = shares.sum(dim=0)
        added = None if of.offset is None else of.offset @ shares
        if of.relative is not None:
            shares.mul_(of.relative)
        # Sums of differences: of the upper parts, which are exact, then of the rests.
        fine = shares.sub_(upper_part(shares, of.grain, out=coarse))
        whole, small = of.upper @ coarse, of.means @ fine
        small[:dim].addmm_(of.rest, coarse)
        away = torch.mul(upper, whole[dim], out=spare).sub_(whole[:dim])
        away.add_(rest.mul_(whole[dim]).addcmul_(block, small[dim]).sub_(small[:dim]))
        away.mul_(of.factor)
        answer[start : start + size] = (away if added is None else away.add_(added)).div_(total).T
    return answer
