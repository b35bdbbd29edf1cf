"""Merge evaluations that a sampler makes twice at one state, as guidance does for its conditions."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ...external_run import Remark, Timesteps
from ...readback import NEAR, Trace


def without_repeated_evaluations(found: Trace) -> Trace:
    """The trace with evaluations at one state and level, for one grid point, merged: a model returns the same for them,
    so their coefficients add up.
    """
    if math.inf in found.superposition:  # its vectors are no image
        return found
    first: dict[int, int] = {}  # evaluation -> the one that it repeats
    made = [i for i, evaluated in enumerate(found.evaluated) if evaluated]
    for k, i in enumerate(made):
        for earlier, j in enumerate(made[:k]):
            alike = found.step[i] == found.step[j] and found.points[i][:2] == found.points[j][:2]
            if alike and earlier not in first and _one_state(found.vectors[i], found.vectors[j], found.dtype):
                first[k] = earlier
                break
    if not first:
        return found
    columns = found.vectors.clone()
    for k, earlier in first.items():
        columns[:, 1 + earlier] += columns[:, 1 + k]
    keep = [i for i in range(len(found.points)) if i not in {made[k] for k in first}]
    stay = [c for c in range(columns.shape[1]) if c - 1 not in first]
    timesteps = found.timesteps
    if timesteps is not None:
        t, lam, rounding = ([x for k, x in enumerate(values) if k not in first] for values in timesteps[:3])
        timesteps = Timesteps(tuple(t), tuple(lam), tuple(rounding), timesteps.cleanest)
    remark = f"{len(first)} evaluations repeat one at the same state and level: their outputs count as one"
    return replace(
        found,
        vectors=columns[keep][:, stay],
        points=tuple(found.points[i] for i in keep),
        step=tuple(found.step[i] for i in keep),
        evaluated=tuple(found.evaluated[i] for i in keep),
        superposition=tuple(found.superposition[i] for i in keep),
        uncertainty=tuple(found.uncertainty[i] for i in keep if found.uncertainty),
        timesteps=timesteps,
        remarks=(*found.remarks, Remark("formula", remark)),
    )


def _one_state(one: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    """Whether two states are equal but for rounding in every share: where a run grows, those of outputs are small."""
    eps = torch.finfo(dtype).eps
    return bool(((one - other).abs() <= NEAR * eps * other.abs() + 4 * eps * other.abs().max()).all())
