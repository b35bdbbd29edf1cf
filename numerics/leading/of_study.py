"""The leading errors of the methods of a study, and the tolerances within which measured errors agree with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from ..content import digest
from ..errors import InputError, SamplingError, one_line
from ..grid_kinds.all_kinds import checked
from ..grids import SMOOTH, Grid
from ..laws.gaussian import moments
from ..points import Point
from ..rates import trend
from ..records import Record
from ..schedules import Schedule
from ..studies.config import GridChoice, Study
from ..studies.measure import start_samples
from ..studies.mixture_problem import MixtureProblem, prepare
from ..studies.problem import Key, Problem
from ..studies.samplers import EXACT, Sampler
from ..studies.store import canonical
from .exact_path import Path, along_grid, along_kind
from .leading_error import LeadingError, has_leading_error, leading_error, resolved
from .second_term import TwoTerms, two_terms, why_unknown

NODES = 2001  # in 1-D: on M1 the constants agree with those of 6001 nodes to four digits; 501 nodes are 8 % off
NODES_ON_ONE_GRID = 401
MOST_NUMBERS = 1 << 16  # of the samples in d > 1: a method of order 3 takes seconds, one of order 4 half a minute


@dataclass(frozen=True)
class Tolerance:
    """Measured error over leading error lies within 1 +- share from N = `steps` on."""

    steps: int
    share: float


# On grids uniform in lambda or of Karras et al., for root mean square and TV; KL, a square, has twice the share.
LINE = (Tolerance(128, 0.05), Tolerance(512, 0.01))
LINE_THIRD_ORDER_MULTISTEP = (Tolerance(256, 0.06), Tolerance(2048, 0.01))
SPACE = (Tolerance(64, 0.05), Tolerance(256, 0.011))  # for the mean distance


Run = tuple[str, str, int]  # a method and a grid, as the study names them, and a number of steps


@dataclass(frozen=True)
class LeadingErrors:
    """The leading errors of the runs of a study, and why the others have none.

    spread: the root mean square distance of the target law from its mean.
    """

    found: dict[Run, LeadingError]
    missing: dict[Run, str]
    spread: float = math.inf

    def at(self, record: Mapping[str, Any]) -> float | None:
        """The error that leads in a record of the study: of the steps, or of a start-up of lower order.

        None where it is larger than an error in this metric can be, as it does not lead there.
        """
        expected = self._unbounded(record)
        return None if expected is None or expected > self._largest(record["metric"]) else expected

    def why_not(self, record: Mapping[str, Any]) -> str:
        """Why a record has no leading error."""
        run = record["method"], record["grid"], record["steps"]
        expected = self._unbounded(record)
        if expected is not None:
            return "the leading term is larger than an error can be: it leads on more steps only"
        known = (
            ", ".join(metric for metric in self.found[run].constants if metric != "mean") if run in self.found else ""
        )
        return self.missing.get(run, f"it is known in {known} only")

    def _unbounded(self, record: Mapping[str, Any]) -> float | None:
        leading = self.found.get((record["method"], record["grid"], record["steps"]))
        return None if leading is None else leading.larger(record["metric"], record["steps"])

    def _largest(self, metric: str) -> float:
        """1 in total variation; of distances twice the spread. KL, near half a chi-squared distance, leads below 1."""
        return 1.0 if metric in ("tv", "kl") else 2 * self.spread


def leading_errors_of(study: Study) -> dict[tuple[str, int], LeadingError]:
    """The leading errors of a study of one grid by method (as the study names it) and number of steps, where known."""
    return {(name, steps): leading for (name, _, steps), leading in leading_errors(prepare(study)).found.items()}


def leading_errors(problem: Problem) -> LeadingErrors:
    """The leading errors of the deterministic methods of a study of a mixture, and of the external samplers that have
    the rows of such a method on a grid.

    None where the start law is not the exact marginal, as errors do not go to zero there, and of more samples than
    derivatives can be afforded for (MOST_NUMBERS).
    """
    found: dict[Run, LeadingError] = {}
    missing: dict[Run, str] = {}
    methods: list[tuple[Sampler, Record]] = []
    whole = why_none(problem)
    for sampler in problem.samplers:
        for key in problem.study.crossed:
            record = None if whole or key in problem.faults else sampler.record_on(problem.grids[key])
            why = whole
            if not whole and key not in problem.faults:
                why = _why_not(record, problem.study.run.start) if record else _of_another(sampler, problem.grids[key])
            if why is None and record is not None and (sampler, record) not in methods:
                methods.append((sampler, record))
            missing[sampler.name, *key] = str(problem.faults.get(key, why or ""))
    if not methods or not isinstance(problem, MixtureProblem):
        return LeadingErrors(found, missing)
    methods.sort(key=lambda entry: (entry[1].frame, -entry[1].order))  # those of a frame share its differentials
    for place in _places(problem):
        for sampler, record in methods:
            keys = [key for key in place.grids if sampler.record_on(problem.grids[key]) == record]
            leading = _known(problem, place, record) if keys else ""
            for key in keys:
                if isinstance(leading, str):
                    missing[sampler.name, *key] = leading
                else:
                    found[sampler.name, *key] = leading
    spread = math.sqrt(float(moments(problem.mixture, Point(1.0, 0.0)).covariance.trace()))
    return LeadingErrors(found, {run: why for run, why in missing.items() if run not in found}, spread)


def two_terms_of(study: Study) -> dict[str, TwoTerms]:
    """The first two terms of the root mean square errors of a study of one kind of grid, uniform in lambda, from exact
    start values: by method, as the study names it, where known.
    """
    problem, found = prepare(study), {}
    if why_none(problem) or study.run.start != EXACT or not isinstance(problem, MixtureProblem):
        return {}
    for place in _places(problem):
        for sampler in problem.samplers:
            record = sampler.record_on(problem.grids[place.grids[0]])
            if record is None or record.stochastic or why_unknown(record) or isinstance(place.path, str):
                continue
            found[sampler.name] = two_terms(record.name, place.path)
    return found


def _known(problem: MixtureProblem, place: Place, record: Record) -> LeadingError | str:
    """The leading error of a method along a path, or why it has none; computed once in a process."""
    start = problem.study.run.start
    spec = {**place.identity, "method": record.name, "start": start}
    if (key := canonical(spec)) not in _KEPT:
        path = place.path
        _KEPT[key] = path if isinstance(path, str) else _on_path(record, path, start)
    return _KEPT[key]


_KEPT: dict[str, LeadingError | str] = {}  # by all that determines it: a path costs more than most runs


def _on_path(record: Record, path: Path, start: str) -> LeadingError | str:
    if not resolved(record, path):
        return "its steps stay long at an end of the grid"
    leading = leading_error(record.name, path, start)
    finite = all(map(math.isfinite, leading.constants.values()))
    return leading if finite else "the sum over the steps of this grid is not finite"


def why_none(problem: Problem) -> str | None:
    """Why no method of a study has a leading error."""
    if not isinstance(problem, MixtureProblem):
        return "the law of a network is not known"
    if problem.study.run.init != "exact":
        return "the start law is not the exact marginal, so that errors do not go to zero"
    dim, numbers = problem.mixture.dim, problem.count * problem.mixture.dim
    if dim > 1 and numbers > MOST_NUMBERS:
        return f"its derivatives are computed for at most {MOST_NUMBERS // dim} samples in d = {dim}"
    return None


def _of_another(sampler: Sampler, grid: Grid) -> str:
    """Why a sampler that has the table of no method has no leading error."""
    return f"{sampler.why_no_record(grid)}, and a leading error is that of a method as it is in the catalogue"


def _why_not(record: Record, start: str) -> str | None:
    """Why a method has no leading error in any study."""
    if record.stochastic:
        return "leading errors are those of deterministic methods"
    if has_leading_error(record, start):
        return None
    exact = " from these start values" if has_leading_error(record, EXACT) else ""
    return f"no leading error of {record.name} is known{exact}"


def beside(records: Iterable[dict[str, Any]], leading: LeadingErrors) -> list[dict[str, Any]]:
    """The records, each with its leading error, `predicted`, and the ratio of the measured error to it."""
    found = []
    for record in records:
        expected, value = leading.at(record), record["value"]
        ratio = value / expected if value is not None and expected else None
        found.append({**record, "predicted": expected, "ratio": ratio})
    return found


def left_out(
    leading_errors: Mapping[tuple[str, int], LeadingError],
    method: str,
    metric: str,
    measured: Sequence[tuple[int, float]],
) -> float | None:
    """The error beyond the leading one at the last of these measured errors, in units of it; None if not known.

    The larger of two estimates: the known error of the later steps, where the start-up alone leads; and the trend of
    measured error over leading error (rates.trend).
    """
    ratios, known = [], None
    for steps, value in measured:
        leading = leading_errors.get((method, steps))
        expected = None if leading is None else leading.at(metric, steps)
        if leading is not None and expected:
            ratios.append((steps, value / expected))
            known = leading.beyond(metric, steps)
    return max((e for e in (known, trend(ratios)) if e is not None), default=None)


@dataclass(frozen=True, eq=False)
class Place:
    """Grids that share a path.  identity: all that determines the path.  make: computes it."""

    grids: list[Key]
    identity: dict[str, Any]
    make: Callable[[], Path]

    @cached_property
    def path(self) -> Path | str:
        """The path, or why there is none."""
        try:
            return self.make()
        except (InputError, SamplingError) as fault:  # no exact flow, as from alpha = 0 or to sigma = 0
            return one_line(fault)


def _places(problem: MixtureProblem) -> list[Place]:
    """One path for all grids of a smooth kind, one a grid for every other (and for Li's schedule)."""
    schedule, choices = problem.schedule, {choice.called: choice for choice in problem.study.grids}
    law: dict[str, Any] = {"target": problem.target, "schedule": problem.study.schedule.model_dump()}
    if problem.mixture.dim > 1:
        law |= {"count": problem.count, "seed": problem.study.run.seed}
    places = []
    for name in dict.fromkeys(name for name, _ in problem.grids):
        grids = [key for key in problem.grids if key[0] == name]
        choice = choices.get(name)
        if schedule is not None and choice is not None and choice.kind in SMOOTH and not choice.parameters.get("zero"):
            identity = law | {"grid": {"kind": choice.kind, **choice.parameters}}
            make = partial(_along_kind, problem, schedule, choice, problem.grids[grids[0]].point(0))
            places.append(Place(grids, identity, make))
            continue
        for key in grids:
            identity = law | {"points": digest(problem.grids[key].points)}
            places.append(Place([key], identity, partial(_along_grid, problem, problem.grids[key])))
    return places


def _along_grid(problem: MixtureProblem, grid: Grid) -> Path:
    return along_grid(problem.mixture, grid, start_samples(problem, grid.point(0), NODES_ON_ONE_GRID))


def _along_kind(problem: MixtureProblem, schedule: Schedule, choice: GridChoice, source: Point) -> Path:
    x = start_samples(problem, source, NODES)
    _, parameters = checked(choice.kind, choice.parameters)
    ends = {name: parameters[name] for name in SMOOTH[choice.kind]}
    return along_kind(problem.mixture, schedule, choice.kind, x, **ends)


def tolerance(study: Study, record: Record, leading: LeadingError, metric: str, steps: int) -> float | None:
    """The largest distance of measured over leading error from one; None for too few steps or such a study."""
    if not all(choice.kind in ("uniform-lambda", "karras") for choice in study.grids) or not study.grids:
        return None
    if study.run.start == "ramp" and record.order >= 3:  # the error of the start-up leads only on very many steps
        return None
    shares = [t.share for t in _tolerances(record, "mean" in leading.constants) if steps >= t.steps]
    return min(shares) * (2 if metric == "kl" else 1) if shares else None


def _tolerances(record: Record, space: bool) -> tuple[Tolerance, ...]:
    """For methods up to order 3 that step in lambda, the clock of the grids, with all outputs on the path."""
    if record.frame not in ("data", "noise") or record.kind == "predictor-corrector" or record.order > 3:
        return ()
    if record.kind == "multistep" and record.order == 3:
        return () if space else LINE_THIRD_ORDER_MULTISTEP
    return SPACE if space else LINE
