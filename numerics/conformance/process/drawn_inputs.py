"""Inputs of a run whose shape, sizes and means are drawn anew in every verification: what cannot be prepared for."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from ...errors import DependsError
from ...readback import SCALE, Trace, is_image
from ..report import Departure
from .fault_origin import LONGEST, raised

# Standard deviations, between those that are always tried: by dtype, so that both runs together have all of them.
SIZES = {torch.float32: ((1e-3, 1e-2), (200.0, 2000.0)), torch.float64: ((10.0, 50.0), (0.03, 0.5))}
COMPONENTS = range(1001, 4097)  # components of a sample on one axis
MOST = 200_000  # values of all wide inputs together: of more of them, each is less wide
MODE = (
    f"torch.inference_mode, on samples of up to {COMPONENTS[-1]} components, as many as are drawn anew for every answer"
)
DRAWN = "inputs of shapes, of standard deviations from 0.001 to 2000 and of means that are drawn anew for every answer"


@dataclass(frozen=True)
class DrawnInputs:
    """Normal inputs of a shape [samples, channels, rows, width], all with one standard deviation and mean."""

    shape: tuple[int, int, int, int]
    size: float
    mean: float
    seed: int

    def values(self, count: int) -> Tensor:
        """[count, *shape], float64."""
        generator = torch.Generator().manual_seed(self.seed)
        return self.size * torch.randn(count, *self.shape, generator=generator, dtype=torch.float64) + self.mean


def drawn_inputs(found: Trace, seed: int) -> Iterator[DrawnInputs]:
    """One for each size of its dtype: the shapes differ from one another and from those that are always tried."""
    random = Random(seed)
    samples, channels, rows = (random.sample(values, 2) for values in ((1, 3, 4, 5), (1, 2, 4, 5), (1, 2, 3, 5)))
    widths = [w for w in range(2, 8) if w not in (found.vectors.shape[1], len(found.grid))]
    for k, (low, high) in enumerate(SIZES.get(found.dtype, ())):
        size = low * (high / low) ** random.random()
        mean = (-1) ** (k + (found.dtype is torch.float32)) * random.uniform(0.5, 1.5) * size
        yield DrawnInputs((samples[k], channels[k], rows[k], random.choice(widths)), size, mean, random.getrandbits(32))


def departure_on_drawn(respond: Callable[[Tensor], Tensor], found: Trace) -> Departure | None:
    """The departure of a run from its trace on inputs that are drawn anew; None where it has none.

    The seed comes from the system, so that no sampler can know the numbers; it is stated where something departs.
    respond(inputs): as in readback.  Exceptions of the sampler pass through.
    """
    seed = secrets.randbits(32)
    for inputs in drawn_inputs(found, seed):
        if _agrees(respond, found, inputs):
            continue
        shape, plain = list(inputs.shape), DrawnInputs(inputs.shape, SCALE, 0.0, inputs.seed)
        if not _agrees(respond, found, plain):
            detail = f"on inputs of shape {shape} it computes something else"
            return Departure("different-formula", "batch", f"{detail} (drawn from seed {seed})")
        law = f"standard deviation {inputs.size:.3g} and mean {inputs.mean:.3g}"
        detail = f"it is not linear on inputs of {law}, of shape {shape} (drawn from seed {seed})"
        return Departure("not-linear", "range", detail)
    return None


def departure_in_inference_mode(respond: Callable[[Tensor], Tensor], found: Trace) -> Departure | None:
    """The departure from its trace, as shipped, in torch.inference_mode on a wide sample; None where it has none.

    An exception in this mode alone is a note.  respond(inputs): as in readback.  Others pass through.
    """
    if found.dtype is torch.float64:
        return None
    seed = secrets.randbits(32)
    width = min(Random(seed).choice(COMPONENTS), MOST // found.vectors.shape[1])
    inputs = DrawnInputs((1, 1, 1, width), SCALE, 0.0, seed)
    note = None
    try:
        with torch.inference_mode():
            if _agrees(respond, found, inputs):
                return None
    except Exception as fault:
        note = f"it cannot run in torch.inference_mode: {raised(fault)}"[:LONGEST]
    if not _agrees(respond, found, inputs):
        detail = f"on inputs of shape {list(inputs.shape)} it computes something else (drawn from seed {seed})"
        return Departure("different-formula", "batch", detail)
    if note is not None:
        return Departure("note", "exception", note)
    return Departure("different-formula", "formula", "it computes something else in torch.inference_mode")


def _agrees(respond: Callable[[Tensor], Tensor], found: Trace, inputs: DrawnInputs) -> bool:
    """Whether a run on these inputs equals the image of the trace; it does not where its calls differ."""
    values = inputs.values(found.vectors.shape[1])
    try:
        return is_image(respond(values), found, values)
    except DependsError:
        return False
