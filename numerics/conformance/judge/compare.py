"""Compare two tables row by row: their distance, and the worst entry."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...tableau import Tableau


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
    mine, scale, names = _entries(found, expected)
    other, _, _ = _entries(expected, found)
    gap, size = (mine - other).abs() * scale, (other.abs() * scale).amax(dim=1)
    worst = gap.nan_to_num(nan=math.inf).argmax(dim=1, keepdim=True)
    columns = [t.gather(1, worst)[:, 0].tolist() for t in (gap, mine, other)]
    result = []
    lines = zip(worst[:, 0].tolist(), size.tolist(), *columns, strict=True)
    for i, (k, whole, most, value, target) in enumerate(lines):
        error = most / whole if whole > 0 else (math.inf if most > 0 else 0.0)
        error = math.inf if math.isnan(error) else error
        result.append(Deviation(i, found.step[i + 1], error, names[k], value, target))
    return result


def sizes(table: Tableau) -> Tensor:
    """The absolute contributions to every row: |c_j| s_j, as in deviations."""
    entries, scale, _ = _entries(table, table)
    return entries.abs() * scale


def _entries(table: Tableau, like: Tableau) -> tuple[Tensor, Tensor, list[str]]:
    """All coefficients side by side, their scales, and their names."""
    parts, scales, names = [], [], []
    size = torch.tensor([math.hypot(p.alpha, p.sigma) for p in table.points], dtype=torch.float64)
    for name in ("states", "outputs", "noises"):
        own, other = getattr(table, name), getattr(like, name)
        width = max(own.shape[1], other.shape[1])
        parts.append(torch.nn.functional.pad(own, (0, width - own.shape[1])))
        source = (torch.arange(len(own))[:, None] - torch.arange(width)).clamp(min=0)
        scale = size[source] if name == "states" else torch.ones(len(own), width, dtype=torch.float64)
        scales.append(scale)
        names += [f"{name}[{k}]" for k in range(width)]
    return torch.cat(parts, dim=1), torch.cat(scales, dim=1), names
