"""The problem of a study of a mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import InputError
from ..grids import Grid
from ..laws.estimators import FEWEST
from ..points import Point
from ..support.consent import NONE, Consent
from ..targets.mixture import GaussianMixture
from .config import FEWEST_POINTS, POINTS, SAMPLES, Study
from .cost import study_cost
from .named_samplers import Named
from .problem import Problem, fields, grids_of
from .read_function import External
from .routes import ESTIMATED, check_metrics
from .samplers import samplers_of

NODES_TOGETHER = (
    12_000  # nodes of all runs together: with more their states leave the cache of a core, and they take longer
)


@dataclass(frozen=True)
class MixtureProblem(Problem):
    """A study of a mixture.  count: quadrature points in 1-D, samples in d > 1."""

    study: Study
    mixture: GaussianMixture

    @property
    def target(self) -> dict[str, Any]:
        return self.study.target.model_dump(exclude_none=True)

    @property
    def gaussian(self) -> bool:
        return self.mixture.components == 1

    @property
    def at_once(self) -> int:
        """On the line runs together have few calls of the mixture on many nodes in place of many on few."""
        return max(1, NODES_TOGETHER // self.count) if self.mixture.dim == 1 else 1

    def start_law(self, at: Point) -> tuple[GaussianMixture, Point]:
        """The law of the start sample: the exact marginal, or the centred Gaussian of the schedule."""
        if self.study.run.init == "exact":
            return self.mixture, at
        dim = self.mixture.dim
        return GaussianMixture([1.0], [[0.0] * dim], stds=[self.prior_std(at)]), Point(1.0, 0.0, at.t)


def prepare(
    study: Study, consent: Consent = NONE, external: Mapping[str, External | Named] = MappingProxyType({})
) -> MixtureProblem:
    """The problem of a study.

    external: samplers that are not of the catalogue, by their names in run.methods.
    Raises InputError, with the field as in the file, also for a cost without consent.
    """
    run, target = study.run, study.target
    study_cost(study, external).check(consent)
    mixture = GaussianMixture(target.weights, target.means, target.stds, target.covariances)

    def check_ends(made: Grid) -> None:
        for end in (made.point(0), made.point(made.steps)):
            with fields({"at": "target, at (alpha, sigma)"}):
                mixture.marginal(end)

    schedule, grids, faults = grids_of(study).check(check_ends)
    samplers = samplers_of(run.methods, external, list(grids.values()))
    check_metrics(run.metrics, mixture, samplers)
    problem = MixtureProblem(study, schedule, grids, faults, samplers, _count(study, mixture.dim), mixture)
    problem.check_tables()
    return problem


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
