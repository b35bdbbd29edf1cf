"""The contract of a sampler that is known only by running it: run(start, model, draw) -> Finish."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

from .points import Point


class Model(Protocol):
    """model(x, at, to, channel) -> the prediction at the state x, shaped like x.

    at: the point of the forward process at which x is a state.  to: index of the grid point that the step leads to in
    which x was computed, 0 for the start.  channel: the output asked for, where a model has several at one state, such
    as "conditional" and "unconditional"; "" where it has one.
    """

    def __call__(self, x: Tensor, at: Point, to: int, channel: str = "", /) -> Tensor: ...


class Draw(Protocol):
    """draw(like, span) -> standard normal noise shaped like `like`.

    span: None for independent noise, or an interval (from, to) of Brownian time: the increment over it of the one path
    of the run, divided by sqrt|to - from|.
    """

    def __call__(self, like: Tensor, span: tuple[float, float] | None = None, /) -> Tensor: ...


class Timesteps(NamedTuple):
    """The timesteps that a model receives, one an evaluation.

    t: as passed.  lam: the lambda on which the model was trained at t.  rounding: how far rounding of t may move lam.
    cleanest, noisiest: lambda of the levels with the least and the most noise in training; infinite where it is not
    known.  shift: of the levels of the flow, 1 for none.
    """

    t: tuple[float, ...]
    lam: tuple[float, ...]
    rounding: tuple[float, ...]
    cleanest: float
    noisiest: float = -math.inf
    shift: float = 1.0


class Remark(NamedTuple):
    """A finding of an adapter.  severity: "note", or "error" where it makes the exit code 1."""

    kind: str
    text: str
    severity: str = "note"


class Finish(NamedTuple):
    """The end of a run: the sample, and the points of its grid, [N + 1].

    numbers: parameters of the formula by step, under their symbols in the catalogue.
    timesteps: None where the model receives the level itself.  remarks: findings of the adapter.
    """

    sample: Tensor
    grid: tuple[Point, ...]
    numbers: Mapping[str, tuple[float, ...]] = {}
    timesteps: Timesteps | None = None
    remarks: tuple[Remark, ...] = ()


class Run(Protocol):
    """run(start, model, draw) -> Finish: a sampler on one grid. Every call starts afresh."""

    def __call__(self, start: Tensor, model: Model, draw: Draw, /) -> Finish: ...


class Calls(NamedTuple):
    """The calls of a run: evaluations of its model, and draws over spans, as in Draw."""

    nfe: int
    spans: tuple[tuple[float, float] | None, ...]


def of_another_run(x: object, like: Tensor) -> str:
    """Addition to a message on a wrong shape that comes of a sum with a tensor of another, larger run."""
    cached = (
        isinstance(x, Tensor)
        and x.ndim == like.ndim
        and x.numel() > like.numel()
        and all(b in (a, 1) for a, b in zip(x.shape, like.shape, strict=True))
    )
    return ", probably because it keeps a tensor of an earlier run" if cached else ""
