"""The tables that an external sampler can equal: the catalogue on its grid, in variants of start, end and stages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from ...catalogue import METHODS, resolve
from ...coefficients import ONE_NODE, plan, with_history
from ...errors import InputError, SamplingError
from ...generated.frame_functions import FRAMES
from ...grids import Grid
from ...readback import Trace, image
from ...records import Record
from ...tableau import Tableau, assemble
from ..forward_processes import clock_at, grid_of
from .compare import deviations, same_shape


@dataclass(frozen=True)
class Reference:
    """A table of the catalogue on the grid of a trace.  ending: "" or how the variant differs from the record.

    own: the table in the prediction of the record.
    """

    record: Record
    ending: str
    table: Tableau
    own: Tableau | None = None

    @property
    def name(self) -> str:
        return f"{self.record.name} ({self.ending})" if self.ending else self.record.name


LOWER_ORDER_END = "last steps of lower order"
FIRST_ORDER_END = "last step of first order"
LAST_AS_OTHERS = "last step as every other"
NOISELESS_END = "no noise in the last step"
STARTED = "started by"
SAME = 1e-13  # of two tables of one record
CLOSE = 1e-3  # of rows in float32 that are equal
FEWER_EVALUATIONS = "steps of fewer evaluations by its lower orders"


def candidates(
    found: Trace, process: str, names: Sequence[str] | None = None, endings: Collection[str] = ()
) -> Iterator[Reference]:
    """Every record that evaluates its model in the same steps as the trace, of those named, each in every variant.

    names: None for all records that draw noise as the trace does, or does not.  endings: of the variants that are
    wanted of one record; empty for all.
    Raises InputError where the points of the trace are no grid.
    """
    grid = grid_of(process, found.grid, found.schedule)
    for name in similar(found) if names is None else names:
        record = _from_no_noise(resolve(name), grid)
        yield from variants(found, grid, record, names is not None and len(names) == 1, endings)


def _from_no_noise(record: Record, grid: Grid) -> Record:
    """DDIM by the noise prediction for a run that starts without noise, as inversion does: there the data prediction
    leaves the noise open. Elsewhere the two are one table.
    """
    if grid.points[0].sigma > 0 or record.frame != "data" or [row.weights for row in record.rows] != ["ddim"]:
        return record
    return replace(record, frame="noise-rho", rows=ONE_NODE)


def similar(found: Trace) -> list[str]:
    """The records that draw noise if the trace does, else those that do not."""
    draws = bool(found.vectors[:, 1 + found.nfe :].any())
    return [name for name, record in METHODS.items() if record.stochastic == draws]


def where_it_evaluates(found: Trace, process: str, name: str) -> tuple[int | None, str]:
    """The step of the first evaluation that a record makes elsewhere than the trace, in order, and its description."""
    record, steps = resolve(name), len(found.grid) - 1
    try:
        each = [1 if m is None else m.nfe_per_step for m in plan(record, grid_of(process, found.grid, found.schedule))]
    except InputError:
        return None, f"{name} does not exist on this grid"
    expected = [(n, n + (k > 0)) for n, count in enumerate(each) for k in range(count)]
    if not found.evaluated[0] and bool(found.vectors[1, 0] != 0) and not bool(found.vectors[1, 1:].any()):
        scaled = f"step 1: the model is first evaluated at {float(found.vectors[1, 0]):.15g} times the start"
        return 1, f"{scaled}; {name} evaluates it at the start"
    made = [i for i, evaluated in enumerate(found.evaluated) if evaluated]
    for j, (i, (n, to)) in enumerate(zip(made, expected, strict=False), start=1):
        if found.step[i] != to:
            at = f"at lambda = {found.points[i].lam:.6g}, in the step to grid point {found.step[i]}"
            return n + 1, f"step {n + 1}: evaluation {j} is {at}; that of {name} is in the step to grid point {to}"
    counts = f"{len(made)} evaluations, {name} makes {len(expected)}"
    if len(made) < len(expected):
        n, _ = expected[len(made)]
        return n + 1, f"{counts}; step {n + 1} is the first without one"
    if len(made) > len(expected):
        return steps, counts
    return None, f"{name} does not exist on this grid"


def variants(
    found: Trace, grid: Grid, record: Record, named: bool = False, endings: Collection[str] = ()
) -> Iterator[Reference]:
    """The record as it is, and with other last steps or another start, each table once.

    Other starts are tried where most rows are the record's, or where it is named: in another prediction than its own a
    start changes the rows after it as well.
    """
    tables: list[Tableau] = []
    close = False  # whether most rows of one of them are the trace's
    for ending, methods in _plans(record, grid, _evaluations(found)).items():
        if STARTED in ending and not named and not close:
            continue
        if endings and ending not in endings and NOISELESS_END not in endings:
            continue
        if sum(1 if m is None else m.nfe_per_step for m in methods) != found.nfe:
            continue
        try:
            tableau = assemble(record, methods, grid, numbers=_numbers(record, methods, found, grid))
            read = image(tableau, found.prediction, found.grid).table
        except (InputError, SamplingError):  # its frame, its stages or its weights do not exist on this grid
            continue
        if any(same_shape(read, t) and max(d.error for d in deviations(read, t)) < SAME for t in tables):
            continue
        tables.append(read)
        close = close or _most_rows_equal(found.table, read)
        yield Reference(record, ending, read, tableau)
        last = read.noises[-1] if read.noises.shape[1] else None
        if last is not None and bool(last.any()):
            noises = read.noises.clone()
            noises[-1] = 0
            own = tableau.noises.clone()
            own[-1] = 0
            noiseless = replace(tableau, noises=own)
            yield Reference(record, NOISELESS_END, replace(read, noises=noises), noiseless)


def _plans(record: Record, grid: Grid, counts: list[int]) -> dict[str, list[Record | None]]:
    """The record of each step, by the name of the variant.  counts: the evaluations in each step of the trace."""
    plans = {"": plan(record, grid)}
    if record.history >= grid.steps:  # only its start-up is left
        return plans
    if record.history:
        plans[LOWER_ORDER_END] = lower_order_end(record, grid)
    if record.history > 1 and plans[""][-1] is not None:
        plans[FIRST_ORDER_END] = [*plans[""][:-1], with_history(record, 0)]
    if plans[""][-1] is None and record.frame == "noise-rho":  # its clock is finite at sigma = 0
        plans[LAST_AS_OTHERS] = [*plans[""][:-1], record]
    if record.nfe_per_step == max(counts) > min(counts) and not record.history:
        family = _one_evaluation(record) | {m.nfe_per_step: m for m in METHODS.values() if _siblings(m, record)}
        plans[FEWER_EVALUATIONS] = [record if n == record.nfe_per_step else family.get(n) for n in counts]
    if record.history > 1:
        own = next((m for m in plans[""] if m is not None and m.history == 1), None)
        if own is not None:
            for other in _starts(own):
                for ending in ("", LOWER_ORDER_END, FIRST_ORDER_END):
                    if ending in plans:
                        words = f"{ending}, {STARTED} {other.name}" if ending else f"{STARTED} {other.name}"
                        plans[words] = [_instead(m, own, other) for m in plans[ending]]
    return plans


def _instead(method: Record | None, own: Record, other: Record) -> Record | None:
    """The other start in place of the record's own."""
    return other if method is not None and method.name == own.name else method


def _most_rows_equal(mine: Tableau, other: Tableau) -> bool:
    """Whether most rows are equal up to rounding."""
    if not same_shape(mine, other):
        return False
    near = sum(d.error < CLOSE for d in deviations(mine, other))
    return 2 * near > len(mine.states)


def _starts(own: Record) -> Iterator[Record]:
    """The two-step records that could take the second step in place of the record's own start."""
    for name, other in METHODS.items():
        alike = ("frame", "nfe_per_step", "history", "stochastic")
        if name != own.name and all(getattr(other, a) == getattr(own, a) for a in alike):
            yield other


def _one_evaluation(record: Record) -> dict[int, Record]:
    """{1: the sampler of one evaluation} for a stochastic record, in its frame and with its tau; empty for others, for
    which the one-node rule serves.
    """
    if not record.stochastic:
        return {}
    alike = (m for m in METHODS.values() if m.stochastic and (m.kind, m.frame) == ("one-step", record.frame))
    strength = tuple((symbol, value) for symbol, value in record.values if symbol == "tau")
    return {m.nfe_per_step: replace(m, values=strength) for m in alike if set(m.numbers) == {"tau"}}


def _siblings(one: Record, other: Record) -> bool:
    """Whether two names differ in their number only: dpm-solver++-2s-taylor and -3s-taylor."""
    return re.sub(r"\d", "", one.name) == re.sub(r"\d", "", other.name) and _first_stage(one) == _first_stage(other)


def _first_stage(record: Record) -> int | Fraction | type[str]:
    """The end of a record's first row; str where it is a parameter, whose name may differ."""
    to = record.rows[0].to
    return str if isinstance(to, str) else to


def lower_order_end(record: Record, grid: Grid) -> list[Record | None]:
    """The record's plan, in which step N - 1 - j uses no more than j steps before it."""
    full = plan(record, grid)
    for j in range(min(record.history, grid.steps)):
        n = grid.steps - 1 - j
        had = full[n]
        if had is not None and had.history > j:
            full[n] = with_history(record, j)
    return full


def _evaluations(found: Trace) -> list[int]:
    """The number of evaluations in every step: at its start, and at its stages."""
    steps = len(found.grid) - 1
    made = Counter(to for to, evaluated in zip(found.step, found.evaluated, strict=True) if evaluated)
    return [made[n + 1] + (n + 1 == steps) for n in range(steps)]


def _numbers(record: Record, methods: Sequence[Record | None], found: Trace, grid: Grid) -> dict[str, Tensor]:
    """Parameters by step: those in the trace, and the positions of stages, as fractions of each step in the clock.

    Free stages, and those at the middle of the step in t, since the t of external levels is not known.
    """
    given = {s: torch.tensor(v, dtype=torch.float64) for s, v in found.numbers.items() if s in record.numbers}
    clock = FRAMES[record.frame].clock
    ends, at = getattr(grid.columns, clock), clock_at(clock, found.points)
    inside: dict[int, list[int]] = {}  # the evaluations in every step
    for i, end in enumerate(found.step):
        if found.evaluated[i]:
            inside.setdefault(end, []).append(i)
    for n, method in enumerate(methods):
        to = [row.to for row in method.rows if isinstance(row.to, str)] if method else []
        seen = [float((at[i] - ends[n]) / (ends[n + 1] - ends[n])) for i in inside.get(n + 1, [])[: len(to)]]
        if method is None or len(seen) < len(to) or not all(0 < fraction < 1 for fraction in seen):
            continue
        for name, fraction in zip(to, seen, strict=True):
            default = float(method.numbers.get(name, 0.5))
            given.setdefault(name, torch.full((grid.steps,), default, dtype=torch.float64))[n] = fraction
    return given
