"""The grid of a function of sigmas, from the levels at which it evaluates its model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ...external_run import Remark
from .target import NoSteps, NoTable

CLOSE = 2e-4  # relative: sigmas are one level, rounded in float32 on the way through 1 - alpha or a logarithm
EXACT = 1e-6  # relative: a level that is rounded to a half, and nothing else
COARSE = (torch.bfloat16, torch.float16)
NTH = {2: "second", 3: "third", 4: "fourth", 5: "fifth"}
SHIFTED = (
    "the model is evaluated at the level to which each step leads, with the state at the level before: "
    "sigma = {:.6g} with a state at {:.6g} in step 1"
)


class Visit(NamedTuple):
    """A call of a function with outputs of 0: the levels at which its model is evaluated, in order.

    end: the level of the sample, and first: the first state over the start, where that is not 0.
    """

    levels: list[float]
    end: float = 0.0
    first: float = 1.0


@dataclass(frozen=True)
class Visited:
    """The levels at which the model is evaluated, and those between which the run steps, in its own order.

    scale: of the start, with which the first state is the start.
    """

    levels: list[float]
    ends: list[float]
    remarks: tuple[Remark, ...] = ()
    scale: float = 1.0


def same(sigma: float, level: float) -> bool:
    """Whether two sigmas are one level."""
    return sigma == level or abs(sigma - level) <= CLOSE * abs(level)


def _same(some: Sequence[float], levels: Sequence[float]) -> NDArray[np.bool_]:
    """[some, levels]: same, of each with each."""
    a, b = np.array(some, dtype=float)[:, None], np.array(levels, dtype=float)
    with np.errstate(invalid="ignore"):  # of infinite levels
        near: NDArray[np.bool_] = (a == b) | (np.abs(a - b) <= CLOSE * np.abs(b))
    return near


def _off(some: Sequence[float], others: Sequence[float]) -> float:
    """The largest relative distance of one of some levels from the nearest of others; infinite without any."""
    return max((min((abs(s - t) / s for t in others), default=math.inf) for s in some if s > 0), default=math.inf)


def levels_of(
    levels: Sequence[float],
    visit: Callable[..., Visit],
    name: str,
    ratio: Callable[[float], float] = float,
    shift: Callable[[float, float], float] | None = None,
) -> Visited:
    """The levels of a function that is given `levels`.  visit(levels, start): its call on a start of that size.
    ratio(sigma): sigma / alpha, in which levels are compared.  shift(sigma, k): the level whose ratio is k times that
    of sigma, where samplers shift their levels: on the flow.

    It steps between the given levels, with 0 after them, without the first ones, or shifted, these rounded to half
    precision, those of them that it visits, the same from data to noise, or levels of its own.
    """
    seen, given = visit(levels), list(levels)
    visited = seen.levels

    def among(some: Sequence[float], others: Sequence[float]) -> bool:
        return bool(_same([ratio(s) for s in some], [ratio(level) for level in others]).any(axis=1).all())

    if len(visited) > 2 and visited[0] < visited[-1] and all(a <= b for a, b in pairwise(visited)):
        return _backward(visited, given[::-1], among)
    as_given = among(given[:-1], visited)
    for dtype in COARSE:
        with torch._C.DisableTorchFunction():  # of a run in float64, in which nothing is rounded
            rounded = torch.tensor(given, dtype=torch.float64).to(dtype).double().tolist()
        exact = _off(rounded[:-1], visited) <= EXACT < _off(given[:-1], visited)  # near the given ones by chance
        if len(set(rounded)) == len(rounded) and (exact if as_given else among(rounded[:-1], visited)):
            remark = Remark("grid", f"its levels are the given ones, rounded to {str(dtype)[6:]}")
            return Visited(visited, rounded, (remark,))
    if as_given and given[-1] > 0 and same(visited[-1], given[-1]) and visit(given, 1.0).end == 0:
        more = f"it takes one step more, from sigma = {given[-1]:.6g} to 0: its sample is a data prediction"
        return Visited(visited, [*given, 0.0], (Remark("grid", more),))
    if as_given:
        return Visited(visited, given)
    if not visited or len(given) < 3:
        return Visited(visited, given)
    if among(visited, given) and among(given[:1], visited) and all(a >= b for a, b in pairwise(visited)):
        return _skipping(visited, given, among)
    by = next((ratio(v) / ratio(s) for v, s in zip(visited, given, strict=False) if 0 < s < 1 and 0 < v < 1), 1.0)
    if shift is not None and abs(by - 1) > CLOSE:
        moved = [shift(s, by) for s in given]
        if among(moved[:-1], visited):
            return Visited(visited, moved, (Remark("grid", f"it shifts the given levels by {by:.4g}"),))
    late = next((n for n, level in enumerate(given[:-2]) if same(visited[0], level)), 0)
    if late and len(visited) == len(given) - 1 - late and among(visited, given[late:]):
        detail = f"its model is first evaluated at level {late}, sigma = {visited[0]:.6g}, at the start of the run"
        remark = Remark("grid", f"{detail}, whose noise is that of level 0: it is judged from there on", "error")
        return Visited(visited, given[late:], (remark,))
    if not among(visited, given) and not among(given[1:-1], visited):
        moved = [given[0], *(a + 0.3 * (b - a) for a, b in pairwise(given[1:])), given[-1]]
        if visit(moved).levels == visited:
            return _own(visit(given, 1.0), given, name)
    return Visited(visited, given)


def _backward(visited: list[float], ends: list[float], among: Callable[..., bool]) -> Visited:
    """A run from data to noise."""
    remark = Remark("grid", f"it runs from data to noise, from sigma = {ends[0]:.6g} up to {ends[-1]:.6g}")
    if len(visited) == len(ends) - 1 and not among(ends[:1], visited) and among(ends[1:], visited):
        asked = Remark("grid", SHIFTED.format(visited[0], ends[0]))
        return Visited(ends[:-1], ends, (remark, asked))
    return Visited(visited, ends, (remark,))


def _skipping(visited: list[float], given: list[float], among: Callable[..., bool]) -> Visited:
    """A run that evaluates its model at some of the given levels, and takes earlier outputs at the others."""
    index = [n for n, level in enumerate(given[:-1]) if among([level], visited)]
    if index == [*range(len(index))]:  # it stops asking, in a step that the judge names
        return Visited(visited, given)
    ends = [*(given[n] for n in index), given[-1]]
    apart = {b - a for a, b in pairwise(index)}
    every = f", every {NTH.get(next(iter(apart)), f'{next(iter(apart))}th')} one" if len(apart) == 1 else ""
    few = f"its model is evaluated at {len(index)} of the {len(given) - 1} given levels{every}"
    detail = f"{few}: earlier outputs stand in for the others, and the run is judged on the levels of its evaluations"
    return Visited(visited, ends, (Remark("grid", detail, "error"),))


def _own(seen: Visit, given: list[float], name: str) -> Visited:
    """A run on levels that do not depend on the given ones."""
    visited, steps = seen.levels, len(given) - 1
    distinct = [s for n, s in enumerate(visited) if n == 0 or not same(s, visited[n - 1])]
    each = len(visited) // steps
    if len(distinct) != steps and each > 1 and len(visited) == each * steps:
        distinct = visited[::each]
    if any(b >= a for a, b in pairwise([*distinct, seen.end])) or not seen.first:
        own = f"it does not use the given sigmas but levels of its own, from {visited[0]:.6g} on"
        raise NoTable("target", name, f"{own}: take the levels from `sigmas`, and it can be judged")
    detail = f"it does not use the given sigmas but levels of its own, {visited[0]:.6g} to {seen.end:.6g}"
    remark = Remark("grid", f"{detail}: it is judged on these")
    return Visited(visited, [*distinct, seen.end], (remark,), 1 / seen.first)


def destinations(visited: Sequence[float], levels: Sequence[float], name: str) -> list[int]:
    """For every evaluation, the grid point that the step leads to in which its state was computed.

    Step n starts from the last state at levels[n]; other states, such as Heun's stage there, belong to the step in
    which they are computed. The last steps may have none, where only levels are visited; the last one, to 0, may have
    none wherever no step has more than the others. Where starts are not visited (churn moves them away), every step has
    equally many evaluations, the last at most that number.
    Raises NoSteps if neither rule applies.
    """
    steps = len(levels) - 1
    at = _same(visited, levels)
    last = [max(found.nonzero()[0].tolist(), default=-1) for found in at[:, :-1].T]
    if at.any(axis=1).all():
        while last and last[-1] < 0:
            last.pop()
    if len(last) > 2 and last[-1] < 0 == levels[-1]:
        most = max(b - a for a, b in pairwise(last[:-1]))
        if len(visited) - last[-2] <= most:  # its evaluations are those of the step before
            last.pop()
    if last and last[0] >= 0 and all(a < b for a, b in pairwise(last)):
        return [last.index(i) if i in last else sum(j < i for j in last) for i in range(len(visited))]
    each = -(-len(visited) // steps)
    if not visited or (steps - 1) * each < len(visited):
        return [i // each + (i % each > 0 or not same(s, levels[i // each])) for i, s in enumerate(visited)]
    raise NoSteps("target", name, f"{len(visited)} evaluations in {steps} steps: their steps cannot be determined")
