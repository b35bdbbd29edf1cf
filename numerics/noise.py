"""Sources of noise for stochastic samplers: one contract, and the plain one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# noise(like, draw) -> fresh standard normal numbers of the shape, dtype and device of `like`; draw counts from 0 in a
# run. A source must not repeat itself: draws that are to be joint are combined by the sampler's table.
NoiseSource = Callable[[Tensor, int], Tensor]


def seeded(seed: int, device: str = "cpu") -> NoiseSource:
    """A stream of its own: with the generator on the CPU the same numbers on every device of the state."""
    return from_generator(torch.Generator(device).manual_seed(seed))


def from_generator(generator: torch.Generator) -> NoiseSource:
    """Draw from a generator on its own device, and move to that of the state."""

    def draw(like: Tensor, index: int) -> Tensor:
        z = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device)
        return z.to(like.device)

    return draw
