"""The leading errors of the methods of a study, and the tolerances within which measured errors agree with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..catalogue import resolve
from ..grid_kinds.all_kinds import checked
from ..grids import SMOOTH
from ..rates import trend
from ..records import Record
from ..studies.config import Study
from ..studies.measure import start_samples
from ..studies.mixture_problem import MixtureProblem, prepare
from .exact_path import Path, along_grid, along_kind
from .leading_error import LeadingError, has_leading_error, leading_error, resolved

NODES = 2001  # in 1-D: on M1 the constants agree with those of 6001 nodes to four digits; 501 nodes are 8 % off
NODES_ON_ONE_GRID = 401


@dataclass(frozen=True)
class Tolerance:
    """Measured error over leading error lies within 1 +- share from N = `steps` on."""

    steps: int
    share: float


# On grids uniform in lambda or of Karras et al., for root mean square and TV; KL, a square, has twice the share.
LINE = (Tolerance(128, 0.05), Tolerance(512, 0.01))
LINE_THIRD_ORDER_MULTISTEP = (Tolerance(256, 0.06), Tolerance(2048, 0.01))
SPACE = (Tolerance(64, 0.05), Tolerance(256, 0.011))  # for the mean distance


def leading_errors_of(study: Study) -> dict[tuple[str, int], LeadingError]:
    """The leading errors by method (as the study names it) and number of steps, where they are known.

    Empty where the start law is not the exact marginal: there errors do not go to zero.
    """
    problem, found = prepare(study), {}
    if study.run.init != "exact":
        return {}
    records = [(name, resolve(name)) for name in study.run.methods]
    methods = [(name, record) for name, record in records if has_leading_error(record, study.run.start)]
    for path, numbers in _paths(problem):
        for name, record in methods:
            if not resolved(record, path):
                continue
            leading = leading_error(record.name, path, study.run.start)
            found.update({(name, steps): leading for steps in numbers})
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


def _paths(problem: MixtureProblem) -> list[tuple[Path, list[int]]]:
    """Each path with its numbers of steps: one path for all grids of a smooth kind, else one a grid (Li's schedule).

    Of the first grid of the study.
    """
    first = next(iter(problem.grids))[0]
    grids = {steps: made for (name, steps), made in problem.grids.items() if name == first}
    choice = next((choice for choice in problem.study.grids if choice.called == first), None)
    smooth = choice is not None and choice.kind in SMOOTH and not choice.parameters.get("zero")
    if problem.schedule is None or choice is None or not smooth:
        return [
            (along_grid(problem.mixture, g, start_samples(problem, g.point(0), NODES_ON_ONE_GRID)), [steps])
            for steps, g in grids.items()
        ]
    x = start_samples(problem, next(iter(grids.values())).point(0), NODES)
    _, parameters = checked(choice.kind, choice.parameters)
    ends = {name: parameters[name] for name in SMOOTH[choice.kind]}
    path = along_kind(problem.mixture, problem.schedule, choice.kind, x, **ends)
    return [(path, list(grids))]


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
