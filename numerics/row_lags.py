"""From the vectors of a run to rows over lags, as a Tableau has them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def vector_before(step: Sequence[int], i: int) -> int:
    """The last vector before i that leads to an earlier grid point."""
    return next(j for j in reversed(range(i)) if step[j] < step[i] or j == 0)


def passed_on(starts: Tensor, step: Sequence[int]) -> tuple[Tensor, Tensor]:
    """For every row, the index of the vector v_b before its step, and the share of the start that it passes on.

    starts [V]: the share of the start in every vector.
    """
    before = torch.tensor([vector_before(step, i) for i in range(1, len(starts))])
    return before, torch.where(starts[before] != 0, starts[1:] / starts[before], 0.0)


def added(columns: Tensor, before: Tensor, share: Tensor, rounding: float) -> tuple[Tensor, Tensor]:
    """What every row adds to the shares that it passes on, and the rounding of that difference."""
    kept = share[:, None] * columns[before]
    return columns[1:] - kept, 4 * rounding * (columns[1:].abs() + kept.abs())


def lags(absolute: Tensor, first: int) -> Tensor:
    """Rows over vectors [R, V] as rows over lags: row i has vector i + 1 - first at lag 0."""
    rows, count = absolute.shape
    source = torch.arange(rows)[:, None] + 1 - first - torch.arange(count)
    table = torch.where(source >= 0, absolute.gather(1, source.clamp(min=0)), 0.0)
    width = int((table != 0).any(dim=0).nonzero().max()) + 1 if bool(table.any()) else 0
    return table[:, : max(width, 1 if first else width)]


def padded_to_one(tables: Sequence[Tensor]) -> list[Tensor]:
    """Tables over lags, with zeros for the lags that only others have."""
    width = max(table.shape[1] for table in tables)
    return [torch.nn.functional.pad(table, (0, width - table.shape[1])) for table in tables]
