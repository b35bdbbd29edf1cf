"""Trials on the networks of two rings: two networks in one run, steps of DDIM in training, an adversarial student."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from ...numerics.checkpoints.load import load
from ...numerics.ddim_step import ddim_step
from ...numerics.denoisers import Denoiser
from ...numerics.few_step.angles import equal_angles
from ...numerics.few_step.outcomes import run
from ...numerics.grids import Grid, grid
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.stitching import stitched
from ...numerics.tableau import tabulate
from ...numerics.training.data import rings
from ...numerics.training.denoiser_task import losses
from .technique import Measured

LARGE, SMALL = "rings", "rings-small"
STITCHED, SHARES, SAMPLES = 50, (0.2, 0.4, 0.6, 0.8, 1.0), 500
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


def size(y: Tensor) -> float:
    """Root mean square length of [n, d]."""
    return math.sqrt(float(y.square().sum(dim=1).mean()))


def measure_pair() -> Measured:
    """The small network in the first or the last steps of 50 of DDIM: distances to the large one's run."""
    large, small = (load(name).denoiser(torch.float64) for name in (LARGE, SMALL))
    at = uniform_time(STITCHED)
    x = torch.randn(SAMPLES, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
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
        found = (size(sample(first, x, table) - pure), size(sample(second, x, table) - pure))
        expected = (size(parts[:steps].sum(dim=0)), size(parts[last:].sum(dim=0)))
        rows.append(
            (
                f"{share:g}",
                f"{at.points[steps].lam:.2f}",
                *(f"{a:.4f}" for pair in zip(found, expected, strict=True) for a in pair),
            )
        )
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


RADIUS, WEIGHT, UPDATES, BATCH, RATE = 0.9, 10.0, 200, 128, 3e-4
TRIED, JUDGED, SPAN = (1, 2, 4), 8, 4.0


def radius_loss(y: Tensor) -> Tensor:
    """The mean of (|x| - RADIUS)^2: what stands for a loss of identity."""
    found: Tensor = (y.norm(dim=1) - RADIUS).square().mean()
    return found


def tuned(steps: int) -> nn.Module:
    """The network of rings after UPDATES of its own loss and the loss of the radius after these steps from noise."""
    checkpoint, data = load(LARGE), rings().train / load(LARGE).unit
    network = copy.deepcopy(checkpoint.network).train().requires_grad_(True)
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    levels, generator = equal_angles(-SPAN, SPAN, steps), torch.Generator().manual_seed(0)
    for _ in range(UPDATES):
        y = torch.randn(BATCH, 2, generator=generator)
        chosen = data[torch.randint(len(data), (BATCH,), generator=generator)]
        noise = torch.randn(BATCH, 2, generator=generator)
        lam = SPAN * (2 * torch.rand(BATCH, generator=generator) - 1)
        denoising = losses(network, chosen, noise, lam)[0].mean()
        loss = denoising + WEIGHT * radius_loss(run(network, y, levels) * checkpoint.unit)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval().requires_grad_(False)


def measure_steps_in_training() -> Measured:
    """The loss of the radius and the spread of the angles, at the steps of training and at JUDGED, after tuning."""
    unit, held_out = load(LARGE).unit, rings().held_out / load(LARGE).unit
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(2000, 2, generator=generator)
    noise, lam = torch.randn(held_out.shape, generator=generator), SPAN * torch.linspace(-1, 1, len(held_out))
    rows = []
    for steps, network in ((0, load(LARGE).network), *((n, tuned(n)) for n in TRIED)):
        with torch.no_grad():
            ends = [run(network, y, equal_angles(-SPAN, SPAN, n)) * unit for n in (steps or 1, JUDGED)]
            denoising = float(losses(network, held_out, noise, lam)[0].mean())
        numbers = [f"{float(radius_loss(x)):.4f}" for x in ends] + [f"{spread(x):.3f}" for x in ends]
        label = str(steps) if steps else "not tuned, 1 step"
        rows.append((label, *numbers, f"{denoising:.3f}"))
    at_eight = {row[0]: float(row[2]) for row in rows}
    return Measured(
        number=at_eight["1"] / at_eight["4"],
        head=(
            "steps in training",
            *(f"{name}, {at}" for name in ("loss", "spread of angles") for at in ("as trained", f"{JUDGED} steps")),
            "loss of v, held out",
        ),
        rows=tuple(rows),
    )


def spread(x: Tensor) -> float:
    """1 - |mean of x/|x||: 0 for one direction, 1 for all alike."""
    return 1 - float((x / x.norm(dim=1, keepdim=True)).mean(dim=0).norm())
