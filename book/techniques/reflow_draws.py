"""2-RF++ on two rings: the draws of t and the distance of its training, beside plain ones."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from ...numerics.checkpoints.load import load
from ...numerics.few_step.angles import equal_angles
from ...numerics.few_step.objectives import at_level, reflow
from ...numerics.few_step.outcomes import FLOW, ddim, distances, run, starts
from ...numerics.training.data import rings
from ...numerics.training.student_task import ALONG, PAIRS, SPAN
from .features_in_training import compared
from .technique import Measured

UPDATES, BATCH, RATE, SEEDS, JUMPS = 3000, 256, 1e-3, (0, 1, 2, 3, 4), (1, 2)
STEEP, NEARLY_SQUARE = 4.0, 0.00054  # of the density of t, and of the distance, for one component
ENDS = equal_angles(-SPAN, SPAN, 1)


def u_shaped(uniform: Tensor) -> Tensor:
    """Uniform numbers to t with the density proportional to cosh(STEEP (t - 1/2)) on [0, 1]."""
    return 0.5 + torch.asinh((2 * uniform - 1) * math.sinh(STEEP / 2)) / STEEP


def pseudo_huber(value: Tensor, wanted: Tensor) -> Tensor:
    """sqrt(|value - wanted|^2 + c^2) - c by row, c = NEARLY_SQUARE d."""
    c = NEARLY_SQUARE * value.shape[1]
    found: Tensor = ((value - wanted).square().sum(dim=1) + c**2).sqrt() - c
    return found


ARMS: dict[str, dict[str, Callable[..., Tensor]]] = {
    "uniform, squares": {},
    "U-shaped, squares": {"place": u_shaped},
    "U-shaped, pseudo-Huber": {"place": u_shaped, "distance": pseudo_huber},
}


@cache
@torch.no_grad()
def pairs() -> tuple[Tensor, Tensor]:
    """Samples of the forward process at the first level, and where DDIM with the kept network takes them."""
    checkpoint = load("rings")
    first = at_level(rings().train[:PAIRS] / checkpoint.unit, ENDS[0], torch.Generator().manual_seed(0))
    return first, run(checkpoint.network, first, equal_angles(-SPAN, SPAN, ALONG))


def trained(arm: str, seed: int) -> nn.Module:
    """A network after UPDATES of Adam on the pairs, from the kept one's weights.  The arms of a seed share batches."""
    network, chance = copy.deepcopy(load("rings").network).train().requires_grad_(True), torch.Generator()
    chance.manual_seed(seed)
    loss = reflow(pairs(), ENDS, BATCH, **ARMS[arm])
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
    for _ in range(UPDATES):
        value = loss(network, network, chance)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        decay.step()
    return network.eval().requires_grad_(False)


@torch.no_grad()
def measure_draws() -> Measured:
    """Distances to the flow and W1 of the radius after one and two jumps, by arm, and of each arm from the first."""
    unit, flow = load("rings").unit, ddim(ENDS[0], ENDS[1], FLOW)
    found: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
    for seed in SEEDS:
        for arm in ARMS:
            with torch.enable_grad():
                network = trained(arm, seed)
            numbers: list[float] = []
            for jumps in JUMPS:
                y = run(network, starts(ENDS[0]), equal_angles(-SPAN, SPAN, jumps))
                apart = distances(y * unit, flow * unit, flow * unit)
                numbers += [apart.to_flow, apart.radius]
            found[arm].append(numbers)
    plain, *others = found
    rows = [
        (arm, str(seed), *(f"{v:.4f}" for v in numbers))
        for arm in found
        for seed, numbers in zip(SEEDS, found[arm], strict=True)
    ]
    gaps = {
        arm: [compared([(a[k], b[k]) for a, b in zip(found[plain], found[arm], strict=True)]) for k in range(4)]
        for arm in others
    }
    rows += [(f"{arm}, less plain", "mean", *(words for _, words in gaps[arm])) for arm in others]
    head = ("draw of t, distance", "seed", *(f"{name}, {n} jump{'s' * (n > 1)}" for n in JUMPS for name in NAMES))
    return Measured(number=gaps[others[-1]][0][0], head=head, rows=tuple(rows))


NAMES = ("rms to the flow", "W1 of radius")
