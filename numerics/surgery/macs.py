"""Multiply-accumulates of a network, counted where its layers are called."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from ..errors import of_type


@dataclass
class Macs:
    """The multiply-accumulates of all calls so far, in convolutions and linear layers."""

    total: int = 0


@contextmanager
def counted_macs(network: nn.Module) -> Iterator[Macs]:
    """Count the multiply-accumulates of a network, or of a part of it, while the context lasts.

    A convolution has (outputs) x (inputs of one output), a linear layer likewise; additions, normalisations and
    activations are not counted. The network is left without hooks.  Raises InputError for what is not a network.
    """
    of_type("network", network, nn.Module, "a network, such as sp.load_checkpoint('digits').network")
    found = Macs()

    def add(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            found.total += output.numel() * layer.in_channels // layer.groups * math.prod(layer.kernel_size)
        elif isinstance(layer, nn.Linear):
            found.total += output.numel() * layer.in_features

    hooks = [
        layer.register_forward_hook(add) for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
