"""The least slope of a map: whether the lines between starts and ends cross."""

from __future__ import annotations

import pytest
import torch

from samplerproof.book.techniques.on_the_line import M1, PLANE, uniform_t
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.few_step.straightness import least_slope
from samplerproof.numerics.grids import grid
from samplerproof.numerics.metrics import nodes
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import with_tangent


def test_a_linear_map_has_the_least_eigenvalue_of_its_symmetric_part() -> None:
    """Assert it for a matrix that is not symmetric, and that a rotation by 120 degrees is not monotone."""
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrix = torch.tensor([[1.0, 3.0], [-1.0, 0.5]], dtype=torch.float64)
    expected = float(torch.linalg.eigvalsh((matrix + matrix.T) / 2).min())
    assert least_slope(lambda x: x @ matrix.T, x) == pytest.approx(expected, abs=1e-9)
    turn = torch.tensor([[-0.5, -(3**0.5) / 2], [3**0.5 / 2, -0.5]], dtype=torch.float64)
    assert least_slope(lambda x: x @ turn.T, x) == pytest.approx(-0.5, abs=1e-9)


@pytest.mark.parametrize(("steps", "slope"), [(2, 0.110), (4, 0.219), (8, 0.281), (16, 0.315)])
def test_ddim_is_increasing_and_2m_in_eight_steps_folds(steps: int, slope: float) -> None:
    """Assert the slope on the linear path, the same from tangents to 1e-6, and the fold of 2M on VP."""
    at = grid(schedule("flow"), "uniform-t", steps, t_min=1e-3, t_max=0.999)
    table, x = tabulate("ddim", at), nodes((M1, at.points[0]), 801)
    found = least_slope(lambda x: sample(M1, x, table), x)
    tangent = sample(with_tangent(M1), torch.stack([x, torch.ones_like(x)]), table)[1]
    assert found == pytest.approx(float(tangent.min()), abs=1e-6)
    assert found == pytest.approx(slope, abs=6e-4)
    if steps == 8:
        folding = tabulate("dpm-solver++-2m", uniform_t(8))
        x = nodes((M1, uniform_t(8).points[0]), 2001)
        assert least_slope(lambda x: sample(M1, x, folding), x) == pytest.approx(-0.0273, abs=3e-4)


def test_ten_steps_of_ddim_in_the_plane_are_monotone() -> None:
    """Assert the least eigenvalue of their map is positive, and that a planted fold is found."""
    at = uniform_t(10)
    table, x = tabulate("ddim", at), PLANE.sample(100, at.points[0], torch.Generator().manual_seed(0))
    assert least_slope(lambda x: sample(PLANE, x, table), x) > 0
    assert least_slope(lambda x: sample(PLANE, x, table) - 2 * x.clamp(-0.5, 0.5), x) < 0


def test_another_shape_is_refused() -> None:
    for x in (torch.zeros(3), torch.zeros(0, 2), torch.zeros(2, 1, 1)):
        with pytest.raises(InputError, match=r"^x: got .*samples \[n, d\]"):
            least_slope(lambda x: x, x)
    with pytest.raises(InputError, match=r"^move: got "):
        least_slope(lambda x: x[:, :1], torch.zeros(3, 2))
