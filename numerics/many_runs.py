"""Many tables run together: those that are at one level ask the model at once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .denoisers import Denoiser, convert
from .points import Point
from .sample import running
from .tableau import Tableau

ROWS, NUMBERS = 256, 2**17  # of one call of the model, at most


class Asked(NamedTuple):
    """What a run asks the model: the prediction at a state, a view that is valid until the run is answered."""

    x: Tensor
    at: Point
    prediction: str


Start = Tensor | Sequence[Tensor]
Answer = Callable[[list[Asked]], Sequence[Tensor]]  # of several runs at one level


@torch.no_grad()
def run_together(answer: Answer, starts: Sequence[Start], tables: Sequence[Tableau]) -> list[Tensor | None]:
    """The end of every table's run from its start, as `sample` returns it; None where a run is not finite.

    A run waits while another one is at a noisier level: on one grid all that is asked at one level is one question.
    answer: returns the prediction for each of the runs that ask at a level.  The tables take no noise.
    """
    runs = [running(start, table, checked=False) for start, table in zip(starts, tables, strict=True)]
    ends: list[Tensor | None] = [None] * len(runs)
    waiting = dict[int, tuple[float, Asked]]()  # by run: lambda, and what it asks

    def go_on(n: int, d: Tensor | None) -> None:
        table = tables[n]
        try:
            i, x = runs[n].send(d)
        except StopIteration as end:
            last: Tensor = end.value(len(table.points) - 1).clone()
            ends[n] = last if bool(torch.isfinite(last).all()) else None
        else:
            waiting[n] = table.points[i].lam, Asked(x, table.points[i], table.prediction_at(i))

    for n in range(len(runs)):
        go_on(n, None)
    while waiting:
        noisiest = min(level for level, _ in waiting.values())
        asked = {n: one for n, (level, one) in waiting.items() if level == noisiest}
        for n in asked:
            del waiting[n]
        for n, d in zip(asked, answer(list(asked.values())), strict=True):
            go_on(n, d)
    return ends


def run_many(denoise: Denoiser, start: Tensor, tables: Sequence[Tableau]) -> list[Tensor | None]:
    """The end of every table's run from `start` [R, *shape], as `sample` returns it; None where a run is not finite.

    Equal to `sample` up to the rounding of a model whose rows depend on how many are asked at once. Runs on the same
    grid go on together: all that they ask at one level is one call, and equal inputs are asked once, such as the start,
    which all of them share. The tables take no noise.

    >>> import torch
    >>> import samplerproof as sp
    >>> from samplerproof.numerics.many_runs import run_many
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> grid = sp.grid(sp.schedule("edm"), "karras", 5, sigma_min=0.1, sigma_max=8.0)
    >>> start = 8 * torch.randn(3, 1, dtype=torch.float64)
    >>> tables = [sp.tabulate(name, grid) for name in ("ddim", "dpm-solver++-2m")]
    >>> ends = run_many(mixture, start, tables)
    >>> bool(torch.allclose(ends[1], sp.sample(mixture, start, tables[1])))
    True
    """
    together = defaultdict[tuple[float, ...], list[int]](list)
    for n, table in enumerate(tables):
        together[_levels(table)].append(n)
    found: list[Tensor | None] = [None] * len(tables)

    def answer(asked: list[Asked]) -> list[Tensor]:
        # The different states, and which of them each run has.
        which = [one.x.numpy().tobytes() for one in asked]
        states = dict(zip(which, (one.x for one in asked), strict=True))
        data = dict(zip(states, _data(denoise, list(states.values()), asked[0].at), strict=True))
        return [
            convert(one.x, data[place], one.at, "data", one.prediction) for one, place in zip(asked, which, strict=True)
        ]

    for numbers in together.values():
        ends = run_together(answer, [start] * len(numbers), [tables[n] for n in numbers])
        for n, end in zip(numbers, ends, strict=True):
            found[n] = end
    return found


def _levels(table: Tableau) -> tuple[float, ...]:
    """The grid of a table: lambda of the last vector of every step."""
    last = {step: at.lam for step, at in zip(table.step, table.points, strict=True)}
    return tuple(last.values())


def _data(denoise: Denoiser, states: list[Tensor], at: Point) -> list[Tensor]:
    """The data predictions of states [R, *shape] each, in calls of at most ROWS rows and NUMBERS numbers."""
    rows = torch.cat(states)
    most = max(1, min(ROWS, NUMBERS // math.prod(rows.shape[1:])))
    value = torch.cat([denoise(part, at, "data") for part in torch.split(rows, most)])
    return list(torch.split(value, len(states[0])))
