"""Many tables run from the same start samples: those on one grid ask the model together, and nothing twice."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from .denoisers import Denoiser, convert
from .errors import SamplingError
from .points import Point
from .sample import Running, running
from .tableau import Tableau

ROWS, NUMBERS = 256, 2**17  # of one call of the model, at most

Level = tuple[float, float]


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
    for numbers in together.values():
        for n, end in _run_together(denoise, start, {n: tables[n] for n in numbers}).items():
            found[n] = end
    return found


def _levels(table: Tableau) -> tuple[float, ...]:
    """The grid of a table: lambda of the last vector of every step."""
    last = {step: at.lam for step, at in zip(table.step, table.points, strict=True)}
    return tuple(last.values())


def _run_together(denoise: Denoiser, start: Tensor, tables: dict[int, Tableau]) -> dict[int, Tensor]:
    """The ends of runs that go on in step, without those that are not finite."""
    runs: dict[int, Running] = {n: running(start, table) for n, table in tables.items()}
    given: dict[int, Tensor | None] = dict.fromkeys(runs)
    ends = dict[int, Tensor]()
    while runs:
        asked = dict[int, tuple[int, Tensor]]()
        for n, run in list(runs.items()):
            try:
                asked[n] = run.send(given[n])
            except StopIteration as end:
                last: Tensor = end.value(len(tables[n].points) - 1).clone()
                if bool(torch.isfinite(last).all()):
                    ends[n] = last
                del runs[n]
            except SamplingError:
                del runs[n]
        # Of every level: the different states, and which of them each run has.
        states, places = defaultdict[Level, dict[bytes, Tensor]](dict), dict[int, tuple[Level, bytes]]()
        points = dict[Level, Point]()
        for n, (i, x) in asked.items():
            at = tables[n].points[i]
            places[n] = (at.alpha, at.sigma), x.numpy().tobytes()
            states[places[n][0]].setdefault(places[n][1], x)
            points[places[n][0]] = at
        data = {
            level: dict(zip(different, _asked(denoise, list(different.values()), points[level]), strict=True))
            for level, different in states.items()
        }
        for n, (i, x) in asked.items():
            level, which = places[n]
            given[n] = convert(x, data[level][which], tables[n].points[i], "data", tables[n].prediction_at(i))
    return ends


def _asked(denoise: Denoiser, states: list[Tensor], at: Point) -> list[Tensor]:
    """The data predictions of states [R, *shape] each, in calls of at most ROWS rows and NUMBERS numbers."""
    rows = torch.cat(states)
    most = max(1, min(ROWS, NUMBERS // math.prod(rows.shape[1:])))
    value = torch.cat([denoise(part, at, "data") for part in torch.split(rows, most)])
    return list(torch.split(value, len(states[0])))
