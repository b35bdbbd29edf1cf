"""REPA and GMem in training, on the digits: a small U-Net that is aligned with features, or that is given them."""

from __future__ import annotations

import math
from functools import cache
from statistics import mean, stdev
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...numerics.checkpoints.own_networks import UNet
from ...numerics.training.denoiser_task import RANGE, drawn_levels, losses
from ...numerics.training.recipes import RECIPES
from ..studies.frechet import FEATURES, reference
from .technique import Measured

WIDTHS, EMBEDDING = (16, 32), 64
UPDATES, BATCH, RATE, EVERY, WEIGHT = 240, 64, 2e-3, 2, 0.5
SEEDS, LEVELS, JUDGED = (0, 1, 2), 16, 256
Arm = Literal["plain", "aligned", "memory"]


class Recalled(nn.Module):
    """The embedding of a level, and a linear image of the features [n, FEATURES] that are set before a call."""

    def __init__(self, clock: nn.Module) -> None:
        super().__init__()
        self.clock, self.image = clock, nn.Linear(FEATURES, EMBEDDING)
        self.features = torch.zeros(1, FEATURES)

    def forward(self, lam: Tensor) -> Tensor:
        out: Tensor = self.clock(lam) + self.image(self.features)
        return out


class Judged(NamedTuple):
    """The loss of v on held-out digits; the mean cosine of aligned features there; the loss with features of others."""

    loss: float
    cosine: float
    of_others: float


@torch.no_grad()
def features_of(images: Tensor) -> Tensor:
    """The features [n, FEATURES] of the small classifier."""
    found: Tensor = reference()[1].features(images)
    return found


def middle(network: UNet, y: Tensor, lam: Tensor) -> Tensor:
    """The features of the middle block, their mean over pixels [n, WIDTHS[-1]]."""
    return network.encode(y, lam)[-1].mean(dim=(2, 3))


@cache
def trained(arm: Arm, seed: int) -> Judged:
    """A network after UPDATES of Adam on the loss of v; the arms of a seed share first weights, batches and noise."""
    data, unit, chance = reference()[0], RECIPES["digits"].sigma_data, torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = UNet(RECIPES["digits"].shape, WIDTHS, EMBEDDING)
    projector, recalled = nn.Linear(WIDTHS[-1], FEATURES), Recalled(network.clock)
    if arm == "memory":
        network.clock = recalled  # type: ignore[assignment]
    optimiser = torch.optim.Adam([*network.parameters(), *projector.parameters()], lr=RATE)
    samples, features = data.train / unit, features_of(data.train)
    for update in range(UPDATES):
        chosen = torch.randint(len(samples), (BATCH,), generator=chance)
        noise = torch.randn(samples[chosen].shape, generator=chance)
        lam = drawn_levels(BATCH, EVERY, chance)
        recalled.features = features[chosen]
        loss = losses(network, samples[chosen], noise, lam)[0].mean()
        if arm == "aligned":
            loss = loss + WEIGHT * (1 - alignment(network, projector, samples[chosen], noise, lam, features[chosen]))
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * update / UPDATES))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return judged(network.eval(), projector, recalled)


def alignment(network: UNet, projector: nn.Module, x: Tensor, noise: Tensor, lam: Tensor, goal: Tensor) -> Tensor:
    """The mean cosine of the projected middle features of noised images and the features of the images."""
    a, s = ((sign * 2 * lam).sigmoid().sqrt().reshape(-1, 1, 1, 1) for sign in (1, -1))
    return F.cosine_similarity(projector(middle(network, a * x + s * noise, lam)), goal, dim=1).mean()


@torch.no_grad()
def judged(network: UNet, projector: nn.Module, recalled: Recalled) -> Judged:
    """What a trained network does on held-out digits, at LEVELS over the range of training and with one noise."""
    images, chance = reference()[0].held_out[:JUDGED], torch.Generator().manual_seed(100)
    x, own = images / RECIPES["digits"].sigma_data, features_of(images)
    found = []
    for level in torch.linspace(*RANGE, LEVELS).tolist():
        noise, lam = torch.randn(x.shape, generator=chance), torch.full((len(x),), level)
        values = []
        for given in (own, own.roll(1, 0)):
            recalled.features = given
            values.append(float(losses(network, x, noise, lam)[0].mean()))
        recalled.features = own
        found.append((values[0], float(alignment(network, projector, x, noise, lam, own)), values[1]))
    return Judged(*(mean(column) for column in zip(*found, strict=True)))


def compared(head: tuple[str, ...], rows: list[tuple[str, ...]], gaps: list[float]) -> Measured:
    """The rows of the seeds, and under them the mean of the paired differences with its standard error."""
    error = stdev(gaps) / math.sqrt(len(gaps))
    last = ("mean difference", "", f"{mean(gaps):+.4f} ± {error:.4f}", "")
    return Measured(number=mean(gaps), head=head, rows=(*rows, last))


def measure_aligned() -> Measured:
    arms = [(trained("plain", seed), trained("aligned", seed)) for seed in SEEDS]
    rows = [
        (str(n), f"{a.loss:.4f}", f"{b.loss:.4f}", f"{b.cosine:.3f}") for n, (a, b) in zip(SEEDS, arms, strict=True)
    ]
    head = ("seed", "loss of v, plain", "aligned", "mean cosine of features, aligned")
    return compared(head, rows, [b.loss - a.loss for a, b in arms])  # type: ignore[arg-type]  # a list of rows of four


def measure_memory() -> Measured:
    arms = [(trained("plain", seed), trained("memory", seed)) for seed in SEEDS]
    rows = [
        (str(n), f"{a.loss:.4f}", f"{b.loss:.4f}", f"{b.of_others:.4f}") for n, (a, b) in zip(SEEDS, arms, strict=True)
    ]
    head = ("seed", "loss of v, plain", "given its features", "given those of another digit")
    return compared(head, rows, [b.loss - a.loss for a, b in arms])  # type: ignore[arg-type]  # a list of rows of four
