"""Jets, the right sides of the frames and elementary differentials, against automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.func import jvp

from samplerproof.numerics.generated.defects import DEFECTS, Tree
from samplerproof.numerics.generated.frame_functions import FRAMES
from samplerproof.numerics.leading.differentials import Differentials, partial_derivatives
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
    found = partial_derivatives(mixture, frame, x / scale_, getattr(columns, frame.clock).expand(9), 1)
    for j in range(mixture.dim):
        place = tuple(int(i == j) for i in range(mixture.dim + 1))
        axis = torch.eye(mixture.dim, dtype=torch.float64)[j].expand_as(x)
        value, slope = mixture.tangent(x, axis, at, frame.prediction)
        assert torch.allclose(found[(0,) * (mixture.dim + 1)], output / scale_ * factor * value, rtol=1e-11, atol=1e-11)
        assert torch.allclose(found[place], output * factor * slope, rtol=1e-10, atol=1e-10)


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
    """Every tree of a third-order method: D by nested jvp, and the slope of D by another one."""
    z = torch.tensor([[0.3, -0.2], [-0.9, 0.7]], dtype=torch.float64)
    u = torch.tensor([0.4, 1.3], dtype=torch.float64)
    terms = DEFECTS["deis-rhoab2"]()
    found = Differentials(partial_derivatives(TILTED, FRAMES["variance"], z, u, 4))
    for point in range(2):
        for _, tree in terms[:4]:
            f = partial(differential, tree)
            assert torch.allclose(found.value(tree)[point], f(z[point], u[point]), rtol=1e-9, atol=1e-11), tree
            for j, axis in enumerate(torch.eye(2, dtype=torch.float64)):
                (_, slope) = jvp(lambda z, f=f, u=u[point]: f(z, u), (z[point],), (axis,))
                assert torch.allclose(found.slope(tree, j)[point], slope, rtol=1e-8, atol=1e-10), tree
    # sums: linear in the terms, and the divergence is the trace of the slopes
    tree = terms[3][1]
    assert torch.allclose(found.total(((2.0, tree),)), 2 * found.value(tree))
    trace = found.slope(tree, 0)[:, :1] + found.slope(tree, 1)[:, 1:]
    assert torch.allclose(found.divergence(((2.0, tree),)), 2 * trace)
