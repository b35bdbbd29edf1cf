"""From the vectors of a run to rows over lags, as a Tableau has them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def vector_before(step: Sequence[int], i: int) -> int:
    """The last vector before i that leads to an earlier grid point."""
    return next(j for j in reversed(range(i)) if step[j] < step[i] or j == 0)


def passed_on(starts: Tensor, noises: Tensor, step: Sequence[int], least: float) -> tuple[Tensor, Tensor]:
    """For every row, the index of the vector v_b before its step, and the share of the start that it passes on.

    starts [V], noises [V, L]: the shares of the start and of the noises in every vector. Where the share of the start
    is below `least`, as after many steps that keep little, its quotient has no digits: that of the noise which has the
    largest share in v_b is taken, if there is one.
    """
    before = torch.tensor([vector_before(step, i) for i in range(1, len(starts))])
    share = torch.where(starts[before] != 0, starts[1:] / starts[before], 0.0)
    if noises.shape[1] == 0:
        return before, share
    most, which = noises[before].abs().max(dim=1, keepdim=True)
    later = noises[1:].gather(1, which) / torch.where(most > 0, noises[before].gather(1, which), 1.0)
    return before, torch.where((starts[before].abs() < least) & (most[:, 0] >= least), later[:, 0], share)


def added(columns: Tensor, before: Tensor, share: Tensor, rounding: float) -> tuple[Tensor, Tensor]:
    """What every row adds to the shares that it passes on, and the rounding of that difference."""
    kept = share[:, None] * columns[before]
    left = columns[1:] - kept
    return left, kept.abs_().add_(columns[1:].abs()).mul_(4 * rounding)


def lags(absolute: Tensor, first: int) -> Tensor:
    """Rows over vectors [R, V] as rows over lags: row i has vector i + 1 - first at lag 0."""
    rows, count = absolute.shape
    row, vector = absolute.nonzero().unbind(1)
    used = row + 1 - first - vector
    width = max(int(used.max()) + 1 if len(used) else 0, first)
    # With the vectors in reverse, and zeros after them, each row begins one place earlier than the row before.
    reverse = torch.nn.functional.pad(absolute.flip(1), (0, width + first))
    return reverse.as_strided((rows, width), (count + width + first - 1, 1), count - 2 + first).clone()


def padded_to_one(tables: Sequence[Tensor]) -> list[Tensor]:
    """Tables over lags, with zeros for the lags that only others have."""
    width = max(table.shape[1] for table in tables)
    return [torch.nn.functional.pad(table, (0, width - table.shape[1])) for table in tables]
