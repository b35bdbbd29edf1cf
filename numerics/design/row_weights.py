"""Tables whose rows are means of the last outputs: levels and weights, their free parameters, and the tableau.

    y_{n+1} = e^{-h} y_n + (1 - e^{-h}) sum_k w_{n,k} D_{n-k},   sum_k w_{n,k} = 1,

in y = x/alpha and h the step in lambda.  A constant data prediction is integrated exactly, so every row has order 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..points import Point
from ..schedules import Schedule
from ..tableau import Tableau

READ = 4  # outputs that a row reads: more gain less than a tenth


def pack(lam: Tensor, weights: Tensor) -> Tensor:
    """The parameters of levels [N + 1] and weights [N, READ]: log steps, and of every row all weights but the first."""
    free = [weights[n, 1 : min(n + 1, READ)] for n in range(len(weights))]
    return torch.cat([lam.diff().log(), *free])


def unpack(parameters: Tensor, steps: int, begin: float, end: float) -> tuple[Tensor, Tensor]:
    """Levels from begin to end and weights with row sums of 1, of any parameters; differentiable."""
    inner = begin + torch.softmax(parameters[:steps], dim=0).cumsum(0)[:-1] * (end - begin)
    ends = [torch.tensor([value], dtype=torch.float64) for value in (begin, end)]
    rows, place = list[Tensor](), steps
    for n in range(steps):
        others = parameters[place : place + min(n, READ - 1)]
        place += len(others)
        rows.append(torch.cat([(1 - others.sum())[None], others, others.new_zeros(READ - 1 - len(others))]))
    return torch.cat([ends[0], inner, ends[1]]), torch.stack(rows)


def weights_of(table: Tableau) -> Tensor | None:
    """The weights [N, READ] of a table that has this form; None for another."""
    lam = torch.tensor([at.lam for at in table.points], dtype=torch.float64)
    alpha = torch.tensor([at.alpha for at in table.points], dtype=torch.float64)
    own = table.prediction == "data" and table.given == 1 and all(table.evaluated[:-1]) and not table.lost
    if not own or table.states.shape[1] > 1 or table.outputs.shape[1] > READ or table.noises.count_nonzero():
        return None
    weights = table.outputs / (alpha[1:] * -torch.expm1(lam[:-1] - lam[1:]))[:, None]
    return torch.nn.functional.pad(weights, (0, READ - weights.shape[1]))


def tableau_of(lam: Tensor, weights: Tensor, schedule: Schedule, ends: tuple[Point, Point], name: str) -> Tableau:
    """The tableau of levels and weights on a schedule, from one point exactly to the other."""
    t = schedule.time(lam)
    t[0], t[-1] = ends[0].t, ends[1].t
    columns = schedule.columns(t)
    points = (ends[0], *columns.points()[1:-1], ends[1])
    alpha, sigma = (torch.tensor([at[i] for at in points], dtype=torch.float64) for i in (0, 1))
    carry = sigma[1:] / sigma[:-1]
    steps = len(weights)
    return Tableau(
        method=name,
        prediction="data",
        points=points,
        step=tuple(range(steps + 1)),
        evaluated=(True,) * steps + (False,),
        given=1,
        states=carry[:, None],
        outputs=(alpha[1:] - carry * alpha[:-1])[:, None] * weights,
        noises=torch.zeros(steps, 0, dtype=torch.float64),
    )
