"""A U-Net with scaled skips."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..checkpoints.own_networks import UNet
from ..errors import InputError, finite_number
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


def skips(network: nn.Module, factors: Sequence[float]) -> ScaledSkips:
    """Skip-Tuning: the skip of every level times a factor rho before it is concatenated, finest level first.

    1 changes no bit. Where the block after the concatenation normalises groups that do not mix skip and backbone, rho
    acts on the columns of its 1 x 1 shortcut alone, up to the eps of the normalisation (claim skip-scale).
    Raises InputError for a network without skips, another number of factors, and factors that are not finite.
    Ma et al. 2024.

    >>> import samplerproof as sp
    >>> digits = sp.load_checkpoint("digits").network
    >>> sp.techniques.skips(digits, [1.0, 0.7]).factors
    (1.0, 0.7)
    """
    net = with_skips(network)
    if len(factors) != len(net.down):
        raise InputError("factors", f"{len(factors)} numbers", f"{len(net.down)}, one for each level, finest first")
    return ScaledSkips(net, tuple(finite_number(f"factors[{n}]", rho) for n, rho in enumerate(factors)))
