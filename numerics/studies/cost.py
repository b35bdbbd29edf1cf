"""The cost of a study, estimated from its file before anything is allocated: memory, and roughly the time on one core.

The constants were measured on one core of a server; a study takes between a third and three times its estimate.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..records import Record
from ..support.consent import Consent
from ..support.reading import size
from .config import POINTS, SAMPLES, NetworkStudy, Study
from .routes import ESTIMATED, OF_DENSITY
from .samplers import records_of

MEMORY, SECONDS = 1e9, 600.0  # allowed without consent
OF_STEP = 3e3  # bytes: a grid point with its row in the table
SQUARES = 20  # float64 matrices [N, N] allocated to read a table of N steps back
OF_ROW = 4e-4  # seconds: one row of a table applied
OF_NUMBER = 5e-8  # seconds: one number of one component, evaluated
OF_LAW = 5e-3  # seconds: one row of a stochastic sampler, by the law of its output
OF_PAIR = 4e-9  # seconds: one distance between two samples in one dimension
OF_PRODUCT, OF_CUBE = (
    1e-8,
    5e-10,
)  # seconds: one entry of one component's Jacobian, one product of two Jacobians' entries
COUPLED = 2  # sets of exact samples that are kept, for each grid
PER_STEP, PER_RUN = 25, 600  # evaluations of exact samples near those of a stochastic sampler, in d > 1
ARRAYS = 60  # float64 arrays over all points, and over all components of the target
FLOW = 300  # evaluations of the exact flow, or of its reference
PIECE = 2**12  # numbers in the samples that a network evaluates at a time
OF_CALL, FLOPS = 2e-3, 5e9  # seconds of a call of a network, and float64 operations per second


@dataclass(frozen=True)
class Cost:
    """bytes and seconds; field, value: the field of the file that causes most of it."""

    bytes: float
    seconds: float
    field: str
    value: Any

    def check(self, consent: Consent, what: str = "this study") -> None:
        """Raises InputError if the cost exceeds what is allowed without consent."""
        if consent.large or (self.bytes <= MEMORY and self.seconds <= SECONDS):
            return
        needs = f"{size(self.bytes)} and {duration(self.seconds)} of one core"
        allowed = f"{size(MEMORY)} and {duration(SECONDS)}"
        raise InputError(self.field, self.value, f"{what} needs about {needs}; allowed without --large: {allowed}")


def study_cost(study: Study, external: Collection[str] = ()) -> Cost:
    """The cost of a study of a mixture.  external: the names in run.methods that are not of the catalogue.

    Raises InputError as records_of does.
    """
    run, target = study.run, study.target
    first = target.means[0] if target.means else 0.0
    components, dim = len(target.weights), max(1, len(first)) if isinstance(first, list) else 1
    count = (run.points or POINTS) if dim == 1 else (run.samples or run.points or SAMPLES)
    full = dim * dim if target.covariances is not None else dim
    evaluation = OF_ROW + OF_NUMBER * count * components * full
    records = records_of(run.methods, external)
    rows, noisy = _rows(study, records), _rows(study, [record for record in records if record and record.stochastic])
    seconds = rows * evaluation + (noisy * OF_LAW if dim == 1 else 0.0) + FLOW * evaluation
    if dim > 1:
        seconds += _in_space(study, records, evaluation, count * (OF_PRODUCT * components * dim**2 + OF_CUBE * dim**3))
    if "energy" in run.metrics:
        seconds += 3 * OF_PAIR * dim * float(count) ** 2 * len(records) * len(study.crossed)
    if target.covariances is not None:
        seconds += dim * dim * (6e-5 + 2e-8 * components * dim)  # the rotations to principal axes
    kept = COUPLED * len(study.crossed) if dim > 1 and any(metric in ESTIMATED for metric in run.metrics) else 0
    vectors = 8.0 * (ARRAYS + kept) * count * dim
    table, mixture = _tables(study, records), 8.0 * ARRAYS * components * full
    longest = max(steps for _, steps in study.crossed)
    largest = max((table, "run.steps", longest), (vectors, "run.points", count), (mixture, "target", components))
    slow = "run.steps", longest
    by_points = OF_NUMBER * count * components * full > OF_ROW
    field, value = largest[1:] if table + vectors + mixture > MEMORY else ("run.points", count) if by_points else slow
    return Cost(table + vectors + mixture, seconds, field, value)


def _in_space(study: Study, records: Sequence[Record | None], evaluation: float, jacobian: float) -> float:
    """Seconds in d > 1 of exact samples near those of stochastic samplers, and of Jacobians of deterministic ones."""
    run, noisy = study.run, [record for record in records if record and record.stochastic]
    seconds = 0.0
    if any(metric in ESTIMATED for metric in run.metrics):
        runs = len(noisy) * len(study.crossed)
        seconds += (PER_STEP * _rows(study, noisy) + PER_RUN * runs) * evaluation
    if any(metric in OF_DENSITY for metric in run.metrics) and len(study.target.weights) > 1:
        seconds += 1.5 * (_rows(study, records) - _rows(study, noisy)) * (OF_ROW + jacobian)
    return seconds


def network_cost(
    study: NetworkStudy, weights: int, shape: Sequence[int], count: int, external: Collection[str] = ()
) -> Cost:
    """The cost of a study of a network with that number of weights, on `count` samples of that shape.

    On images, a convolution applies its weights at every pixel; each coarser resolution has a quarter of the pixels.
    """
    pixels = math.prod(shape[1:]) / 3
    records = records_of(study.run.methods, external)
    calls = _rows(study, records) + FLOW * len(study.crossed)
    pieces = count / max(1.0, PIECE / math.prod(shape))
    seconds = calls * (pieces * OF_CALL + count * 2.0 * weights * max(1.0, pixels) / FLOPS)
    table = _tables(study, records)
    longest = max(steps for _, steps in study.crossed)
    by_count = ("run.points", count) if count > longest else ("run.steps", longest)
    return Cost(table + 8.0 * ARRAYS * min(count * math.prod(shape), PIECE), seconds, *by_count)


def _rows(study: Study | NetworkStudy, records: Sequence[Record | None]) -> int:
    """Evaluations of all runs; an external sampler counts as one a step."""
    return sum(steps for _, steps in study.crossed) * sum(
        1 if record is None else record.nfe_per_step for record in records
    )


def _tables(study: Study | NetworkStudy, records: Sequence[Record | None]) -> float:
    """Bytes of the grids and the largest table; one that is read back takes some square matrices."""
    steps = [number for _, number in study.crossed]
    widest = max(1 if record is None else record.nfe_per_step for record in records)
    read = 8.0 * SQUARES * max(steps) ** 2 if None in records else 0.0
    return OF_STEP * (sum(steps) + max(steps) * widest) + read


def duration(seconds: float) -> str:
    """Seconds with a readable unit."""
    for unit, most, long in (("s", 90.0, 1.0), ("min", 90.0, 60.0), ("hours", 48.0, 3600.0)):
        if seconds / long <= most:
            return f"{seconds / long:.2g} {unit}"
    return f"{seconds / 86400:.3g} days"
