"""Traces between processes: as plain containers, and the checks on what comes back."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import torch

from ...generated.prediction_functions import PREDICTIONS
from ...readback import LINEAR, Trace


def plain_trace(found: Trace) -> dict[str, Any]:
    """A trace in plain containers."""
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    points = {name: [tuple(p) for p in values[name]] for name in ("points", "grid")}
    timesteps = tuple(found.timesteps) if found.timesteps else None
    remarks = tuple(tuple(remark) for remark in found.remarks)
    return {**values, **points, "numbers": dict(found.numbers), "timesteps": timesteps, "remarks": remarks}


def check_shapes(found: Trace) -> None:
    """Raises ValueError where the lengths of two fields disagree."""
    vectors, count = found.vectors, len(found.points)
    if vectors.dtype != torch.float64 or vectors.ndim != 2 or vectors.layout != torch.strided:
        raise ValueError(f"vectors are {list(vectors.shape)} in {vectors.dtype}, not [V, columns] in float64")
    if found.dtype not in LINEAR or found.prediction not in PREDICTIONS:
        raise ValueError("its dtype or its prediction is unknown")
    lengths = {len(vectors), count, len(found.step), len(found.evaluated), len(found.superposition)}
    if lengths != {count} or count < 2:
        raise ValueError(f"vectors, points, steps and the like have the lengths {sorted(lengths)}")
    if len(found.channel) not in (0, found.nfe) or found.apart:
        raise ValueError("its output channels are not one for every evaluation")
    if found.nfe < 1:
        raise ValueError("it never evaluates its model")
    if vectors.shape[1] < 1 + found.nfe and math.inf not in found.superposition:  # on zeros, it has one column
        raise ValueError(f"{vectors.shape[1]} columns, {found.nfe} evaluations")
    last = len(found.grid) - 1
    if last < 1 or not all(0 <= n <= last for n in found.step):
        raise ValueError(f"its steps do not belong to a grid of {last + 1} points")
    if any(len(values) != last for values in found.numbers.values()):
        raise ValueError("its numbers are not one for every step")
    if found.timesteps is not None and {len(part) for part in found.timesteps[:3]} != {found.nfe}:
        raise ValueError("its timesteps are not one for every evaluation")
