"""The problem of a study: its samplers on its grids, with all validation done."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, nearest
from ..generated.schedule_functions import SCHEDULES
from ..grid_kinds.all_kinds import parameter_names
from ..grid_kinds.read_back_levels import PREFIX
from ..grids import Grid, grid, li_grid
from ..points import Point
from ..schedules import Schedule, schedule
from ..tableau import Tableau
from .config import LI, NOTHING, Choice, GridChoice, NetworkStudy, Study
from .samplers import Sampler

LI_PARAMETERS = ("c0", "c1")


@dataclass(frozen=True)
class Problem(ABC):
    """A study with its schedule, grids and samplers.  schedule: None for a discrete one; grids: by number of steps.

    count: samples, or quadrature points in 1-D.
    """

    study: Study | NetworkStudy
    schedule: Schedule | None
    grids: dict[int, Grid]
    samplers: tuple[Sampler, ...]
    count: int

    @property
    @abstractmethod
    def target(self) -> dict[str, Any]:
        """All that determines the target law, as JSON: part of the key of a stored value."""

    @property
    @abstractmethod
    def gaussian(self) -> bool:
        """Whether the law is known to be a single Gaussian."""

    def prior_std(self, at: Point) -> float:
        """The standard deviation of the schedule's start law."""
        return 1.0 if self.schedule is None else self.schedule.prior_std(at)

    def tableau(self, sampler: Sampler, steps: int) -> Tableau:
        """The table of a sampler; InputError, with the field as in the file, where it cannot run."""
        run, made = self.study.run, self.grids[steps]
        with fields({"steps": "run.steps", "grid": "grid", "start": "run.start"}):
            tableau = sampler.tableau(made, run.start)
        if tableau.prediction == "velocity" and any(math.isnan(p.dalpha) for p in made.points):
            field = f"run.methods[{run.methods.index(sampler.name)}]"
            raise InputError(field, sampler.name, 'needs a velocity; schedule "li" has no derivatives in t')
        if sampler.stochastic and tableau.given > 1:
            allowed = f"{sampler.name!r} is stochastic, and has no exact start values; give ramp"
            raise InputError("run.start", run.start, allowed)
        return tableau

    def check_tables(self) -> None:
        """Raises InputError of the first sampler, on the shortest grid, if no sampler has a table or can be run as it
        is on any grid.
        """
        faults = []
        for sampler in self.samplers:
            for steps in sorted(self.grids):
                try:
                    if sampler.as_it_is(self.grids[steps]) is None:
                        self.tableau(sampler, steps)
                except InputError as fault:
                    faults.append(fault)
                else:
                    return
        raise faults[0]


def grids_of(study: Study | NetworkStudy) -> tuple[Schedule | None, dict[int, Grid]]:
    """The schedule (None for a discrete one) and the grids by number of steps."""
    made = None if study.schedule.kind == LI else _schedule(study.schedule)
    return made, {steps: _grid(study, made, steps) for steps in study.run.steps}


@contextmanager
def fields(names: dict[str, str]) -> Iterator[None]:
    """Raise an InputError of the library with the name of the field in the study file."""
    try:
        yield
    except InputError as fault:
        if fault.field not in names:
            raise
        raise InputError(names[fault.field], fault.value, fault.allowed) from None


def _schedule(choice: Choice) -> Schedule:
    if choice.kind not in SCHEDULES:
        known = nearest(choice.kind, [*SCHEDULES, LI])
        raise InputError("schedule.kind", choice.kind, f"not a known schedule; {known}")
    _check_keys("schedule", choice, SCHEDULES[choice.kind].parameters)
    return schedule(choice.kind, **choice.parameters)


def _grid(study: Study | NetworkStudy, made: Schedule | None, steps: int) -> Grid:
    with fields({"steps": "run.steps", "t": "grid"}):
        if made is None:
            _check_keys("schedule", study.schedule, LI_PARAMETERS)
            for name in LI_PARAMETERS:
                if name not in study.schedule.parameters:
                    raise InputError(f"schedule.{name}", NOTHING, "li needs a number > 0")
            return li_grid(steps, **study.schedule.parameters)
        assert study.grid is not None
        for name in ("t_min", "t_max"):
            t = study.grid.parameters.get(name, made.t_min)
            if not made.t_min <= t <= made.t_max:
                allowed = f"{made.kind} is defined for {made.t_min} <= t <= {made.t_max}"
                raise InputError(f"grid.{name}", t, allowed)
        if not study.grid.kind.startswith(PREFIX):
            _check_keys("grid", study.grid, parameter_names(study.grid.kind))
        return grid(made, study.grid.kind, steps, **study.grid.parameters)


def _check_keys(table: str, choice: Choice | GridChoice, names: Sequence[str]) -> None:
    for name, value in choice.parameters.items():
        if name not in names:
            raise InputError(
                f"{table}.{name}", value, f"unknown key of {choice.kind!r}; its keys: {', '.join(sorted(names))}"
            )
