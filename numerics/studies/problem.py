"""The problem of a study: its samplers on its grids, with all validation done."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import InputError, nearest
from ..generated.schedule_functions import SCHEDULES
from ..grid_kinds.all_kinds import PREFIX, checked, parameter_names
from ..grids import Grid, grid, li_grid
from ..level_checks import Trained
from ..points import Point
from ..schedules import Schedule, schedule
from ..tableau import Tableau
from .config import LI, NOTHING, Choice, GridChoice, NetworkStudy, Study, renamed
from .samplers import Sampler

LI_PARAMETERS = ("c0", "c1")
Key = tuple[str, int]  # of a grid: its name, and its number of steps


@dataclass(frozen=True)
class Problem(ABC):
    """A study with its schedule, grids and samplers.  schedule: None for a discrete one.

    grids: by the name of the grid and the number of steps; faults: why a grid of the study is none on its schedule.
    count: samples, or quadrature points in 1-D.
    """

    study: Study | NetworkStudy
    schedule: Schedule | None
    grids: dict[Key, Grid]
    faults: dict[Key, InputError]
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

    @property
    def at_once(self) -> int:
        """The most runs on one grid that cost less together."""
        return 1

    @property
    def trained(self) -> Trained | None:
        """The ends of the levels that a network was trained on; None for a law, which has all levels."""
        return None

    def prior_std(self, at: Point) -> float:
        """The standard deviation of the schedule's start law."""
        return 1.0 if self.schedule is None else self.schedule.prior_std(at)

    @property
    def longest(self) -> Grid:
        """The grid with the most steps."""
        return max(self.grids.values(), key=lambda made: made.steps)

    def on(self, steps: int) -> Key:
        """The key of a study of one grid with that many steps."""
        ((name, _), *_) = self.study.crossed
        return name, steps

    def tableau(self, sampler: Sampler, key: Key) -> Tableau:
        """The table of a sampler on a grid; InputError, with the field as in the file, where it cannot run."""
        run, made = self.study.run, self.grids[key]
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
            for key in sorted(self.grids, key=lambda found: found[1]):
                try:
                    if sampler.as_it_is(self.grids[key]) is None:
                        self.tableau(sampler, key)
                except InputError as fault:
                    faults.append(fault)
                else:
                    return
        raise faults[0]


class Grids(NamedTuple):
    """The schedule (None for a discrete one), the grids, and why the others are none."""

    schedule: Schedule | None
    made: dict[Key, Grid]
    faults: dict[Key, InputError]

    def check(self, ends: Callable[[Grid], object]) -> Grids:
        """The grids that another condition allows: a function that raises InputError.  Raises it if none is left."""
        made, faults = dict(self.made), dict(self.faults)
        for key, found in self.made.items():
            try:
                ends(found)
            except InputError as fault:
                del made[key]
                faults[key] = fault
        if not made:
            raise next(iter(faults.values()))
        return Grids(self.schedule, made, faults)


def grids_of(study: Study | NetworkStudy) -> Grids:
    """The schedule and the grids of a study.

    Raises InputError, with the field as in the file, on parameters that a kind does not take, and if none of the grids
    is one on the schedule.
    """
    if study.schedule.kind == LI:
        return Grids(None, {key: _li_grid(study, key[1]) for key in study.crossed}, {})
    schedule = _schedule(study.schedule)
    choices = {choice.called: (study.field(n), choice) for n, choice in enumerate(study.grids)}
    for field, choice in choices.values():
        _check_choice(field, choice)
    _check_lists(study)
    made: dict[Key, Grid] = {}
    faults: dict[Key, InputError] = {}
    for key in study.crossed:
        field, choice = choices[key[0]]
        try:
            made[key] = _grid(field, choice, schedule, key[1])
        except InputError as fault:
            faults[key] = fault
    if not made:
        raise next(iter(faults.values()))
    return Grids(schedule, made, faults)


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


def _li_grid(study: Study | NetworkStudy, steps: int) -> Grid:
    with fields({"steps": "run.steps"}):
        _check_keys("schedule", study.schedule, LI_PARAMETERS)
        for name in LI_PARAMETERS:
            if name not in study.schedule.parameters:
                raise InputError(f"schedule.{name}", NOTHING, "li needs a number > 0")
        return li_grid(steps, **study.schedule.parameters)


def _check_choice(field: str, choice: GridChoice) -> None:
    """Raises InputError on a kind that is not known, and on parameters that it does not take."""
    if choice.kind.startswith(PREFIX):
        return
    try:
        _check_keys("grid", choice, parameter_names(choice.kind))
        checked(choice.kind, choice.parameters)
    except InputError as fault:
        raise renamed(fault, "grid", field) from None


def _check_lists(study: Study | NetworkStudy) -> None:
    """Raises InputError on a number in run.steps that no grid has, where all grids are lists."""
    own = [choice.lengths for choice in study.grids]
    allowed = sorted({steps for lengths in own for steps in lengths})
    for n, steps in enumerate(study.run.steps if all(own) else ()):
        if steps not in allowed:
            known = " or ".join(map(str, allowed))
            raise InputError(f"run.steps[{n}]", steps, f"{known}, as the lists of levels have; or leave run.steps out")


def _grid(field: str, choice: GridChoice, schedule: Schedule, steps: int) -> Grid:
    for name in ("t_min", "t_max"):
        t = choice.parameters.get(name, schedule.t_min)
        if not schedule.t_min <= t <= schedule.t_max:
            allowed = f"{schedule.kind} is defined for {schedule.t_min} <= t <= {schedule.t_max}"
            raise InputError(f"{field}.{name}", t, allowed)
    try:
        return grid(schedule, choice.kind, steps, **choice.parameters)
    except InputError as fault:
        if fault.field == "steps":
            raise InputError("run.steps", fault.value, fault.allowed) from None
        raise renamed(
            InputError("grid" if fault.field == "t" else fault.field, fault.value, fault.allowed), "grid", field
        ) from None


def _check_keys(table: str, choice: Choice | GridChoice, names: Sequence[str]) -> None:
    for name, value in choice.parameters.items():
        if name not in names:
            raise InputError(
                f"{table}.{name}", value, f"unknown key of {choice.kind!r}; its keys: {', '.join(sorted(names))}"
            )
