"""What a sampler does with other inputs than those it was read back on: other shapes, sizes and layouts, another run
before, gradients off. All it does must be what its trace says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import DependsError
from ...readback import BATCH, SCALE, Stranger, Trace, respond

SHAPE = (2, 3, 4)  # samples, channels, rows, before the axis of the trace
LARGE, SMALL = 1e4, 1e-4  # deviations of random inputs: of the one sample, and of the other
LINEAR = {torch.float64: 1e-7, torch.float32: 1e-2, torch.bfloat16: 0.3, torch.float16: 0.1}  # of the largest value
LONGEST = 200  # characters of what is said of an exception
COVERED = (
    f"shapes: {[*BATCH, 'w']}, {[*SHAPE, 'w']} with samples that differ, channels last in memory".replace("'", ""),
    f"inputs of standard deviation {SMALL:g}, {SCALE:g} and {LARGE:g}",
    "runs one after another, without a reset between them",
    "gradient mode on and off",
)


class Departure(NamedTuple):
    """What other inputs show.  verdict: that it leads to, or "note".  kind, detail: of its finding."""

    verdict: str
    kind: str
    detail: str


@dataclass(frozen=True)
class _Inputs:
    """Random inputs of a shape, its samples of these deviations.  last: channels last in memory."""

    shape: tuple[int, ...] = BATCH
    scales: tuple[float, ...] = (SCALE,)
    last: bool = False
    grad: bool = True
    seed: int = 1

    def values(self, found: Trace) -> Tensor:
        width = found.vectors.shape[1]
        generator = torch.Generator().manual_seed(self.seed)
        random = torch.randn(width, *self.shape, width, generator=generator, dtype=torch.float64)
        random *= torch.tensor(self.scales, dtype=torch.float64).view(-1, 1, 1, 1)
        return random.movedim(2, -1).contiguous().movedim(-1, 2) if self.last else random


EVERYTHING = _Inputs(SHAPE, (LARGE, SMALL), last=True, grad=False)


def departures(stranger: Stranger, found: Trace) -> tuple[Departure, ...]:
    """Where runs on other inputs are not what the trace of a run says, by the first cause; nothing if all are.

    What the sampler raises is a departure too.
    """
    remembered = _remembers(stranger, found)
    if remembered is not None:
        return (remembered,)
    if max(found.superposition) > LINEAR[found.dtype] or not bool(found.vectors.isfinite().all()):
        return ()  # there is no image to compare with
    noted: tuple[Departure, ...] = ()
    for inputs in (EVERYTHING, replace(EVERYTHING, last=False)):
        try:
            if _agrees(stranger, found, inputs):
                return noted
            other = Departure("not-linear", "batch", "in other shapes and sizes together it is not linear")
        except Exception as fault:
            said = f"{type(fault).__name__}: {' '.join(str(fault).split())}"[:LONGEST]
            other = Departure("error", "exception", f"on inputs of shape {[*SHAPE, found.vectors.shape[1]]}: {said}")
            noted = (Departure("note", "exception", f"it cannot take channels-last memory: {said}"),)
            continue
        break
    return (_cause(stranger, found) or other,)


def _agrees(stranger: Stranger, found: Trace, inputs: _Inputs) -> bool:
    """Whether a run on these inputs is what the trace says, in every sample by its own size."""
    values = inputs.values(found)
    with torch.set_grad_enabled(inputs.grad):
        made = respond(stranger, found, values)
    expected = torch.tensordot(found.vectors, values, dims=1)
    gap = (made - expected[-len(made) :]).abs().amax(dim=(0, 2, 3, 4))
    size = expected.abs().amax(dim=(0, 2, 3, 4))
    return bool((gap <= LINEAR[found.dtype] * size).all())


def _cause(stranger: Stranger, found: Trace) -> Departure | None:
    """What alone makes it depart."""

    def holds(inputs: _Inputs) -> bool:
        try:
            return _agrees(stranger, found, inputs)
        except DependsError:
            return False

    def alone(**changed: object) -> bool:
        return not holds(_Inputs(**changed))  # type: ignore[arg-type]

    try:
        if alone(scales=(LARGE,)):
            most = max((s for s in (10.0, 100.0, 1e3) if holds(_Inputs(scales=(s,)))), default=SCALE)
            return Departure(
                "not-linear", "range", f"inputs of standard deviation {most:g} pass, {LARGE:g} do not: it clips"
            )
        if alone(scales=(SMALL,)):
            return Departure("not-linear", "range", f"it is not linear on inputs of standard deviation {SMALL:g}")
        if alone(grad=False):
            return Departure("different-formula", "formula", "it computes something else where gradients are off")
        if alone(shape=SHAPE, scales=(SCALE, SCALE)):
            return _mixing(stranger, found)
        if alone(shape=SHAPE, scales=(SCALE, SCALE), last=True):
            return Departure("different-formula", "formula", "it computes something else on channels-last memory")
        if alone(shape=SHAPE, scales=(LARGE, SMALL)):
            return Departure("not-linear", "batch", "a sample depends on the size of another one")
    except Exception:  # of a stranger: it is said of the run on everything
        return None
    return None


def _mixing(stranger: Stranger, found: Trace) -> Departure:
    """Whether one entry of a batch moves others, or the shape alone makes it another formula."""
    values = _Inputs(SHAPE, (SCALE, SCALE)).values(found)
    changed = values.clone()
    changed[:, 0, 0, 0] *= -2
    moved = (respond(stranger, found, changed) - respond(stranger, found, values)).abs().amax(dim=(0, 4)) > 0
    moved[0, 0, 0] = False
    if moved[1].any():
        return Departure("not-linear", "batch", "it mixes the samples of a batch: one sample moves another")
    if moved[0, 1:].any():
        return Departure("not-linear", "batch", "it mixes channels: one channel of a sample moves another")
    if moved.any():
        return Departure("not-linear", "batch", "it mixes places: one place of a channel moves another")
    shape = [*SHAPE, found.vectors.shape[1]]
    return Departure("different-formula", "batch", f"on inputs of shape {shape} it computes something else")


def _remembers(stranger: Stranger, found: Trace) -> Departure | None:
    """Whether the same inputs give the same run, bit for bit, after another run."""
    state = torch.get_rng_state()

    def run(seed: int) -> Tensor:
        torch.set_rng_state(state)  # noise of its own is no memory
        return respond(stranger, found, _Inputs(seed=seed).values(found))

    try:
        first = run(1)
    except DependsError:  # on the values: the trace says so
        return None
    try:
        run(2)
        later = run(1), run(1)
    except Exception as fault:
        said = f"after another run it fails: {' '.join(str(fault).split())}"[:LONGEST]
        return Departure("different-formula", "memory", said)
    if all(torch.equal(first.view(torch.int64), again.view(torch.int64)) for again in later):
        return None
    gap = max(float((first - again).abs().max()) for again in later)
    return Departure(
        "different-formula", "memory", f"after another run the same inputs give another answer, {gap:.1e} away"
    )
