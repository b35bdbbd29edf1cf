"""Rows over vectors as rows over lags, as a Tableau has them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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
