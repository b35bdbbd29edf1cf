"""A grid of yours for a child process, and the samples and the model that it runs a target on there."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...denoisers import Denoiser
from ...grids import Grid
from ...schedules import Columns, schedule
from ...targets.mixture import GaussianMixture


@dataclass(frozen=True)
class Given:
    """grid: to be read on, or with the rest to run on: start samples [n, d], the arguments of the mixture, a seed."""

    grid: Grid
    start: Tensor | None = None
    law: dict[str, Any] | None = None
    seed: int = 0

    def denoiser(self) -> Denoiser:
        """The model of a run."""
        assert self.law is not None
        return GaussianMixture(**self.law)


def save(given: Given, path: Path) -> None:
    """Write to a file, in plain containers."""
    process, columns = given.grid.schedule, given.grid.columns
    plain = {
        "columns": [getattr(columns, column.name) for column in fields(columns)],
        "schedule": None if process is None else (process.kind, dict(process.parameters)),
        "start": given.start,
        "law": given.law,
        "seed": given.seed,
    }
    torch.save(plain, path)


def load(path: Path) -> Given:
    """What `save` wrote."""
    plain = torch.load(path, weights_only=True)
    process = plain["schedule"]
    grid = Grid(Columns(*plain["columns"]), None if process is None else schedule(process[0], **process[1]))
    return Given(grid, plain["start"], plain["law"], plain["seed"])
