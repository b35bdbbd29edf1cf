"""Adversarial students: guesses of the data with a latent, for the chain of denoising diffusion GANs.

All is in units of the data, as in objectives.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from ..checkpoints.checkpoint import unit_point
from ..checkpoints.own_networks import Perceptron
from .jump_network import LatentPerceptron
from .objectives import Loss, at_level, drawn
from .posterior_chain import bridge
from .student import latent_guess

PENALTY = 0.05  # of the squared slope of the discriminator at real states, halved


class Rivals(nn.Module):
    """A student and its discriminator, which one optimiser trains; the discriminator reads two states and a level."""

    def __init__(self, shape: Sequence[int], widths: Sequence[int], embedding: int) -> None:
        super().__init__()
        self.student = LatentPerceptron(shape, widths, embedding)
        self.discriminator = Perceptron([2 * shape[0]], widths, embedding, out=1)


def adversarial(levels: Sequence[float], samples: Tensor, batch: int) -> Loss:
    """A discriminator cannot tell the next states of the student's guesses from those of the data, in no step.

    The sum of both losses, whose gradients are kept apart, and of a penalty on the slope of the discriminator. At the
    optimum it is log 2 + 2 log 2.  Every batch is of one step, drawn at random.
    Xiao et al. 2022 (arXiv 2112.07804), eq. 4; EMDM (arXiv 2312.02256) trains so on motions.
    """
    points = [unit_point(lam) for lam in levels]

    def loss(network: nn.Module, average: nn.Module, generator: torch.Generator) -> Tensor:
        assert isinstance(network, Rivals)
        n = int(torch.randint(len(levels) - 1, (1,), generator=generator))
        here, there = points[n], points[n + 1]
        x0 = drawn(samples, batch, generator)
        x = at_level(x0, levels[n], generator)
        real = bridge(x0, x, here, there, generator).requires_grad_()
        fake = bridge(latent_guess(network.student, generator)(x, here), x, here, there, generator)
        lam = torch.full((batch,), levels[n], dtype=x.dtype)

        # The discriminator; its weights are constants in the loss of the student.
        score = network.discriminator(torch.cat([real, x], dim=1), lam)
        against = F.softplus(-score) + F.softplus(network.discriminator(torch.cat([fake.detach(), x], dim=1), lam))
        (slope,) = torch.autograd.grad(score.sum(), real, create_graph=True)
        fixed = {name: weight.detach() for name, weight in network.discriminator.named_parameters()}
        fooled = functional_call(network.discriminator, fixed, (torch.cat([fake, x], dim=1), lam))
        total = against + F.softplus(-fooled) + PENALTY / 2 * slope.square().sum(dim=1, keepdim=True)
        return total.mean()

    return loss
