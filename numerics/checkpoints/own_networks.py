"""The project's own networks: a small U-Net for images, a perceptron for points. Smooth in x and in lambda.

Every activation is SiLU and the embedding of lambda has low frequencies, so that a network is as smooth a function as
a mixture's score, and the order of a sampler can be observed.  net(y, lam): y [n, *shape] of unit size, lam [n].
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FREQUENCIES = 8  # of the embedding, from one radian in 16 units of lambda to one radian in one unit
GROUP = 8  # channels of a normalised group: at least that many, where the width allows


class LevelEmbedding(nn.Module):
    """lambda [n] -> [n, width]: sines and cosines, then two layers."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        frequencies = 2.0 ** torch.linspace(-4.0, 0.0, FREQUENCIES)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, lam: Tensor) -> Tensor:
        phase = lam[:, None] * self.frequencies.to(lam.dtype)
        out: Tensor = self.layers(torch.cat([phase.cos(), phase.sin()], dim=1))
        return out


class Block(nn.Module):
    """A residual block of two convolutions; the embedding of lambda is added between them."""

    def __init__(self, into: int, out: int, embedding: int) -> None:
        super().__init__()
        self.first_norm, self.first = _norm(into), nn.Conv2d(into, out, 3, padding=1)
        self.embedding = nn.Linear(embedding, out)
        self.second_norm, self.second = _norm(out), _zero_initialised(nn.Conv2d(out, out, 3, padding=1))
        self.past = nn.Identity() if into == out else nn.Conv2d(into, out, 1)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        h = self.first(F.silu(self.first_norm(x))) + self.embedding(level)[:, :, None, None]
        out: Tensor = self.past(x) + self.second(F.silu(self.second_norm(h)))
        return out


class UNet(nn.Module):
    """A U-Net whose decoder takes the encoder's features by concatenation.

    shape (c, height, width), both sides divisible by patch 2^{len(widths) - 1}; patch: squares of patch x patch
    pixels are stacked into channels first.  decode(encode(y, lam), lam) is net(y, lam).
    """

    def __init__(self, shape: Sequence[int], widths: Sequence[int], embedding: int, patch: int = 1) -> None:
        super().__init__()
        channels, self.patch = shape[0] * patch**2, patch
        self.clock = LevelEmbedding(embedding)
        self.enter = nn.Conv2d(channels, widths[0], 3, padding=1)
        into = [widths[0], *widths[:-1]]
        self.down = nn.ModuleList(Block(a, b, embedding) for a, b in zip(into, widths, strict=True))
        self.middle = Block(widths[-1], widths[-1], embedding)
        out = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(Block(a + b, b, embedding) for a, b in reversed(list(zip(out, widths, strict=True))))
        self.leave_norm, self.leave = _norm(widths[0]), _zero_initialised(nn.Conv2d(widths[0], channels, 3, padding=1))

    def encode(self, y: Tensor, lam: Tensor) -> list[Tensor]:
        """The features of every resolution, finest first, and those of the middle block last."""
        level = self.clock(lam)
        h = self.enter(F.pixel_unshuffle(y, self.patch))
        features = []
        for depth, block in enumerate(self.down):
            h = block(F.avg_pool2d(h, 2) if depth else h, level)
            features.append(h)
        return [*features, self.middle(h, level)]

    def decode(self, features: Sequence[Tensor], lam: Tensor) -> Tensor:
        """The output [n, *shape] from the features of an encoding."""
        level = self.clock(lam)
        *skips, h = features
        for depth, (block, skip) in enumerate(zip(self.up, reversed(skips), strict=True)):
            h = block(torch.cat([F.interpolate(h, scale_factor=2.0) if depth else h, skip], dim=1), level)
        return F.pixel_shuffle(self.leave(F.silu(self.leave_norm(h))), self.patch)

    def forward(self, y: Tensor, lam: Tensor) -> Tensor:
        return self.decode(self.encode(y, lam), lam)


class Perceptron(nn.Module):
    """Residual layers for points: shape (d,).  out: numbers of the output, by default d."""

    def __init__(self, shape: Sequence[int], widths: Sequence[int], embedding: int, out: int | None = None) -> None:
        super().__init__()
        self.clock = LevelEmbedding(embedding)
        into = [shape[0], *widths[:-1]]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(into, widths, strict=True))
        self.embedding = nn.ModuleList(nn.Linear(embedding, b) for b in widths)
        self.leave = _zero_initialised(nn.Linear(widths[-1], out or shape[0]))

    def forward(self, y: Tensor, lam: Tensor) -> Tensor:
        return self.at_level(y, self.clock(lam))

    def at_level(self, y: Tensor, level: Tensor) -> Tensor:
        """The output with an embedding of the level [n, embedding]."""
        h = y
        for layer, shift in zip(self.layers, self.embedding, strict=True):
            new = F.silu(layer(h) + shift(level))
            h = h + new if h.shape == new.shape else new
        out: Tensor = self.leave(h)
        return out


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(channels, max(1, channels // GROUP)), channels)


def _zero_initialised(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """The layer with weights and bias set to zero, so that its output is zero before training."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


ARCHITECTURES: dict[str, type[UNet] | type[Perceptron]] = {"unet": UNet, "perceptron": Perceptron}
