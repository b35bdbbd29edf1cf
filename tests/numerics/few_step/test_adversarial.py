"""Adversarial students: the gradients of both losses are kept apart, and the kept one draws as its recipe says."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.few_step import adversarial
from samplerproof.numerics.few_step.adversarial import Rivals
from samplerproof.numerics.few_step.angles import equal_angles
from samplerproof.numerics.few_step.jump import run_jumps
from samplerproof.numerics.few_step.outcomes import off_the_rings, outcomes_of_draws
from samplerproof.numerics.few_step.posterior_chain import bridge
from samplerproof.numerics.few_step.student import OWN_STUDENTS, load_student
from samplerproof.numerics.points import Point
from samplerproof.numerics.training.data import ring_samples

NAME = "rings-adversarial"
LEVELS = equal_angles(-4.0, 4.0, 4)
SAMPLES = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))


def rivals() -> Rivals:
    """Both networks with first weights that are not zero."""
    torch.manual_seed(0)
    network = Rivals((2,), (8, 8), 8)
    for part in (network.student, network.discriminator):
        nn.init.normal_(part.leave.weight, std=0.3)
    return network


def chance() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def gradients(loss: Tensor, network: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters()), retain_graph=True))


def losses(network: Rivals) -> tuple[Tensor, Tensor]:
    """The losses of student and discriminator on the batch that `chance` draws, by formulas of their own."""
    generator = chance()
    n = int(torch.randint(4, (1,), generator=generator))
    here, there = (Point(math.cos(th), math.sin(th)) for th in (math.atan(math.exp(-lam)) for lam in LEVELS[n : n + 2]))
    x0 = SAMPLES[torch.randint(200, (64,), generator=generator)]
    x = here.alpha * x0 + here.sigma * torch.randn(x0.shape, generator=generator)
    real, lam = bridge(x0, x, here, there, generator), torch.full((64,), LEVELS[n])
    v = network.student(x, lam, torch.randn((64, 4), generator=generator))
    fake = bridge(here.alpha * x - here.sigma * v, x, here, there, generator)
    seen = [network.discriminator(torch.cat([y, x], dim=1), lam) for y in (real, fake, fake.detach())]
    return softplus(-seen[1]).mean(), (softplus(-seen[0]) + softplus(seen[2])).mean()


def test_each_network_has_the_gradient_of_its_own_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert it by both losses by hand, that the other loss would be seen, and that the penalty adds to the sum."""
    network = rivals()
    monkeypatch.setattr(adversarial, "PENALTY", 0.0)
    total = adversarial.adversarial(LEVELS, SAMPLES, 64)(network, network, chance())
    of_student, of_discriminator = losses(network)
    assert total.item() == pytest.approx((of_student + of_discriminator).item(), rel=1e-5)
    for part, own in ((network.student, of_student), (network.discriminator, of_discriminator)):
        for found, due in zip(gradients(total, part), gradients(own, part), strict=True):
            assert torch.allclose(found, due, atol=1e-6)
    mixed = gradients(of_student + of_discriminator, network.discriminator)
    assert not torch.allclose(gradients(total, network.discriminator)[-1], mixed[-1], atol=1e-3)
    monkeypatch.setattr(adversarial, "PENALTY", 0.05)
    assert adversarial.adversarial(LEVELS, SAMPLES, 64)(network, network, chance()).item() > total.item()


def test_the_kept_generator_draws() -> None:
    """Assert level by level, a repeated draw for a repeated seed, the scale of any process, and what is refused."""
    student = load_student(NAME)
    points = student.points
    x = torch.randn(50, 2, dtype=torch.float64, generator=chance())
    ends = [run_jumps(student.jump(generator=chance()), x, points) for _ in range(2)]
    assert torch.equal(*ends)
    other = torch.Generator().manual_seed(2)
    assert not torch.allclose(run_jumps(student.jump(generator=other), x, points), ends[0], atol=1e-3)
    scaled = [Point(3 * at.alpha, 3 * at.sigma) for at in points]
    assert torch.allclose(run_jumps(student.jump(generator=chance()), 3 * x, scaled), 3 * ends[0], rtol=1e-9)
    for wrong in (None, 3):
        with pytest.raises(InputError, match=r"^generator: got .*; a torch.Generator, from which rings-adversarial"):
            student.jump(generator=wrong)  # type: ignore[arg-type]
    for end in (0, 2, 4):
        with pytest.raises(InputError, match=r"^end: got 'lambda = .*; an end that rings-adversarial was trained for"):
            student.jump(generator=chance())(x, points[0], points[end])


def test_the_record_says_that_the_rings_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert the kept distances, nearer than the chain of means and far from the data; fewer samples repeat them."""
    record = json.loads((OWN_STUDENTS / NAME / "training.json").read_text(encoding="utf-8"))
    found = record["outcomes"]
    student, means = found["student, 4"], found["mean, 4"]
    assert student["radius"] < means["radius"]
    assert student["off"] > 0.3
    assert record["curve"][-1][1] == pytest.approx(3 * math.log(2), abs=0.01)
    data = ring_samples(4000, torch.Generator().manual_seed(3))
    assert off_the_rings(data.norm(dim=1).double()) == pytest.approx(math.erfc(3 / math.sqrt(2)), abs=0.004)
    monkeypatch.setattr(
        "samplerproof.numerics.few_step.outcomes.starts",
        lambda lam: torch.randn(4000, 2, generator=torch.Generator().manual_seed(4)),
    )
    fewer = outcomes_of_draws(load_student(NAME))["student, 4"]
    assert fewer["radius"] == pytest.approx(student["radius"], abs=0.02)
    assert fewer["off"] == pytest.approx(student["off"], abs=0.04)
