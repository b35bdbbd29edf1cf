"""An external sampler on a grid of yours: read back in float64, or run as it is on a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..denoisers import Denoiser, convert
from ..errors import DependsError, SamplingError
from ..external_run import Model, Run
from ..grids import Grid
from ..points import Point
from ..readback import LINEAR, SCALE, Trace, superposition, trace
from .adapters.external_sampler import ExternalSampler
from .adapters.target import NoSteps, NoTable
from .adapters.visited_levels import CLOSE
from .forward_processes import on_process
from .report import TargetInfo
from .step_ends import up_to_last

SCALES = (1e4, 1e-4)  # standard deviations of further random inputs: what clips large values, or adds a constant
SAME = 1e-12  # relative: one level, computed in two ways
SCALED = ("data", "noise")  # predictions that stay what they are when states are scaled


def read(external: ExternalSampler, grid: Grid) -> tuple[Trace, str]:
    """The trace on the levels of a grid, in float64, and why it is not linear, "" where it is.

    States are those of the sampler's own process, predictions data or noise.
    Raises NoTable where it cannot take the levels, and what the sampler raises.
    """
    run, prediction = _in_scaled(_made(external, external.on_yours, grid), external.prediction)
    with external.float64():
        found = trace(run, prediction)
        check_levels(external.info.name, found, grid)
        check_end(external.info, found)
        return found, _not_linear(run, found)


def check_levels(name: str, run: Trace, grid: Grid) -> None:
    """Raises NoTable unless a run stepped between the levels of the grid, up to the rounding of float32."""
    found = run.grid
    if len(found) != grid.steps + 1:
        ends = all(
            abs(a.sigma * b.alpha - b.sigma * a.alpha) <= CLOSE * a.alpha * b.sigma for a, b in _ends(found, grid)
        )
        kind = NoSteps if ends else NoTable  # between the same ends it may be run on a model, such as one with a cache
        seen = [remark.text for remark in run.remarks if remark.kind == "grid"]
        takes = seen[0] if seen else f"it takes {len(found) - 1} on this grid"
        raise kind("grid", name, f"a sampler of {grid.steps} steps; {takes}")
    for n, (own, wanted) in enumerate(zip(found, grid.points, strict=True)):
        if abs(own.sigma * wanted.alpha - wanted.sigma * own.alpha) > CLOSE * own.alpha * wanted.sigma:
            ratios = [p.rho for p in (own, wanted)]
            level = f"its level {n} is sigma / alpha = {ratios[0]:.6g}, that of the grid {ratios[1]:.6g}"
            raise NoTable("grid", name, f"a sampler that steps between the levels of the grid: {level}")


def check_end(info: TargetInfo, run: Trace) -> None:
    """Raises NoTable where a run ends at the level before the last: its sample has the noise of that level."""
    if up_to_last(run, info.process) is not None:
        steps = len(run.grid) - 1
        allowed = f"a sampler of {steps} steps; it takes {steps - 1}, and none to the last level: noise is left"
        raise NoTable("grid", info.name, allowed)


def _ends(found: Sequence[Point], grid: Grid) -> tuple[tuple[Point, Point], ...]:
    return (found[0], grid.points[0]), (found[-1], grid.points[-1])


def _made(external: ExternalSampler, make: Callable[[Grid], Run] | None, grid: Grid) -> Run:
    if make is None:
        raise NoTable("grid", external.info.name, "a sampler that takes its levels; it makes them itself")
    return make(grid)


def _in_scaled(run: Run, prediction: str) -> tuple[Run, str]:
    """The run on a model of the data prediction, unless its own keeps its meaning when states are scaled."""
    if prediction in SCALED:
        return run, prediction

    def of_data(start: Tensor, model: Model, draw: object) -> object:
        def asked(x: Tensor, at: Point, to: int, channel: str = "") -> Tensor:
            return convert(x, model(x, at, to, channel), at, "data", prediction)

        return run(start, asked, draw)  # type: ignore[arg-type]

    return of_data, "data"  # type: ignore[return-value]


def _not_linear(run: Run, found: Trace) -> str:
    """How far random inputs deviate from superposition, at the first standard deviation at which they do."""
    if not bool(found.vectors.isfinite().all()):
        return ""  # shown by the trace
    for scale in (SCALE, *SCALES):
        try:
            worst = max(found.superposition if scale == SCALE else superposition(run, found, scale))
        except DependsError:
            worst = math.inf
        if worst == math.inf:
            return "its evaluations or draws depend on the values"
        if not worst <= LINEAR[found.dtype]:
            return f"random inputs deviate from superposition by {worst:.1e}, at standard deviation {scale:g}"
    return ""


def placing(grid: Grid) -> Callable[[Point], Point]:
    """at -> the point of the grid's process with the sigma / alpha of `at`: a grid point, or one between them."""
    by_level: dict[float, Point] = dict(zip(grid.columns.rho.tolist(), grid.points, strict=True))

    def there(at: Point) -> Point:
        ratio = at.rho
        if ratio in by_level:
            return by_level[ratio]
        near = min(by_level, key=lambda level: abs(level - ratio))
        if abs(near - ratio) <= SAME * ratio:
            return by_level[near]
        if grid.schedule is None:  # Li et al.'s levels, which preserve the variance
            return Point(1 / math.hypot(1, ratio), ratio / math.hypot(1, ratio))
        lam = -torch.tensor(ratio, dtype=torch.float64).log()
        return grid.schedule.point(float(grid.schedule.time(lam)))

    return there


@dataclass(frozen=True)
class Ran:
    """A run on a model: the sample [n, d], the calls of the model, and the number of draws."""

    sample: Tensor
    nfe: int
    draws: int


def run_as_it_is(external: ExternalSampler, grid: Grid, denoise: Denoiser, start: Tensor, seed: int) -> Ran:
    """Run a sampler on a model, linear or not, in float64, from start samples [n, d] at the grid's first point.

    The sampler is passed states [n, 1, 1, d] of its own process.
    Raises SamplingError where it draws increments of a path over intervals that overlap, NoTable where it cannot
    take the levels, and what the sampler raises.
    """
    run = _made(external, external.unread or external.on_yours, grid)
    there, shape = placing(grid), (len(start), 1, 1, start.shape[1])
    own = on_process(grid, external.info.process)
    generator = torch.Generator().manual_seed(seed)
    spans: list[tuple[float, float]] = []
    calls = draws = 0

    def model(x: Tensor, at: Point, to: int, channel: str = "") -> Tensor:
        nonlocal calls
        calls += 1
        place = there(at)
        state = x.reshape(start.shape) * _factor(place, at)
        answer = denoise(state, place, "data").reshape(shape)
        return convert(x, answer, at, "data", external.prediction)

    def draw(like: Tensor, span: tuple[float, float] | None = None) -> Tensor:
        nonlocal draws
        draws += 1
        if span is not None:
            low, high = sorted(span)
            if any(low < end and begin < high for begin, end in spans):
                raise SamplingError("it draws increments of one path over intervals that overlap, and is not linear")
            spans.append((low, high))
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.dtype)

    with external.float64(), torch.no_grad():
        end = run(start.reshape(shape) * _factor(own[0], grid.point(0)), model, draw).sample
    if not isinstance(end, Tensor) or end.shape != shape:
        found = list(end.shape) if isinstance(end, Tensor) else type(end).__name__
        raise SamplingError(f"it ends with {found}; it was given {list(shape)}")
    y = end.double().reshape(start.shape) * _factor(grid.point(grid.steps), own[-1])
    return Ran(y, calls, draws)


def _factor(there: Point, here: Point) -> float:
    """Of a state: from one process to another at one sigma / alpha."""
    return 1.0 if there.alpha == here.alpha else there.alpha / here.alpha
