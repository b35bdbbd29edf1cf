"""The error of samplers as a function of the dimension and of the error of the score, without Monte Carlo.

Published bounds hold for any target in any dimension; both dependences are measured here where the law of a run is
known. In d dimensions these are products of laws on the line: the log ratios of the factors add up.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...numerics import metrics
from ...numerics.catalogue import resolve
from ...numerics.grids import Grid, grid
from ...numerics.laws import distances
from ...numerics.laws.affine import gaussian_law
from ...numerics.laws.density import Density, propagate
from ...numerics.laws.gaussian import Gaussian, moments
from ...numerics.laws.map_quadrature import Measured, accepted
from ...numerics.laws.product import FINE, Factor, product_tv
from ...numerics.metrics import Pushforward
from ...numerics.points import Point
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.studies.store import Store, Value
from ...numerics.support.manifest import fingerprint
from ...numerics.support.progress import Progress, silent
from ...numerics.tableau import Tableau, tabulate
from ...numerics.targets.mixture import GaussianMixture, with_tangent
from ...numerics.wrappers import score_share, with_score_error
from . import STUDIES

VP_LINEAR, FIXED_TIME = {"beta_min": 0.1, "beta_max": 20.0}, {"t_min": 1e-3, "t_max": 1.0}
M1: dict[str, list[float]] = {"weights": [0.35, 0.65], "means": [-1.2, 0.9], "stds": [0.5, 0.35]}
DIMENSION, SCORE_ERROR = "dimension", "score-error"  # the two studies
PRODUCT, LOW_RANK = "M1^d", "M1 x N(0, 0.1^2)^(d-1)"  # the targets of the first
DIMENSIONS = (1, 2, 4, 8, 16)
SAMPLERS = ("li-ddim", "li-accelerated-ode", "li-ddpm", "li-accelerated-sde")
SIZES, AT_FREQUENCY = (0.0125, 0.025, 0.05, 0.1, 0.2), 2.0
FREQUENCIES, AT_SIZE = (0.5, 1.0, 2.0, 4.0, 8.0), 0.05
NARROW = 0.1  # the spread of the data off the line
NODES = 4001  # of deterministic runs
BOTH = ("li-accelerated-ode", "li-accelerated-sde")


class Case(NamedTuple):
    """One total variation to compute, with the variables of the two studies."""

    study: str
    method: str
    steps: int
    target: str
    dimension: int = 1
    size: float = 0.0
    frequency: float = 0.0


def cases(quick: bool) -> list[Case]:
    """The cases of both studies."""
    steps = 99 if quick else 399
    found = [
        Case(DIMENSION, method, steps, target, dimension=d)
        for target in (PRODUCT, LOW_RANK)
        for method in SAMPLERS
        for d in DIMENSIONS
    ]
    for method in BOTH:
        found += [Case(SCORE_ERROR, method, steps, "M1", size=e, frequency=AT_FREQUENCY) for e in (0.0, *SIZES)]
        found += [Case(SCORE_ERROR, method, steps, "M1", size=AT_SIZE, frequency=w) for w in FREQUENCIES]
    return list(dict.fromkeys(found))


def run_bounds(store: Store, quick: bool, progress: Progress = silent) -> list[dict[str, Any]]:
    """The records of both studies; values in the store are not computed again."""
    everything = cases(quick)
    measure = Laws()
    records = []
    for done, case in enumerate(everything):
        progress(done, len(everything), f"{case.study}: {case.method}")
        spec = {**case._asdict(), "schedule": VP_LINEAR, "grid": FIXED_TIME, "code": fingerprint(others=(STUDIES,))}
        value = store.get(spec)
        if value is None:
            found, nfe = measure.tv(case), tabulate(case.method, measure.grid(case.steps)).nfe
            value = Value(nfe, found.value, error=found.error, reason=found.reason)
            store.put([(spec, value)])
        records.append({**case._asdict(), "nfe": value.nfe, "metric": "tv", "value": value.value, "error": value.error})
    return records


class Laws:
    """The laws of runs, each computed once."""

    def __init__(self) -> None:
        self.schedule = schedule("vp-linear", **VP_LINEAR)
        self.mixture = GaussianMixture(**M1)
        self.factors: dict[tuple[str, int, str], Factor] = {}

    def grid(self, steps: int) -> Grid:
        return grid(self.schedule, "uniform-t", steps, **FIXED_TIME)

    def tv(self, case: Case) -> Measured:
        """The total variation, with the change under rules of half the resolution as its error."""
        value, coarse = self.nested_tv(case)
        return accepted("tv", value, abs(value - coarse), "by nested rules")

    def nested_tv(self, case: Case) -> tuple[float, float]:
        """The total variation, and the same on every second node."""
        if case.study == DIMENSION:
            factors = [(self.factor(case.method, case.steps, "M1"), case.dimension if case.target == PRODUCT else 1)]
            if case.target == LOW_RANK and case.dimension > 1:
                factors.append((self.factor(case.method, case.steps, "narrow"), case.dimension - 1))
            coarser = [(factor.coarser(), copies) for factor, copies in factors]
            return product_tv(factors), product_tv(coarser, FINE // 2)
        made = self.grid(case.steps)
        table = tabulate(case.method, made)
        if resolve(case.method).stochastic:
            target = (self.mixture, made.points[-1])
            density = self.density(table, case.size, case.frequency)
            return distances.tv(density, target), distances.tv(density, target, distances.FINER // 2)
        pushed = self.pushed(table, case.size, case.frequency)
        return metrics.tv(pushed), metrics.tv(pushed.coarser())

    def density(self, table: Tableau, size: float = 0.0, frequency: float = 0.0) -> Density:
        """The law of a stochastic run whose score is off by size sin(frequency x)."""
        start, off = (self.mixture, table.points[0]), with_score_error(self.mixture, size, frequency)
        return propagate(table, self.mixture, start, off)

    def pushed(self, table: Tableau, size: float = 0.0, frequency: float = 0.0) -> Pushforward:
        """The map of a deterministic run whose score is off by size sin(frequency x)."""
        start, exact = (self.mixture, table.points[0]), with_tangent(self.mixture)
        x = metrics.nodes(start, NODES)

        def off(state: Tensor, at: Point, prediction: str) -> Tensor:
            share = size * score_share(at, prediction)
            value, along = torch.sin(frequency * state[0]), frequency * torch.cos(frequency * state[0]) * state[1]
            return exact(state, at, prediction) + share * torch.stack([value, along])

        y, dydx = sample(off, torch.stack([x, torch.ones_like(x)]), table)
        return Pushforward(x, start, y, dydx, (self.mixture, table.points[-1]))

    def factor(self, method: str, steps: int, target: str) -> Factor:
        """The log densities of the target and of the sampler's output, on M1 or on a coordinate that varies little."""
        if (method, steps, target) not in self.factors:
            table = tabulate(method, self.grid(steps))
            if target == "narrow":
                found = self.on_narrow(table)
            else:
                law = self.density(table) if resolve(method).stochastic else self.pushed(table)
                found = self.factor_of(law, table.points[-1])
            self.factors[method, steps, target] = found
        return self.factors[method, steps, target]

    def factor_of(self, law: Density | Pushforward, end: Point) -> Factor:
        """The log densities of the mixture and of a law at the end of a run."""
        if isinstance(law, Density):
            law = law.finer(8)
            x, log_law = law.grid, law.values.clamp(min=1e-300).log()
            weights = torch.full_like(x, float(x[1] - x[0]))
        else:
            x, log_law = law.y[:, 0], law.log_start - law.dydx[:, 0].log()
            weights = law.dydx[:, 0] * torch.gradient(law.nodes[:, 0])[0]
        return Factor(self.mixture.log_density(x[:, None], end), log_law, weights)

    def narrow_laws(self, table: Tableau) -> tuple[Gaussian, Gaussian]:
        """Target and output of a coordinate that varies little: Gaussians."""
        narrow = GaussianMixture([1.0], [0.0], stds=[NARROW])
        return moments(narrow, table.points[-1]), gaussian_law(table, narrow, (narrow, table.points[0]))

    def on_narrow(self, table: Tableau) -> Factor:
        """A coordinate that varies little."""
        target, output = self.narrow_laws(table)
        x = math.sqrt(float(target.covariance)) * torch.linspace(-9.0, 9.0, 8001, dtype=torch.float64)

        def log_density(law: Gaussian) -> Tensor:
            variance = float(law.covariance)
            return -((x - float(law.mean)) ** 2) / (2 * variance) - math.log(2 * math.pi * variance) / 2

        return Factor(log_density(target), log_density(output), torch.full_like(x, float(x[1] - x[0])))
