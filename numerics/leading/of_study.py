"""What a study will find, predicted: the leading errors of its methods, and how closely these are promised to fit."""

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
from .leading_error import Prediction, predict, predictable, resolved

NODES = 2001  # in 1-D: on M1 the constants are those of 6001 nodes to four digits, and off by 8 % on 501
NODES_ON_ONE_GRID = 401


@dataclass(frozen=True)
class Promise:
    """Measured over predicted lies within 1 +- share from so many steps on."""

    steps: int
    share: float


# On grids uniform in lambda or of Karras et al., in root mean square and TV; KL, a square, has twice the share.
LINE = (Promise(128, 0.05), Promise(512, 0.01))
LINE_THIRD_ORDER_MULTISTEP = (Promise(256, 0.06), Promise(2048, 0.01))
SPACE = (Promise(64, 0.05), Promise(256, 0.011))  # of the mean distance


def predictions(study: Study) -> dict[tuple[str, int], Prediction]:
    """The leading errors by method (as the study names it) and number of steps, of methods that can be predicted.

    Empty where the start law is not the process's own: then errors do not go to zero.
    """
    problem, found = prepare(study), {}
    if study.run.init != "exact":
        return {}
    records = [(name, resolve(name)) for name in study.run.methods]
    methods = [(name, record) for name, record in records if predictable(record, study.run.start)]
    for path, numbers in _paths(problem):
        for name, record in methods:
            if not resolved(record, path):
                continue
            prediction = predict(record.name, path, study.run.start)
            found.update({(name, steps): prediction for steps in numbers})
    return found


def left_out(
    predicted: Mapping[tuple[str, int], Prediction], method: str, metric: str, measured: Sequence[tuple[int, float]]
) -> float | None:
    """How much is missing in the line at the last of these measured errors, in units of the line; None if not known.

    The larger of two estimates: what theory knows to come later, where the line is that of a start-up alone; and the
    trend of measured over predicted (rates.trend).
    """
    ratios, known = [], None
    for steps, value in measured:
        prediction = predicted.get((method, steps))
        expected = None if prediction is None else prediction.at(metric, steps)
        if prediction is not None and expected:
            ratios.append((steps, value / expected))
            known = prediction.beyond(metric, steps)
    return max((e for e in (known, trend(ratios)) if e is not None), default=None)


def _paths(problem: MixtureProblem) -> list[tuple[Path, list[int]]]:
    """One path for all grids of a smooth kind; else, as on Li et al.'s schedule, one for each grid. With the numbers of
    steps.
    """
    grids, choice = problem.grids, problem.study.grid
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


def promised(study: Study, record: Record, prediction: Prediction, metric: str, steps: int) -> float | None:
    """How far measured over predicted may lie from one, or None: no promise for so few steps or in such a study."""
    if study.grid is None or study.grid.kind not in ("uniform-lambda", "karras"):
        return None
    if study.run.start == "ramp" and record.order >= 3:  # what a start-up leaves shows too late
        return None
    shares = [p.share for p in _promises(record, "mean" in prediction.constants) if steps >= p.steps]
    return min(shares) * (2 if metric == "kl" else 1) if shares else None


def _promises(record: Record, space: bool) -> tuple[Promise, ...]:
    """Of methods that step in lambda, the grids' own clock, with all their outputs on the path; up to order 3."""
    if record.frame not in ("data", "noise") or record.kind == "predictor-corrector" or record.order > 3:
        return ()
    if record.kind == "multistep" and record.order == 3:
        return () if space else LINE_THIRD_ORDER_MULTISTEP
    return SPACE if space else LINE
