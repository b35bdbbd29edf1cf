"""An external sampler: any sampler that can be put on grids and run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..report import TargetInfo

if TYPE_CHECKING:
    from ...external_run import Run
    from ...grids import Grid
    from .in_float64 import Precision
    from .unobserved import OnLevels


class OnGrid(Protocol):
    """on(steps, grid) -> the sampler on a grid of that many steps: its own, or the one of that name in its info."""

    def __call__(self, steps: int, grid: str | None = None, /) -> Run: ...


@dataclass(frozen=True)
class ExternalSampler:
    """A sampler known only by running it, with its metadata.

    prediction: what its model returns.  on: see OnGrid.  float64(): its code with float64 in place of float32.
    on_yours(grid) -> the sampler on the levels of a given grid, in its own process (InputError where it cannot take
    them); None where it makes its own.  unread(grid): the same, only to be run on a model; None: on_yours serves.
    kept: what determines it besides its name, such as the version of its library; None where that is not known.
    note: how it is put on a given grid, "" where that needs no word.
    in_process(process, prediction) -> the same in another process, None where it has one of its own.
    from_level(steps, begin) -> the sampler on a grid of its own from a later level on.
    direct(levels) -> its code on these levels, without a run around it, where it is a function.
    """

    info: TargetInfo
    prediction: str
    on: OnGrid
    float64: Callable[[], AbstractContextManager[Precision | None]] = field(default=nullcontext)
    on_yours: Callable[[Grid], Run] | None = None
    unread: Callable[[Grid], Run] | None = None
    kept: str | None = None
    note: str = ""
    in_process: Callable[[str, str], ExternalSampler] | None = None
    from_level: Callable[[int, int], Run] | None = None
    direct: OnLevels | None = None
