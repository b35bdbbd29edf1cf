"""REPA and GMem in training, on the digits: a small U-Net that is aligned with features, or that is given them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import mean, stdev
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...numerics.checkpoints.own_networks import LevelEmbedding, UNet
from ...numerics.training.denoiser_task import RANGE, drawn_levels, losses
from ...numerics.training.recipes import RECIPES
from ..studies.frechet import FEATURES, reference
from .technique import Measured

WIDTHS, EMBEDDING = (16, 32), 64
UPDATES, BATCH, RATE, EVERY, WEIGHT = 240, 64, 2e-3, 2, 0.5
SEEDS, LEVELS, JUDGED = (0, 1, 2, 3, 4), 16, 256
Arm = Literal["plain", "aligned", "memory"]


class Clock(LevelEmbedding):
    """The embedding of a level, plus a linear image of the features [n, FEATURES] that are set before a call."""

    def __init__(self) -> None:
        super().__init__(EMBEDDING)
        self.image, self.features = nn.Linear(FEATURES, EMBEDDING, bias=False), torch.zeros(1, FEATURES)

    def forward(self, lam: Tensor) -> Tensor:
        out: Tensor = super().forward(lam) + self.image(self.features)
        return out


class Student(UNet):
    """The network of every arm.  pooled: the mean over pixels [n, WIDTHS[-1]] of its last call's middle features."""

    clock: Clock
    pooled: Tensor

    def __init__(self) -> None:
        super().__init__(RECIPES["digits"].shape, WIDTHS, EMBEDDING)
        self.clock, self.project = Clock(), nn.Linear(WIDTHS[-1], FEATURES)

    def encode(self, y: Tensor, lam: Tensor) -> list[Tensor]:
        found = super().encode(y, lam)
        self.pooled = found[-1].mean(dim=(2, 3))
        return found

    def cosine(self, pooled: Tensor, goal: Tensor) -> Tensor:
        """The mean cosine of the projected middle features and the features [n, FEATURES] of clean images."""
        return F.cosine_similarity(self.project(pooled), goal, dim=1).mean()


class Judged(NamedTuple):
    """On held-out digits: the losses of v by what is given, and the mean cosine of the projected middle features.

    A memory is given the features of the digit, of the nearest training digit, of another held-out digit; its cosine
    is not used.
    """

    losses: tuple[float, ...]
    cosine: float


@torch.no_grad()
def features_of(images: Tensor) -> Tensor:
    """The features [n, FEATURES] of the small classifier."""
    found: Tensor = reference()[1].features(images)
    return found


@cache
def trained(arm: Arm, seed: int) -> Judged:
    """A network after UPDATES of Adam on the loss of v and of its projector on the cosine.

    The arms of a seed share network, first weights, batches and noise.  Only "aligned" sends the gradient of the cosine
    into the network, and only "memory" gets features that are not zero.
    """
    data, chance = reference()[0], torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Student()
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
    samples, features = data.train / RECIPES["digits"].sigma_data, features_of(data.train)
    for _ in range(UPDATES):
        chosen = torch.randint(len(samples), (BATCH,), generator=chance)
        noise = torch.randn(samples[chosen].shape, generator=chance)
        goal = features[chosen]
        network.clock.features = goal * (arm == "memory")
        loss = losses(network, samples[chosen], noise, drawn_levels(BATCH, EVERY, chance))[0].mean()
        pooled = network.pooled if arm == "aligned" else network.pooled.detach()
        loss = loss + WEIGHT * (1 - network.cosine(pooled, goal))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        decay.step()
    return judged(network.eval(), arm)


@torch.no_grad()
def judged(network: Student, arm: Arm) -> Judged:
    """What a trained network does on held-out digits, at LEVELS over the range of training and with one noise."""
    data, chance = reference()[0], torch.Generator().manual_seed(100)
    images = data.held_out[:JUDGED]
    x, own = images / RECIPES["digits"].sigma_data, features_of(images)
    nearest = features_of(data.train)[torch.cdist(images.flatten(1), data.train.flatten(1)).argmin(dim=1)]
    given = (own, nearest, own.roll(1, 0)) if arm == "memory" else (torch.zeros_like(own),)
    by_level, cosines = [], []
    for level in torch.linspace(*RANGE, LEVELS).tolist():
        noise, lam = torch.randn(x.shape, generator=chance), torch.full((len(x),), level)
        found = []
        for features in given:
            network.clock.features = features
            found.append(float(losses(network, x, noise, lam)[0].mean()))
        by_level.append(found)
        cosines.append(float(network.cosine(network.pooled, own)))
    return Judged(tuple(map(mean, zip(*by_level, strict=True))), mean(cosines))


def constant() -> float:
    """The mean cosine of held-out features with the best constant vector for the training digits."""
    data = reference()[0]
    best = F.normalize(features_of(data.train), dim=1).mean(dim=0)
    return float(F.cosine_similarity(features_of(data.held_out[:JUDGED]), best, dim=1).mean())


def compared(pairs: Sequence[tuple[float, float]]) -> tuple[float, str]:
    """The mean of second minus first over pairs, and its words, with the standard error."""
    gaps = [other - plain for plain, other in pairs]
    return mean(gaps), f"{mean(gaps):+.4f} ± {stdev(gaps) / math.sqrt(len(gaps)):.4f}"


def measure_aligned() -> Measured:
    arms = [(trained("plain", seed), trained("aligned", seed)) for seed in SEEDS]
    rows = [
        (str(seed), f"{a.losses[0]:.4f}", f"{b.losses[0]:.4f}", f"{a.cosine:.3f}", f"{b.cosine:.3f}")
        for seed, (a, b) in zip(SEEDS, arms, strict=True)
    ]
    number, words = compared([(a.losses[0], b.losses[0]) for a, b in arms])
    rows += [("mean difference", "", words, "", ""), ("a constant vector", "", "", f"{constant():.3f}", "")]
    head = ("seed", "loss of v, plain", "aligned", "cosine, plain", "cosine, aligned")
    return Measured(number=number, head=head, rows=tuple(rows))


def measure_memory() -> Measured:
    arms = [(trained("plain", seed).losses[0], *trained("memory", seed).losses) for seed in SEEDS]
    rows = [(str(seed), *(f"{loss:.4f}" for loss in arm)) for seed, arm in zip(SEEDS, arms, strict=True)]
    gaps = [compared([(arm[0], arm[given]) for arm in arms]) for given in (1, 2, 3)]
    rows.append(("mean difference", "", *(words for _, words in gaps)))
    head = ("seed", "loss of v, plain", "given its features", "of the nearest training digit", "of another digit")
    return Measured(number=gaps[0][0], head=head, rows=tuple(rows))
