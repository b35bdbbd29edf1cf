"""The metrics that a target and its samplers have, and the computation of those by laws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..errors import InputError
from ..laws import distances as distances_1d
from ..laws.affine import gaussian_law
from ..laws.density import Density, propagate
from ..laws.gaussian import Gaussian, kl, moments, w2
from ..laws.gaussian_tv import tv
from ..laws.map_quadrature import Measured, accepted, of_root
from ..metrics import Law
from ..points import Point
from ..tableau import Tableau
from ..targets.mixture import GaussianMixture
from .config import Metric
from .samplers import Sampler

OF_DENSITIES: dict[str, Callable[..., float]] = {
    "tv": distances_1d.tv,
    "kl": distances_1d.kl,
    "w2": distances_1d.w2,
}
ROUNDING = 1e-13
OF_LAWS: tuple[Metric, ...] = ("tv", "kl", "w2")
OF_DENSITY: tuple[Metric, ...] = ("tv", "kl")  # in d > 1 also of deterministic samplers, by the Jacobians of their maps
OF_MAPS: tuple[Metric, ...] = (*OF_DENSITY, "trajectory")  # without a law from exact_metrics, of deterministic samplers
ESTIMATED: tuple[Metric, ...] = ("energy", "sliced-w2", "moments")


def check_metrics(metrics: Sequence[Metric], mixture: GaussianMixture, samplers: Sequence[Sampler]) -> None:
    """Raises InputError for the first metric that the target does not have, and if no sampler has any of the metrics.

    d = 1: tv, kl, w2, and trajectory of deterministic samplers.  d > 1: energy, sliced-w2, moments, and trajectory, tv
    and kl of deterministic samplers; on a Gaussian tv, kl and w2 of all.
    """
    allowed = _of_target(mixture)
    for n, metric in enumerate(metrics):
        if metric not in allowed:
            gaussian = "; w2 on a single Gaussian" if metric == "w2" else ""
            raise InputError(
                f"run.metrics[{n}]", metric, f"in d = {mixture.dim} allowed: {', '.join(allowed)}{gaussian}"
            )
    if any(
        not sampler.stochastic or without_flow(metric, mixture) is None for sampler in samplers for metric in metrics
    ):
        return
    others = ", ".join(metric for metric in allowed if without_flow(metric, mixture) is None)
    why = without_flow(metrics[0], mixture)
    raise InputError("run.metrics[0]", metrics[0], f"{samplers[0].name!r} {why}; allowed: {others}")


def without_flow(metric: str, mixture: GaussianMixture) -> str | None:
    """Why a stochastic sampler does not have a metric on this target; None where it has it."""
    if metric not in OF_MAPS or metric in exact_metrics(mixture):
        return None
    what = "follows no flow" if metric == "trajectory" else f"has no known density in d = {mixture.dim}"
    return f"is stochastic and {what}"


def _of_target(mixture: GaussianMixture) -> tuple[Metric, ...]:
    if mixture.dim == 1:
        return (*OF_LAWS, "trajectory")
    return ("trajectory", *(OF_LAWS if mixture.components == 1 else OF_DENSITY), *ESTIMATED)


def exact_metrics(mixture: GaussianMixture) -> tuple[Metric, ...]:
    """The metrics of every sampler from the law of its output, without samples."""
    return OF_LAWS if mixture.dim == 1 or mixture.components == 1 else ()


def distances(
    tableau: Tableau, mixture: GaussianMixture, start_law: Law, to: Point, wanted: Sequence[str]
) -> dict[str, Measured]:
    """tv, kl and w2 between the target at `to` and the sampler, from the law of its output, without samples.

    On a Gaussian target by affine forms, in any d; on a mixture in d = 1 by its density.
    """
    if mixture.components == 1:
        goal, law = moments(mixture, to), gaussian_law(tableau, mixture, start_law)
        return {metric: _of_gaussians(metric, goal, law) for metric in wanted}
    density = propagate(tableau, mixture, start_law)
    return {metric: _of_density(metric, density, (mixture, to)) for metric in wanted}


def _of_gaussians(metric: str, goal: Gaussian, law: Gaussian) -> Measured:
    """A distance of Gaussians, with its rounding error: 1e-13 of the moments, on which KL depends as a square."""
    value = {"tv": tv, "kl": kl, "w2": w2}[metric](goal, law)
    size = {"tv": 1.0, "kl": 2 * math.sqrt(value), "w2": math.sqrt(float(goal.covariance.diagonal().sum()))}[metric]
    return accepted(metric, value, ROUNDING * (size + abs(value)), "by its moments")


def _of_density(metric: str, density: Density, target: Law) -> Measured:
    """A distance of densities, with its error: of the quadrature, from half as many nodes, and of the density itself,
    whose missing mass may lie anywhere. In KL also the contribution of densities below the floor.
    """
    between = OF_DENSITIES[metric]
    value = between(density, target)
    error = abs(value - between(density, target, distances_1d.FINER // 2)) + density.error
    if metric == "kl":
        error += abs(value - distances_1d.kl(density, target, floor=100 * distances_1d.FLOOR))
    if metric == "w2":
        spread = float(moments(*target).covariance)
        error += of_root((density.error + distances_1d.FLOOR) * spread, value)
    return accepted(metric, value, error, "by its density")
