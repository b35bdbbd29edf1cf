"""The exact flow along its way: what a displacement becomes at the end, and sums over steps."""

from __future__ import annotations

import pytest
import torch

from samplerproof.numerics import metrics
from samplerproof.numerics.grids import grid, li_grid
from samplerproof.numerics.leading.exact_path import MOST_POINTS, along_grid, along_kind
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.targets.mixture import GaussianMixture
from samplerproof.numerics.targets.reference import reference_flow

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
MIDDLE = {"t_min": 0.05, "t_max": 0.8}
COVARIANCE = [[0.5, 0.2], [0.2, 0.3]]
ONE = GaussianMixture([1.0], [[0.7, -0.4]], covariances=[COVARIANCE])
TILTED = GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [0.8, -0.3]], covariances=[COVARIANCE, [[0.2, -0.1], [-0.1, 0.4]]])
M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])


def test_a_gaussian_is_stretched_along_its_axes() -> None:
    """x - alpha mu grows like the root of alpha^2 C + sigma^2."""
    x = ONE.sample(5, VP.point(0.8), torch.Generator().manual_seed(2))
    path = along_kind(ONE, VP, "uniform-lambda", x, 7, **MIDDLE)
    values, axes = torch.linalg.eigh(torch.tensor(COVARIANCE, dtype=torch.float64))
    for here, carry, at in zip(path.x, path.carry, path.columns.points(), strict=True):
        stretch = ((path.to.alpha**2 * values + path.to.sigma**2) / (at.alpha**2 * values + at.sigma**2)).sqrt()
        matrix = axes @ torch.diag(stretch) @ axes.T
        assert torch.allclose(carry, matrix.expand_as(carry), rtol=1e-7)
        moved = (here - at.alpha * ONE.means[0]) @ matrix
        assert torch.allclose(path.end, path.to.alpha * ONE.means[0] + moved, rtol=1e-7)


@pytest.mark.parametrize("mixture", [M1, TILTED])
def test_carry_is_the_derivative_of_the_flow(mixture: GaussianMixture) -> None:
    """Central differences of a tighter reference flow, from the middle of the way to the end."""
    x = mixture.sample(4, VP.point(0.8), torch.Generator().manual_seed(3))
    path = along_kind(mixture, VP, "uniform-t", x, 5, **MIDDLE)
    middle, at = path.x[3], path.columns.points()[3]
    for j, axis in enumerate(torch.eye(mixture.dim, dtype=torch.float64)):
        ends = [reference_flow(mixture, middle + s * axis, at, [path.to])[0] for s in (1e-5, -1e-5)]
        assert torch.allclose((ends[0] - ends[1]) / 2e-5, path.carry[3, :, :, j], rtol=2e-6, atol=2e-6)
    assert torch.allclose(path.carry[-1], torch.eye(mixture.dim, dtype=torch.float64).expand_as(path.carry[-1]))


def test_errors_are_carried_as_tangents_where_there_is_no_matrix() -> None:
    """In five dimensions as by the derivative of the flow, to 1e-4 on long steps too; a reversed error is another."""
    law = GaussianMixture([0.4, 0.6], [[1.0] * 5, [-0.5] * 5], stds=[0.5, 0.3])
    x = law.sample(4, VP.point(0.8), torch.Generator().manual_seed(3))
    for path in (
        along_kind(law, VP, "uniform-t", x, 9, **MIDDLE),
        along_grid(law, grid(VP, "uniform-t", 5, **MIDDLE), x),
    ):
        assert path.matrices is None
        errors = torch.randn(path.x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        wanted = (path.carry @ errors[..., None])[..., 0].sum(dim=0)
        assert float((path.carried(errors) - wanted).norm()) < 1e-4 * float(wanted.norm())
        assert float((path.carried(errors.flip(0)) - wanted).norm()) > 0.1 * float(wanted.norm())


def test_weights_and_steps_of_a_kind_make_integrals() -> None:
    """sum of weight du/di f(u) is the integral of f over the clock: of lambda from end to end, by every kind."""
    x = metrics.nodes((M1, VP.point(0.8)), 5)
    for kind in ("uniform-t", "uniform-lambda"):
        path = along_kind(M1, VP, kind, x, **MIDDLE)
        lam = path.columns.lam
        assert float(path.weights @ (path.steps["lam"] * lam)) == pytest.approx(
            float(lam[-1] ** 2 - lam[0] ** 2) / 2, rel=1e-12
        )


def test_a_grid_of_many_steps_is_summed_over_some_of_them() -> None:
    """Every step where there are few; of many, places whose shares add up to all, and whose sums agree to 5e-4."""
    for steps in (40, MOST_POINTS, 1000):
        g = li_grid(steps, 1.0, 7.0) if steps > 100 else grid(VP, "uniform-t", steps, **MIDDLE)
        path = along_grid(M1, g, metrics.nodes((M1, g.points[0]), 5))
        assert len(path.weights) == min(steps, MOST_POINTS)
        assert float(path.weights.sum()) == pytest.approx(steps, rel=1e-12)
        assert (path.count, path.source.alpha, path.to.alpha) == (steps, g.points[0].alpha, g.points[-1].alpha)
        h = g.columns.rho2.diff()
        rough = float(path.weights @ (path.steps["rho2"] ** 2 / (1 + path.columns.rho2) ** 2))
        assert rough == pytest.approx(float((h**2 / (1 + g.columns.rho2[:-1]) ** 2).sum()), rel=5e-4)
