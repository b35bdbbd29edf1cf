"""A jump: a map of samples from one point of the forward process to another, in one evaluation or in several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from ..ddim_step import ddim_step
from ..denoisers import DENOISER, Denoiser
from ..errors import InputError, runnable
from ..points import Point


class Jump(Protocol):
    """jump(x, start, end) -> the samples x [n, ...] of the point `start`, taken to the point `end`."""

    def __call__(self, x: Tensor, start: Point, end: Point, /) -> Tensor: ...


def ddim_jump(denoise: Denoiser) -> Jump:
    """The jump of one step of DDIM; on the linear path it is the step of Euler's method.

    Song et al. 2021 (arXiv 2010.02502), eq. 12 without noise.
    """
    runnable("denoise", denoise, DENOISER)

    def jump(x: Tensor, start: Point, end: Point) -> Tensor:
        return ddim_step(x, denoise(x, start, "noise"), start, end)

    return jump


def through(jump: Jump, points: Sequence[Point]) -> Jump:
    """The jump composed of those between consecutive points: from any of these to any later one.

    Of DDIM on a grid this is what every ideal student of it computes: a progressive one, one of consistency, and one of
    shortcuts, since each loss is zero only where a jump equals the two that it is made from.
    Raises InputError, when it is called, on a start or an end that is none of the points, or an end before the start.
    """
    places = {point: n for n, point in enumerate(points)}

    def composed(x: Tensor, start: Point, end: Point) -> Tensor:
        for name, point in (("start", start), ("end", end)):
            if point not in places:
                raise InputError(name, f"lambda = {point.lam:.6g}", "one of the points of the grid")
        first, last = places[start], places[end]
        if last < first:
            raise InputError("end", f"lambda = {end.lam:.6g}", f"a point after the start, lambda = {start.lam:.6g}")
        return run_jumps(jump, x, points[first : last + 1])

    return composed


def run_jumps(jump: Jump, x: Tensor, points: Sequence[Point]) -> Tensor:
    """The samples x [n, ...] of the first point at the last one, one jump between two consecutive points."""
    for start, end in pairwise(points):
        x = jump(x, start, end)
    return x


def semigroup_residual(jump: Jump, x: Tensor, start: Point, middle: Point, end: Point) -> float:
    """The root mean square distance of a jump of samples x [n, ...] and the two jumps through a point in between.

    It is zero for the exact flow and for an ideal student.  Frans et al. 2024 (arXiv 2410.12557) train on its square.
    """
    with torch.no_grad():
        gap = jump(x, start, end) - jump(jump(x, start, middle), middle, end)
    return gap.square().flatten(1).sum(dim=1).mean().sqrt().item()
