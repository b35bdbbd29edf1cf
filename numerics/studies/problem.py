"""A study file made ready: its mixture, grids and methods, everything that can be refused refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..catalogue import resolve
from ..errors import InputError, nearest
from ..generated.schedule_functions import SCHEDULES
from ..grids import KINDS as GRIDS
from ..grids import Grid, grid, li_grid
from ..laws.estimators import FEWEST
from ..points import Point
from ..records import Record
from ..schedules import Schedule, schedule
from ..tableau import tabulate
from ..targets.mixture import GaussianMixture
from .config import NOTHING, Choice, NetworkStudy, Study
from .routes import ESTIMATED, check_metrics

LI = "li"  # discrete: a schedule and a grid in one
LI_PARAMETERS = ("c0", "c1")
POINTS, FEWEST_POINTS, SAMPLES = 6001, 101, 1000


@dataclass(frozen=True)
class Problem:
    """What `run` works on. methods: each name of the file with its record; grids: by number of steps.

    count: quadrature points in 1-D, samples in d > 1.
    """

    study: Study
    mixture: GaussianMixture
    schedule: Schedule | None
    grids: dict[int, Grid]
    methods: tuple[tuple[str, Record], ...]
    count: int

    def start_law(self, at: Point) -> tuple[GaussianMixture, Point]:
        """The law of the start sample: the exact marginal, or the centred Gaussian of the schedule."""
        if self.study.run.init == "exact":
            return self.mixture, at
        std = 1.0 if self.schedule is None else self.schedule.prior_std(at)
        dim = self.mixture.dim
        return GaussianMixture([1.0], [[0.0] * dim], stds=[std]), Point(1.0, 0.0, at.t)


def prepare(study: Study) -> Problem:
    """Build everything a study names; InputError, with the field as it stands in the file, before anything runs."""
    run, target = study.run, study.target
    mixture = GaussianMixture(target.weights, target.means, target.stds, target.covariances)
    methods = methods_of(run.methods)
    check_metrics(run.metrics, mixture, methods)
    made, grids = grids_of(study)
    for made_grid in grids.values():
        for end in (made_grid.point(0), made_grid.point(made_grid.steps)):
            with _fields({"at": "target, at (alpha, sigma)"}):
                mixture.marginal(end)
    check_methods(study, methods, grids)
    return Problem(study, mixture, made, grids, methods, _count(study, mixture.dim))


def grids_of(study: Study | NetworkStudy) -> tuple[Schedule | None, dict[int, Grid]]:
    """The schedule (None for a discrete one) and the grids by number of steps."""
    made = None if study.schedule.kind == LI else _schedule(study.schedule)
    return made, {steps: _grid(study, made, steps) for steps in study.run.steps}


def check_methods(
    study: Study | NetworkStudy, methods: Sequence[tuple[str, Record]], grids: Mapping[int, Grid]
) -> None:
    """InputError for the first method, on the shortest grid, if no method can run on any grid."""
    if all(refused(study, name, record, made) for name, record in methods for _, made in sorted(grids.items())):
        (name, record), shortest = methods[0], grids[min(grids)]
        fault = refused(study, name, record, shortest)
        assert fault is not None
        raise fault


def refused(study: Study | NetworkStudy, name: str, record: Record, made: Grid) -> InputError | None:
    """Why a method cannot run on a grid, or not from these start values."""
    run = study.run
    try:
        with _fields({"steps": "run.steps", "grid": "grid", "start": "run.start"}):
            tableau = tabulate(record.name, made, run.start)
    except InputError as fault:
        return fault
    if tableau.prediction == "velocity" and any(math.isnan(p.dalpha) for p in made.points):
        field = f"run.methods[{run.methods.index(name)}]"
        return InputError(field, name, 'needs a velocity; schedule "li" has no derivatives in t')
    if record.stochastic and tableau.given > 1:
        return InputError("run.start", run.start, f"{name!r} is stochastic, and has no exact start values; give ramp")
    return None


def methods_of(names: list[str]) -> tuple[tuple[str, Record], ...]:
    methods: dict[str, tuple[str, Record]] = {}
    for n, name in enumerate(names):
        record = resolve(name, f"run.methods[{n}]")
        if record.name in methods:
            earlier = methods[record.name][0]
            raise InputError(f"run.methods[{n}]", name, f"the same table as {earlier!r}, which is listed already")
        methods[record.name] = name, record
    return tuple(methods.values())


def _count(study: Study, dim: int) -> int:
    run = study.run
    if dim == 1:
        if run.samples is not None:
            raise InputError("run.samples", run.samples, "for d > 1; in 1-D give points")
        points = POINTS if run.points is None else run.points
        if points < FEWEST_POINTS:
            raise InputError("run.points", points, f"in 1-D at least {FEWEST_POINTS} quadrature points")
        return points
    if run.samples is not None and run.points is not None:
        raise InputError("run.samples", run.samples, "in d > 1 points means samples; give one of the two")
    count = run.samples or run.points or SAMPLES
    if count < FEWEST and any(metric in ESTIMATED for metric in run.metrics):
        raise InputError("run.samples", count, f"at least {FEWEST} for {', '.join(ESTIMATED)}")
    return count


def _schedule(choice: Choice) -> Schedule:
    if choice.kind not in SCHEDULES:
        known = nearest(choice.kind, [*SCHEDULES, LI])
        raise InputError("schedule.kind", choice.kind, f"not a known schedule; {known}")
    _check_keys("schedule", choice, SCHEDULES[choice.kind].parameters)
    return schedule(choice.kind, **choice.parameters)


def _grid(study: Study | NetworkStudy, made: Schedule | None, steps: int) -> Grid:
    with _fields({"steps": "run.steps", "t": "grid"}):
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
        _check_keys("grid", study.grid, GRIDS.get(study.grid.kind, tuple(study.grid.parameters)))
        return grid(made, study.grid.kind, steps, **study.grid.parameters)


def _check_keys(table: str, choice: Choice, names: Sequence[str]) -> None:
    for name, value in choice.parameters.items():
        if name not in names:
            raise InputError(f"{table}.{name}", value, f"unknown key of {choice.kind!r}; {nearest(name, names)}")


@contextmanager
def _fields(names: dict[str, str]) -> Iterator[None]:
    """Give a fault of the library the name of the field in the study file."""
    try:
        yield
    except InputError as fault:
        raise InputError(names.get(fault.field, fault.field), fault.value, fault.allowed) from None
