"""A U-Net with scaled skips."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..checkpoints.own_networks import UNet
from ..errors import InputError, finite_number, of_type
from .diffusers_unet import decoder_blocks, scaled_in_diffusers, unet_of_diffusers
from .unet_checks import with_skips


class ScaledSkips(nn.Module):
    """The network with every skip multiplied by its factor: see `skips`."""

    def __init__(self, network: UNet, factors: tuple[float, ...]) -> None:
        super().__init__()
        self.network, self.factors = network, factors

    def forward(self, y: Tensor, lam: Tensor) -> Tensor:
        *kept, middle = self.network.encode(y, lam)
        scaled = [rho * skip for rho, skip in zip(self.factors, kept, strict=True)]
        return self.network.decode([*scaled, middle], lam)


def skips(network: nn.Module, factors: Sequence[float]) -> nn.Module:
    """Skip-Tuning: the skip of every level times a factor rho before it is concatenated, finest level first.

    network: a UNet of this package, or one of diffusers, of which every block of the decoder has a factor.
    1 changes no bit. Where the block after the concatenation normalises groups that do not mix skip and backbone, rho
    acts on the columns of its 1 x 1 shortcut alone, up to the eps of the normalisation (claim skip-scale).
    Raises InputError for a network without skips, another number of factors, and factors that are not finite.
    Ma et al. 2024.

    >>> import samplerproof as sp
    >>> digits = sp.load_checkpoint("digits").network
    >>> sp.techniques.skips(digits, [1.0, 0.7]).factors
    (1.0, 0.7)
    """
    of_type("factors", factors, (list, tuple), "a list of numbers, one for each level")
    theirs = unet_of_diffusers(network)
    net = with_skips(network, others=True) if theirs is None else None
    levels = len(decoder_blocks(theirs) if net is None else net.down)
    if len(factors) != levels:
        raise InputError("factors", f"{len(factors)} numbers", f"{levels}, one for each level, finest first")
    rho_of_levels = tuple(finite_number(f"factors[{n}]", rho) for n, rho in enumerate(factors))
    return scaled_in_diffusers(network, rho_of_levels) if net is None else ScaledSkips(net, rho_of_levels)
