"""The grid of a function of sigmas, from the levels at which it evaluates its model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from .target import NoSteps, NoTable

CLOSE = 2e-4  # relative: sigmas are one level, rounded in float32 on the way through 1 - alpha or a logarithm
COARSE = (torch.bfloat16, torch.float16)
Visit = Callable[[Sequence[float]], list[float]]  # levels -> those at which the model is evaluated, in order


def same(sigma: float, level: float) -> bool:
    """Whether two sigmas are one level."""
    return abs(sigma - level) <= CLOSE * level


def levels_of(levels: Sequence[float], visit: Visit, name: str) -> tuple[list[float], list[float], str]:
    """The levels visited, the levels between which the run steps, and a remark on them, "" if there is none.

    The run steps between the given levels, or these rounded to half precision.  Raises NoTable where it goes from data
    to noise, or uses levels of its own.
    """
    visited, given = visit(levels), list(levels)
    if len(visited) > 2 and visited[0] < visited[-1] and all(a <= b for a, b in pairwise(visited)):
        ends = f"from sigma = {visited[0]:.6g} up to {visited[-1]:.6g}"
        raise NoTable("target", name, f"it runs from data to noise, {ends}: only the other direction can be judged")
    if _all_in(given[:-1], visited):
        return visited, given, ""
    for dtype in COARSE:
        rounded = torch.tensor(given, dtype=torch.float64).to(dtype).double().tolist()
        if len(set(rounded)) == len(rounded) and _all_in(rounded[:-1], visited):
            return visited, rounded, f"its levels are the given ones, rounded to {str(dtype)[6:]}"
    elsewhere = not all(any(same(s, level) for level in given) for s in visited)
    if len(given) > 2 and elsewhere and not any(same(s, level) for level in given[1:-1] for s in visited):
        moved = [given[0], *(a + 0.3 * (b - a) for a, b in pairwise(given[1:])), given[-1]]
        if visit(moved) == visited:
            own = f"it does not use the given sigmas but levels of its own, from {visited[0]:.6g} on"
            raise NoTable("target", name, f"{own}: take the levels from `sigmas`, and it can be judged")
    return visited, given, ""


def destinations(visited: Sequence[float], levels: Sequence[float], name: str) -> list[int]:
    """For every evaluation, the grid point that the step leads to in which its state was computed.

    Step n starts from the last state at levels[n]; other states, such as Heun's stage there, belong to the step in
    which they are computed. The last steps may have none, where only levels are visited. Where starts are not visited
    (churn moves them away), every step has equally many evaluations, the last at most that number.
    Raises NoSteps if neither rule applies.
    """
    steps = len(levels) - 1
    last = [max((i for i, s in enumerate(visited) if same(s, level)), default=-1) for level in levels[:-1]]
    if all(any(same(s, level) for level in levels) for s in visited):
        while last and last[-1] < 0:
            last.pop()
    if last and last[0] >= 0 and all(a < b for a, b in pairwise(last)):
        return [last.index(i) if i in last else sum(j < i for j in last) for i in range(len(visited))]
    each = -(-len(visited) // steps)
    if not visited or (steps - 1) * each < len(visited):
        return [i // each + (i % each > 0 or not same(s, levels[i // each])) for i, s in enumerate(visited)]
    raise NoSteps("target", name, f"{len(visited)} evaluations in {steps} steps: their steps cannot be determined")


def _all_in(levels: Sequence[float], visited: Sequence[float]) -> bool:
    return all(any(same(s, level) for s in visited) for level in levels)
