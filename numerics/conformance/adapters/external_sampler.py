"""An external sampler: any sampler that can be put on grids and run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..report import TargetInfo

if TYPE_CHECKING:
    from ...external_run import Run


class OnGrid(Protocol):
    """on(steps, grid) -> the sampler on a grid of that many steps: its own, or the one of that name in its info."""

    def __call__(self, steps: int, grid: str | None = None, /) -> Run: ...


@dataclass(frozen=True)
class ExternalSampler:
    """A sampler known only by running it, with its metadata.

    prediction: what its model returns.  on: see OnGrid.  float64(): its code with float64 in place of float32.
    """

    info: TargetInfo
    prediction: str
    on: OnGrid
    float64: Callable[[], AbstractContextManager[None]] = field(default=nullcontext)
