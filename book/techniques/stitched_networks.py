"""T-Stitch with two networks of one data set: distances that are measured, and to first order."""

from __future__ import annotations

import torch
from torch import Tensor

from ...numerics.checkpoints.load import load
from ...numerics.ddim_step import ddim_step
from ...numerics.denoisers import Denoiser
from ...numerics.grids import Grid, grid
from ...numerics.metrics import trajectory
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.stitching import stitched
from ...numerics.tableau import tabulate
from .technique import Measured

STEPS, SHARES = 50, (0.2, 0.4, 0.6, 0.8, 1.0)
NUDGE = 1e-3  # of a difference of two models, in the central differences of its transport


def uniform_time(steps: int) -> Grid:
    """The linear variance-preserving schedule, t from 1 to 0.004 in equal steps."""
    return grid(schedule("vp-linear"), "uniform-t", steps, t_min=4e-3, t_max=1.0)


def parts_of_displacement(large: Denoiser, small: Denoiser, x: Tensor, at: Grid) -> list[Tensor]:
    """What the small model in one step of DDIM moves the end by, to first order, for every step of the large one.

    J b (eps_S - eps_L) of a step, b its weight: J is applied by a central difference of the rest of the run.
    """
    points, found = at.points, []
    for n in range(at.steps):
        here, there = points[n], points[n + 1]
        own = large(x, here, "noise")
        after = ddim_step(x, own, here, there)
        moved = NUDGE * (ddim_step(x, small(x, here, "noise"), here, there) - after)
        both = torch.cat([after + moved, after - moved])
        for one, next_one in zip(points[n + 1 :], points[n + 2 :], strict=False):
            both = ddim_step(both, large(both, one, "noise"), one, next_one)
        found.append((both[: len(x)] - both[len(x) :]) / (2 * NUDGE))
        x = after
    return found


def measure_networks(names: tuple[str, str], samples: int) -> Measured:
    """The small network in the first or the last steps of DDIM: root mean square distances to the large one's run."""
    large, small = (load(name).denoiser(torch.float64) for name in names)
    at, shape = uniform_time(STEPS), load(names[0]).shape
    x = torch.randn(samples, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    table = tabulate("ddim", at)
    pure = sample(large, x, table)
    parts = torch.stack(parts_of_displacement(large, small, x, at))
    rows: list[tuple[str, ...]] = []
    measured, first_order, late = [], [], []
    for share in SHARES:
        steps = round(share * at.steps)
        last = at.steps - steps
        first = stitched([small, large], [at.points[steps].lam])
        second = stitched([large, small], [at.points[last].lam]) if last else small
        found = (trajectory(sample(first, x, table), pure), trajectory(sample(second, x, table), pure))
        expected = (size(parts[:steps].sum(dim=0)), size(parts[last:].sum(dim=0)))
        cells = (f"{a:.4f}" for pair in zip(found, expected, strict=True) for a in pair)
        rows.append((f"{share:g}", f"{at.points[steps].lam:.2f}", *cells))
        measured.append((share, found[0]))
        first_order.append((share, expected[0]))
        late.append((share, found[1]))
    return Measured(
        number=measured[1][1] / late[1][1],
        head=("share of small steps", "to lambda", "small first", "to first order", "small last", "to first order"),
        rows=tuple(rows),
        curves={"small first": measured, "to first order": first_order, "small last": late},
        x="share of the steps with the small network",
        y="distance to the large network's samples",
    )


def size(y: Tensor) -> float:
    """Root mean square length of samples [n, ...]."""
    return trajectory(y, torch.zeros_like(y))


def measure_rings() -> Measured:
    return measure_networks(("rings", "rings-small"), 500)


def measure_digits() -> Measured:
    return measure_networks(("digits", "digits-small"), 16)
