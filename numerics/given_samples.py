"""Checks of samples that are given, and of their weights."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import InputError, of_type


def check_samples(start: object) -> None:
    """Raises InputError on start values that are no batch of finite numbers [n, ...]."""
    of_type("start", start, Tensor, "a tensor")
    assert isinstance(start, Tensor)
    if start.ndim < 2 or not len(start) or not bool(torch.isfinite(start).all()):
        raise InputError("start", list(start.shape), "finite samples, a batch first")


def shares(start: Tensor, weights: Tensor | None) -> Tensor:
    """Weights [n] of samples [n, ...] with the sum 1, equal if None.

    Raises InputError on another shape, negative weights and the sum 0.
    """
    if weights is None:
        return torch.full(start.shape[:1], 1 / len(start), dtype=torch.float64)
    if weights.shape != start.shape[:1]:
        raise InputError("weights", list(weights.shape), f"the shape {list(start.shape[:1])}, one a sample")
    total = float(weights.sum())
    if not (bool((weights >= 0).all()) and 0 < total < float("inf")):
        raise InputError("weights", "a negative one, or a sum that is not positive", "weights >= 0, not all 0")
    return weights.to(torch.float64) / total
