"""The law of a map that folds, where a node lies on its turning point."""

from __future__ import annotations

import math

import pytest
import torch

from samplerproof.numerics.laws.folded_map import folded_law
from samplerproof.numerics.points import Point
from samplerproof.numerics.targets.mixture import GaussianMixture

NORMAL = GaussianMixture([1.0], [0.0], stds=[1.0]), Point(1.0, 0.0, 0.0)


@pytest.mark.parametrize("shift", [0.0, 1e-3])
def test_a_node_on_the_turning_point_of_a_square(shift: float) -> None:
    """Assert the law of chi^2 for Y = x^2 with a node at 0 or beside it, and not that of a map without the fold."""
    x = torch.linspace(-8, 8, 801, dtype=torch.float64) + shift
    law = folded_law(x, x * x, 2 * x, NORMAL)
    y = law.y
    lower = torch.special.erf((y / 2).sqrt())
    upper = torch.special.erfc((y / 2).sqrt())
    away = (y > 1e-2) & (y < 40)
    density = (-y / 2).exp() / (2 * math.pi * y).sqrt()
    assert torch.allclose(law.log_lower[away].exp(), lower[away], rtol=1e-9, atol=1e-15)
    assert torch.allclose(law.log_upper[away].exp(), upper[away], rtol=1e-9, atol=1e-15)
    assert torch.allclose(law.log_density[away].exp(), density[away], rtol=1e-7, atol=0)
    single = (-y / 2).exp() / (2 * math.pi * y).sqrt() / 2  # one branch alone
    assert not torch.allclose(law.log_density[away].exp(), single[away], rtol=0.4, atol=0)
    bottom = int(y.argmin())
    assert float(y[bottom]) == pytest.approx(0, abs=1e-6)
    assert float(law.log_lower[bottom].exp()) < 1e-3
    assert not bool(torch.isnan(torch.stack([law.log_density, law.log_lower, law.log_upper])).any())
