"""Training data: from scikit-learn, or made here; none of it is in the repository.

A set is two float32 tensors [n, *shape], one to train on and one held out, with values in about [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import InputError

HELD_OUT = 297  # of the 1797 digits, the last ones
CROPS, HELD_OUT_CROPS, SIDE = 20000, 512, 32
RINGS = ((0.35, 0.03), (0.9, 0.05))  # radius, standard deviation across


class Data(NamedTuple):
    """Training samples, held-out samples, and the labels of both (of digits only)."""

    train: Tensor
    held_out: Tensor
    labels: tuple[Tensor, Tensor] | None = None


def digits() -> Data:
    """8 x 8 images of digits, [1, 8, 8]: the test part of E. Alpaydin and C. Kaynak's set (UCI), CC BY 4.0."""
    bunch = _sklearn().load_digits()
    pictures = torch.from_numpy(bunch.images).float()[:, None] / 8 - 1
    labels = torch.from_numpy(bunch.target)
    cut = len(pictures) - HELD_OUT
    return Data(pictures[:cut], pictures[cut:], (labels[:cut], labels[cut:]))


def photos() -> Data:
    """32 x 32 crops in colour, [3, 32, 32], of scikit-learn's two photographs at half their size.

    The held-out crops come from the right fifth of each, which no training crop overlaps.
    """
    generator = torch.Generator().manual_seed(0)
    train, held_out = [], []
    for image in _sklearn().load_sample_images().images:
        picture = torch.from_numpy(image.copy()).float().permute(2, 0, 1) / 127.5 - 1
        half = torch.nn.functional.avg_pool2d(picture[None], 2)[0]
        cut = half.shape[2] * 4 // 5
        train.append(_crops(half[:, :, :cut], CROPS // 2, generator))
        held_out.append(_crops(half[:, :, cut:], HELD_OUT_CROPS // 2, generator))
    return Data(torch.cat(train), torch.cat(held_out))


def rings() -> Data:
    """Two rings in the plane, [2]; made here."""
    generator = torch.Generator().manual_seed(0)
    return Data(ring_samples(20000, generator), ring_samples(2000, generator))


def ring_samples(count: int, generator: torch.Generator) -> Tensor:
    """Points [count, 2] of the two rings, each as often: normal across a ring, uniform along it."""
    ring = torch.randint(len(RINGS), (count,), generator=generator)
    radius, spread = torch.tensor(RINGS)[ring].T
    radius = radius + spread * torch.randn(count, generator=generator)
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def _crops(picture: Tensor, count: int, generator: torch.Generator) -> Tensor:
    rows, columns = (torch.randint(side - SIDE + 1, (count,), generator=generator) for side in picture.shape[1:])
    places = zip(rows.tolist(), columns.tolist(), strict=True)
    return torch.stack([picture[:, r : r + SIDE, c : c + SIDE] for r, c in places])


def _sklearn() -> Any:
    try:
        from sklearn import datasets
    except ImportError:
        raise InputError(
            "NAME", "this data", "scikit-learn is not installed: pip install 'samplerproof[training]'"
        ) from None
    return datasets


DATA: dict[str, Callable[[], Data]] = {"digits": digits, "photos": photos, "rings": rings}
