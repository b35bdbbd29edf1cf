"""The least slope of a map: whether the lines between starts and ends cross."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from samplerproof.book.techniques.on_the_line import M1, PLANE, uniform_t
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.few_step.straightness import least_slope
from samplerproof.numerics.grids import grid
from samplerproof.numerics.metrics import Pushforward, nodes, tv
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import Tableau, tabulate
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
    tangent = with_slopes(table, x)[1]
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


@pytest.mark.parametrize(("steps", "value"), [(2, 0.4147), (4, 0.1974), (8, 0.0967), (16, 0.0483)])
def test_one_reflow_of_ddim_has_the_law_of_its_teacher(steps: int, value: float) -> None:
    """Assert that three steps of Euler along the velocity of the pairs end where the teacher does, and its TV twice.

    The velocity is E[T z - z | x] = T z - z at the one z whose line goes through x.
    """
    at = grid(schedule("flow"), "uniform-t", steps, t_min=1e-3, t_max=0.999)
    z = 3 * torch.linspace(-5, 5, 8001, dtype=torch.float64).sinh()[:, None]  # the tails of the target, too
    moved = with_slopes(tabulate("ddim", at), z)
    ends, slope = moved[0][:, 0], moved[1][:, 0]
    x, begin = z[3500:4500:47, 0], z[:, 0]
    for t in (0.0, 1 / 3, 2 / 3):
        line = (1 - t) * begin + t * ends
        x = x + torch.from_numpy(np.interp(x, line, ends - begin)) / 3
    assert torch.allclose(x, ends[3500:4500:47], rtol=0, atol=1e-10)
    densities = [M1.log_density(y[:, None], p).exp() for y, p in ((begin, at.points[0]), (ends, at.points[-1]))]
    found = float(torch.trapezoid((densities[0] - densities[1] * slope).abs(), begin) / 2)
    assert found == pytest.approx(value, abs=6e-5)
    x = nodes((M1, at.points[0]), 2001)
    pushed = Pushforward(x, (M1, at.points[0]), *with_slopes(tabulate("ddim", at), x), (M1, at.points[-1]))
    assert tv(pushed) == pytest.approx(found, abs=1e-5)


def test_lines_cross_from_where_the_least_slope_says() -> None:
    """Assert it of 2M in 8 steps, beyond t = 1/(1 - mu), and of the straight lines of DDIM at no t."""
    at = uniform_t(8)
    z = nodes((M1, at.points[0]), 8001)
    for name, crosses in (("dpm-solver++-2m", True), ("ddim", False)):
        ends = sample(M1, z, tabulate(name, at))
        mu = least_slope(lambda x, name=name: sample(M1, x, tabulate(name, at)), z)
        assert (mu < 0) is crosses
        first = 1 / (1 - mu) if crosses else 1.0
        for t in (first - 2e-3, first + 2e-3 if crosses else 1.0):
            rising = bool((((1 - t) * z + t * ends)[:, 0].diff() > 0).all())
            assert rising is (t < first or not crosses)


def with_slopes(table: Tableau, x: Tensor) -> Tensor:
    """Ends and slopes of a run [2, n, 1]."""
    found: Tensor = sample(with_tangent(M1), torch.stack([x, torch.ones_like(x)]), table)
    return found


def test_another_shape_is_refused() -> None:
    for x in (torch.zeros(3), torch.zeros(0, 2), torch.zeros(2, 1, 1)):
        with pytest.raises(InputError, match=r"^x: got .*samples \[n, d\]"):
            least_slope(lambda x: x, x)
    with pytest.raises(InputError, match=r"^move: got "):
        least_slope(lambda x: x[:, :1], torch.zeros(3, 2))
