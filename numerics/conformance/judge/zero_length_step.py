"""Drop a final zero-length step before judging."""

from __future__ import annotations

from dataclasses import replace

import torch

from ...readback import Trace

ROUNDING = 1e3  # eps of the last state: what a step that changes nothing may leave


def without_zero_length_step(found: Trace) -> Trace:
    """The trace without a last step of length zero, if that step leaves the state unchanged and so uses no output."""
    if len(found.grid) < 3 or found.grid[-1][:2] != found.grid[-2][:2] or found.step[-2] != len(found.grid) - 2:
        return found
    last, before = found.vectors[-1], found.vectors[-2]
    if not found.evaluated[-2]:
        return found
    if float((last - before).abs().max()) > ROUNDING * torch.finfo(found.dtype).eps * float(before.abs().max()):
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
