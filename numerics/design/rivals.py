"""The records that a designed table must beat, each on every kind of levels, ranked by the linearised model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from ..advice.advice import SMALLEST, typical
from ..advice.candidates import Levels, kinds_of_levels
from ..advice.carry import carried
from ..advice.recording import Recording
from ..errors import InputError
from ..grids import Grid
from ..points import Point
from ..schedules import Schedule
from ..tableau import Tableau, tabulate
from .linearised_model import LinearisedModel

# The multistep records that lead at few evaluations, one evaluation a step.
RECORDS = (
    "dpm-solver++-2m",
    "exp-adams-3",
    "exp-adams-4",
    "unipc-2",
    "unipc-3",
    "ipndm-3",
    "ipndm-4",
    "deis-tab3",
)


@dataclass(frozen=True, eq=False)
class Rival:
    """A record on levels.  predicted: its error on the linearised model, a middle of the trajectories."""

    method: str
    levels: str
    table: Tableau
    predicted: float

    def __str__(self) -> str:
        return f"{self.method} on {self.levels}"


def grids_between(schedule: Schedule, begin: Point, end: Point, steps: int) -> Iterator[tuple[Levels, Grid]]:
    """Every kind of levels between two points that has a grid of this number of steps."""
    for levels in kinds_of_levels(schedule, begin, end):
        try:
            yield levels, levels.grid(schedule, begin, end, steps)
        except InputError:
            continue


def rivals(recording: Recording, model: LinearisedModel, nfe: int) -> list[Rival]:
    """All of RECORDS on all kinds of levels, the least predicted error first."""
    found = []
    for levels, grid in grids_between(recording.schedule, recording.begin, recording.end, nfe):
        for method in RECORDS:
            try:
                found.append(rival_on(method, levels.name, grid, recording, model))
            except InputError:
                continue
    return sorted(found, key=lambda rival: rival.predicted)


def rival_on(method: str, levels: str, grid: Grid, recording: Recording, model: LinearisedModel) -> Rival:
    """A record on a grid with its predicted error.  Raises InputError as tabulate."""
    table = tabulate(method, grid)
    error = carried(table, recording, model.jacobian) / recording.end.alpha
    return Rival(method, levels, table, middle(rms(error)))


def rms(errors: Tensor) -> Tensor:
    """The root mean square over coordinates of errors [R, *shape]: [R]."""
    return errors.flatten(1).square().mean(dim=1).sqrt()


def middle(sizes: Tensor) -> float:
    """The geometric mean: a middle that no single sample near a separatrix decides."""
    return float(typical(sizes.clamp(min=SMALLEST)))
