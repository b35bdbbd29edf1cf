"""Compare two tables row by row: their distance, and the worst entry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ...tableau import Tableau

PARTS = ("states", "outputs", "noises")


@dataclass(frozen=True)
class Deviation:
    """The distance of row `row` of two tables, over the largest contribution to the row.

    entry: name of the worst one.  found, expected: its two values.
    """

    row: int
    step: int
    error: float
    entry: str
    found: float
    expected: float


def same_shape(found: Tableau, expected: Tableau) -> bool:
    """Whether two tables have the same evaluations, in the same steps."""
    return found.step == expected.step and found.evaluated == expected.evaluated


def deviations(found: Tableau, expected: Tableau) -> list[Deviation]:
    """For every row of two tables of one shape: max_j |c_j - c'_j| s_j / max_j |c'_j| s_j.

    s_j is the size of the vector that c_j multiplies: sqrt(alpha^2 + sigma^2) of a state, 1 of an output or noise.
    """
    widths = [max(getattr(found, part).shape[1], getattr(expected, part).shape[1]) for part in PARTS]
    mine, other, scale = _entries(found, widths), _entries(expected, widths), _scales(found, widths)
    gap, size = (mine - other).abs() * scale, (other.abs() * scale).amax(dim=1)
    worst = gap.nan_to_num(nan=math.inf).argmax(dim=1, keepdim=True)
    columns = [t.gather(1, worst)[:, 0].tolist() for t in (gap, mine, other)]
    names = [f"{part}[{k}]" for part, width in zip(PARTS, widths, strict=True) for k in range(width)]
    result = []
    lines = zip(worst[:, 0].tolist(), size.tolist(), *columns, strict=True)
    for i, (k, whole, most, value, target) in enumerate(lines):
        error = most / whole if whole > 0 else (math.inf if most > 0 else 0.0)
        error = math.inf if math.isnan(error) else error
        result.append(Deviation(i, found.step[i + 1], error, names[k], value, target))
    return result


def mean_error(rows: Sequence[Deviation]) -> float:
    """The mean error of rows, each at most 1."""
    return sum(min(d.error, 1.0) for d in rows) / len(rows)


def sizes(table: Tableau) -> Tensor:
    """The absolute contributions to every row: |c_j| s_j, as in deviations."""
    widths = [getattr(table, part).shape[1] for part in PARTS]
    return _entries(table, widths).abs() * _scales(table, widths)


def _entries(table: Tableau, widths: Sequence[int]) -> Tensor:
    """All coefficients side by side, of so many lags."""
    own = [getattr(table, part) for part in PARTS]
    return torch.cat([pad(t, (0, w - t.shape[1])) for t, w in zip(own, widths, strict=True)], dim=1)


def _scales(table: Tableau, widths: Sequence[int]) -> Tensor:
    """The sizes of the vectors that these coefficients multiply."""
    rows, (states, *others) = len(table.states), widths
    size = torch.tensor([math.hypot(p.alpha, p.sigma) for p in table.points], dtype=torch.float64)
    source = (torch.arange(rows)[:, None] - torch.arange(states)).clamp(min=0)
    return torch.cat([size[source], torch.ones(rows, sum(others), dtype=torch.float64)], dim=1)
