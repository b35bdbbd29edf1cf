"""Surgery on the U-Nets of diffusers: the skips of a decoder, and an encoder that runs at some calls only.

UNet2DModel and UNet2DConditionModel, as they are or inside the network of a checkpoint (checkpoints/
diffusers_checkpoint.py). What is changed is a copy with the call of the original.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints.diffusers_checkpoint import Conditioned
from ..errors import InputError
from .refreshes import Features, Refreshes
from .unet_checks import one_level, same_batch

CLASSES = {"UNet2DModel", "UNet2DConditionModel"}
SKIPS = "res_hidden_states_tuple"  # the argument of a decoder's block, by its name in diffusers


def unet_of_diffusers(network: nn.Module) -> nn.Module | None:
    """The U-Net of diffusers that a network is or contains; None if it is another one."""
    inner: nn.Module = network.model if isinstance(network, Conditioned) else network
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(inner).__mro__}
    return inner if names & {f"diffusers.{name}" for name in CLASSES} else None


def decoder_blocks(unet: nn.Module | None) -> list[nn.Module]:
    """The blocks of the decoder, finest level first."""
    blocks = None if unet is None else unet.up_blocks
    return list(reversed(blocks)) if isinstance(blocks, nn.ModuleList) else []


def scaled_in_diffusers(network: nn.Module, factors: Sequence[float]) -> nn.Module:
    """A copy of the network in which the skips of every block of the decoder are multiplied by its factor."""
    changed = copy.deepcopy(network)
    for block, rho in zip(decoder_blocks(unet_of_diffusers(changed)), factors, strict=True):
        block.register_forward_pre_hook(partial(_scale, rho), with_kwargs=True)
    return changed


def _scale(
    rho: float, _: nn.Module, args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a block with scaled skips: the second one, or that of the name."""
    if SKIPS in named:
        return args, {**named, SKIPS: tuple(rho * skip for skip in named[SKIPS])}
    return (args[0], tuple(rho * skip for skip in args[1]), *args[2:]), named


class Clock:
    """The level of the call that is made: minus the time of the network, which rises along a run."""

    value = 0.0


class KeptPart(nn.Module):
    """A part of an encoder that runs at a refresh; in between it returns its outputs, extrapolated.

    It returns what the part returns: a tensor, or a tensor and a tuple of tensors.
    """

    def __init__(self, part: nn.Module, clock: Clock, refreshes: Refreshes) -> None:
        super().__init__()
        self.part, self.clock, self.refreshes = part, clock, refreshes
        self.has_cross_attention = getattr(part, "has_cross_attention", False)  # read by the networks of diffusers
        self.single = True

    def forward(self, *args: Any, **named: Any) -> Tensor | tuple[Tensor, tuple[Tensor, ...]]:
        def evaluate() -> Features:
            found = self.part(*args, **named)
            self.single = isinstance(found, Tensor)
            return [found] if self.single else [found[0], *found[1]]

        given: Tensor = args[0] if args else named["hidden_states"]
        first, *skips = self.refreshes.at(self.clock.value, evaluate)
        same_batch(given, first)
        return first if self.single else (first, tuple(skips))


class PropagatedUNet2D(nn.Module):
    """A U-Net of diffusers whose encoder and middle block run at a refresh: see `propagated`."""

    def __init__(self, unet: nn.Module, clock: Clock) -> None:
        super().__init__()
        self.unet, self.clock = unet, clock

    def forward(self, sample: Tensor, timestep: Tensor | float, *args: Any, **named: Any) -> Any:
        self.clock.value = -one_level(torch.as_tensor(timestep, dtype=torch.float64).reshape(-1))
        return self.unet(sample, timestep, *args, **named)


def propagated_in_diffusers(network: nn.Module, q: int, m: int) -> nn.Module:
    """A copy of the network with the encoder at every q-th call: first convolution, blocks and middle block.

    Raises InputError for q or m below 1, and for blocks that pass the sample itself along (SkipDownBlock2D).
    """
    changed, clock = copy.deepcopy(network), Clock()
    unet: Any = unet_of_diffusers(changed)

    def kept(part: nn.Module) -> KeptPart:
        if hasattr(part, "skip_conv"):
            raise InputError("network", type(part).__name__, "blocks that pass features along, and not the sample")
        return KeptPart(part, clock, Refreshes(q, m, "minus the time"))

    unet.conv_in = kept(unet.conv_in)
    unet.down_blocks = nn.ModuleList(kept(block) for block in unet.down_blocks)
    if unet.mid_block is not None:
        unet.mid_block = kept(unet.mid_block)
    stale = PropagatedUNet2D(unet, clock)
    if not isinstance(changed, Conditioned):
        return stale
    changed.model = stale
    return changed
