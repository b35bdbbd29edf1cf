"""Networks and mixtures with stale features, scaled skips and low rank: identities, orders, bad input."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import samplerproof as sp
from samplerproof.book.techniques.on_digits import lambda_grid
from samplerproof.book.techniques.on_the_line import M1, PLANE, trajectory
from samplerproof.numerics.checkpoints.checkpoint import Checkpoint, unit_point
from samplerproof.numerics.checkpoints.own_networks import Block, Perceptron, UNet
from samplerproof.numerics.lagrange import lagrange
from samplerproof.numerics.metrics import node_weights, nodes
from samplerproof.numerics.points import Point
from samplerproof.numerics.surgery import refreshes
from samplerproof.numerics.surgery.low_rank import input_moments, low_rank, ranks_of
from samplerproof.numerics.surgery.macs import counted_macs
from samplerproof.numerics.surgery.refreshes import Refreshes
from samplerproof.numerics.surgery.scaled_skips import skips
from samplerproof.numerics.surgery.stale_mixture import stale_mixture
from samplerproof.numerics.surgery.stale_unet import decoded_together, inherited, propagated
from samplerproof.numerics.targets.flow import exact_flow, exact_flows


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def unet() -> UNet:
    """A U-Net of three levels with weights drawn at random, those that training finds at zero included."""
    torch.manual_seed(0)
    network = UNet((1, 8, 8), (8, 8, 16), 8).double().eval().requires_grad_(False)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.2)
    return network


Y, LAM = noise(2, 1, 8, 8), torch.full((2,), 0.3, dtype=torch.float64)


def order(method: str, q: int, m: int, steps: int = 80, mixture: sp.GaussianMixture = M1) -> float:
    """The local order of a method on a mixture with stale responsibilities."""
    errors = []
    for n in (steps, 2 * steps):
        table = sp.tabulate(method, lambda_grid(n), start="exact")
        errors.append(trajectory(table, mixture, lambda_grid(n), stale_mixture(mixture, q, m), 61))
    return math.log2(errors[0] / errors[1])


@pytest.mark.parametrize(("m", "goal"), [(1, 1), (2, 2)])
def test_the_order_is_the_lesser_of_two(m: int, goal: int) -> None:
    assert order("dpm-solver++-2m", 2, m) == pytest.approx(goal, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "p"), [("ddim", 1), ("dpm-solver++-2m", 2), ("exp-adams-3", 3)])
def test_every_order_is_the_lesser_of_two(method: str, p: int) -> None:
    """Assert min(p, m) for m = 1, 2, 3, to 0.05 at 640 steps."""
    for m in (1, 2, 3):
        assert order(method, 2, m, steps=640) == pytest.approx(min(p, m), abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["exp-adams-3", "deis-tab2"])
def test_the_orders_are_those_of_another_mixture_and_a_longer_cycle(method: str) -> None:
    other = sp.GaussianMixture([0.2, 0.5, 0.3], [-2.0, 0.1, 3.0], stds=[0.4, 0.6, 0.3])
    for m in (1, 2, 3):
        assert order(method, 3, m, steps=640, mixture=other) == pytest.approx(m, abs=0.1)


def test_exchanged_weights_fall_to_order_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that the weights of two refreshes, exchanged, leave order 1 of 2."""
    monkeypatch.setattr(refreshes, "lagrange", lambda nodes, at: lagrange(nodes, at)[::-1])
    assert order("dpm-solver++-2m", 2, 2) == pytest.approx(1, abs=0.1)


def test_what_reuse_adds_to_ddim_grows_by_q_minus_one() -> None:
    """Assert (error at q = 4) - plain = 3 ((error at q = 2) - plain), to the next order."""
    x, table = torch.linspace(-2, 2, 21, dtype=torch.float64)[:, None], sp.tabulate("ddim", lambda_grid(160))
    plain, two, four = (sp.sample(stale_mixture(M1, q), x, table) for q in (1, 2, 4))
    assert float((four - plain - 3 * (two - plain)).norm()) < 0.1 * float((four - plain).norm())
    assert float((four - plain - 2 * (two - plain)).norm()) > 0.2 * float((four - plain).norm())


def test_a_mixture_refreshed_at_every_call_is_itself() -> None:
    """Assert equal bits at q = 1, and that the features make the prediction, in the plane as well."""
    x, at = noise(7, 2), lambda_grid(5).points[3]
    assert torch.equal(stale_mixture(PLANE, 1, 2)(x, at, "noise"), PLANE(x, at, "noise"))
    full = sp.GaussianMixture(
        [0.5, 0.5], [[0, 1], [1, -1]], covariances=[[[1, 0.5], [0.5, 2]], [[0.3, -0.1], [-0.1, 0.4]]]
    )
    for mixture in (PLANE, full):
        share, means = mixture.responsibilities(x, at), mixture.component_means(x, at)
        assert float(((share[..., None] * means).sum(dim=1) - mixture(x, at, "data")).abs().max()) < 1e-14


def test_a_propagated_call_does_not_depend_on_x() -> None:
    """Assert it of the data prediction of a mixture whose x is a feature, and not of one whose x is fresh."""
    first, second = lambda_grid(5).points[:2]
    for propagate in (True, False):
        answers = []
        for scale in (1.0, 2.0):
            denoise = stale_mixture(M1, 2, propagate=propagate)
            denoise(noise(3, 1), first, "data")
            answers.append(denoise(scale * noise(3, 1, seed=1), second, "data"))
        assert torch.equal(*answers) is propagate


def test_a_held_output_is_ddim_on_the_keys() -> None:
    """Assert that DDIM with the data prediction of every fourth step held is DDIM on the grid of these steps."""
    fine, x = lambda_grid(20), noise(5, 1)
    keys = sp.Grid(fine.columns.take(torch.arange(0, 21, 4)), fine.schedule)
    last: list[Tensor] = []

    def held(y: Tensor, at: Point, prediction: str) -> Tensor:
        assert prediction == "data"
        last.append(last[-1] if len(last) % 4 else M1(y, at, "data"))
        return last[-1]

    data = sp.tabulate("ddim", fine)
    assert data.prediction == "data"
    assert float((sp.sample(held, x, data) - sp.sample(M1, x, sp.tabulate("ddim", keys))).abs().max()) < 1e-13


def test_surgery_that_changes_nothing_changes_no_bit(unet: UNet) -> None:
    plain = unet(Y, LAM)
    for network in (propagated(unet, 1), propagated(unet, 1, 3), inherited(unet, 1, 2), skips(unet, [1.0, 1.0, 1.0])):
        assert torch.equal(network(Y, LAM), plain)
    assert not torch.equal(skips(unet, [1.0, 1.0, 1 + 1e-6])(Y, LAM), plain)


def test_steps_between_two_encodings_are_decoded_together(unet: UNet) -> None:
    """Assert that they do not depend on y, and are those of one batch; inherited features leave the finest level."""
    network, features = propagated(unet, 4), unet.encode(Y, LAM)
    network(Y, LAM)
    one_by_one = [network(noise(2, 1, 8, 8, seed=n), LAM + n / 10) for n in (1, 2, 3)]
    together = decoded_together(unet, features, [0.3 + n / 10 for n in (1, 2, 3)])
    assert float((torch.stack(one_by_one) - together).abs().max()) < 1e-13 * float(together.abs().max())
    answers = []
    for seed in (1, 2):
        other = inherited(unet, 2)
        other(Y, LAM)
        answers.append(other(noise(2, 1, 8, 8, seed=seed), LAM + 0.1))
    assert not torch.equal(*answers)


def test_features_linear_in_lambda_are_extrapolated_exactly() -> None:
    """Assert m points for degree m - 1, from both sides, and the calls that refresh."""
    for m in (1, 2, 3):
        for degree in (m - 1, m):
            kept, off = Refreshes(4, m), 0.0
            for n in range(12):
                lam = 0.1 * n + 0.01 * n**2
                value = torch.tensor([lam**degree], dtype=torch.float64)
                off = max(off, abs(float(kept.at(lam, lambda value=value: [value])[0]) - float(value)))
            assert (off < 1e-12) is (degree < m)
    assert Refreshes(4, 3).share(12) == pytest.approx(5 / 12)  # calls 0, 1, 2, 4 and 8


def test_a_scaled_skip_acts_through_the_shortcut(unet: UNet) -> None:
    """Assert that without eps it is a scale of the shortcut's columns; with it, or with mixed groups, it is not."""
    block = Block(32, 16, 8).double().requires_grad_(False)  # groups of 8 channels: none has both halves
    nn.init.normal_(block.second.weight, std=0.2)
    h, skip, level = noise(2, 16, 4, 4), noise(2, 16, 4, 4, seed=1), noise(2, 8, seed=2)

    def off(eps: float, groups: int) -> float:
        block.first_norm = nn.GroupNorm(groups, 32, eps=eps).double().requires_grad_(False)
        folded = replace_columns(block, 0.6)
        return float((block(torch.cat([h, 0.6 * skip], 1), level) - folded(torch.cat([h, skip], 1), level)).abs().max())

    assert off(0.0, 4) < 1e-12 < 1e-7 < off(1e-5, 4)
    assert off(0.0, 1) > 1e-3


def replace_columns(block: Block, rho: float) -> Block:
    """The block with the columns of its shortcut that take the second half scaled."""
    folded = copy.deepcopy(block)
    assert isinstance(folded.past, nn.Conv2d)
    folded.past.weight[:, 16:] *= rho
    return folded


def test_low_rank_is_the_best_of_its_rank(unet: UNet) -> None:
    """Assert what Eckart and Young have, that the weighted one has the least loss on its data, and the full rank."""
    name, batches = "middle.first", [(Y, LAM), (noise(2, 1, 8, 8, seed=3), LAM - 1)]
    moments = input_moments(unet, [name], batches)
    weight = unet.middle.first.weight.flatten(1)

    def kept(rank: int, by: dict[str, Tensor] | None = None) -> Tensor:
        first, second = low_rank(unet, {name: rank}, by).get_submodule(name)  # type: ignore[misc]
        return second.weight.flatten(1) @ first.weight.flatten(1)

    def loss(matrix: Tensor) -> float:
        away = matrix - weight
        return float((away @ moments[name] @ away.T).trace())

    singular = torch.linalg.svdvals(weight)
    assert float((kept(5) - weight).square().sum()) == pytest.approx(float(singular[5:].square().sum()), rel=1e-12)
    values = torch.linalg.eigvalsh(weight @ moments[name] @ weight.T)
    assert loss(kept(5, moments)) == pytest.approx(float(values[:-5].sum()), rel=1e-9)
    assert loss(kept(5, moments)) < loss(kept(5))
    assert float((kept(5, moments) - weight).square().sum()) > float((kept(5) - weight).square().sum())
    full = low_rank(unet, ranks_of(unet, 1.0))(Y, LAM)
    assert float((full - unet(Y, LAM)).abs().max()) < 1e-12


def test_multiply_accumulates_are_counted() -> None:
    """Assert those of a convolution and a linear layer by hand, and that no hook is left."""
    network = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.Flatten(), nn.Linear(6 * 5 * 5, 7))
    with counted_macs(network) as found:
        network(torch.zeros(3, 4, 5, 5))
    assert found.total == 3 * (6 * 25 * 2 * 9 + 6 * 25 * 7)
    network(torch.zeros(3, 4, 5, 5))
    assert found.total == 3 * (6 * 25 * 2 * 9 + 6 * 25 * 7)


def test_a_checkpoint_runs_with_its_changed_network(unet: UNet) -> None:
    """Assert that every run takes a denoiser of its own, from one checkpoint."""
    plain = Checkpoint("mine", unet, "v", unit_point, (1, 8, 8), (-7.0, 8.0), "", Path())
    changed = replace(plain, network=propagated(unet, 2))
    x, table = 10 * noise(1, 1, 8, 8), sp.tabulate("ddim", sp.Grid.from_sigmas([10.0, 3.0, 1.0, 0.3, 0.1]))
    used = changed.denoiser()
    ends = [sp.sample(denoise, x, table) for denoise in (used, changed.denoiser(), plain.denoiser())]
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    with pytest.raises(sp.InputError, match=r"^at: got 'lambda = .* after .*'; lambda rising strictly: .* every run$"):
        sp.sample(used, x, table)


def test_bad_input_is_one_line(unet: UNet) -> None:
    perceptron, features = Perceptron((2,), (8,), 8), unet.encode(Y, LAM)
    cases = [
        (lambda: propagated(perceptron, 2), r"^network: got 'Perceptron'; a network with skips"),
        (lambda: skips(perceptron, [1.0]), r"^network: got 'Perceptron'; a network with skips"),
        (lambda: ranks_of(perceptron, 0.5), r"^network: got 'Perceptron'; a network with 3 x 3 convolutions"),
        (lambda: inherited(UNet((1, 8, 8), (8,), 8), 2), r"^network: got '1 levels'; a UNet of at least 2 levels"),
        (lambda: propagated(unet, 0), r"^q: got 0; at least 1"),
        (lambda: inherited(unet, 2, 0), r"^m: got 0; at least 1"),
        (lambda: skips(unet, [1.0]), r"^factors: got '1 numbers'; 3, one for each level"),
        (lambda: skips(unet, [1.0, math.nan, 1.0]), r"^factors\[1\]: got nan; a finite number"),
        (lambda: low_rank(unet, {"enter": 9}), r"^ranks\['enter'\]: got 9; from 1 to 8, the rank of its matrix"),
        (lambda: low_rank(unet, {"clock": 1}), r"^ranks: got 'clock'; names of convolutions"),
        (lambda: low_rank(unet, {"enter": 2}, {}), r"^moments\['enter'\]: got 'missing'; \[9, 9\]"),
        (lambda: input_moments(unet, ["enter"], []), r"^batches: got 'none'; at least one batch"),
        (lambda: decoded_together(unet, features[1:], [0.0]), r"^features: got '3 tensors'; 4, as this network"),
        (
            lambda: decoded_together(unet, [features[0], *features[:-1]], [0.0]),
            r"^features\[1\]: .* another architecture",
        ),
        (lambda: sp.techniques.BreakEven(1.5, 0.0, 1), r"^cost: got 0.0; a number > 0"),
    ]
    for wrong, message in cases:
        with pytest.raises(sp.InputError, match=message):
            wrong()


def test_a_method_that_turns_back_is_refused() -> None:
    """Assert it of a method with two evaluations at one level, and of another batch in a run."""
    at = lambda_grid(4)
    with pytest.raises(sp.InputError, match=r"^at: got 'lambda = .*'; lambda rising strictly"):
        sp.sample(stale_mixture(M1, 2), noise(3, 1), sp.tabulate("edm-heun", at))
    denoise = stale_mixture(M1, 2)
    denoise(noise(3, 1), at.points[0], "data")
    with pytest.raises(sp.InputError, match=r"^x: got \[2, 1\]; the shape \[3, 1\]"):
        denoise(noise(2, 1), at.points[1], "data")


@pytest.mark.slow  # 640 steps
def test_the_factor_of_stale_features_is_that_of_the_leading_error() -> None:
    """Assert DDIM's factors 1.93 and 3.85 on the start law from the integral of its leading error, to 1 %.

    With features from up to q - 1 steps before the local error h^2 e^lambda D'/2 gains (q - 1) times the part of D'
    that comes through the features. The factor is a ratio of norms: with equal weights on [-2.2, 2.2] it is 1.76.
    """
    at = lambda_grid(640)
    x, table = nodes((M1, at.points[0]), 801), sp.tabulate("ddim", at)
    weights = node_weights((M1, at.points[0]), x)
    even = (x[:, 0].abs() <= 2.2).double()
    exact = exact_flow(M1, x, at.points[0], at.points[-1])[0]
    plain = sp.sample(M1, x, table) - exact
    whole, features = leading_parts(at, x)
    for q, law, equal in ((2, 1.931, 1.763), (4, 3.848, 3.362)):
        stale = sp.sample(stale_mixture(M1, q), x, table) - exact
        for weight, value in ((weights, law), (even, equal)):

            def norm(e: Tensor, weight: Tensor = weight) -> float:
                return float((e[:, 0].square() @ weight).sqrt())

            assert norm(stale) / norm(plain) == pytest.approx(value, rel=5e-3)
            expected = norm(whole + (q - 1) * features) / norm(whole)
            assert norm(stale) / norm(plain) == pytest.approx(expected, rel=1e-2)
            assert norm(stale) / norm(plain) != pytest.approx(norm(whole + q * features) / norm(whole), rel=1e-2)


def leading_parts(at: sp.Grid, x: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of J alpha dD over a grid, dD the change of the data prediction in a step of the exact flow, and that
    with the change of its responsibilities alone."""
    points = at.points
    lines = [(x, torch.ones_like(x)), *exact_flows(M1, x, points[0], points[1:])]
    along = [(y, p) for (y, _), p in zip(lines, points, strict=True)]
    shares, means = [M1.responsibilities(y, p) for y, p in along], [M1.component_means(y, p) for y, p in along]
    total, part = torch.zeros_like(x), torch.zeros_like(x)
    for n, here in enumerate(points[:-1]):
        weight = here.alpha * lines[-1][1] / lines[n][1]
        whole = (shares[n + 1][..., None] * means[n + 1] - shares[n][..., None] * means[n]).sum(dim=-2)
        features = ((shares[n + 1] - shares[n])[..., None] * (means[n + 1] + means[n]) / 2).sum(dim=-2)
        total, part = total + weight * whole, part + weight * features
    return total, part
