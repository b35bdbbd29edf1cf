"""A run through which gradients are recorded: the bits of `sample`, and gradients by two routes."""

from __future__ import annotations

import math

import pytest
import torch

import samplerproof as sp
from samplerproof.numerics.unrolled import unrolled

M1 = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
VP = sp.schedule("vp-linear")


def grid(steps):
    return sp.grid(VP, "uniform-t", steps, t_min=1e-3, t_max=1.0)


@pytest.mark.parametrize("name", ["ddim", "dpm-solver++-2m", "exp-adams-3", "unipc-2", "edm-heun", "ddim-eta?eta=1"])
def test_it_is_sample_in_every_bit(name):
    at = grid(8)
    x = M1.sample(5, at.points[0], torch.Generator().manual_seed(0))
    for dtype in (torch.float64, torch.float32):
        table = sp.tabulate(name, at)
        expected = sp.sample(M1, x, table, noise=sp.seeded(0), dtype=dtype)
        assert torch.equal(unrolled(M1, x, table, noise=sp.seeded(0), dtype=dtype), expected)
        assert not torch.equal(unrolled(M1, x + 1e-3, table, noise=sp.seeded(0), dtype=dtype), expected)


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_the_gradient_on_a_normal_law_is_the_product_rule(steps):
    """Assert d x_N/dg = x_0 sum_j R'_j prod_{i != j} R_i for a denoiser that is g times that of N(0, v): 1e-12."""
    v, at = 0.8, grid(steps)
    gain = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    denoise = sp.adapt(lambda x, p: gain * (p.alpha * v / (p.alpha**2 * v + p.sigma**2)) * x, "data")
    x = torch.tensor([[1.3]], dtype=torch.float64)
    end = unrolled(denoise, x, sp.tabulate("ddim", at))
    end.sum().backward()
    factors, slopes = [], []
    for p, q in zip(at.points, at.points[1:], strict=False):
        k = p.alpha * v / (p.alpha**2 * v + p.sigma**2)
        carry, weight = q.sigma / p.sigma, q.alpha - p.alpha * q.sigma / p.sigma
        factors.append(carry + weight * 0.9 * k)
        slopes.append(weight * k)
    expected = 1.3 * sum(s * math.prod(factors[:j] + factors[j + 1 :]) for j, s in enumerate(slopes))
    assert end.item() == pytest.approx(1.3 * math.prod(factors), rel=1e-12)
    assert gain.grad.item() == pytest.approx(expected, rel=1e-12)


def test_the_gradient_of_a_network_is_that_of_central_differences():
    """Assert it to 1e-6 for three steps of the digits U-Net, along a random direction of a layer; sample has none."""
    checkpoint = sp.load_checkpoint("digits")
    network = checkpoint.network.double()
    weight = network.middle.first.weight
    at = sp.grid(VP, "uniform-t", 3, t_min=0.05, t_max=0.9)
    table = sp.tabulate("dpm-solver++-2m", at)

    def model(x, p):
        lam = torch.full((len(x),), p.lam + math.log(checkpoint.unit), dtype=torch.float64)
        native = checkpoint.native(p.lam)
        y = x * (native.sigma / p.sigma)
        return (native.alpha * y - native.sigma * network(y, lam)) * checkpoint.unit

    x = torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    direction = torch.randn(weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weight.requires_grad_(True)
    value = unrolled(sp.adapt(model, "data"), x, table).square().sum()
    value.backward()
    slope = (weight.grad * direction).sum().item()

    def moved(h):
        with torch.no_grad():
            weight.add_(direction, alpha=h)
            found = sp.sample(sp.adapt(model, "data"), x, table).square().sum().item()
            weight.add_(direction, alpha=-h)
        return found

    assert slope == pytest.approx((moved(1e-5) - moved(-1e-5)) / 2e-5, rel=1e-6)
    assert abs(slope) > 1e-3
    assert not sp.sample(sp.adapt(model, "data"), x, table).requires_grad


def test_memory_grows_with_the_number_of_steps():
    """Assert that as many more tensors are saved a step for 4, 8 and 16 steps."""

    def saved(steps):
        kept = []
        scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            unrolled(
                sp.adapt(lambda x, p: torch.tanh(scale * x), "data"), torch.ones(1, 1), sp.tabulate("ddim", grid(steps))
            )
        return len(kept)

    four, eight, sixteen = saved(4), saved(8), saved(16)
    assert eight - four > 0
    assert sixteen - eight == 2 * (eight - four)
