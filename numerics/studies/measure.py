"""One run of a sampler, and its metrics against the exact flow and law."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .. import metrics
from ..errors import SamplingError
from ..grids import Grid
from ..points import Point
from ..records import Record
from ..sample import sample
from ..tableau import Tableau, tabulate
from ..targets.flow import exact_flow
from ..targets.mixture import with_tangent
from ..targets.reference import reference_flow
from .problem import Problem


class Measurement:
    """Measures the runs of one problem; what several runs share is computed once.

    The start samples are exact draws or quadrature nodes of the start law at a grid's first point; the truth is the
    flow of them to its last point. Both differ between grids on Li et al.'s schedule only.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._starts: dict[Point, Tensor] = {}
        self._references: dict[tuple[Point, Point], Tensor] = {}

    def measure(self, record: Record, steps: int, wanted: Sequence[str]) -> tuple[int, dict[str, float]]:
        """Run the sampler once: its number of evaluations, and the wanted metrics, NaN where the run diverged."""
        grid = self.problem.grids[steps]
        tableau = tabulate(record.name, grid, self.problem.study.run.start)
        try:
            if self.problem.mixture.dim == 1:
                return tableau.nfe, self._on_the_line(grid, tableau, wanted)
            return tableau.nfe, self._in_space(grid, tableau)
        except SamplingError:  # the score of a mixture is finite wherever the state is: the state overflowed
            return tableau.nfe, dict.fromkeys(wanted, math.nan)

    def _on_the_line(self, grid: Grid, tableau: Tableau, wanted: Sequence[str]) -> dict[str, float]:
        """d = 1: quadrature nodes and their tangents go through the sampler, and give its law exactly."""
        mixture, source, to = self.problem.mixture, grid.point(0), grid.point(grid.steps)
        law = self.problem.start_law(source)
        x = self._start(source)
        start = [torch.stack([x, torch.ones_like(x)])]
        start += [torch.stack(exact_flow(mixture, x, source, grid.point(n))) for n in range(1, tableau.given)]
        y, dydx = sample(with_tangent(mixture), start, tableau)
        _check_finite(y, dydx)
        pushed = metrics.Pushforward(x, law, y, dydx, (mixture, to))
        compute: dict[str, Callable[[], float]] = {
            "tv": lambda: metrics.tv(pushed),
            "kl": lambda: metrics.kl(pushed),
            "w2": lambda: metrics.w2(pushed),
            "trajectory": lambda: metrics.trajectory_1d(pushed, source),
        }
        return {metric: compute[metric]() for metric in wanted}

    def _in_space(self, grid: Grid, tableau: Tableau) -> dict[str, float]:
        """d > 1: samples of the start law, against a fine reference flow of the same samples."""
        mixture, source = self.problem.mixture, grid.point(0)
        earlier = [grid.point(n) for n in range(1, tableau.given)]
        start = [self._start(source)]
        if earlier:
            start += reference_flow(mixture, start[0], source, earlier)
        y = sample(mixture, start, tableau)
        _check_finite(y)
        return {"trajectory": metrics.trajectory(y, self._reference(source, grid.point(grid.steps)))}

    def _start(self, source: Point) -> Tensor:
        """Start samples [n, d] at the first point of a grid."""
        if source not in self._starts:
            self._starts[source] = start_samples(self.problem, source)
        return self._starts[source]

    def _reference(self, source: Point, to: Point) -> Tensor:
        """The reference flow of the start samples in d > 1."""
        if (source, to) not in self._references:
            (end,) = reference_flow(self.problem.mixture, self._start(source), source, [to])
            self._references[source, to] = end
        return self._references[source, to]


def start_samples(problem: Problem, source: Point, nodes: int | None = None) -> Tensor:
    """Start samples [n, d] at the first point of a grid: in 1-D as many nodes as said, or as the study has."""
    law = problem.start_law(source)
    if problem.mixture.dim == 1:
        return metrics.nodes(law, nodes or problem.count)
    return law[0].sample(problem.count, law[1], torch.Generator().manual_seed(problem.study.run.seed))


def _check_finite(*tensors: Tensor) -> None:
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
        raise SamplingError("the sample is not finite")
