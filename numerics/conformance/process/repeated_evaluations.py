"""Evaluations that a sampler makes twice at one state: guidance asks its model so, once for each condition."""

from __future__ import annotations

import math
from dataclasses import replace

from ...points import Told
from ...readback import Trace, same_vector


def asked_once(found: Trace) -> Trace:
    """The trace where evaluations at one state and level, for one grid point, are one: a model answers them alike, so
    their shares add up.
    """
    if math.inf in found.superposition:  # its vectors are no image
        return found
    first: dict[int, int] = {}  # evaluation -> the one that it repeats
    made = [i for i, asked in enumerate(found.evaluated) if asked]
    for k, i in enumerate(made):
        for earlier, j in enumerate(made[:k]):
            alike = found.step[i] == found.step[j] and found.points[i][:2] == found.points[j][:2]
            if alike and earlier not in first and same_vector(found.vectors[i], found.vectors[j], found.dtype):
                first[k] = earlier
                break
    if not first:
        return found
    columns = found.vectors.clone()
    for k, earlier in first.items():
        columns[:, 1 + earlier] += columns[:, 1 + k]
    keep = [i for i in range(len(found.points)) if i not in {made[k] for k in first}]
    stay = [c for c in range(columns.shape[1]) if c - 1 not in first]
    told = found.told
    if told is not None:
        times, lam, within = ([x for k, x in enumerate(values) if k not in first] for values in told[:3])
        told = Told(tuple(times), tuple(lam), tuple(within), told.cleanest)
    said = f"{len(first)} evaluations repeat one at the same state and level: their answers count as one"
    return replace(
        found,
        vectors=columns[keep][:, stay],
        points=tuple(found.points[i] for i in keep),
        step=tuple(found.step[i] for i in keep),
        evaluated=tuple(found.evaluated[i] for i in keep),
        superposition=tuple(found.superposition[i] for i in keep),
        told=told,
        remarks=(*found.remarks, ("formula", said)),
    )
