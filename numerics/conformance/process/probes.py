"""Run a sampler on other inputs than those it was read back on, and compare with its trace: other shapes, sizes and
memory layouts, after another run, gradients off, unobserved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ...errors import DependsError
from ...external_run import Run
from ...readback import BATCH, LINEAR, SCALE, Trace, is_image, respond
from ..adapters.unobserved import CALLED, OnLevels, departure_called_directly, may_be_called
from ..report import Departure, Failure, TargetInfo
from .drawn_inputs import DRAWN, MODE, departure_in_inference_mode, departure_on_drawn
from .fault_origin import LONGEST, raised

SHAPE = (2, 3, 4)  # samples, channels, rows, before the axis of the trace
LARGE, SMALL = 1e4, 1e-4  # standard deviations of random inputs: of one sample, and of the other
LOW = 1e-2  # a standard deviation of inputs too small to be clipped
COVERED = (
    f"shapes: {[*BATCH, 'w']}, {[*SHAPE, 'w']} with samples that differ, channels last in memory".replace("'", ""),
    f"inputs of standard deviation {SMALL:g}, {SCALE:g} and {LARGE:g}",
    DRAWN,
    "runs one after another, without a reset between them",
    "gradient mode on and off",
    MODE,
)


def covered(info: TargetInfo, run: Trace | Failure) -> tuple[str, ...]:
    """What `departures` varies of a run of the target as shipped, a line each; nothing of one that failed."""
    if not isinstance(run, Trace):
        return ()
    called = info.called and may_be_called(run)
    return (*COVERED, CALLED) if called else COVERED


@dataclass(frozen=True)
class _Inputs:
    """Random inputs of a shape.  scales: standard deviations of its samples.  last: channels last in memory."""

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


def departures(run: Run, found: Trace, call: OnLevels | None = None) -> tuple[Departure, ...]:
    """Departures of a run from its trace on other inputs, the first cause of each; empty where it has none.

    call: levels -> the sampler on them without the run around it, where it has one.  An exception of the sampler is a
    departure too.
    """
    remembered = _memory(run, found)
    if remembered is not None:
        return (remembered,)
    if not bool(found.vectors.isfinite().all()) or max(found.superposition) == math.inf:
        return ()  # there is no image to compare with
    if max(found.superposition) > LINEAR[found.precision]:
        return _bent(run, found)
    noted: tuple[Departure, ...] = ()
    shape = [*SHAPE, found.vectors.shape[1]]
    for inputs in (EVERYTHING, replace(EVERYTHING, last=False)):
        try:
            if _agrees(run, found, inputs):
                respond_to = partial(respond, run, found)
                drawn = _drawn(departure_on_drawn, respond_to, found)
                # In inference mode last: what a sampler keeps from there may not be written to in another run.
                return (
                    *noted,
                    *(drawn or _unobserved(run, found, call) or _drawn(departure_in_inference_mode, respond_to, found)),
                )
            other = Departure("not-linear", "batch", "in other shapes and sizes together it is not linear")
        except DependsError as fault:
            other = Departure(
                "different-formula",
                "batch",
                f"on inputs of shape {shape} it makes {fault}: noise has the shape of the state",
            )
            continue
        except Exception as fault:
            why = raised(fault)
            other = Departure("error", "exception", f"on inputs of shape {shape}: {why}")
            noted = (Departure("note", "exception", f"it cannot take channels-last memory: {why}"),)
            continue
        break
    return (_cause(run, found) or other,)


def _drawn(
    probe: Callable[[Callable[[Tensor], Tensor], Trace], Departure | None],
    respond_to: Callable[[Tensor], Tensor],
    found: Trace,
) -> tuple[Departure, ...]:
    """The departure that a probe on inputs that are drawn anew sees, an exception too; empty where it sees none."""
    try:
        seen = probe(respond_to, found)
    except Exception as fault:
        return (Departure("error", "exception", f"on inputs of a shape that is drawn anew: {raised(fault)}"),)
    return () if seen is None else (seen,)


def _unobserved(run: Run, found: Trace, call: OnLevels | None) -> tuple[Departure, ...]:
    """Its departure where it is called directly, as shipped, with one output at a time; empty where it has none
    or draws noise by itself.
    """
    if call is None or not may_be_called(found):
        return ()
    inputs = _Inputs().values(found)
    directly = call([p.sigma for p in found.grid])
    seen = departure_called_directly(directly, found, inputs, respond(run, found, inputs)[-1])
    return () if seen is None else (seen,)


def _agrees(run: Run, found: Trace, inputs: _Inputs) -> bool:
    """Whether a run on these inputs equals the image of the trace."""
    values = inputs.values(found)
    with torch.set_grad_enabled(inputs.grad):
        return is_image(respond(run, found, values), found, values)


def _cause(run: Run, found: Trace) -> Departure | None:
    """The first single change of the inputs that makes the run depart."""

    def holds(inputs: _Inputs) -> bool:
        try:
            return _agrees(run, found, inputs)
        except DependsError:
            return False

    def departs(**changed: object) -> bool:
        return not holds(_Inputs(**changed))  # type: ignore[arg-type]

    try:
        if departs(scales=(LARGE,)):
            most = max((s for s in (10.0, 100.0, 1e3) if holds(_Inputs(scales=(s,)))), default=SCALE)
            return Departure(
                "not-linear", "range", f"inputs of standard deviation {most:g} pass, {LARGE:g} do not: it clips"
            )
        if departs(scales=(SMALL,)):
            return Departure("not-linear", "range", f"it is not linear on inputs of standard deviation {SMALL:g}")
        if departs(grad=False):
            return Departure("different-formula", "formula", "it computes something else where gradients are off")
        if departs(shape=SHAPE, scales=(SCALE, SCALE)):
            return _mixing(run, found)
        if departs(shape=SHAPE, scales=(SCALE, SCALE), last=True):
            return Departure("different-formula", "formula", "it computes something else on channels-last memory")
        if departs(shape=SHAPE, scales=(LARGE, SMALL)):
            return Departure("not-linear", "batch", "a sample depends on the size of another one")
    except Exception:  # of the sampler: reported for the run on everything
        return None
    return None


def _mixing(run: Run, found: Trace) -> Departure:
    """Whether one entry of a batch changes others, or the shape by itself changes the formula."""
    mixes = _mixed(run, found)
    if mixes:
        return Departure("not-linear", "batch", mixes)
    shape = [*SHAPE, found.vectors.shape[1]]
    return Departure("different-formula", "batch", f"on inputs of shape {shape} it computes something else")


def _mixed(run: Run, found: Trace) -> str:
    """Which entries of a batch one entry changes, in words; empty where it changes no others."""
    values = _Inputs(SHAPE, (SCALE, SCALE)).values(found)
    changed = values.clone()
    changed[:, 0, 0, 0] *= -2
    moved = (respond(run, found, changed) - respond(run, found, values)).abs().amax(dim=(0, 4)) > 0
    moved[0, 0, 0] = False
    if moved[1].any():
        return "it mixes the samples of a batch: one sample moves another"
    if moved[0, 1:].any():
        return "it mixes channels: one channel of a sample moves another"
    return "it mixes places: one place of a channel moves another" if moved.any() else ""


def _bent(run: Run, found: Trace) -> tuple[Departure, ...]:
    """What a run that is no image of its inputs does to them, where one test shows it."""
    width = found.vectors.shape[1]
    try:
        begun = respond(run, found, torch.zeros(width, *BATCH, width))
        if bool(begun.isfinite().all()) and bool(begun.any()):
            adds = "where start, outputs and noises are 0 it is not: it adds noise that is not seen, or a constant"
            return (Departure("not-linear", "not-linear", adds),)
        if mixes := _mixed(run, found):
            return (Departure("not-linear", "batch", mixes),)
        if _agrees(run, found, _Inputs(scales=(LOW,))):
            return (
                Departure("not-linear", "range", f"inputs of standard deviation {LOW:g} pass: it clips larger ones"),
            )
    except Exception:  # of the sampler, on these inputs
        return ()
    return ()


def _memory(run: Run, found: Trace) -> Departure | None:
    """Differences between two runs on equal inputs with another run between; None if they agree bit for bit."""
    state = torch.get_rng_state()

    def on_seed(seed: int) -> Tensor:
        torch.set_rng_state(state)  # noise from torch does not count as memory
        return respond(run, found, _Inputs(seed=seed).values(found))

    try:
        first = on_seed(1)
    except DependsError:  # on the values: the trace shows it
        return None
    try:
        on_seed(2)
        later = on_seed(1), on_seed(1)
    except Exception as fault:
        message = f"after another run it fails: {' '.join(str(fault).split())}"[:LONGEST]
        return Departure("different-formula", "memory", message)
    if all(torch.equal(first.view(torch.int64), again.view(torch.int64)) for again in later):
        return None
    gap = max(float((first - again).abs().max()) for again in later)
    return Departure(
        "different-formula", "memory", f"after another run the same inputs give another answer, {gap:.1e} away"
    )
