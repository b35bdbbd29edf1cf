"""A U-Net whose features are evaluated at some calls and extrapolated in lambda at the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoints.own_networks import UNet
from ..errors import InputError
from .diffusers_unet import propagated_in_diffusers, unet_of_diffusers
from .refreshes import Features, Refreshes
from .unet_checks import check_features, one_level, same_batch, with_skips


class Propagated(nn.Module):
    """The decoder at every call, the encoder with the middle block at a refresh: see `propagated`."""

    def __init__(self, network: UNet, refreshes: Refreshes) -> None:
        super().__init__()
        self.network, self.refreshes = network, refreshes

    def forward(self, y: Tensor, lam: Tensor) -> Tensor:
        features = self.refreshes.at(one_level(lam), lambda: self.network.encode(y, lam))
        same_batch(y, features[0])
        return self.network.decode(features, lam)


class Inherited(nn.Module):
    """The finest level at every call, all levels below it at a refresh: see `inherited`."""

    def __init__(self, network: UNet, refreshes: Refreshes) -> None:
        super().__init__()
        self.network, self.refreshes = network, refreshes

    def forward(self, y: Tensor, lam: Tensor) -> Tensor:
        net, level = self.network, self.network.clock(lam)
        fine = net.down[0](net.enter(F.pixel_unshuffle(y, net.patch)), level)
        (coarse,) = self.refreshes.at(one_level(lam), lambda: self._coarse(fine, level))
        same_batch(y, coarse)
        h = net.up[-1](torch.cat([F.interpolate(coarse, scale_factor=2.0), fine], dim=1), level)
        return F.pixel_shuffle(net.leave(F.silu(net.leave_norm(h))), net.patch)

    def _coarse(self, fine: Tensor, level: Tensor) -> Features:
        """What the last block of the decoder takes besides the finest features."""
        net, h, skips = self.network, fine, []
        for block in net.down[1:]:
            h = block(F.avg_pool2d(h, 2), level)
            skips.append(h)
        h = net.middle(h, level)
        for depth, (block, skip) in enumerate(zip(net.up[:-1], reversed(skips), strict=True)):
            h = block(torch.cat([F.interpolate(h, scale_factor=2.0) if depth else h, skip], dim=1), level)
        return [h]


def propagated(network: nn.Module, q: int, m: int = 1) -> Propagated | nn.Module:
    """Encoder propagation: the encoder and the middle block run at every q-th call, the decoder at every call.

    network: a UNet of this package, or one of diffusers, whose first convolution is part of the encoder, and whose own
    time with a minus stands for lambda. Between two encodings the decoder takes their features, m = 1, or extrapolates
    in lambda through the last m; the first m calls all encode (refreshes.Refreshes). Such a call does not depend on y.
    What is returned has the network's own call, so that a checkpoint with it has a denoiser as before; a run takes a
    denoiser of its own, checkpoint.denoiser(), which copies the state.
    Raises InputError for a network without skips, q or m below 1; in a run, where lambda does not rise from call to
    call.  Li et al. 2024, section 3.2, with uniform keys; without its injection of noise.

    >>> import dataclasses, torch
    >>> import samplerproof as sp
    >>> digits = sp.load_checkpoint("digits")
    >>> changed = dataclasses.replace(digits, network=sp.techniques.propagated(digits.network, q=2))
    >>> grid = sp.grid(sp.schedule("edm"), "karras", 6, sigma_min=0.05, sigma_max=10)
    >>> start = 10 * torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> sp.sample(changed.denoiser(torch.float32), start, sp.tabulate("ddim", grid)).shape
    torch.Size([2, 1, 8, 8])
    """
    if unet_of_diffusers(network) is not None:
        return propagated_in_diffusers(network, q, m)
    return Propagated(with_skips(network, others=True), Refreshes(q, m))


def inherited(network: nn.Module, q: int, m: int = 1) -> Inherited:
    """Feature inheritance at the level of blocks: the finest level runs at every call, all below it at every q-th.

    m, the state and the errors are those of `propagated`; at least two levels.  Zhu et al. 2024, of whose choices of
    block, layer and unit this is one.
    """
    return Inherited(with_skips(network, levels=2), Refreshes(q, m))


@torch.no_grad()
def decoded_together(network: nn.Module, features: Sequence[Tensor], lams: Sequence[float]) -> Tensor:
    """The decoder's answers at several levels from one encoding, in one batch: [len(lams), n, *shape].

    features: what network.encode returned. The calls between two encodings of `propagated` with m = 1 do not depend on
    their y: these are their answers, computed before the steps are taken.
    Raises InputError for a network without skips, features of another architecture, and no level.
    """
    net = with_skips(network)
    check_features(net, features)
    if not lams:
        raise InputError("lams", [], "at least one level")
    n = len(features[0])
    level = torch.tensor(lams, dtype=features[0].dtype, device=features[0].device).repeat_interleave(n)
    answer = net.decode([f.repeat(len(lams), 1, 1, 1) for f in features], level)
    return answer.reshape(len(lams), n, *answer.shape[1:])
