"""Total variation between products of laws on the line, from the laws of their log ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError

FINE = 400  # bins per standard deviation of the log ratio; the error is of second order in their width
LEAST = 1e-14  # nodes of less mass are left out: their log ratios are not accurate


class Factor(NamedTuple):
    """Two laws on the line: log p and log q [n] at quadrature nodes with weights [n], float64."""

    log_p: Tensor
    log_q: Tensor
    weights: Tensor

    def ratios(self) -> tuple[Tensor, Tensor]:
        """The values of log p/q, and the masses of q on them."""
        mass = self.weights * self.log_q.exp()
        keep = mass > LEAST
        return (self.log_p - self.log_q)[keep], mass[keep] / mass[keep].sum()

    def coarser(self) -> Factor:
        """The same laws on every second node."""
        return Factor(self.log_p[::2], self.log_q[::2], 2 * self.weights[::2])


def product_tv(factors: Sequence[tuple[Factor, int]], fine: int = FINE) -> float:
    """TV(p, q) = E_q max(1 - e^L, 0) of two products, L the sum of log p/q over independent draws of all factors.

    factors: each with its number of copies, at least 1.  The law of each log ratio is distributed over equal bins, the
    mass of a node over two so that its mean is exact, and these laws are convolved.  fine: bins per standard
    deviation of L.  Accurate to 1e-5 of the result with the default.
    Raises InputError on shapes that disagree and on no copies.
    """
    found = []
    for factor, copies in factors:
        if not factor.log_p.shape == factor.log_q.shape == factor.weights.shape or factor.log_p.ndim != 1:
            raise InputError("weights", list(factor.weights.shape), f"the shape {list(factor.log_p.shape)} of log_p")
        if copies < 1:
            raise InputError("copies", copies, "at least 1")
        found.append((*factor.ratios(), copies))
    spread = math.sqrt(sum(n * float(mass @ (ratio - mass @ ratio).square()) for ratio, mass, n in found))
    if spread == 0:
        return 0.0
    width = spread / fine / math.sqrt(sum(n for *_, n in found))
    laws = [_on_bins(ratio, mass, width) for ratio, mass, _ in found]
    length = sum(n * (len(law) - 1) for (*_, n), law in zip(found, laws, strict=True)) + 1
    whole = torch.ones(length // 2 + 1, dtype=torch.complex128)
    for law, (*_, n) in zip(laws, found, strict=True):
        whole *= torch.fft.rfft(law, n=length) ** n
    low = sum(n * float(ratio.min()) for ratio, _, n in found)
    total = low + width * torch.arange(length, dtype=torch.float64)
    return float(torch.fft.irfft(whole, n=length).clamp(min=0) @ -torch.expm1(total.clamp(max=0)))


def _on_bins(ratio: Tensor, mass: Tensor, width: float) -> Tensor:
    """Masses on bins of that width from the smallest ratio on."""
    place = (ratio - ratio.min()) / width
    first = place.floor().long()
    share = place - first
    law = torch.zeros(int(first.max()) + 2, dtype=torch.float64)
    law.index_add_(0, first, mass * (1 - share))
    law.index_add_(0, first + 1, mass * share)
    return law
