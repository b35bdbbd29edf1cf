"""Compare two tables row by row: how far, in which entry."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..tableau import Tableau


@dataclass(frozen=True)
class Deviation:
    """How far row `row` of a table is from that of another: over the largest contribution to the row.

    entry: the worst one by name; ours, theirs: its two values.
    """

    row: int
    step: int
    error: float
    entry: str
    found: float
    expected: float


def same_shape(found: Tableau, expected: Tableau) -> bool:
    """Whether the two ask for as many outputs, in the same steps."""
    return found.step == expected.step and found.evaluated == expected.evaluated


def deviations(found: Tableau, expected: Tableau) -> list[Deviation]:
    """For every row of two tables of one shape: max_j |c_j - c'_j| s_j / max_j |c'_j| s_j.

    s_j is the size of what the coefficient multiplies: sqrt(alpha^2 + sigma^2) of a state, 1 of an output or noise.
    """
    mine, scale, names = _entries(found, expected)
    other, _, _ = _entries(expected, found)
    result = []
    for i in range(len(mine)):
        gap, size = (mine[i] - other[i]).abs() * scale[i], (other[i].abs() * scale[i]).max()
        worst = int(gap.nan_to_num(nan=math.inf).argmax())
        error = float(gap[worst] / size) if size > 0 else (math.inf if gap[worst] > 0 else 0.0)
        entry = names[worst]
        pair = float(mine[i, worst]), float(other[i, worst])
        result.append(Deviation(i, found.step[i + 1], math.inf if math.isnan(error) else error, entry, *pair))
    return result


def _entries(table: Tableau, like: Tableau) -> tuple[Tensor, Tensor, list[str]]:
    """All coefficients side by side, their scales, and their names."""
    parts, scales, names = [], [], []
    size = [math.hypot(p.alpha, p.sigma) for p in table.points]
    for name in ("states", "outputs", "noises"):
        own, other = getattr(table, name), getattr(like, name)
        width = max(own.shape[1], other.shape[1])
        parts.append(torch.nn.functional.pad(own, (0, width - own.shape[1])))
        scale = torch.ones(len(own), width, dtype=torch.float64)
        if name == "states":
            for i in range(len(own)):
                for k in range(width):
                    scale[i, k] = size[max(i - k, 0)]
        scales.append(scale)
        names += [f"{name}[{k}]" for k in range(width)]
    return torch.cat(parts, dim=1), torch.cat(scales, dim=1), names
