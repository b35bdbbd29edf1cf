"""The cheapest path of N steps among given levels, for any additive cost: Bellman's recursion.

C_k(j) = min_{i < j} C_{k-1}(i) + cost[i, j]: a cheapest path of k steps to j contains a cheapest one of k - 1 steps to
its last level but one, as any other could be exchanged for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import InputError, of_type, whole
from ..grids import Grid


@dataclass(frozen=True)
class CheapestPath:
    """The levels [steps + 1] that a path visits, as indices from noisy to clean, and the sum of its costs."""

    indices: tuple[int, ...]
    cost: float


def optimal_grid(levels: Grid, costs: Tensor, steps: int) -> Grid:
    """The grid of N = `steps` steps among given levels, from the first to the last, whose costs have the least sum.

        C_k(j) = min_{i < j} C_{k-1}(i) + costs[i, j],  C_N(last) is the minimum over all paths of N steps

    levels: a grid of L + 1 points, the candidates.  costs: float64 [L + 1, L + 1], the cost of a step from level i to
    the cleaner level j > i; other entries are not read. `elbo_costs` and `local_error_costs` make such costs of a
    target law, and any other sum over the steps will do. The minimum is exact, in O(N L^2).
    Raises InputError on costs of another shape, a cost that is not finite, and steps outside 1 .. L.
    Watson, Ho, Norouzi and Chan 2021 (arXiv 2106.03802), section 3.

    >>> import torch
    >>> import samplerproof as sp
    >>> levels = sp.Grid.from_sigmas([4.0, 3.0, 2.0, 1.0])
    >>> sigma = levels.columns.sigma
    >>> costs = (sigma[:, None] - sigma) ** 2 * sigma[:, None]  # long steps cost more at high noise
    >>> sp.optimal_grid(levels, costs, 2).columns.sigma.tolist()
    [4.0, 3.0, 1.0]
    """
    of_type("levels", levels, Grid, "a grid of candidates, as sp.grid makes it")
    path = cheapest_path(costs, steps, len(levels.points))
    return Grid(levels.columns.take(torch.tensor(path.indices)), levels.schedule)


def cheapest_path(costs: Tensor, steps: int, levels: int | None = None) -> CheapestPath:
    """The cheapest path of `steps` steps from the first level to the last.

    levels: how many there are, if they are not as many as the costs have rows.  Raises InputError as optimal_grid.
    """
    return cheapest_paths(costs, [steps], levels)[0]


def cheapest_paths(costs: Tensor, steps: list[int], levels: int | None = None) -> list[CheapestPath]:
    """The cheapest paths of several numbers of steps, from one run of the recursion."""
    table = _checked(costs, levels)
    last = len(table) - 1
    for number in steps:
        if not 1 <= whole("steps", number) <= last:
            raise InputError("steps", number, f"from 1 to {last}, the steps between {last + 1} levels")
    best = torch.full((last + 1,), math.inf, dtype=torch.float64)
    best[0] = 0.0
    before: list[Tensor] = []  # of every number of steps, the level before each level on its cheapest path
    found: dict[int, CheapestPath] = {}
    for k in range(1, max(steps) + 1):
        best, previous = (best[:, None] + table).min(dim=0)
        before.append(previous)
        if k in steps:
            found[k] = CheapestPath(_traced(before, last), float(best[last]))
    return [found[number] for number in steps]


def path_cost(costs: Tensor, indices: list[int] | tuple[int, ...]) -> float:
    """The sum of the costs of the steps of a path.  Raises InputError on levels that do not rise from step to step."""
    if len(indices) < 2 or any(j <= i for i, j in pairwise(indices)):
        raise InputError("indices", list(indices), "at least two levels, each cleaner than the one before")
    here = torch.tensor(list(indices))
    return float(costs[here[:-1], here[1:]].sum())


def _traced(before: list[Tensor], last: int) -> tuple[int, ...]:
    """The path that ends at the last level, from the levels before."""
    path = [last]
    for previous in reversed(before):
        path.append(int(previous[path[-1]]))
    return tuple(reversed(path))


def _checked(costs: Tensor, levels: int | None) -> Tensor:
    """The costs of steps to cleaner levels, infinite elsewhere."""
    of_type("costs", costs, Tensor, "a tensor [levels, levels]")
    count = costs.shape[0] if levels is None and costs.ndim else levels
    if costs.ndim != 2 or count is None or costs.shape != (count, count) or count < 2:
        size = "levels" if count is None else count
        raise InputError("costs", list(costs.shape), f"the shape [{size}, {size}], a cost for every pair of levels")
    cleaner = torch.ones(count, count).triu(1).bool()
    bad = (cleaner & ~costs.isfinite()).nonzero()
    if len(bad):
        i, j = bad[0].tolist()
        raise InputError(f"costs[{i}, {j}]", float(costs[i, j]), "a finite cost")
    return torch.where(cleaner, costs.to(torch.float64), math.inf)
