"""Merge evaluations that a sampler makes at one state, as guidance does for its conditions: columns by channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .external_run import Remark
from .readback import NEAR, Trace

ORDER = ("first", "second", "third", "fourth", "fifth")
CALL = "{} call"  # the name of an output whose condition is not known


def without_repeated_evaluations(found: Trace) -> Trace:
    """The trace with evaluations at one state and level, for one grid point, merged: a model returns the same for them
    where its conditions are equal, so their coefficients add up. The columns by channel are in `apart`.

    Channels without a name are called by their order where every state has as many of them; elsewhere none are apart.
    """
    if math.inf in found.superposition:  # its vectors are no image
        return found
    first: dict[int, int] = {}  # evaluation -> the one that it repeats
    places: dict[tuple[float, ...], list[int]] = {}  # step and level -> the evaluations there, each at another state
    made = [i for i, evaluated in enumerate(found.evaluated) if evaluated]
    for k, i in enumerate(made):
        alike = places.setdefault((found.step[i], *found.points[i][:2]), [])
        for earlier in alike:
            if _one_state(found.vectors[i], found.vectors[made[earlier]], found.dtype):
                first[k] = earlier
                break
        else:
            alike.append(k)
    if not first and not found.channel:
        return found
    columns = found.vectors.clone()
    for k, earlier in first.items():
        columns[:, 1 + earlier] += columns[:, 1 + k]
    keep = [i for i in range(len(found.points)) if i not in {made[k] for k in first}]
    stay = [c for c in range(columns.shape[1]) if c - 1 not in first]
    timesteps = found.timesteps
    if timesteps is not None:
        t, lam, rounding = ([x for k, x in enumerate(values) if k not in first] for values in timesteps[:3])
        timesteps = timesteps._replace(t=tuple(t), lam=tuple(lam), rounding=tuple(rounding))
    repeat = "evaluation repeats" if len(first) == 1 else "evaluations repeat"
    remark = f"{len(first)} {repeat} one at the same state and level: their outputs count as one"
    sources = [first.get(k, k) for k in range(len(made))]
    return replace(
        found,
        vectors=columns[keep][:, stay],
        points=tuple(found.points[i] for i in keep),
        step=tuple(found.step[i] for i in keep),
        evaluated=tuple(found.evaluated[i] for i in keep),
        superposition=tuple(found.superposition[i] for i in keep),
        uncertainty=tuple(found.uncertainty[i] for i in keep if found.uncertainty),
        timesteps=timesteps,
        remarks=found.remarks if found.channel else (*found.remarks, Remark("formula", remark)),
        channel=(),
        apart=_apart(found.vectors[keep, 1 : 1 + len(made)], sources, found.channel or _by_order(sources)),
    )


def _apart(columns: Tensor, sources: Sequence[int], names: Sequence[str]) -> dict[str, Tensor]:
    """The columns of evaluations by channel, [V, states] each.  sources: the first evaluation at the state of each."""
    at = {source: n for n, source in enumerate(sorted(set(sources)))}
    found = {name: torch.zeros(len(columns), len(at), dtype=torch.float64) for name in dict.fromkeys(names)}
    for k, name in enumerate(names):
        found[name][:, at[sources[k]]] += columns[:, k]
    return found


def _by_order(sources: Sequence[int]) -> list[str]:
    """The names of evaluations by their order at each state, where every state has as many; else none."""
    counts = [sources[:k].count(source) for k, source in enumerate(sources)]
    each = max(counts) + 1
    even = each <= len(ORDER) and all(sources.count(source) == each for source in sources)
    return [CALL.format(ORDER[n]) for n in counts] if even else []


def _one_state(one: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    """Whether two states are equal but for rounding in every share: where a run grows, those of outputs are small."""
    eps = torch.finfo(dtype).eps
    return bool(((one - other).abs() <= NEAR * eps * other.abs() + 4 * eps * other.abs().max()).all())
