"""Comparison of frozen classes that hold tensors: exactly, to a tolerance, and by a digest of their content."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Mapping
from dataclasses import Field, fields, is_dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

OPTIONAL = {"optional": True}  # metadata of a field that is no content while it is empty
RTOL, ATOL = 1e-9, 1e-12  # of isclose: |a - b| <= ATOL + RTOL |b|, entry by entry


class ByContent:
    """Base of frozen dataclasses (eq=False): == compares content exactly, and equal objects have equal hashes.

    Tensors are equal where their dtype, shape and entries are, as by torch.equal; NaN equals NaN. Fields that are
    declared with compare=False are labels and do not count.
    """

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or content(self) == content(other)

    def __hash__(self) -> int:
        return hash(content(self))


def content(value: Any) -> Hashable:
    """A hashable image of a value: equal images, equal content."""
    if isinstance(value, Tensor):
        plain = torch.nan_to_num(value, math.nan, math.inf, -math.inf) + 0 if value.is_floating_point() else value
        return str(value.dtype), tuple(value.shape), plain.detach().cpu().numpy().tobytes()
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), *(content(part) for part in _parts(value))
    if isinstance(value, Mapping):
        return tuple((key, content(value[key])) for key in sorted(value))
    if isinstance(value, frozenset):
        return tuple(sorted(value))
    if isinstance(value, tuple | list):
        return tuple(map(content, value))
    assert isinstance(value, Hashable)
    return value


def digest(value: Any) -> str:
    """SHA-256 of the content of a value, in hexadecimal: the same in every process."""
    return hashlib.sha256(repr(content(value)).encode()).hexdigest()


def close(one: Any, other: Any, rtol: float, atol: float) -> bool:
    """Whether two values agree: numbers to |a - b| <= atol + rtol |b|, NaN with NaN, and all else exactly."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.allclose(one, other, rtol=rtol, atol=atol, equal_nan=True)
    if isinstance(one, float) and isinstance(other, float):
        both = torch.tensor([one, other], dtype=torch.float64)
        return close(both[0], both[1], rtol, atol)
    if type(one) is not type(other):
        return False
    if is_dataclass(one) and not isinstance(one, type):
        mine, others = _parts(one), _parts(other)
        return len(mine) == len(others) and all(map(partial(close, rtol=rtol, atol=atol), mine, others))
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(close(one[key], other[key], rtol, atol) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(close(a, b, rtol, atol) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _parts(value: Any) -> list[Any]:
    """The fields of a dataclass that a comparison goes by."""
    return [getattr(value, f.name) for f in fields(value) if f.compare and not _left_out(value, f)]


def _left_out(value: Any, part: Field[Any]) -> bool:
    return bool(part.metadata.get("optional")) and not getattr(value, part.name)
