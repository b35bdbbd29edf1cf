"""The records of the catalogue by kind: samplers of the probability flow, and of the reverse SDE."""

from __future__ import annotations

from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.records import Record

DETERMINISTIC: dict[str, Record] = {name: record for name, record in METHODS.items() if not record.stochastic}
STOCHASTIC: dict[str, Record] = {name: record for name, record in METHODS.items() if record.stochastic}

# Their step errors are differences of neighbours, which telescope over a run: on steps that are equal, or change
# slowly, their errors fall faster than the order that is proved for all steps.
TELESCOPING = ("dpm-solver++-2m-v2", "ipndm-v-4-published")
