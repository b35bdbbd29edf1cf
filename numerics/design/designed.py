"""`design`: a table made for a model, confirmed on trajectories that it was not made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..advice.recording import Counted, Recording, record
from ..content import digest
from ..denoisers import DENOISER, Denoiser
from ..errors import InputError, SamplingError, of_type, runnable, whole
from ..exports import spelled_schedule
from ..points import Point
from ..schedules import Schedule, usual_ends
from ..support.progress import Progress, silent
from ..table_file import write_table
from ..tableau import Tableau
from ..targets.mixture import GaussianMixture
from .fit_table import GROWTH, LARGEST, Family, run_errors, starts
from .linearised_model import WHOLE, LinearisedModel, linearise
from .method_levels import LevelFamily, steps_within
from .rivals import Rival, grids_between, median_interval, middle, rival_on, rivals
from .row_guarantees import Guarantees, guarantees

MOST = 50  # evaluations that a table is designed for
LINE = (64, 32, 64)  # trajectories to fit to, to select by, to confirm on, in up to WHOLE dimensions
IMAGES = (24, 16, 16)  # in more
SHORT_LIST = 6  # records that are measured
LEVELS_TRIED = 2  # kinds of levels from which those of a record are optimised
BASELINE = "dpm-solver++-2m"
BASELINE_LEVELS = "karras?rho=7"
TRAJECTORIES = "at least 8 start samples, half to fit to, a quarter to select by, a quarter to confirm on"


@dataclass(frozen=True, eq=False)
class Measured:
    """A table with its error, a coordinate of the data: predicted on the linearised model, and confirmed.

    confirmed: the median over held-out trajectories; low, high: about 95 % for it.  middle: their geometric mean, which
    decides; rms: their root mean square.
    """

    method: str
    levels: str
    table: Tableau
    predicted: float
    confirmed: float
    low: float
    high: float
    middle: float
    rms: float

    def plain(self) -> dict[str, Any]:
        names = ("predicted", "confirmed", "low", "high", "middle", "rms")
        numbers = {name: _finite(getattr(self, name)) for name in names}
        return {"method": self.method, "grid": self.levels, "nfe": self.table.nfe, **numbers}


@dataclass(frozen=True, eq=False)
class Design:
    """The answer of `design`.

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


def design(
    denoise: Denoiser,
    schedule: Schedule,
    *,
    nfe: int,
    begin: Point | None = None,
    end: Point | None = None,
    shape: tuple[int, ...] | None = None,
    start: Tensor | None = None,
    method: str | None = None,
    tune: bool = False,
    seed: int = 0,
    model: str = "",
    progress: Progress = silent,
) -> Design:
    """A table of `nfe` evaluations made for a model: levels, and weights of the last four outputs with row sums of 1.

    The model is recorded along a few fine trajectories and linearised about them; levels and weights then minimise the
    signed error at the end, sum over trajectories of log(1 + |y_N - y*|^2/c), by least squares. The table is confirmed
    on other trajectories, against the best record on its best levels, which is returned where it is better.
    denoise: a mixture, or what `adapt` or a checkpoint's `denoiser` returns.  begin, end: points of the schedule, by
    default the usual ones; the data frame is used on every schedule.
    shape: of a sample, where denoise is no mixture and no start is given.  start: samples at `begin`, [n, *shape];
    by default drawn, of a mixture from its exact law, else from the usual start law.
    method: of a record, whose levels alone are then designed.  tune: go on through the model itself, by difference
    quotients of whole runs.  seed: of the starts.  model: its name or hash, for the provenance.
    Raises InputError on fewer than 2 evaluations, a start of too few samples, and a model whose answers to one question
    differ; SamplingError on an answer that is not finite.

    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> edm = sp.schedule("edm")
    >>> made = sp.design(mixture, edm, nfe=5, begin=edm.point(10.0), end=edm.point(0.05))
    >>> made.designed.confirmed < made.record.confirmed / 2
    True
    """
    runnable("denoise", denoise, DENOISER)
    of_type("schedule", schedule, Schedule, 'a schedule, such as sp.schedule("edm")')
    if not 2 <= whole("nfe", nfe) <= MOST:
        raise InputError("nfe", nfe, f"from 2 to {MOST} evaluations")
    first, last = usual_ends(schedule)
    ends = (first if begin is None else begin, last if end is None else end)
    counted = Counted(denoise)
    fit, select, confirm = _starts(denoise, schedule, ends[0], shape, start, seed)
    check_repeatable(counted, fit[:1], ends[0])

    # Recorded and linearised; tables and records are then compared without the model.
    progress(0, 5, "recording")
    recording = record(counted, schedule, *ends, fit)
    linear = linearise(counted, recording)
    progress(1, 5, "fitting")
    work = _Levels(recording, linear, method, nfe) if method else _Table(recording, linear, nfe)
    made, known = work.made(), work.known()
    # Measured on other trajectories: which of the tables and which of the records.
    progress(2, 5, "selecting")
    measure = run_errors(counted, record(counted, schedule, *ends, select))
    best, against = _best(made, measure), _best(known[:SHORT_LIST], measure)
    progress(3, 5, "tuning" if tune else "confirming")
    if tune:
        best = _best([best, work.tuned(counted, best)], measure)
    # Measured on a third set, which nothing was chosen by.
    progress(4, 5, "confirming")
    held_out = record(counted, schedule, *ends, confirm)
    measure = run_errors(counted, held_out)
    designed, rival, plain = (_measured(one, measure) for one in (best, against, baseline(recording, linear, nfe)))
    chosen = designed if designed.middle <= rival.middle else rival
    facts = {
        "made by": "samplerproof design",
        "samplerproof": version("samplerproof"),
        "model": model,
        "schedule": spelled_schedule(schedule),
        "method": chosen.method,
        "grid": chosen.levels,
        "steps": max(chosen.table.step),
        "nfe": nfe,
        "seed": seed,
        "trajectories": {"fitted": len(fit), "selected": len(select), "confirmed": len(confirm)},
        "evaluations": counted.rows,
        "confirmed": {name: chosen.plain()[name] for name in ("confirmed", "low", "high")},
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

    def tuned(self, denoise: Denoiser, best: Rival) -> Rival:
        raise InputError("tune", True, "a design of weights too: without a method")


def baseline(recording: Recording, linear: LinearisedModel, nfe: int) -> Rival:
    """Plain 2M on Karras' levels, which most people use."""
    for levels, grid in grids_between(recording.schedule, recording.begin, recording.end, nfe):
        if levels.name == BASELINE_LEVELS:
            return rival_on(BASELINE, levels.name, grid, recording, linear)
    raise InputError("schedule", recording.schedule.kind, "a schedule on which Karras' levels exist")


def check_repeatable(denoise: Denoiser, start: Tensor, at: Point) -> None:
    """Raise InputError where a model answers one question in two ways, SamplingError where it is not finite."""
    one, two = (denoise(start.clone(), at, "data") for _ in range(2))
    if not bool(torch.isfinite(one).all()):
        raise SamplingError(f"t = {at.t:g}: the denoiser returned a non-finite value")
    if not torch.equal(one, two):
        raise InputError("denoise", "two answers to one question", "a model that is deterministic")


def _starts(
    denoise: Denoiser, schedule: Schedule, begin: Point, shape: tuple[int, ...] | None, start: Tensor | None, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Start samples to fit to, to select by and to confirm on."""
    if start is not None:
        of_type("start", start, Tensor, "a tensor [samples, ...]")
        if start.ndim < 2 or len(start) < 8:
            raise InputError("start", list(start.shape), TRAJECTORIES)
        quarter = len(start) // 4
        return _parted(start, (len(start) - 2 * quarter, quarter, quarter))
    generator = torch.Generator().manual_seed(seed)
    if isinstance(denoise, GaussianMixture):
        counts = LINE if denoise.dim <= WHOLE else IMAGES
        drawn = denoise.sample(sum(counts), begin, generator)
    elif shape is None:
        raise InputError("shape", None, "the shape of a sample, such as (3, 32, 32), or start samples")
    else:
        counts = LINE if math.prod(shape) <= WHOLE else IMAGES
        noise = torch.randn((sum(counts), *shape), generator=generator, dtype=torch.float64)
        drawn = schedule.prior_std(begin) * noise
    return _parted(drawn, counts)


def _parted(start: Tensor, counts: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    first, second = counts[0], counts[0] + counts[1]
    return start[:first], start[first:second], start[second:]


def _sound(table: Tableau) -> bool:
    """Whether a table's rows keep digits, and its errors do not grow."""
    found = guarantees(table)
    return found.digits <= LARGEST and found.growth <= GROWTH


def _best(given: list[Rival], measure: Any) -> Rival:
    return min(given, key=lambda one: middle(_sizes(one.table, measure)))


def _sizes(table: Tableau, measure: Any) -> Tensor:
    """The sizes of a table's errors, infinite where its run is not finite."""
    try:
        found: Tensor = measure(table)
    except SamplingError:
        return torch.tensor([math.inf], dtype=torch.float64)
    return found


def _measured(one: Rival, measure: Any) -> Measured:
    sizes = _sizes(one.table, measure)
    median, low, high = median_interval(sizes)
    root = float(sizes.square().mean().sqrt())
    return Measured(one.method, one.levels, one.table, one.predicted, median, low, high, middle(sizes), root)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
