"""The curves of models that tables are carried between: their principal shapes, and what of one model lies outside."""

from __future__ import annotations

import pytest
import torch

from samplerproof.book.studies.design_study import VP
from samplerproof.book.studies.transferred_tables import SCALE, SHAPES, dimension, outside, target_of

GENERATOR = torch.Generator().manual_seed(3)
BASIS = torch.linalg.qr(torch.randn(40, 40, generator=GENERATOR, dtype=torch.float64))[0]


def curves(first: int, last: int) -> torch.Tensor:
    """Curves in the span of some of 40 orthonormal shapes."""
    return torch.randn(200, last - first, generator=GENERATOR, dtype=torch.float64) @ BASIS[first:last]


def test_what_the_shapes_span_is_inside_and_what_is_orthogonal_is_outside() -> None:
    own = curves(0, SHAPES)
    assert outside(own, curves(0, SHAPES)) < 1e-25
    assert outside(own, curves(SHAPES, 2 * SHAPES)) == pytest.approx(1, abs=1e-12)
    half = BASIS[:1] + BASIS[SHAPES : SHAPES + 1]
    assert outside(own, half) == pytest.approx(0.5, abs=1e-12)


def test_the_dimension_counts_shapes() -> None:
    assert dimension(curves(0, 5)) == 5
    small = curves(0, 5) + 1e-4 * curves(5, 6)
    assert dimension(small) == 5
    assert dimension(curves(0, 5) + curves(5, 6)) == 6


def test_the_mixtures_have_the_deviation_and_the_spectrum() -> None:
    """The variance in the mean is SCALE^2, and the components' falls as one over the frequencies' square."""
    found = target_of("mixture-1/f", 7)
    assert not isinstance(found, str)
    assert found.variances is not None
    inside = found.variances[0].reshape(8, 8)
    assert float(inside[0, 0] / inside[2, 3]) == pytest.approx((9 + 16) / 2)
    assert float(inside[0, 0] / inside[1, 0]) != pytest.approx((9 + 16) / 2)
    plain = target_of("mixture", 7)
    assert not isinstance(plain, str)
    sample = plain.sample(40_000, VP.point(VP.t_min), torch.Generator().manual_seed(1))
    assert float(sample.square().mean().sqrt()) == pytest.approx(SCALE, rel=0.03)
