"""What a stranger's table can equal: the catalogue on its grid, with its start-up, last steps and stages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...catalogue import METHODS, resolve
from ...coefficients import plan, with_history
from ...errors import InputError, SamplingError
from ...generated.frame_functions import FRAMES
from ...grids import Grid
from ...readback import Trace, image, table
from ...records import Record
from ...tableau import Tableau, assemble
from ..processes import clock_at, grid_of, lam_of
from .compare import deviations, same_shape


@dataclass(frozen=True)
class Reference:
    """A table of the catalogue on a stranger's grid.  ending: "" or how its last steps differ from the record's."""

    record: Record
    ending: str
    table: Tableau

    @property
    def name(self) -> str:
        return f"{self.record.name} ({self.ending})" if self.ending else self.record.name


LOWERED = "last steps of lower order"
THROUGH = "last step as every other"
QUIET = "no noise in the last step"
STARTED = "started by"
SAME = 1e-13  # of two tables of one record
CLOSE = 1e-3  # of a row in float32 that is a record's
SHORT = "steps of fewer evaluations by its lower orders"


def candidates(found: Trace, process: str, names: Sequence[str] | None = None) -> Iterator[Reference]:
    """Every record that asks its model in the same steps as the trace, of those named, each in every variant.

    names: None for the whole catalogue, or rather for what draws noise in it if the trace does, else for what does not.
    Raises InputError where the points of the trace make no grid.
    """
    grid, mine = grid_of(process, found.grid), table(found)
    for name in similar(found) if names is None else names:
        yield from variants(found, mine, grid, resolve(name))


def similar(found: Trace) -> list[str]:
    """The records that draw noise as the trace does, or does not."""
    draws = bool(found.vectors[:, 1 + found.nfe :].any())
    return [name for name, record in METHODS.items() if record.stochastic == draws]


def asked_elsewhere(found: Trace, process: str, name: str) -> tuple[int | None, str]:
    """Step and words for the first evaluation that a record would make elsewhere than the trace, counted in order."""
    record, steps = resolve(name), len(found.grid) - 1
    try:
        each = [1 if m is None else m.nfe_per_step for m in plan(record, grid_of(process, found.grid))]
    except InputError:
        return None, f"{name} does not exist on this grid"
    expected = [(n, n + (k > 0)) for n, count in enumerate(each) for k in range(count)]
    if not found.evaluated[0] and bool(found.vectors[1, 0] != 0) and not bool(found.vectors[1, 1:].any()):
        scaled = f"step 1: the model is first asked at {float(found.vectors[1, 0]):.15g} times the start"
        return 1, f"{scaled}; {name} asks at the start"
    made = [i for i, asked in enumerate(found.evaluated) if asked]
    for j, (i, (n, to)) in enumerate(zip(made, expected, strict=False), start=1):
        if found.step[i] != to:
            at = f"at lambda = {lam_of(found.points[i]):.6g}, on the way to grid point {found.step[i]}"
            return n + 1, f"step {n + 1}: evaluation {j} is {at}; that of {name} is on the way to grid point {to}"
    counts = f"{len(made)} evaluations, {name} makes {len(expected)}"
    if len(made) < len(expected):
        n, _ = expected[len(made)]
        return n + 1, f"{counts}; step {n + 1} is the first without its own"
    if len(made) > len(expected):
        return steps, f"{counts}"
    return None, f"{name} does not exist on this grid"


def variants(found: Trace, mine: Tableau, grid: Grid, record: Record) -> Iterator[Reference]:
    """The record as it is, and with its last steps or its start taken otherwise, each table once.

    mine: the table of the trace. Other starts are tried where most rows are the record's.
    """
    if record.history >= grid.steps:
        return
    told: list[Tableau] = []
    for ending, methods in _plans(record, grid, _asked(found)).items():
        if STARTED in ending and not any(_mostly(mine, t) for t in told):
            continue
        if sum(1 if m is None else m.nfe_per_step for m in methods) != found.nfe:
            continue
        try:
            tableau = assemble(record, methods, grid, numbers=_numbers(record, methods, found, grid))
            read = table(image(tableau, found.prediction, found.grid), record.name)
        except (InputError, SamplingError):  # not a method for this grid: its frame, its stages or its weights at the
            continue  # stages of the trace do not exist here
        if any(same_shape(read, t) and max(d.error for d in deviations(read, t)) < SAME for t in told):
            continue
        told.append(read)
        yield Reference(record, ending, read)
        last = read.noises[-1] if read.noises.shape[1] else None
        if last is not None and bool(last.any()):
            quiet = read.noises.clone()
            quiet[-1] = 0
            yield Reference(record, QUIET, replace(read, noises=quiet))


def _plans(record: Record, grid: Grid, asked: list[int]) -> dict[str, list[Record | None]]:
    """Who takes each step, by what is unusual about it."""
    plans = {"": plan(record, grid)}
    if record.history:
        plans[LOWERED] = lowered(record, grid)
    if plans[""][-1] is None and record.frame == "noise-rho":  # its clock is finite at sigma = 0
        plans[THROUGH] = [*plans[""][:-1], record]
    if record.nfe_per_step == max(asked) > min(asked) and not record.history:
        family = _one_evaluation(record) | {m.nfe_per_step: m for m in METHODS.values() if _siblings(m, record)}
        plans[SHORT] = [record if asked[n] == record.nfe_per_step else family.get(asked[n]) for n in range(grid.steps)]
    if record.history > 1:
        own = next((m for m in plans[""] if m is not None and m.history == 1), None)
        if own is not None:
            for other in _starts(own):
                for ending, methods in ((STARTED, plans[""]), (f"{LOWERED}, {STARTED}", plans[LOWERED])):
                    plans[f"{ending} {other.name}"] = [_instead(m, own, other) for m in methods]
    return plans


def _instead(method: Record | None, own: Record, other: Record) -> Record | None:
    """The other start in the place of a record's own."""
    return other if method is not None and method.name == own.name else method


def _mostly(mine: Tableau, other: Tableau) -> bool:
    """Whether most rows are the same, but for rounding."""
    if not same_shape(mine, other):
        return False
    near = sum(d.error < CLOSE for d in deviations(mine, other))
    return 2 * near > len(mine.states)


def _starts(own: Record) -> Iterator[Record]:
    """The two-step records that could take the second step in place of a record's own start, stochastic ones too."""
    for name, other in METHODS.items():
        like = all(getattr(other, a) == getattr(own, a) for a in ("frame", "nfe_per_step", "history"))
        if like and other.stochastic and not own.stochastic and "tau" in other.numbers:
            yield resolve(f"{name}?tau=0")
        elif like and other.stochastic == own.stochastic and name != own.name:
            yield other


def _one_evaluation(record: Record) -> dict[int, Record]:
    """{1: the sampler of one evaluation} of a stochastic record, in its frame and of its strength; else the one-node
    rule will do.
    """
    if not record.stochastic:
        return {}
    alike = (m for m in METHODS.values() if m.stochastic and (m.kind, m.frame) == ("one-step", record.frame))
    strength = tuple((symbol, value) for symbol, value in record.values if symbol == "tau")
    return {m.nfe_per_step: replace(m, values=strength) for m in alike if set(m.numbers) == {"tau"}}


def _siblings(one: Record, other: Record) -> bool:
    """Whether two names differ in nothing but their number: dpm-solver++-2s-taylor and -3s-taylor."""
    return re.sub(r"\d", "", one.name) == re.sub(r"\d", "", other.name) and one.rows[0].to == other.rows[0].to


def lowered(record: Record, grid: Grid) -> list[Record | None]:
    """The record's plan, with step N - 1 - j taken by what needs no more than j steps before it."""
    full = plan(record, grid)
    for j in range(record.history):
        n = grid.steps - 1 - j
        had = full[n]
        if had is not None and had.history > j:
            full[n] = with_history(record, j)
    return full


def _asked(found: Trace) -> list[int]:
    """Evaluations in every step: at the state that it starts from, and at the stages on the way to its end."""
    steps = len(found.grid) - 1
    made = Counter(to for to, evaluated in zip(found.step, found.evaluated, strict=True) if evaluated)
    return [made[n + 1] + (n + 1 == steps) for n in range(steps)]


def _numbers(record: Record, methods: Sequence[Record | None], found: Trace, grid: Grid) -> dict[str, Tensor]:
    """Parameters by step: those the trace names, and the places of stages, as fractions of each step in the clock.

    Free stages, and those at the middle of the step in t: which t a stranger's levels are numbered by is not known.
    """
    given = {s: torch.tensor(v, dtype=torch.float64) for s, v in found.numbers.items() if s in record.numbers}
    clock = FRAMES[record.frame].clock
    ends, at = getattr(grid.columns, clock), clock_at(clock, found.points)
    for n, method in enumerate(methods):
        to = [row.to for row in method.rows if isinstance(row.to, str)] if method else []
        inside = [i for i, end in enumerate(found.step) if end == n + 1 and found.evaluated[i]]
        seen = [float((at[i] - ends[n]) / (ends[n + 1] - ends[n])) for i in inside[: len(to)]]
        if method is None or len(seen) < len(to) or not all(0 < place < 1 for place in seen):
            continue
        for name, place in zip(to, seen, strict=True):
            default = float(method.numbers.get(name, 0.5))
            given.setdefault(name, torch.full((grid.steps,), default, dtype=torch.float64))[n] = place
    return given
