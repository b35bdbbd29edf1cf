"""The records of a study: of every sampler on every grid, from the store or computed now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from ..content import digest
from ..errors import InputError
from ..grids import Grid
from ..support.manifest import fingerprint
from ..support.progress import Progress
from ..tableau import Tableau
from .invariants import consistent
from .problem import Key, Problem
from .read_function import AsItIs
from .routes import ESTIMATED
from .samplers import CatalogueMethod, Reading, Sampler
from .shared_work import Claims, shared
from .store import Store, Value, none
from .store import key as key_of


class Measures(Protocol):
    """Runs samplers and measures them: Measurement on a mixture, NetworkMeasurement on a network."""

    @property
    def problem(self) -> Problem: ...

    def ends(self, tables: Sequence[Tableau], grid: Grid, /) -> list[Tensor | None]:
        """The ends of runs on one grid that cost less together, None of the others: `measure` takes them."""
        ...

    def measure(
        self, tableau: Tableau, grid: Grid, wanted: Sequence[str], end: Tensor | None = None, /
    ) -> dict[str, Value]:
        """A value for every metric wanted."""
        ...

    def measure_as_it_is(self, sampler: AsItIs, grid: Grid, wanted: Sequence[str], /) -> dict[str, Value]:
        """The same for a sampler that has no table."""
        ...

    def echo(self) -> dict[str, Any]:
        """Entries of the manifest beside those of the study."""
        ...


class Piece(NamedTuple):
    """What is computed at once: some metrics of one sampler on one grid."""

    sampler: Sampler
    on: Key
    metrics: tuple[str, ...]


Elsewhere = Callable[[Mapping[int, Piece]], Iterator[tuple[int, dict[str, Value]]]]


def measured(measurement: Measures, pieces: Sequence[Piece]) -> Iterator[dict[str, Value]]:
    """The values of pieces on one grid, in turn; without a table on it, or from its start values, none, with a reason.

    They do not depend on the pieces that are measured together.
    """
    problem, key = measurement.problem, pieces[0].on
    grid = problem.grids[key]
    found = [_form(problem, piece) for piece in pieces]
    tables = {k: form for k, form in enumerate(found) if isinstance(form, Tableau)}
    ends = dict(zip(tables, measurement.ends(list(tables.values()), grid), strict=True))
    for k, (piece, form) in enumerate(zip(pieces, found, strict=True)):
        try:
            if isinstance(form, InputError):
                raise form
            if isinstance(form, AsItIs):
                yield measurement.measure_as_it_is(form, grid, piece.metrics)
            else:
                yield measurement.measure(form, grid, piece.metrics, ends.get(k))
        except InputError as fault:
            yield none(piece.metrics, str(fault))


def _form(problem: Problem, piece: Piece) -> Reading:
    """The table of a sampler on a grid, the sampler that is run as it is, or why it is neither."""
    try:
        return piece.sampler.as_it_is(problem.grids[piece.on]) or problem.tableau(piece.sampler, piece.on)
    except InputError as fault:
        return fault


def records_of(
    measurement: Measures,
    store: Store,
    claims: Claims,
    progress: Progress,
    count: Callable[[int], object],
    elsewhere: Elsewhere | None = None,
) -> list[dict[str, Any]]:
    """The records in the order of the file.

    count: called with the number of records of every piece that was computed for this process.
    elsewhere: computes pieces in other processes, and yields their values in the order of completion. What it leaves
    out is computed here.
    """
    problem = measurement.problem
    # A run is one sampler on one grid; every metric of it has a key of its own in the store. The samplers of a grid run
    # together, or one after another: they share what is kept of its points.
    crossed = [(sampler, key) for sampler in problem.samplers for key in problem.study.crossed]
    runs = [(sampler, key) for key in problem.study.crossed if key in problem.grids for sampler in problem.samplers]
    specs: list[dict[str, Any]] = []
    points = {key: digest(grid.points) for key, grid in problem.grids.items()}
    for sampler, key in runs:
        common = _spec(problem, sampler, key, points[key])
        specs.append({metric: {**common, "metric": metric} for metric in problem.study.run.metrics})
    names = [key_of(spec) for spec in specs]
    found: dict[int, dict[str, Value]] = {}

    def stored(k: int) -> dict[str, Value]:
        return {metric: value for metric, spec in specs[k].items() if (value := store.get(spec)) is not None}

    def finished(k: int) -> dict[str, Value] | None:
        values = stored(k)
        return values if len(values) == len(specs[k]) else None

    def missing(k: int, earlier: dict[str, Value]) -> Piece:
        return Piece(*runs[k], tuple(metric for metric in specs[k] if metric not in earlier))

    def keep(made: Mapping[int, tuple[dict[str, Value], dict[str, Value]]]) -> dict[int, dict[str, Value]]:
        """The values of runs, from the stored ones of each and those made now, which are stored."""
        answers, changed = {}, []
        for k, (earlier, found_now) in made.items():
            sampler, key = runs[k]
            fresh = {metric: value.finite for metric, value in found_now.items()}
            values = consistent(earlier | fresh)  # a new value must agree with the reused ones too
            if sampler.kept(problem.grids[key]):
                changed += [(specs[k][m], value) for m, value in values.items() if value != earlier.get(m)]
            count(len(found_now))
            answers[k] = {metric: values[metric] for metric in specs[k]}
        store.put(changed)
        return answers

    def beside(k: int) -> Iterator[int]:
        """Later runs on the grid of a run, neither stored nor claimed by other processes: they are claimed here."""
        _, key = runs[k]
        for j in range(k + 1, len(runs)):
            sampler, on = runs[j]
            if on == key and sampler.kept(problem.grids[key]) and claims.take(names[j]):
                if finished(j) is None:
                    yield j
                else:
                    claims.drop(names[j])

    def compute(k: int) -> dict[str, Value]:
        """The values of a run; those of others that cost less together with it are kept for later."""
        together = [k, *islice(beside(k), problem.at_once - 1)]
        earlier = {j: stored(j) for j in together}
        pieces = [missing(j, values) for j, values in earlier.items()]
        (name, steps), more = pieces[0].on, f" and {len(pieces) - 1} more" if pieces[1:] else ""
        where = f", {name}" if len(problem.study.grids) > 1 else ""
        label = f"{pieces[0].sampler.name}{more}{where}, N = {steps}"
        progress(len(found), len(runs), label)
        made = measured(measurement, pieces)
        answers = keep({j: (earlier[j], values) for j, values in zip(together, made, strict=True)})
        progress(len(found) + len(together), len(runs), label)  # an interruption states what is kept
        for j in together[1:]:
            claims.drop(names[j])
        return answers[k]

    if elsewhere is not None:
        # Samplers of the catalogue only: the code of others is here, and may be nowhere else.
        ours = {k: stored(k) for k, (sampler, _) in enumerate(runs) if isinstance(sampler, CatalogueMethod)}
        left = [k for k, earlier in ours.items() if len(earlier) < len(specs[k]) and claims.take(names[k])]
        pieces = {k: missing(k, ours[k]) for k in left}
        for done, (k, made) in enumerate(elsewhere(pieces), start=1):
            progress(done, len(pieces), "")
            keep({k: (ours[k], made)})
            claims.drop(names[k])
    # The runs in the order of completion, their records in the order of the file.
    for k, values in shared(claims, names, finished, compute):
        found[k] = values
    progress(len(runs), len(runs), "")
    made_of = {(sampler.name, key): found[k] for k, (sampler, key) in enumerate(runs)}
    records = []
    for sampler, key in crossed:
        without = none(problem.study.run.metrics, str(problem.faults.get(key)))
        for metric, value in made_of.get((sampler.name, key), without).items():
            records.append(_entry(sampler.name, key, metric, value))
    return records


def _entry(method: str, on: Key, metric: str, value: Value) -> dict[str, Any]:
    """A record of the answer."""
    grid, steps = on
    entry = {"method": method, "grid": grid, "steps": steps, "nfe": value.nfe, "metric": metric, "value": value.value}
    if metric in ESTIMATED:
        entry |= {"low": value.low, "high": value.high, "floor": value.floor, "needed": value.needed}
    elif value.low is not None:
        entry |= {"low": value.low, "high": value.high}
    if value.groups:
        entry |= {"groups": list(value.groups)}
    entry |= {"error": value.error}
    return entry if value.value is not None else entry | {"reason": value.reason}


def _spec(problem: Problem, sampler: Sampler, on: Key, points: str) -> dict[str, Any]:
    """All that determines the values of a run, with defaults and the source code; with the metric the key of one.

    points: the digest of the grid's points.
    """
    study, grid = problem.study, problem.grids[on]
    chosen = {choice.called: choice for choice in study.grids}.get(on[0])
    schedule = study.schedule.parameters if problem.schedule is None else problem.schedule.parameters
    return {
        "target": problem.target,
        "schedule": {"kind": study.schedule.kind, **schedule},
        "grid": None if chosen is None else {"kind": chosen.kind, **chosen.parameters},
        "points": points,  # a kind may name a scheduler, whose code is not in the key
        "method": sampler.identity(grid),
        "steps": grid.steps,
        "init": study.run.init,
        "start": study.run.start,
        "count": problem.count,
        "seed": study.run.seed,
        "code": fingerprint(sampler.methods),
    }
