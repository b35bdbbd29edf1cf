"""Sources of noise for stochastic samplers: the contract, and sources from a generator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .errors import whole

# noise(like, draw) -> fresh standard normal numbers of the shape, dtype and device of `like`; draw counts from 0 in a
# run. Draws must be independent: correlated noises are combined by the table of the sampler.
NoiseSource = Callable[[Tensor, int], Tensor]


def seeded(seed: int, device: str = "cpu") -> NoiseSource:
    """A source of standard normal noise for stochastic samplers: its own stream of random numbers.

    Returns noise(like, draw) -> fresh numbers of the shape, dtype and device of `like`; draw counts from 0 in a run.
    device: of the generator; on the CPU it produces the same numbers for every device of the state.
    Raises InputError on a seed that is not a whole number, RuntimeError on a device that torch does not have.

    >>> import torch
    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.5, 0.5], [-1.0, 1.0], stds=[0.1, 0.1])
    >>> grid = sp.Grid.from_sigmas([10.0, 3.0, 1.0, 0.3, 0.1])
    >>> x = 10 * torch.randn(100, 1, generator=torch.Generator().manual_seed(0))
    >>> sp.sample(mixture, x, sp.tabulate("ddpm", grid), noise=sp.seeded(0)).shape
    torch.Size([100, 1])
    """
    whole("seed", seed)
    return from_generator(torch.Generator(device).manual_seed(seed))


def from_generator(generator: torch.Generator) -> NoiseSource:
    """Noise from a generator, drawn on its device and moved to that of the state."""

    def draw(like: Tensor, index: int) -> Tensor:
        z = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device)
        return z.to(like.device)

    return draw
