"""One run of a sampler, and its metrics against the exact flow and law, or estimated from samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import metrics, noise
from ..errors import InputError, SamplingError
from ..grids import Grid
from ..laws import importance
from ..laws.coupled_samples import StepNoise, exact_samples, exact_start, flow_to, noise_of_steps
from ..laws.estimators import Estimate, coupled_moment_error, energy, in_groups, moment_error, relative, sliced_w2
from ..laws.gaussian import moments
from ..laws.jacobian_law import ratios_of
from ..laws.map_quadrature import Measured, Push, accepted, foreseen, measured
from ..many_runs import Asked, run_together
from ..points import Point
from ..sample import sample
from ..tableau import Tableau
from ..targets.flow import exact_flow
from ..targets.mixture import with_tangent
from .cost import COUPLED
from .invariants import consistent
from .mixture_problem import MixtureProblem
from .read_function import AsItIs
from .routes import ESTIMATED, OF_DENSITY, distances, exact_metrics, without_flow
from .store import Value, none

MOVED = 1e-3  # of the range of nodes
USES = ("noise", "target", "floor", "start", "noisier")  # of a study's seed, besides the start samples


class Measurement:
    """Measures the runs of one problem; values shared by several runs are computed once.

    The start samples are exact draws or quadrature nodes of the start law at a grid's first point; the reference is
    their exact flow to its last point. Both differ between grids on Li et al.'s schedule only.
    """

    def __init__(self, problem: MixtureProblem) -> None:
        self.problem = problem
        self._starts: dict[Point, Tensor] = {}
        self._references: dict[tuple[Point, Point], Tensor] = {}
        self._known = defaultdict[tuple[Point, Point], dict[str, Tensor]](dict)
        self._ahead: dict[tuple[Point, Point], metrics.Pushforward | None] = {}
        self._floors: dict[tuple[str, Point], float] = {}
        self._samples: dict[tuple[str, Point], Tensor] = {}
        self._coupled: dict[tuple[Point, Point, tuple[StepNoise, ...]], Tensor] = {}

    def ends(self, tables: Sequence[Tableau], grid: Grid) -> list[Tensor | None]:
        """On the line nodes, y and dy/dx [3, n, 1] of tables on one grid, run together; None of one, and of others."""
        found: list[Tensor | None] = [None] * len(tables)
        runs = [n for n, table in enumerate(tables) if not any(table.drawn)]
        if self.problem.mixture.dim == 1 and runs:
            x, of = self._first_nodes(grid), [tables[n] for n in runs]
            with suppress(InputError):  # at a point where the law is singular: raised again by the run alone
                asked = ((t.points[i], t.prediction_at(i)) for t in of for i, made in enumerate(t.evaluated) if made)
                self.problem.mixture.keep_lines(asked)
                if len(of) == 1:
                    return found
                ends = run_together(self._tangents, [self._given(grid, table, x) for table in of], of)
                for n, end in zip(runs, ends, strict=True):
                    found[n] = None if end is None else torch.cat([x[None], end])
        return found

    def measure(
        self, tableau: Tableau, grid: Grid, wanted: Sequence[str], end: Tensor | None = None
    ) -> dict[str, Value]:
        """Run a sampler: a value for each metric wanted, None with a reason where it is not known.

        end: what `ends` returns, else it is found here.
        """
        try:
            found = self._found(grid, tableau, wanted, end)
        except SamplingError as fault:  # the state overflowed, or its law cannot be propagated (laws/density.py)
            found = none(wanted, str(fault))
        return {metric: value._replace(nfe=tableau.nfe) for metric, value in consistent(found).items()}

    def measure_as_it_is(self, sampler: AsItIs, grid: Grid, wanted: Sequence[str]) -> dict[str, Value]:
        """Run a sampler that has no table: trajectory, unless it draws noise, and in d > 1 the metrics of samples."""
        source, to = grid.point(0), grid.point(grid.steps)
        start, seed = self._start(source), self._seed("noise") >> 1  # of a signed 64-bit generator
        try:
            ran = sampler.run(self.problem.target, start, seed)
            _check_finite(ran.sample)
        except SamplingError as fault:
            return none(wanted, str(fault))
        found = none(wanted, f"a sampler that is not linear has no table: {sampler.reason}")
        if "trajectory" in wanted:
            drawn = none(["trajectory"], "it draws noise, and follows no flow")
            found |= drawn if ran.draws else self._trajectory_as_it_is(ran.sample, source, to)
        if self.problem.mixture.dim > 1:
            found |= self._estimates(grid, None, ran.sample, [metric for metric in wanted if metric in ESTIMATED])
        return {metric: value._replace(nfe=ran.nfe) for metric, value in consistent(found).items()}

    def _trajectory_as_it_is(self, y: Tensor, source: Point, to: Point) -> dict[str, Value]:
        """In d = 1 by the trapezoid rule over the nodes, with the change on every second node as its error."""
        mixture, x = self.problem.mixture, self._start(source)
        if mixture.dim > 1:
            return self._trajectory(y, source, to)
        pushed = metrics.Pushforward(x, self.problem.start_law(source), y, torch.ones_like(y), (mixture, to), source)
        value = metrics.trajectory_1d(pushed)
        found = accepted(
            "trajectory", value, abs(value - metrics.trajectory_1d(pushed.coarser())), f"on {len(x)} nodes"
        )
        return {"trajectory": Value(0, found.value, error=found.error, reason=found.reason)}

    def echo(self) -> dict[str, Any]:
        """Entries of the manifest beside those of the study: none."""
        return {}

    def _found(self, grid: Grid, tableau: Tableau, wanted: Sequence[str], end: Tensor | None) -> dict[str, Value]:
        """Compute each metric from the sampler's 1-D map, from the law of its output, or from samples, as required."""
        if self.problem.mixture.dim == 1 and not any(tableau.drawn):
            on_line = self._on_the_line(grid, tableau, wanted, end)
            return {metric: Value(0, m.value, error=m.error, reason=m.reason) for metric, m in on_line.items()}
        found: dict[str, Value] = {}
        mixture, source, to = self.problem.mixture, grid.point(0), grid.point(grid.steps)
        if of_law := [metric for metric in wanted if metric in exact_metrics(mixture)]:
            by_law = distances(tableau, mixture, self.problem.start_law(source), to, of_law)
            found |= {metric: Value(0, m.value, error=m.error, reason=m.reason) for metric, m in by_law.items()}
        if of_samples := [metric for metric in wanted if metric not in found]:
            found |= self._in_space(grid, tableau, of_samples)
        return found

    def _on_the_line(
        self, grid: Grid, tableau: Tableau, wanted: Sequence[str], end: Tensor | None
    ) -> dict[str, Measured]:
        """d = 1: the sampler maps quadrature nodes and their tangents, which determine its law."""
        mixture, source, to = self.problem.mixture, grid.point(0), grid.point(grid.steps)

        def push(x: Tensor) -> tuple[Tensor, Tensor]:
            y, dydx = sample(with_tangent(mixture), self._given(grid, tableau, x), tableau)
            _check_finite(y, dydx)
            return y, dydx

        if end is None:
            first = self._first_nodes(grid)
            end = torch.stack([first, *push(first)])
        x, y, dydx = end
        n, law, known = len(self._start(source)), self.problem.start_law(source), self._known[source, to]
        ahead = self._ahead[source, to]
        pushed = metrics.Pushforward(x[:n], law, y[:n], dydx[:n], (mixture, to), source, dict(known), ahead)
        found = measured(pushed, with_known(push, x[n:], y[n:], dydx[n:]), wanted)
        known |= {name: pushed.columns[name] for name in metrics.OF_START if name in pushed.columns}
        return found

    def _tangents(self, asked: list[Asked]) -> list[Tensor]:
        """The predictions with their derivatives for runs at one level, each to the bit as that run alone has it."""
        alike, denoise = defaultdict[tuple[Point, str], list[int]](list), with_tangent(self.problem.mixture)
        if len(asked) == 1:
            return [denoise(*asked[0])]
        for k, one in enumerate(asked):
            alike[one.at, one.prediction].append(k)
        found = dict[int, Tensor]()
        for (at, prediction), places in alike.items():
            together = denoise(torch.stack([asked[k].x for k in places], dim=1), at, prediction)
            found |= zip(places, together.unbind(1), strict=True)
        return [found[k] for k in range(len(asked))]

    def _given(self, grid: Grid, tableau: Tableau, x: Tensor) -> list[Tensor]:
        """The vectors that a run is given, from nodes [n, 1]: states and tangents [2, n, 1] on the exact flow."""
        mixture, source = self.problem.mixture, grid.point(0)
        start = [torch.stack([x, torch.ones_like(x)])]
        return start + [torch.stack(exact_flow(mixture, x, source, grid.point(n))) for n in range(1, tableau.given)]

    def _first_nodes(self, grid: Grid) -> Tensor:
        """The nodes that a sampler maps first [n, 1]: the start samples, and behind them those that are foreseen."""
        source, to = grid.point(0), grid.point(grid.steps)
        if (source, to) not in self._ahead:
            self._ahead[source, to] = self._foreseen(source, to)
        ahead = self._ahead[source, to]
        return self._start(source) if ahead is None else torch.cat([self._start(source), ahead.nodes])

    def _foreseen(self, source: Point, to: Point) -> metrics.Pushforward | None:
        """Nodes that are probably added, found with a map that is the exact flow of x, moved a little; None if few."""
        mixture, x = self.problem.mixture, self._start(source)
        move = MOVED * float(x[-1] - x[0])

        def flow(nodes: Tensor) -> tuple[Tensor, Tensor]:
            return exact_flow(mixture, nodes + move, source, to)

        law, columns = self.problem.start_law(source), dict(self._known[source, to])
        near = metrics.Pushforward(x, law, *flow(x), (mixture, to), source, columns)
        nodes = foreseen(near, flow, self.problem.study.run.metrics)
        still = nodes, law, nodes, torch.ones_like(nodes)  # no map is known yet
        return metrics.Pushforward(*still, (mixture, to), source) if len(nodes) > 2 else None

    def _in_space(self, grid: Grid, tableau: Tableau, wanted: Sequence[str]) -> dict[str, Value]:
        """d > 1: samples, compared with their flow or with exact samples near them, or the density at the samples."""
        source, to = grid.point(0), grid.point(grid.steps)
        found: dict[str, Value] = {}
        for metric in wanted:
            if any(tableau.drawn) and (why := without_flow(metric, self.problem.mixture)):
                found |= none([metric], f"the sampler {why}")
        if of_density := [metric for metric in wanted if metric in OF_DENSITY and metric not in found]:
            found |= self._by_density(tableau, source, of_density)
        if rest := [metric for metric in wanted if metric not in found]:
            y = self._run(grid, tableau)
            if "trajectory" in rest:
                found |= self._trajectory(y, source, to)
            found |= self._estimates(grid, tableau, y, [metric for metric in rest if metric in ESTIMATED])
        return found

    def _run(self, grid: Grid, tableau: Tableau) -> Tensor:
        """The samples [n, d] of a sampler."""
        source, earlier = grid.point(0), [grid.point(n) for n in range(1, tableau.given)]
        first = self._start(source)
        start = [first, *(flow_to(self.problem.mixture, first, source, earlier) if earlier else [])]
        y = sample(self.problem.mixture, start, tableau, noise=noise.seeded(self._seed("noise")))
        _check_finite(y)
        return y

    def _by_density(self, tableau: Tableau, source: Point, wanted: Sequence[str]) -> dict[str, Value]:
        """tv and kl of a deterministic sampler in d > 1, from the Jacobians of its map at the samples."""
        start = self._start(source), self.problem.start_law(source)
        try:
            generator = torch.Generator().manual_seed(self._seed("noisier"))
            ratios = ratios_of(tableau, self.problem.mixture, start, source, generator)
        except SamplingError as fault:
            return none(wanted, str(fault))
        found: dict[str, Value] = {}
        for metric in wanted:
            try:
                found[metric] = _value({"tv": importance.tv, "kl": importance.kl}[metric](ratios), None)
            except SamplingError as fault:
                found |= none([metric], str(fault))
        return found

    def _estimates(self, grid: Grid, tableau: Tableau | None, y: Tensor, wanted: Sequence[str]) -> dict[str, Value]:
        """Metrics between samples y and exact samples coupled with them; independent ones where there is no flow.

        tableau: whose noises the exact samples follow too; None: of no table.
        """
        to, found = grid.point(grid.steps), dict[str, Value]()
        goal = moments(self.problem.mixture, to)
        if not wanted:
            return found
        try:
            x = self._near(grid, tableau)
        except SamplingError:
            for metric in wanted:
                found[metric] = _value(self._apart(metric, y, to), self._floor(metric, to))
            return found
        for metric in wanted:
            by_pairs = {"energy": energy, "sliced-w2": sliced_w2}
            of = coupled_moment_error(y, x, goal) if metric == "moments" else by_pairs[metric](y, x)
            found[metric] = _value(of, None)
        return found

    def _near(self, grid: Grid, tableau: Tableau | None) -> Tensor:
        """Exact samples of the target [n, d] near those of a sampler; the latest ones are kept for other samplers."""
        problem, points = self.problem, grid.points
        noises = () if tableau is None else noise_of_steps(tableau, points, problem.mixture)
        if not noises and problem.study.run.init == "exact":
            return self._reference(points[0], points[-1])
        known = points[0], points[-1], noises
        if known not in self._coupled:
            x = self._start(points[0])
            if problem.study.run.init != "exact":
                generator = torch.Generator().manual_seed(self._seed("start"))
                x = exact_start(problem.mixture, x / problem.prior_std(points[0]), points[0], generator)
            source = noise.seeded(self._seed("noise"))
            while len(self._coupled) >= COUPLED * len(problem.grids):
                del self._coupled[next(iter(self._coupled))]
            self._coupled[known] = exact_samples(problem.mixture, x, points, noises, source)
        return self._coupled[known]

    def _apart(self, metric: str, y: Tensor, to: Point) -> Estimate:
        """A metric between samples and independent exact samples of the target, or its moments."""
        if metric == "moments":
            return moment_error(y, moments(self.problem.mixture, to))
        return {"energy": energy, "sliced-w2": sliced_w2}[metric](y, self._exact("target", to))

    def _floor(self, metric: str, to: Point) -> float:
        """The noise floor of a metric: the upper end of its interval between two sets of exact samples."""
        if (metric, to) not in self._floors:
            self._floors[metric, to] = self._apart(metric, self._exact("floor", to), to).high
        return self._floors[metric, to]

    def _exact(self, use: str, to: Point) -> Tensor:
        """Exact samples of the target [n, d], independent of the sampler's and of those of other uses."""
        if (use, to) not in self._samples:
            generator = torch.Generator().manual_seed(self._seed(use))
            self._samples[use, to] = self.problem.mixture.sample(self.problem.count, to, generator)
        return self._samples[use, to]

    def _seed(self, use: str) -> int:
        """A seed for each use, so that the streams of random numbers are independent."""
        spawned = np.random.SeedSequence(self.problem.study.run.seed, spawn_key=(USES.index(use),))
        return int(spawned.generate_state(1, np.uint64)[0])

    def _start(self, source: Point) -> Tensor:
        """Start samples [n, d] at the first point of a grid."""
        if source not in self._starts:
            self._starts[source] = start_samples(self.problem, source)
        return self._starts[source]

    def _reference(self, source: Point, to: Point) -> Tensor:
        """The reference flow of the start samples in d > 1."""
        if (source, to) not in self._references:
            start = self._start(source)
            (self._references[source, to],) = flow_to(self.problem.mixture, start, source, [to])
        return self._references[source, to]

    def _trajectory(self, y: Tensor, source: Point, to: Point) -> dict[str, Value]:
        try:
            reference = self._reference(source, to)
        except SamplingError as fault:
            return none(["trajectory"], str(fault))
        square = (y - reference).square().sum(dim=1)
        mean = float(square.mean())
        groups = relative(in_groups((square - mean) / len(square)), 2 * mean)
        return {"trajectory": Value(0, metrics.trajectory(y, reference), groups=groups)}


def start_samples(problem: MixtureProblem, source: Point, nodes: int | None = None) -> Tensor:
    """Start samples [n, d] at the first point of a grid.

    In 1-D `nodes` or the study's number of points, rounded up to whole panels of four (laws/map_quadrature.py).
    """
    law = problem.start_law(source)
    if problem.mixture.dim == 1:
        points = nodes or problem.count
        return metrics.nodes(law, points + (1 - points) % 4)
    return law[0].sample(problem.count, law[1], torch.Generator().manual_seed(problem.study.run.seed))


def with_known(push: Push, x: Tensor, y: Tensor, dydx: Tensor) -> Push:
    """A push that takes from x, ascending, what is there [m, 1 each]."""

    def pushed(new: Tensor) -> tuple[Tensor, Tensor]:
        place = torch.searchsorted(x[:, 0], new[:, 0]).clamp(max=len(x) - 1)
        missing = x[place] != new
        values, slopes = y[place], dydx[place]
        if bool(missing.any()):
            values[missing], slopes[missing] = (part[:, 0] for part in push(new[missing][:, None]))
        return values, slopes

    return pushed if len(x) else push


def _value(of: Estimate, floor: float | None) -> Value:
    return Value(0, of.value, of.low, of.high, floor, needed=of.needed, groups=of.groups)


def _check_finite(*tensors: Tensor) -> None:
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
        raise SamplingError("the sample is not finite after the last step")
