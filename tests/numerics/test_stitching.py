"""Two models in one run, and the displacement that a model's error makes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import samplerproof as sp
from samplerproof.book.techniques.on_the_line import M1, PLANE, uniform_t
from samplerproof.book.techniques.stitched_models import matched, stitch_distances
from samplerproof.book.techniques.stitched_networks import parts_of_displacement
from samplerproof.numerics.ddim_step import ddim_step
from samplerproof.numerics.denoisers import Denoiser
from samplerproof.numerics.leading.displacement import displacement
from samplerproof.numerics.points import Point
from samplerproof.numerics.stitching import stitched

SMALL = matched(M1)


@pytest.mark.slow
def test_forty_percent_of_the_steps_are_free() -> None:
    """Assert the distances to the pure run at 200 steps, to 2 %, and their prediction, to 8 %."""
    found = stitch_distances(M1, uniform_t(200), (0.4, 0.5, 0.6, 0.7))
    for (apart, predicted), expected in zip(found, (8.06e-4, 4.06e-3, 1.55e-2, 4.71e-2), strict=True):
        assert apart == pytest.approx(expected, rel=0.02)
        assert predicted == pytest.approx(apart, rel=0.08)


def test_the_small_model_last_costs_far_more_than_first() -> None:
    at = uniform_t(20)
    first = displacement(M1, stitched([SMALL, M1], [at.points[4].lam]), at, 301)
    last = displacement(M1, stitched([M1, SMALL], [at.points[-3].lam]), at, 301)
    assert last.trajectory > 1e3 * first.trajectory > 0
    assert displacement(M1, stitched([M1, M1], [0.0]), at, 301).trajectory == 0


def test_a_constant_error_shifts_a_normal_law() -> None:
    """Assert E, the same everywhere, its rms, and that half the total variation of E p is E over sqrt(2 pi) std."""
    normal, at, off = sp.GaussianMixture([1.0], [0.3], stds=[0.5]), uniform_t(12), 1e-3
    found = displacement(normal, lambda x, at, prediction: normal(x, at, prediction) + off, at, 801)
    stds = [math.hypot(0.5 * point.alpha, point.sigma) for point in at.points]
    scaled = [point.alpha / std for point, std in zip(at.points, stds, strict=True)]
    shift = -off * stds[-1] * sum(a * float(drho) for a, drho in zip(scaled, at.columns.rho.diff(), strict=False))
    assert torch.allclose(found.moved, torch.full_like(found.moved, -shift), rtol=1e-8)
    assert found.trajectory == pytest.approx(shift, rel=1e-6)
    assert found.tv == pytest.approx(shift / math.sqrt(2 * math.pi) / stds[-1], rel=1e-4)


def test_the_gap_of_a_matched_gaussian_is_of_order_three() -> None:
    """Assert the exponent of the gap in alpha/sigma, 3, and 4 for a symmetric target."""
    y = torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]
    symmetric = sp.GaussianMixture([0.5, 0.5], [-1.0, 1.0], stds=[0.4, 0.4])
    for mixture, order in ((M1, 3), (symmetric, 4)):
        gaps = []
        for sigma in (100.0, 200.0):
            at = sp.schedule("edm").point(sigma)
            gap = matched(mixture)(sigma * y, at, "noise") - mixture(sigma * y, at, "noise")
            gaps.append(gap.abs().max())
        assert float((gaps[0] / gaps[1]).log2()) == pytest.approx(order, abs=0.02)


def test_the_ends_are_the_pure_models() -> None:
    x, at = torch.ones(3, 1, dtype=torch.float64), sp.schedule("edm").point(0.7)
    for level, model in ((float("inf"), SMALL), (float("-inf"), M1)):
        assert torch.equal(stitched([SMALL, M1], [level])(x, at, "data"), model(x, at, "data"))


def test_parts_of_a_displacement_add_up_to_it() -> None:
    """Assert that a model off by 1e-5 moves the end by the sum of its parts, and not by that without the last."""
    at = uniform_t(12)
    x = PLANE.sample(20, at.points[0], torch.Generator().manual_seed(0))

    def off(x: torch.Tensor, at: Point, prediction: str) -> torch.Tensor:
        return PLANE(x, at, "noise") + 1e-5 * torch.sin(x)

    parts = torch.stack(parts_of_displacement(PLANE, off, x, at))
    for first in (0, 4):
        model = off if first == 0 else stitched([PLANE, off], [at.points[first].lam])
        moved = end_of(model, x, at) - end_of(PLANE, x, at)
        assert torch.allclose(parts[first:].sum(dim=0), moved, rtol=2e-3, atol=1e-9)
        assert not torch.allclose(parts[first:-1].sum(dim=0), moved, rtol=2e-3, atol=1e-9)


def end_of(model: Denoiser, x: torch.Tensor, at: sp.Grid) -> torch.Tensor:
    """DDIM by the noise prediction alone."""
    for here, there in itertools.pairwise(at.points):
        x = ddim_step(x, model(x, here, "noise"), here, there)
    return x


def test_bad_input_is_one_line() -> None:
    with pytest.raises(sp.InputError, match=r"^levels: got '0 for 2 models'; one less than models"):
        stitched([SMALL, M1], [])
    with pytest.raises(sp.InputError, match=r"^levels\[1\]: got -1.0; above levels\[0\] = 0: lambda rises"):
        stitched([SMALL, M1, M1], [0.0, -1.0])
    with pytest.raises(sp.InputError, match=r"^denoisers\[1\]\.dim: got 2; one dimension for all models, here 1"):
        stitched([SMALL, PLANE], [0.0])
    x, at = torch.ones(3, 1, dtype=torch.float64), sp.schedule("edm").point(0.7)
    narrow = stitched([SMALL, lambda x, at, prediction: x[:1]], [-5.0])
    networks = [sp.load_checkpoint(name).denoiser() for name in ("digits", "rings")]
    with pytest.raises(
        sp.InputError, match=r"^denoisers\[1\]\.shape: got \(2,\); one shape of a sample for all models"
    ):
        stitched(networks, [0.0])
    with pytest.raises(sp.InputError, match=r"^denoisers\[1\]: got \(1, 1\); the shape of x, \(3, 1\)"):
        narrow(x, at, "data")
    with pytest.raises(sp.InputError, match=r"^grid: got 'alpha = 0 at its start'"):
        displacement(M1, SMALL, sp.grid(sp.schedule("flow"), "flow", 4))
