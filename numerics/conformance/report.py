"""What `samplerproof verify` answers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trouble:
    """On these numbers of steps a run failed alike.  kind: "exception" or "non-finite".  what: one line."""

    kind: str
    steps: tuple[int, ...]
    what: str


@dataclass(frozen=True)
class Setting:
    """A target as it is typed, and its troubles.  refused: why it cannot be built so; it says so itself."""

    target: str
    refused: str | None
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True)
class Failure:
    """Why there is no trace, in one line.  step: where it stood, the grid point it was on the way to, if known.

    kind: "input" (no such target, option or grid), "no-table" (it has none), "error" (an exception),
    "non-finite" (it asks its model at a level that is no number), "memory",
    "timeout", "exit" (it ended the process), "crash" (a signal did), "start" (Python did not start).
    """

    kind: str
    message: str
    step: int | None = None


@dataclass(frozen=True)
class Finding:
    """One fact: kind is one of formula, order, grid, roundoff, non-finite, not-linear, exception, state, batch, memory,
    range.  severity: "error" where it alone makes the answer a no, else "note".
    """

    kind: str
    step: int | None
    detail: str
    severity: str = "note"


@dataclass(frozen=True)
class Subject:
    """What was run: a target's name, process, the record it stands for, the order it speaks of, and what makes it not
    linear as it is set.
    """

    name: str
    process: str
    reference: str | None
    promises: int | None
    nonlinear: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One row beside the reference's: the errors as shipped and in float64, the worst entry, and whose row it is.

    bound, bound_float64: what rounding explains of the errors; entry, found, expected: as shipped where only that is
    beyond.
    """

    step: int
    error: float
    error_float64: float
    entry: str
    found: float
    expected: float
    bound: float
    bound_float64: float
    equals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The answer of `samplerproof verify`; the first eight are those of its contract.

    nominal_order: of the record it equals.  steps: row by row against the reference.
    growth: {N: roundoff as shipped}, where it conforms.  errors: {N: error}, whose slope the observed order is.
    sweep: the settings that were run, if asked for.  versions: of what it was run with.  coverage: what was varied.
    """

    target: str
    verdict: str
    matches: list[str] = field(default_factory=list)
    reference: str | None = None
    max_relative_error: float | None = None
    max_relative_error_float64: float | None = None
    local_orders: list[float | None] = field(default_factory=list)
    observed_order: float | None = None
    findings: list[Finding] = field(default_factory=list)
    nominal_order: int | None = None
    promised_order: int | None = None
    steps: list[Step] = field(default_factory=list)
    growth: dict[int, float] = field(default_factory=dict)
    errors: dict[int, float] = field(default_factory=dict)
    sweep: list[Setting] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    coverage: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 it conforms; 1 it does not; 2 the question cannot be answered."""
        if self.verdict in ("error", "not-linear"):
            return 2
        if self.verdict in ("different-formula", "non-finite"):
            return 1
        return int(any(finding.severity == "error" for finding in self.findings))

    def plain(self) -> dict[str, Any]:
        """As JSON has it: no infinities."""
        answer = _finite(asdict(self))
        assert isinstance(answer, dict)
        return answer


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
