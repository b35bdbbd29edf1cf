"""What surgery needs of a network and of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ..checkpoints.own_networks import Block, UNet
from ..errors import InputError

OWN = "a UNet of this package"
THEIRS = ", or a UNet2DModel or UNet2DConditionModel of diffusers"


def with_skips(network: nn.Module, levels: int = 1, *, others: bool = False) -> UNet:
    """The network, if it is a U-Net whose decoder takes features by concatenation, of that number of levels at least.

    others: whether those of diffusers would do as well, for the message.  Raises InputError on another one.
    """
    if not isinstance(network, UNet):
        raise InputError("network", type(network).__name__, f"a network with skips: {OWN}{THEIRS if others else ''}")
    if len(network.down) < levels:
        raise InputError("network", f"{len(network.down)} levels", f"a UNet of at least {levels} levels")
    return network


def check_features(network: UNet, features: Sequence[Tensor]) -> None:
    """Raises InputError on features that an encoding of this network does not have: their number, channels, sides."""
    blocks = [*network.down, network.middle]
    if len(features) != len(blocks):
        raise InputError("features", f"{len(features)} tensors", f"{len(blocks)}, as this network's encoder makes")
    sides = features[0].shape[2:]
    for n, (feature, block) in enumerate(zip(features, blocks, strict=True)):
        channels = cast("Block", block).second.out_channels
        depth = min(n, len(network.down) - 1)
        goal = [len(features[0]), channels, *(side // 2**depth for side in sides)]
        if list(feature.shape) != goal:
            allowed = f"{goal}: features of this network, not of another architecture"
            raise InputError(f"features[{n}]", list(feature.shape), allowed)


def one_level(lam: Tensor) -> float:
    """The lambda of a batch.  InputError where its samples have different ones."""
    if not bool(torch.all(lam == lam[0])):
        raise InputError("lam", [float(lam.min()), float(lam.max())], "one level for all samples of a batch")
    return float(lam[0])


def same_batch(y: Tensor, feature: Tensor) -> None:
    """Raises InputError where a call has another batch than the one that evaluated its features."""
    if len(y) != len(feature):
        raise InputError("y", f"{len(y)} samples", f"{len(feature)}, as in the call that evaluated the features")
