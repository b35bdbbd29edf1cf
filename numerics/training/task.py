"""The part of training that is not the loop: how a network is built, what it learns, and how it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..checkpoints.own_format import Network
from .recipes import Recipe


@dataclass(frozen=True)
class Task:
    """build() -> the network with its first weights.  loss(network, average, step) -> the mean loss of a step's batch.

    decay: of the exponential average of the weights, which is what is kept.  outcome(average) -> the entries of the
    record that state how good it is.  save(folder, average, provenance): writes the checkpoint, checkpoint.toml last.
    """

    build: Callable[[], nn.Module]
    loss: Callable[[nn.Module, nn.Module, int], Tensor]
    decay: float
    outcome: Callable[[nn.Module], dict[str, Any]]
    save: Callable[[Path, nn.Module, dict[str, str]], None]


def sizes(recipe: Recipe) -> Network:
    """The architecture of a recipe's network."""
    return Network(
        architecture=recipe.architecture, widths=list(recipe.widths), embedding=recipe.embedding, patch=recipe.patch
    )


def batch_generator(seed: int, *place: int) -> torch.Generator:
    """The random numbers of a batch, a function of the seed and the number of its step."""
    spawned = np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(spawned))
