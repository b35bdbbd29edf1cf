"""Draws of noise as linear combinations of independent ones, and noises of rows in canonical form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


def noise_basis(spans: Sequence[tuple[float, float] | None]) -> tuple[Tensor, int]:
    """(coefficients [draws, independent], independent): every draw as a combination of independent ones.

    spans: of the draws. A draw without a span has an independent one to itself; the path has one for each piece of its
    time.
    """
    ends = sorted({end for span in spans if span is not None for end in span})
    pieces = list(pairwise(ends))
    single = [k for k, span in enumerate(spans) if span is None]
    table = torch.zeros(len(spans), len(single) + len(pieces), dtype=torch.float64)
    for column, k in enumerate(single):
        table[k, column] = 1
    for k, span in enumerate(spans):
        if span is None:
            continue
        low, high = sorted(span)
        for column, (a, b) in enumerate(pieces, start=len(single)):
            if low <= a and b <= high:
                sign = 1 if span[0] <= span[1] else -1
                table[k, column] = sign * math.sqrt((b - a) / (high - low))
    return table, table.shape[1]


def canonical(noises: Tensor, rounding: float) -> Tensor:
    """The lower triangular L with L L^T = N N^T and diagonal >= 0, from N [rows, draws].

    A row that depends on those above it, up to the rounding of N, has 0 on the diagonal: its direction is rounding.
    """
    rows = len(noises)
    lower, directions = torch.zeros(rows, rows, dtype=noises.dtype), torch.zeros_like(noises)
    used = torch.zeros(noises.shape[1], dtype=torch.bool)
    for i, row in enumerate(noises):
        rest, drawn = row.clone(), row != 0
        for _ in range(2 * bool((drawn & used).any())):  # the second pass removes the rounding of the first
            there = rest.nonzero()[:, 0]  # few: a row adds few draws to those that it keeps
            along = directions[:i, there] @ rest[there]
            shared = along.nonzero()[:, 0]
            lower[i, shared] += along[shared]
            rest -= along[shared] @ directions[shared]
        used |= drawn
        fresh = float(rest.norm())
        if fresh > 1e3 * rounding * float(row.norm()):
            lower[i, i], directions[i] = fresh, rest / fresh
    return lower
