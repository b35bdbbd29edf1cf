"""Drop zero-length steps at either end before judging."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...readback import Trace

ROUNDING = 1e3  # eps of the last state: what a step that changes nothing may leave


def without_zero_length_step(found: Trace) -> Trace:
    """The trace without a first and a last step of length zero, if these leave the state unchanged and so use no
    output.
    """
    return _without_last(_without_first(found))


def _without_first(found: Trace) -> Trace:
    if len(found.grid) < 3 or found.grid[0][:2] != found.grid[1][:2] or found.step[:3] != (0, 1, 2):
        return found
    start, after = found.vectors[0], found.vectors[1]
    if not found.evaluated[0] or not _unchanged(start, after, found.dtype):
        return found
    kept = [0, *range(2, found.vectors.shape[1])]  # without the first output
    vectors = found.vectors[1:, kept].clone()
    vectors[0] = start[kept]
    return replace(
        found,
        vectors=vectors,
        points=found.points[1:],
        step=tuple(to - 1 for to in found.step[1:]),
        evaluated=found.evaluated[1:],
        grid=found.grid[1:],
        numbers={name: values[1:] for name, values in found.numbers.items()},
        superposition=found.superposition[1:],
        uncertainty=found.uncertainty[1:],
        timesteps=None,
        channel=found.channel[1:],
        apart={name: columns[1:, 1:] for name, columns in found.apart.items()},
    )


def _unchanged(before: Tensor, after: Tensor, dtype: torch.dtype) -> bool:
    return float((after - before).abs().max()) <= ROUNDING * torch.finfo(dtype).eps * float(before.abs().max())


def _without_last(found: Trace) -> Trace:
    if len(found.grid) < 3 or found.grid[-1][:2] != found.grid[-2][:2] or found.step[-2] != len(found.grid) - 2:
        return found
    if not found.evaluated[-2] or not _unchanged(found.vectors[-2], found.vectors[-1], found.dtype):
        return found
    unused = found.nfe  # the column of the last output, after the start and the outputs before
    return replace(
        found,
        vectors=torch.cat([found.vectors[:-1, :unused], found.vectors[:-1, unused + 1 :]], dim=1),
        points=found.points[:-1],
        step=found.step[:-1],
        evaluated=(*found.evaluated[:-2], False),
        grid=found.grid[:-1],
        numbers={name: values[:-1] for name, values in found.numbers.items()},
        superposition=found.superposition[:-1],
        uncertainty=found.uncertainty[:-1],
        timesteps=None,
        apart={name: columns[:-1, :-1] for name, columns in found.apart.items()},
    )
