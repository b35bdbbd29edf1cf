"""Jets, the right sides of the frames and elementary differentials, against automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mpmath import mp
from torch import Tensor
from torch.func import jvp

from samplerproof.numerics.generated.defects import DEFECTS, Tree
from samplerproof.numerics.generated.frame_functions import FRAMES
from samplerproof.numerics.leading.differentials import (
    LineDifferentials,
    SpaceDifferentials,
    partial_derivatives,
    score_in_variance,
    score_series,
    total,
)
from samplerproof.numerics.leading.jets import add, exp, inverse, log, multiply, partials, scale, shift, variables
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.targets.mixture import GaussianMixture

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
M1 = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
COVARIANCES = torch.tensor([[[0.5, 0.2], [0.2, 0.3]], [[0.2, -0.1], [-0.1, 0.4]]], dtype=torch.float64)
TILTED = GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [0.8, -0.3]], covariances=COVARIANCES)
FLAT = GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [0.8, -0.3]], stds=[[0.5, 0.3], [0.4, 0.6]])
ROUND = GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [0.8, -0.3]], stds=[0.5, 0.3])


def test_jets_are_derivatives() -> None:
    """Of (x e^y + 2 z) / (1 + log(x + z^2)), against nested automatic differentiation."""
    points = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([0.7, 1.9], [0.3, -0.8], [0.9, 0.4])]
    x, y, z = variables(*(p.detach() for p in points))
    top = add(multiply(x, exp(y, 4), 4), scale(z, 2.0))
    bottom = shift(log(add(x, multiply(z, z, 4)), 4), 1.0)
    found = partials(multiply(top, inverse(bottom, 4), 4))
    assert len(found) == 35  # every derivative of three variables up to degree 4
    a, b, c = points
    value = (a * b.exp() + 2 * c) / (1 + (a + c * c).log())
    for place, got in found.items():
        true = value
        for point, times in zip(points, place, strict=True):
            for _ in range(times):
                (true,) = torch.autograd.grad(true.sum(), point, create_graph=True)
        assert torch.allclose(got, true, rtol=1e-10, atol=1e-10), place


@pytest.mark.parametrize("name", ["data", "noise", "noise-rho", "variance"])
@pytest.mark.parametrize("mixture", [M1, TILTED, FLAT, ROUND])
def test_g_is_the_frames_right_side(name: str, mixture: GaussianMixture) -> None:
    """G = c e^{kappa u} factor prediction of the mixture at x = m z, and its slopes in z the mixture's own tangents."""
    at = VP.point(0.4)
    columns = VP.columns(torch.tensor([0.4], dtype=torch.float64))
    frame = FRAMES[name]
    scale_, output, factor = (
        torch.as_tensor(v, dtype=torch.float64) for v in frame.functions(columns.alpha, columns.sigma)
    )
    x = mixture.sample(9, at, torch.Generator().manual_seed(1))
    z, u = (x / scale_).T, getattr(columns, frame.clock).expand(1, 9)
    g, child, leaf = SpaceDifferentials(mixture, frame, z, u), (0, ((0, ()),)), (0, ())
    value, slope = mixture.tangent(x, scale_ * g.value(leaf).T, at, frame.prediction)
    assert torch.allclose(g.value(leaf), (output / scale_ * factor * value).T, rtol=1e-11, atol=1e-11)
    assert torch.allclose(g.value(child), (output / scale_ * factor * slope).T, rtol=1e-10, atol=1e-10)
    if mixture.dim == 1:
        found = partial_derivatives(mixture, frame, z, u, 1)
        assert torch.allclose(found[0, 0], g.value(leaf), rtol=1e-14)
        assert torch.allclose(found[1, 0] * g.value(leaf), g.value(child), rtol=1e-12)


@pytest.mark.parametrize("name", ["data", "noise", "noise-rho", "variance"])
def test_on_the_line_both_ways_give_every_tree(name: str) -> None:
    """The partial derivatives contracted, and the series along vectors, to rounding; and the slopes by differences."""
    columns, frame = VP.columns(torch.tensor([0.4], dtype=torch.float64)), FRAMES[name]
    z = (
        M1.sample(7, VP.point(0.4), torch.Generator().manual_seed(1)).T
        / frame.functions(columns.alpha, columns.sigma)[0]
    )
    u = getattr(columns, frame.clock).expand(1, 7)
    terms = DEFECTS["exp-adams-4"]()
    y = z * frame.functions(columns.alpha, columns.sigma)[0] / columns.alpha
    score = score_in_variance(M1, y, columns.rho2.expand(1, 7), 5)
    line = LineDifferentials(partial_derivatives(M1, frame, z, u, 5, score))
    space = SpaceDifferentials(M1, frame, z, u)
    space.make(tree for _, tree in terms)
    for _, tree in terms:
        value = space.value(tree)
        assert torch.allclose(line.value(tree), value, rtol=1e-10, atol=1e-10 * float(value.abs().max())), tree
    for _, tree in terms[:4]:
        above, below = (SpaceDifferentials(M1, frame, z + h, u).value(tree) for h in (1e-5, -1e-5))
        scale_ = float(line.slope(tree).abs().max())
        assert torch.allclose(line.slope(tree), (above - below) / 2e-5, rtol=1e-5, atol=1e-6 * scale_), tree
    tree = terms[3][1]
    assert torch.allclose(total(line, ((2.0, tree),)), 2 * line.value(tree))
    assert torch.allclose(line.divergence(((2.0, tree),)), 2 * line.slope(tree))


@pytest.mark.parametrize("mixture", [M1, GaussianMixture([0.1, 0.0, 0.9], [-2.0, 3.0, 1.5], stds=[0.3, 1.0, 0.0])])
def test_the_score_in_variance(mixture: GaussianMixture) -> None:
    """Every derivative against 50 digits, also far out and between components; in the middle also by score_series."""
    places = [(0.3, 0.1), (-0.05, 1e-3), (9.0, 0.01), (-40.0, 0.5), (0.1, 50.0)]
    y, w = (torch.tensor([column], dtype=torch.float64) for column in zip(*places, strict=True))
    found, series = score_in_variance(mixture, y, w, 4), score_series(mixture, *variables(y, w), 4)
    assert found.keys() == {(a, b) for a in range(5) for b in range(5 - a)}
    parts = list(zip(*(v.flatten().tolist() for v in (mixture.weights, mixture.means, mixture.variances)), strict=True))

    def log_density(y: Any, w: Any) -> Any:
        each = (weight / mp.sqrt(c + w) * mp.exp(-((y - mean) ** 2) / (c + w) / 2) for weight, mean, c in parts)
        return mp.log(mp.fsum(each))

    for n, place in enumerate(places):
        with mp.workdps(50):
            for (a, b), value in found.items():
                true = mp.diff(log_density, place, (a + 1, b)) / mp.factorial(a) / mp.factorial(b)
                assert float(value[0, n]) == pytest.approx(float(true), rel=1e-12, abs=1e-30), (place, a, b)
    for orders, value in series.items():
        assert torch.allclose(found[orders][:, 0], value[:, 0], rtol=1e-10), orders


def right_side(z: Tensor, w: Tensor) -> Tensor:
    """G of the variance frame on TILTED, at one point: -1/2 grad log sum_k w_k N(z; mu_k, C_k + w)."""
    masses, pulls = [], []
    for weight, mean, c in zip(TILTED.weights, TILTED.means, COVARIANCES, strict=True):
        a, b, d = c[0, 0] + w, c[0, 1], c[1, 1] + w
        x, y = z - mean
        determinant = a * d - b * b
        pull = torch.stack([d * x - b * y, a * y - b * x]) / determinant
        masses.append(weight * torch.exp(-(x * pull[0] + y * pull[1]) / 2) / determinant.sqrt())
        pulls.append(pull)
    return (masses[0] * pulls[0] + masses[1] * pulls[1]) / (masses[0] + masses[1]) / 2


def differential(tree: Tree, z: Tensor, u: Tensor) -> Tensor:
    """D(tree) at one point, by nested directional derivatives."""
    legs, children = tree

    def along(f: Callable[..., Tensor], v: Tensor) -> Callable[..., Tensor]:
        return lambda z, u: jvp(lambda z: f(z, u), (z,), (v,))[1]

    def in_time(f: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda z, u: jvp(lambda u: f(z, u), (u,), (torch.ones_like(u),))[1]

    f: Callable[..., Tensor] = right_side
    for child in children:
        f = along(f, differential(child, z, u))
    for _ in range(legs):
        f = in_time(f)
    return f(z, u)


def test_elementary_differentials_in_the_plane() -> None:
    """Every tree of a third-order method by nested jvp; and a tree with other subtrees is another number."""
    z = torch.tensor([[0.3, -0.2], [-0.9, 0.7]], dtype=torch.float64)
    u = torch.tensor([0.4, 1.3], dtype=torch.float64)
    terms = DEFECTS["deis-rhoab2"]()
    found = SpaceDifferentials(TILTED, FRAMES["variance"], z.T, u[None])
    found.make(tree for _, tree in terms)
    for point in range(2):
        known = {tree: differential(tree, z[point], u[point]) for _, tree in terms}
        for tree, wanted in known.items():
            assert torch.allclose(found.value(tree)[:, point], wanted, rtol=1e-9, atol=1e-11), tree
            others = [other for t, other in known.items() if t != tree]
            assert not any(torch.allclose(found.value(tree)[:, point], other, rtol=1e-6) for other in others), tree
    assert torch.allclose(total(found, ((2.0, terms[3][1]),)), 2 * found.value(terms[3][1]))
