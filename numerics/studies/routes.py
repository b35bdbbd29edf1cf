"""Which metrics a target and its samplers have, and by which route each is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..errors import InputError
from ..laws import distances as distances_1d
from ..laws.affine import gaussian_law
from ..laws.density import propagate
from ..laws.gaussian import kl, moments, w2
from ..laws.variation import tv
from ..metrics import Law
from ..points import Point
from ..records import Record
from ..tableau import Tableau
from ..targets.mixture import GaussianMixture
from .config import Metric

OF_DENSITIES = {"tv": distances_1d.tv, "kl": distances_1d.kl, "w2": distances_1d.w2}
OF_LAWS: tuple[Metric, ...] = ("tv", "kl", "w2")
ESTIMATED: tuple[Metric, ...] = ("energy", "sliced-w2", "moments")


def check_metrics(metrics: Sequence[Metric], mixture: GaussianMixture, methods: Sequence[tuple[str, Record]]) -> None:
    """InputError for the first metric that the target, or one of the methods on it, does not have.

    d = 1: tv, kl, w2, and trajectory of deterministic samplers.  d > 1: energy, sliced-w2, moments, trajectory of
    deterministic samplers, and tv, kl, w2 on a Gaussian.
    """
    for n, metric in enumerate(metrics):
        field = f"run.metrics[{n}]"
        allowed = _of_target(mixture)
        if metric not in allowed:
            gaussian = "; tv, kl and w2 on a single Gaussian" if metric in OF_LAWS else ""
            raise InputError(field, metric, f"in d = {mixture.dim} allowed: {', '.join(allowed)}{gaussian}")
        for name, record in methods:
            if record.stochastic and metric == "trajectory":
                others = ", ".join(m for m in allowed if m != metric)
                raise InputError(field, metric, f"{name!r} is stochastic and follows no flow; allowed: {others}")


def _of_target(mixture: GaussianMixture) -> tuple[Metric, ...]:
    if mixture.dim == 1:
        return (*OF_LAWS, "trajectory")
    return ("trajectory", *(OF_LAWS if mixture.components == 1 else ()), *ESTIMATED)


def distances(tableau: Tableau, mixture: GaussianMixture, start_law: Law, to: Point) -> dict[str, Callable[[], float]]:
    """tv, kl and w2 between the target at `to` and the sampler, by the law of its output: without samples.

    On a Gaussian target by affine forms, in any d; on a mixture on the line by its density.
    """
    if mixture.components == 1:
        goal, law = moments(mixture, to), gaussian_law(tableau, mixture, start_law)
        return {"tv": lambda: tv(goal, law), "kl": lambda: kl(goal, law), "w2": lambda: w2(goal, law)}
    density, target = propagate(tableau, mixture, start_law), (mixture, to)
    return {metric: partial(between, density, target) for metric, between in OF_DENSITIES.items()}
