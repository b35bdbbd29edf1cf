"""EMDM on two rings: a generator that is trained against a discriminator, in four steps of the posterior chain."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...numerics.checkpoints.load import load
from ...numerics.few_step.outcomes import ACROSS, RADIUS
from ...numerics.few_step.posterior_chain import Guess, bridge, posterior_chain
from ...numerics.points import Point
from ...numerics.semi_discrete_transport import w1_to_atoms
from ...numerics.training.data import RINGS, rings
from .on_the_line import uniform_t
from .technique import Measured

STEPS, LATENT, WIDTH = 4, 4, 96
UPDATES, BATCH, RATE, PENALTY, EVERY = 2000, 256, 1e-3, 0.05, 4
SAMPLES, SEEDS = 4000, (0, 1, 2, 3, 4)
MIDDLE = sum(radius for radius, _ in RINGS) / 2


def perceptron(into: int, out: int) -> nn.Sequential:
    """Three hidden layers."""
    sizes = (into, WIDTH, WIDTH, WIDTH)
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*layers, nn.Linear(WIDTH, out))


def joined(*parts: Tensor, at: Point) -> Tensor:
    """What a network reads: these parts and the time of a point."""
    return torch.cat([*parts, torch.full((len(parts[0]), 1), at.t, dtype=parts[0].dtype)], dim=1)


def trained(seed: int) -> tuple[nn.Module, tuple[float, float]]:
    """A generator x0 = G(x, z, t), and the mean losses of generator and discriminator over the last 200 updates.

    The discriminator reads the state, the noisier one and the time of that one; its slope at real states is penalised
    at every fourth update.  Every update is of one step of the chain, drawn at random.
    """
    torch.manual_seed(seed)
    chance, data = torch.Generator().manual_seed(seed), rings().train
    generator, discriminator = perceptron(2 + LATENT + 1, 2), perceptron(5, 1)
    optimisers = [torch.optim.Adam(net.parameters(), lr=RATE, betas=(0.5, 0.9)) for net in (generator, discriminator)]
    points, last = uniform_t(STEPS).points, []
    for update in range(UPDATES):
        n = int(torch.randint(STEPS, (1,), generator=chance))
        here, there = points[n], points[n + 1]
        x0 = data[torch.randint(len(data), (BATCH,), generator=chance)]
        x = here.alpha * x0 + here.sigma * torch.randn(x0.shape, generator=chance)
        real = bridge(x0, x, here, there, chance).requires_grad_()
        z = torch.randn(BATCH, LATENT, generator=chance)
        fake = bridge(generator(joined(x, z, at=here)), x, here, there, chance)
        # The discriminator, with the penalty on its slope.
        score = discriminator(joined(real, x, at=here))
        against = F.softplus(-score).mean() + F.softplus(discriminator(joined(fake.detach(), x, at=here))).mean()
        loss = against
        if update % EVERY == 0:
            (slope,) = torch.autograd.grad(score.sum(), real, create_graph=True)
            loss = loss + PENALTY / 2 * slope.square().sum(dim=1).mean()
        optimisers[1].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimisers[1].step()
        # The generator.
        loss = F.softplus(-discriminator(joined(fake, x, at=here))).mean()
        optimisers[0].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimisers[0].step()
        last.append((loss.item(), against.item()))
    means = torch.tensor(last[-200:], dtype=torch.float64).mean(dim=0).tolist()
    return generator.eval().requires_grad_(False), (means[0], means[1])


def distances(guess: Guess) -> tuple[float, float, float]:
    """W1 of the radius, the share of samples on the inner ring's side, and the share off both rings, of a chain."""
    at, chance = uniform_t(STEPS), torch.Generator().manual_seed(7)
    x = posterior_chain(guess, torch.randn(SAMPLES, 2, generator=chance), at, chance)
    radius = x.norm(dim=1).double()
    off = torch.stack([(radius - r).abs() > ACROSS * s for r, s in RINGS]).all(dim=0)
    inside = float((radius < MIDDLE).double().mean())
    return w1_to_atoms(RADIUS, Point(1.0, 0.0), radius), inside, float(off.double().mean())


def measure_generators() -> Measured:
    """Generators of three seeds beside the chain with the mean, from a trained network of the same data."""
    network = load("rings").denoiser(torch.float32)
    by_mean = distances(lambda x, at: network(x, at, "data"))
    rows = [("mean of the kept network", *(f"{value:.3f}" for value in by_mean), "", "")]
    errors = []
    for seed in SEEDS:
        generator, losses = trained(seed)
        chance = torch.Generator().manual_seed(8)

        def draw(x: Tensor, at: Point, generator: nn.Module = generator, chance: torch.Generator = chance) -> Tensor:
            data: Tensor = generator(joined(x, torch.randn(len(x), LATENT, generator=chance), at=at))
            return data

        found = distances(draw)
        errors.append(found[0])
        rows.append((f"generator, seed {seed}", *(f"{value:.3f}" for value in (*found, *losses))))
    rows.append(
        (
            "at the optimum",
            "0",
            "0.500",
            f"{math.erfc(ACROSS / math.sqrt(2)):.3f}",
            f"{math.log(2):.3f}",
            f"{2 * math.log(2):.3f}",
        )
    )
    head = ("draws of the data", "W1 of radius", "share inside", "share off", "loss of generator", "of discriminator")
    return Measured(number=median(errors), head=head, rows=tuple(rows))
