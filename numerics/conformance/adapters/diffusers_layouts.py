"""Layouts of the schedulers of diffusers: the points of every evaluation, and those of the grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...points import Point
from ..forward_processes import at_ratio, point


@dataclass(frozen=True)
class Layout:
    """The grid of a scheduler, and its evaluations.

    evaluations: for every call of `step`, the point of the evaluation and the grid point that the step leads to in
    which its state was computed.  grid: the points between which it steps.  calls: the timestep of every call.
    """

    process: str
    evaluations: list[tuple[Point, int]]
    grid: tuple[Point, ...]
    calls: list[Any]


def vp_from_sigmas(scheduler: Any, steps: int) -> Layout:
    """Variance preserving, sigma/alpha in `sigmas`; on the flow `sigmas` holds sigma."""
    flow = bool(scheduler.config.get("use_flow_sigmas"))
    grid = tuple(_from_ratio(s, flow) for s in _levels(scheduler))
    return _one_evaluation_a_step("flow" if flow else "vp", grid, scheduler)


def singlestep_blocks(scheduler: Any, steps: int) -> Layout:
    """As vp_from_sigmas, in steps of one to three evaluations: a step ends where `order_list` returns to 1."""
    flat = vp_from_sigmas(scheduler, steps)
    orders = scheduler.order_list[begin(scheduler) :]
    starts = [i for i, order in enumerate(orders) if order == 1]
    grid = tuple(flat.grid[i] for i in (*starts, len(orders)))
    evaluations = []
    for i, order in enumerate(orders):
        block = sum(s <= i for s in starts)
        evaluations.append((flat.grid[i], block - 1 if order == 1 else block))
    return Layout(flat.process, evaluations, grid, flat.calls)


def ve_from_sigmas(scheduler: Any, steps: int) -> Layout:
    """Variance exploding, alpha = 1, sigma in `sigmas`."""
    return _one_evaluation_a_step("ve", tuple(point("ve", 1.0, s) for s in _levels(scheduler)), scheduler)


def flow_from_sigmas(scheduler: Any, steps: int) -> Layout:
    """On the flow, alpha = 1 - sigma, sigma in `sigmas`; alpha where these are inverted."""
    levels = _levels(scheduler)
    sigmas = [1 - s for s in levels] if scheduler.config.get("invert_sigmas") else levels
    return _one_evaluation_a_step("flow", tuple(point("flow", 1 - s, s) for s in sigmas), scheduler)


def trapezoid(process: str) -> Callable[[Any, int], Layout]:
    """Two evaluations a step, at its start and at its end; one in the last. Inner levels stand twice in `sigmas`."""

    def layout(scheduler: Any, steps: int) -> Layout:
        levels = _levels(scheduler)
        points = [point(process, 1.0 if process == "ve" else 1 - s, s) for s in levels]
        grid = (*points[:-1:2], points[-1])
        calls = list(scheduler.timesteps)
        return Layout(process, [(points[i], (i + 1) // 2) for i in range(len(calls))], grid, calls)

    return layout


def midpoint(behind: int) -> Callable[[Any, int], Layout]:
    """Two evaluations a step, at its start and in its middle, `behind` places earlier in `sigmas_interpol`; one in the
    last.
    """

    def layout(scheduler: Any, steps: int) -> Layout:
        ends, middles = _levels(scheduler), _levels(scheduler, "sigmas_interpol")
        calls = list(scheduler.timesteps)
        levels = [middles[i - behind] if i % 2 else ends[i] for i in range(len(calls))]
        grid = tuple(point("ve", 1.0, s) for s in (ends[0], *ends[1::2]))[: len(calls) // 2 + 2]
        return Layout("ve", [(point("ve", 1.0, s), (i + 1) // 2) for i, s in enumerate(levels)], grid, calls)

    return layout


def midpoint_of_doubled_sigmas(scheduler: Any, steps: int) -> Layout:
    """Two evaluations a step, at its start and at the geometric mean of its sigmas, which stand twice in `sigmas`."""
    ends = _levels(scheduler)
    calls = list(scheduler.timesteps)
    grid = tuple(point("ve", 1.0, s) for s in (ends[0], *ends[1::2]))[: len(calls) // 2 + 2]
    evaluations = []
    for i in range(len(calls)):
        n = i // 2
        sigma = math.sqrt(grid[n].sigma * grid[n + 1].sigma) if i % 2 else grid[n].sigma
        evaluations.append((point("ve", 1.0, sigma), (i + 1) // 2))
    return Layout("ve", evaluations, grid, calls)


def vp_from_timesteps(scheduler: Any, steps: int) -> Layout:
    """Variance preserving, alpha^2 in `alphas_cumprod` at the timesteps; the last step goes to `previous_timestep`, or
    one stride further where the class has no such method.
    """
    calls = list(scheduler.timesteps)
    if hasattr(scheduler, "previous_timestep"):
        last = int(scheduler.previous_timestep(calls[-1]))
    else:
        last = int(calls[-1]) - scheduler.config.num_train_timesteps // steps
    grid = tuple(_at(scheduler, int(t)) for t in (*calls, last))
    return Layout("vp", [(p, n) for n, p in enumerate(grid[:-1])], grid, calls)


def vp_from_data(scheduler: Any, steps: int) -> Layout:
    """Variance preserving, from data to noise: every call is passed the timestep to which its step leads, from the one
    a stride below it; the first starts at `initial_alpha_cumprod`.
    """
    calls = list(scheduler.timesteps)
    first = int(calls[0]) - scheduler.config.num_train_timesteps // steps
    product = float(scheduler.alphas_cumprod[first] if first >= 0 else scheduler.initial_alpha_cumprod)
    start = point("vp", math.sqrt(product), math.sqrt(1 - product))
    grid = (start, *(_at(scheduler, int(t)) for t in calls))
    return Layout("vp", [(p, n) for n, p in enumerate(grid[:-1])], grid, calls)


def vp_to_zero(scheduler: Any, steps: int) -> Layout:
    """As vp_from_timesteps, with a last step to sigma = 0."""
    calls = list(scheduler.timesteps)
    grid = (*(_at(scheduler, int(t)) for t in calls), point("vp", 1.0, 0.0))
    return Layout("vp", [(p, n) for n, p in enumerate(grid[:-1])], grid, calls)


def vp_to_first_level(scheduler: Any, steps: int) -> Layout:
    """As vp_from_timesteps, with a last step to the first level."""
    calls = list(scheduler.timesteps)
    grid = tuple(_at(scheduler, int(t)) for t in (*calls, 0))
    return Layout("vp", [(p, n) for n, p in enumerate(grid[:-1])], grid, calls)


def vp_from_alpha_function(scheduler: Any, steps: int) -> Layout:
    """Variance preserving, alpha^2 by a function of the time; the last timestep is the end of the grid."""
    times = list(scheduler.timesteps)
    products = [float(scheduler._alpha_cumprod(t.reshape(1), t.device)) for t in times]
    grid = tuple(point("vp", math.sqrt(p), math.sqrt(1 - p)) for p in products)
    return Layout("vp", [(p, n) for n, p in enumerate(grid[:-1])], grid, times[:-1])


def vp_from_angles(scheduler: Any, steps: int) -> Layout:
    """Variance preserving, alpha and sigma are cosine and sine of the timestep; the last timestep is the end."""
    times = list(scheduler.timesteps)
    grid = tuple(point("vp", math.cos(float(t)), math.sin(float(t))) for t in times)
    return Layout("vp", [(p, n) for n, p in enumerate(grid[:-1])], grid, times[:-1])


def pndm(scheduler: Any, steps: int) -> Layout:
    """PNDM: the first step is taken twice, or the first three have four evaluations each (skip_prk_steps=false)."""
    calls = list(scheduler.timesteps)
    stride = scheduler.config.num_train_timesteps // steps
    if scheduler.config.skip_prk_steps:
        to = [0, 1, *range(1, len(calls) - 1)]
        starts = [0, *range(2, len(calls))]
    else:
        to = [n if k == 0 else n + 1 for n in range(3) for k in range(4)]
        to += range(3, 3 + len(calls) - 12)
        starts = [0, 4, 8, *range(12, len(calls))]
    times = [int(calls[i]) for i in starts]
    grid = tuple(_at(scheduler, t) for t in (*times, times[-1] - stride))
    return Layout("vp", [(_at(scheduler, int(t)), n) for t, n in zip(calls, to, strict=True)], grid, calls)


def vp_from_alphas_and_betas(scheduler: Any, steps: int) -> Layout:
    """Variance preserving, alpha in `alphas`, sigma in `betas`."""
    pairs = zip(_floats(scheduler.alphas), _floats(scheduler.betas), strict=True)
    return _one_evaluation_a_step("vp", tuple(point("vp", a, s) for a, s in pairs), scheduler)


def of_table(scheduler: Any, steps: int) -> Layout:
    """The evaluations of the table that a scheduler holds, from the one on where it begins."""
    table, levels = scheduler.table, scheduler.levels
    made = [(at, n) for at, n, asked in zip(table.points, table.step, table.evaluated, strict=True) if asked]
    made = made[begin(scheduler) :]
    first = made[0][1]
    evaluations = [(at, n - first) for at, n in made]
    return Layout(levels.process, evaluations, levels.grid.points[first:], list(scheduler.timesteps))


def _one_evaluation_a_step(process: str, grid: tuple[Point, ...], scheduler: Any) -> Layout:
    calls = list(scheduler.timesteps)
    grid = grid[: len(calls) + 1]
    return Layout(process, [(p, n) for n, p in enumerate(grid[: len(calls)])], grid, calls)


def _at(scheduler: Any, timestep: int) -> Point:
    """The point of a timestep; of a negative one, the end of the schedule."""
    last = getattr(scheduler, "final_alpha_cumprod", 1.0)
    product = float(scheduler.alphas_cumprod[timestep] if timestep >= 0 else last)
    return point("vp", math.sqrt(product), math.sqrt(1 - product))


def _from_ratio(sigma: float, flow: bool) -> Point:
    if flow:
        return point("flow", 1 - sigma, sigma)
    return at_ratio("vp", sigma)


def _levels(scheduler: Any, name: str = "sigmas") -> list[float]:
    """Its sigmas from its first level on."""
    return _floats(getattr(scheduler, name)[begin(scheduler) :])


def begin(scheduler: Any) -> int:
    """The index of the first level: above 0 where a run starts from a noised image."""
    return getattr(scheduler, "begin_index", None) or 0


def _floats(values: Sequence[Any]) -> list[float]:
    return [float(v) for v in values]
