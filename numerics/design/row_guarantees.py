"""What is proved of one table, from its numbers: consistency, the order of every row, how far errors grow, digits."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..advice.defects import DataRows, data_rows
from ..errors import InputError
from ..points import Point
from ..tableau import Tableau

HIGHEST = 4  # order of a row that is looked for
EXACT = 1e-9  # a moment that is met, relative to the sum of its terms
SUMS = 1e-12  # the same of row sums
GAINS = 21  # of the Gaussian test models, from 0 to 1
NODES, SHARES = np.polynomial.legendre.leggauss(40)


@dataclass(frozen=True)
class Guarantees:
    """consistency: the largest |row sum - 1| for data predictions 1, and states of noise alone, relative; at rounding.
    orders: of every row p: data predictions 1, lambda, ..., lambda^{p-1} are integrated exactly; None of another form.
    growth: the largest factor by which an error of a vector reaches the end, in x/alpha, over models D = g x/alpha with
    0 <= g <= 1; the exact flow has at most 1.  digits: the largest sum of |weights| of a row whose sum is 1: so many
    times larger than rounding of the outputs is that of the row.
    """

    consistency: float
    orders: tuple[int | None, ...]
    growth: float
    digits: float

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "orders": list(self.orders)}


def guarantees(table: Tableau) -> Guarantees:
    """What is proved of a table without noise.  Raises InputError as advice.defects.data_rows."""
    rows = data_rows(table)
    return Guarantees(float(row_sums(rows).max()), _orders(rows), growth(rows), _digits(rows))


def check_consistent(table: Tableau, field: str) -> None:
    """Raise InputError unless every row of a table integrates a constant data prediction exactly, to rounding."""
    off = row_sums(data_rows(table))
    worst = int(off.argmax())
    if not float(off[worst]) <= SUMS:
        raise InputError(f"{field}.outputs[{worst}]", f"row sums off by {float(off[worst]):.3g}", "rows that sum to 1")


def row_sums(rows: DataRows) -> Tensor:
    """How far every row is from consistency, relative to the sum of its terms [R].

    Of the data prediction 1 and the states x = alpha every row must make x = alpha; of 0 and x = sigma, x = sigma.
    """
    alpha, sigma = _levels(rows.points)
    worst = torch.zeros(len(alpha) - rows.given, dtype=torch.float64)
    for state, constant in ((alpha, 1.0), (sigma, 0.0)):
        terms = torch.cat([rows.states * state, rows.outputs * constant], dim=1)
        size = terms.abs().sum(dim=1) + state
        off = (terms.sum(dim=1) - state).abs() / size
        worst = torch.maximum(worst, off[rows.given :])
    return worst


def growth(rows: DataRows) -> float:
    """See Guarantees; all errors at once, from the inverse of a triangular matrix."""
    alpha, _ = _levels(rows.points)
    gains = torch.linspace(0, 1, GAINS, dtype=torch.float64)
    moved = rows.states + gains[:, None, None] * rows.outputs / alpha
    unit = torch.eye(len(alpha), dtype=torch.float64)
    passed = torch.linalg.solve_triangular(unit - moved, unit.expand_as(moved), upper=False)[:, -1]
    return float((passed * alpha / alpha[-1]).abs().max())


def _orders(rows: DataRows) -> tuple[int | None, ...]:
    """Of rows that are made of the vector before alone; of moments about it, in units of the step."""
    lam = torch.tensor([at.lam for at in rows.points], dtype=torch.float64)
    found: list[int | None] = []
    for i in range(rows.given, len(rows.points)):
        states = rows.states[i].nonzero().flatten().tolist()
        if states != [i - 1]:
            found.append(None)
            continue
        h = float(lam[i] - lam[i - 1])
        places = (lam - lam[i - 1]) / h
        scale = rows.points[i].alpha * -math.expm1(-h)
        inside = (NODES + 1) / 2
        density = np.exp(-h * (1 - inside)) * SHARES / 2 * h / -math.expm1(-h)
        order = 0
        while order < HIGHEST:
            terms = rows.outputs[i] / scale * places**order
            goal = float((density * inside**order).sum())
            if abs(float(terms.sum()) - goal) > EXACT * (float(terms.abs().sum()) + abs(goal)):
                break
            order += 1
        found.append(order)
    return tuple(found)


def _digits(rows: DataRows) -> float:
    outputs = rows.outputs[rows.given :]
    return float((outputs.abs().sum(dim=1) / outputs.sum(dim=1).abs()).max())


def _levels(points: tuple[Point, ...]) -> tuple[Tensor, Tensor]:
    alpha, sigma = (torch.tensor([at[i] for at in points], dtype=torch.float64) for i in (0, 1))
    return alpha, sigma
