"""What is learned by a denoiser: v, from data and noise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints import own_format
from .data import DATA
from .recipes import Recipe
from .task import Task, batch_generator, sizes

RANGE = (-7.0, 8.0)  # of lambda in training, in units of the data
CENTRE, SPREAD = 1.0, 2.0  # mean and deviation of the levels that form images
DECAY = 0.999  # of the exponential average of the weights
LEVELS = 16  # of the validation
VALIDATED = 256  # held-out samples in the validation


def denoiser_task(recipe: Recipe, where: torch.device) -> Task:
    """The task of a recipe for a denoiser."""
    data = DATA[recipe.data]()
    samples = data.train.to(where) / recipe.sigma_data

    def loss(network: nn.Module, average: nn.Module, step: int) -> Tensor:
        return _loss(recipe, step, samples, network)

    def outcome(network: nn.Module) -> dict[str, Any]:
        levels = validation(network, recipe, data.held_out)
        mean, trivial = (sum(level[k] for level in levels) / len(levels) for k in (1, 2))
        return {"validation": {"loss": mean, "trivial": trivial, "levels": levels}}

    def save(folder: Path, network: nn.Module, provenance: dict[str, str]) -> None:
        low, high = (bound - math.log(recipe.sigma_data) for bound in RANGE)
        made = own_format.described(recipe.name, recipe.shape, recipe.sigma_data, (low, high), sizes(recipe))
        own_format.save(folder, network, made.model_copy(update={"provenance": provenance}))

    return Task(lambda: own_format.build(recipe.shape, sizes(recipe)), loss, DECAY, outcome, save)


def losses(network: nn.Module, samples: Tensor, noise: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """For each sample [n] the mean square error of the network's v, and of v = 0, the best answer for Gaussian data.

    samples: x0 in units of the data; v = a eps - s x0, with a^2 + s^2 = 1 and log(a/s) = lam [n].
    """
    a, s = ((sign * 2 * lam).sigmoid().sqrt().reshape(-1, *[1] * (samples.ndim - 1)) for sign in (1, -1))
    v = a * noise - s * samples
    output: Tensor = network(a * samples + s * noise, lam)
    return (output.float() - v).square().flatten(1).mean(1), v.square().flatten(1).mean(1)


def _loss(recipe: Recipe, step: int, samples: Tensor, network: nn.Module) -> Tensor:
    """The mean loss on the batch of a step: samples, noise and levels."""
    where, generator = samples.device, batch_generator(recipe.seed, step)
    chosen = torch.randint(len(samples), (recipe.batch,), generator=generator)
    noise = torch.randn((recipe.batch, *recipe.shape), generator=generator)
    lam = drawn_levels(recipe.batch, recipe.every, generator)
    half = recipe.half and where.type == "cuda"
    with torch.autocast(where.type, dtype=torch.bfloat16, enabled=half):
        return losses(network, samples[chosen.to(where)], noise.to(where), lam.to(where))[0].mean()


def drawn_levels(batch: int, every: int, generator: torch.Generator) -> Tensor:
    """Levels lambda [batch] of training: one in `every` uniform over RANGE, the others near those that form images."""
    anywhere = RANGE[0] + (RANGE[1] - RANGE[0]) * torch.rand(batch, generator=generator)
    middle = CENTRE + SPREAD * torch.randn(batch, generator=generator)
    return torch.where(torch.arange(batch) % every == 0, anywhere, middle)


@torch.no_grad()
def validation(network: nn.Module, recipe: Recipe, held_out: Tensor) -> list[list[float]]:
    """The loss on held-out samples by level: [lambda, loss, loss of the trivial answer v = 0], LEVELS over RANGE.

    At both ends v cannot be predicted, and the two losses agree.
    """
    where = next(network.parameters()).device
    generator = batch_generator(recipe.seed, 0, 0)
    samples = held_out[:VALIDATED].to(where) / recipe.sigma_data
    found = []
    for level in torch.linspace(*RANGE, LEVELS).tolist():
        noise = torch.randn(samples.shape, generator=generator).to(where)
        both = losses(network, samples, noise, torch.full((len(samples),), level, device=where))
        found.append([level, *(float(part.mean()) for part in both)])
    return found
