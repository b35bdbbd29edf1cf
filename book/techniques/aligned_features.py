"""REPA's alignment on the line: a projector is trained towards the component that a point came from."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...numerics.points import Point
from ...numerics.schedules import schedule
from .conditioned_laws import bound
from .on_the_line import M1
from .technique import Measured

LEVELS, WIDTH = (0.2, 0.4, 0.6, 0.8), 64
UPDATES, BATCH, RATE, JUDGED = 1500, 1024, 3e-3, 200_000


def drawn(at: Point, count: int, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points [n, 1] of M1 at a level, and the components [n] that they came from."""
    which = torch.multinomial(M1.weights, count, replacement=True, generator=chance)
    x0 = M1.means[which] + M1.variances[which].sqrt() * torch.randn(count, 1, generator=chance, dtype=torch.float64)
    return at.alpha * x0 + at.sigma * torch.randn(count, 1, generator=chance, dtype=torch.float64), which


def projector(seed: int) -> nn.Module:
    """A perceptron of a point and its level, trained on the mean cosine with the one-hot component."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(2, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, M1.components)
    )
    optimiser, chance = torch.optim.Adam(network.parameters(), lr=RATE), torch.Generator().manual_seed(seed)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
    for _ in range(UPDATES):
        t = float(torch.rand((), generator=chance)) * (LEVELS[-1] - LEVELS[0]) + LEVELS[0]
        loss = 1 - cosines(network, *drawn(schedule("flow").point(t), BATCH, chance), t).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        decay.step()
    return network.eval().requires_grad_(False)


def cosines(network: nn.Module, x: Tensor, which: Tensor, t: float) -> Tensor:
    """The cosine of the network's vector and the one-hot component, of every point."""
    out = network(torch.cat([x, torch.full_like(x, t)], dim=1).float())
    return F.normalize(out, dim=1).gather(1, which[:, None])[:, 0]


def measure_projector() -> Measured:
    network, chance, rows, largest = projector(0), torch.Generator().manual_seed(1), [], 0.0
    for t in LEVELS:
        found = cosines(network, *drawn(schedule("flow").point(t), JUDGED, chance), t).double()
        mean, error, most = float(found.mean()), float(found.std()) / len(found) ** 0.5, bound(t)
        largest = max(largest, most - mean)
        rows.append((f"{t:g}", f"{most:.5f}", f"{mean:.5f}", f"{error:.0e}"))
    head = ("t", "largest mean cosine", "projector, fresh draws", "standard error")
    return Measured(number=largest, head=head, rows=tuple(rows))
