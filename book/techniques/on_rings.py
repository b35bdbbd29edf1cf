"""REFace on the network of two rings: steps of DDIM in training."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ...numerics.checkpoints.load import load
from ...numerics.few_step.angles import equal_angles
from ...numerics.few_step.outcomes import run
from ...numerics.training.data import rings
from ...numerics.training.denoiser_task import losses
from .technique import Measured

LARGE = "rings"
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
