"""A table made for a model, confirmed on trajectories that it was not made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..advice.advice import BASELINE, SMALLEST
from ..advice.question import Question, check_deterministic
from ..advice.recording import Counted, Recording, record
from ..content import digest
from ..denoisers import Denoiser
from ..errors import InputError, SamplingError
from ..exports import spelled_schedule
from ..support.progress import Progress, silent
from ..table_file import write_table
from ..tableau import Tableau
from .fit_table import GROWTH, LARGEST, Family, Run, run_errors, starts
from .linearised_model import WHOLE, LinearisedModel, linearise
from .method_levels import LevelFamily, steps_within
from .rivals import Rival, grids_between, middle, rival_on, rivals
from .row_guarantees import Guarantees, guarantees

ENOUGH = 1_000_000  # rows of the model: more than a design takes
MOST = 50  # evaluations that a table is designed for
LINE = (64, 32, 64)  # trajectories to fit to, to select by, to confirm on, in up to WHOLE dimensions
IMAGES = (24, 16, 16)  # in more
SHORT_LIST = 6  # records that are measured
LEVELS_TRIED = 2  # kinds of levels from which those of a record are optimised


@dataclass(frozen=True, eq=False)
class Measured:
    """A table with the error of its samples, root mean square over their numbers, in units of the data.

    predicted: on the linearised model; confirmed: on held-out trajectories, both as the geometric mean over samples,
    which no single one near a separatrix decides.  low, high: two standard errors of its logarithm around it.  median,
    rms: of the same errors.
    """

    method: str
    levels: str
    table: Tableau
    predicted: float
    confirmed: float
    low: float
    high: float
    median: float
    rms: float

    def plain(self) -> dict[str, Any]:
        names = ("predicted", "confirmed", "low", "high", "median", "rms")
        numbers = {name: _finite(getattr(self, name)) for name in names}
        return {"method": self.method, "grid": self.levels, "nfe": self.table.nfe, **numbers}


@dataclass(frozen=True, eq=False)
class Design:
    """A designed table beside the best record and plain 2M.

    table: the one to use: the designed one, or that of the best record where this was better on held-out trajectories.
    designed, record, baseline: these two, and 2M on Karras' levels, measured on the same held-out trajectories.
    proved: what follows from the numbers of the designed table alone.  evaluations: rows that the model was asked in
    all, calls: in how many calls.  provenance: as in the file.
    """

    table: Tableau
    designed: Measured
    record: Measured
    baseline: Measured
    proved: Guarantees
    evaluations: int
    calls: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def choice(self) -> Measured:
        return self.designed if self.table is self.designed.table else self.record

    def plain(self) -> dict[str, Any]:
        """The answer in plain containers, as `samplerproof design --json` prints it."""
        parts = {name: getattr(self, name).plain() for name in ("choice", "designed", "record", "baseline")}
        proved = self.proved.plain()
        return {**parts, "proved": proved, "evaluations": self.evaluations, "calls": self.calls}

    def write(self, path: str | Path) -> None:
        """Write the table as a table file, with provenance and checksum."""
        write_table(self.table, Path(path), self.provenance)


def designed(
    asked: Question, method: str | None = None, tune: bool = False, model: str = "", progress: Progress = silent
) -> Design:
    """The design for a question: a model between two points of a schedule, and the evaluations of a run.

    method: of a record, whose levels alone are then designed.  tune: go on through the model itself, by difference
    quotients of whole runs.  model: its name, for the provenance.
    Raises InputError on more than MOST evaluations, and where there is no table of the method; SamplingError on a model
    that is not deterministic, or returns values that are not finite.
    """
    nfe, schedule, ends = asked.nfe, asked.schedule, (asked.begin, asked.end)
    if nfe > MOST:
        raise InputError("nfe", nfe, f"from 2 to {MOST} evaluations")
    if tune and method is not None:
        raise InputError("tune", tune, "a design of weights too: without a method")
    counted = Counted(asked.denoise)
    counts = LINE if math.prod(asked.shape) <= WHOLE else IMAGES
    first, second = counts[0], counts[0] + counts[1]
    fit, select, confirm = (
        asked.starts(numbers) for numbers in map(range, (0, first, second), (first, second, sum(counts)))
    )

    # Recorded and linearised; tables and records are then compared without the model.
    progress(0, 5, "recording")
    recording = record(counted, schedule, *ends, fit)
    check_deterministic(replace(asked, denoise=counted), asked.begin, recording.states[0, 0], recording.data[0, 0])
    linear = linearise(counted, recording)
    progress(1, 5, "fitting")
    work = _Levels(recording, linear, method, nfe) if method else _Table(recording, linear, nfe)
    made, known = work.made(), work.known()
    # Measured on other trajectories: which of the tables and which of the records.
    progress(2, 5, "selecting")
    measure = run_errors(counted, record(counted, schedule, *ends, select))
    best, against = _best(made, measure), _best(known[:SHORT_LIST], measure)
    progress(3, 5, "tuning" if tune else "confirming")
    if tune and isinstance(work, _Table):
        best = _best([best, work.tuned(counted, best)], measure)
    # Measured on a third set, which nothing was chosen by.
    progress(4, 5, "confirming")
    held_out = record(counted, schedule, *ends, confirm)
    measure = run_errors(counted, held_out)
    designed, rival, plain = (_measured(one, measure) for one in (best, against, baseline(recording, linear, nfe)))
    chosen = designed if designed.confirmed <= rival.confirmed else rival
    facts = {
        "made by": "samplerproof design",
        "samplerproof": version("samplerproof"),
        "model": {"name": model, **(asked.identity or {})},
        "schedule": spelled_schedule(schedule),
        "method": chosen.method,
        "grid": chosen.levels,
        "steps": max(chosen.table.step),
        "nfe": nfe,
        "seed": asked.seed,
        "trajectories": {"fitted": len(fit), "selected": len(select), "confirmed": len(confirm)},
        "evaluations": counted.rows,
        **{name: chosen.plain()[name] for name in ("confirmed", "low", "high")},
        "checksum": digest(chosen.table),
    }
    progress(5, 5, "done")
    proved = guarantees(designed.table)
    return Design(chosen.table, designed, rival, plain, proved, counted.rows, counted.calls, facts)


class _Table:
    """Levels and weights."""

    def __init__(self, recording: Recording, linear: LinearisedModel, nfe: int) -> None:
        self.family = Family(recording, linear, nfe, f"designed, {nfe} evaluations")
        self.records = rivals(recording, linear, nfe)
        self.parameters: dict[int, Tensor] = {}

    def known(self) -> list[Rival]:
        return self.records

    def made(self) -> list[Rival]:
        fits = [self._rival(parameters) for start in starts(self.records) for parameters in self.family.fitted(start)]
        sound = [one for one in fits if _sound(one.table)]
        return sound or [min(fits, key=lambda one: guarantees(one.table).digits)]

    def _rival(self, parameters: Tensor) -> Rival:
        table = self.family.table(parameters)
        self.parameters[id(table)] = parameters
        return Rival("designed", "its own", table, middle(self.family.predicted(parameters)))

    def tuned(self, denoise: Denoiser, best: Rival) -> Rival:
        found = self._rival(self.family.tuned(denoise, self.parameters[id(best.table)]))
        return found if _sound(found.table) else best


class _Levels:
    """The levels of a record alone."""

    def __init__(self, recording: Recording, linear: LinearisedModel, method: str, nfe: int) -> None:
        steps = steps_within(method, recording, nfe)
        self.family = LevelFamily(recording, linear, method, steps)
        self.records = self.family.rivals()

    def known(self) -> list[Rival]:
        return [rival for rival, _ in self.records]

    def made(self) -> list[Rival]:
        found = []
        for _, grid in self.records[:LEVELS_TRIED]:
            parameters = self.family.fitted(grid)
            size = middle(self.family.errors(parameters).square().sum(dim=1).sqrt())
            found.append(Rival(self.family.method, "its own", self.family.table(parameters), size))
        return found


def baseline(recording: Recording, linear: LinearisedModel, nfe: int) -> Rival:
    """Plain 2M on Karras' levels, which most people use."""
    method, name = BASELINE
    for levels, grid in grids_between(recording.schedule, recording.begin, recording.end, nfe):
        if levels.name == name:
            return rival_on(method, name, grid, recording, linear)
    raise InputError("schedule", recording.schedule.kind, "a schedule on which Karras' levels exist")


def _sound(table: Tableau) -> bool:
    """Whether a table's rows keep digits, and its errors do not grow."""
    found = guarantees(table)
    return found.digits <= LARGEST and found.growth <= GROWTH


def _best(given: list[Rival], measure: Run) -> Rival:
    return min(given, key=lambda one: middle(_sizes(one.table, measure)))


def _sizes(table: Tableau, measure: Run) -> Tensor:
    """The sizes of a table's errors, infinite where its run is not finite."""
    try:
        found: Tensor = measure(table)
    except SamplingError:
        return torch.tensor([math.inf], dtype=torch.float64)
    return found


def _measured(one: Rival, measure: Run) -> Measured:
    sizes = _sizes(one.table, measure)
    logs = sizes.clamp(min=SMALLEST).log()
    mean, spread = float(logs.mean()), 2 * float(logs.std()) / math.sqrt(len(logs))
    low, high = math.exp(mean - spread), math.exp(mean + spread)
    median, root = float(sizes.median()), float(sizes.square().mean().sqrt())
    return Measured(one.method, one.levels, one.table, one.predicted, middle(sizes), low, high, median, root)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
