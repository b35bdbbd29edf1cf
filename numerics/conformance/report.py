"""What `samplerproof verify` reports: the verdict, its findings, and the metadata of the target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ..catalogue import METHODS

ANEW = "levels drawn anew for every answer"  # the name of a grid that a sampler cannot know
STEPS_ANEW = "a number of steps drawn anew for every answer"  # on levels that a class makes of it
AT_ZERO, DRAWN_ANEW = -2, -1  # of a job, in place of the index of a grid


@dataclass(frozen=True)
class TargetInfo:
    """Metadata of a target.

    name: as typed.  process: "vp", "ve" or "flow", the relation of alpha and sigma.
    reference: the record that the name refers to, None if the catalogue has none.
    advertised_order: the order in its name or options, None if there is none.
    nonlinear: the options that make it nonlinear, such as "clip_sample=true".
    variants: the target with one option at another of its documented values, for all of them.
    grids: the other grids that it can be put on, by name.  zero: the name of the one that has a 0 appended.
    may_draw: whether noise is not passed to it, but could be.
    called: whether it is also called without a run around it.
    """

    name: str
    process: str
    reference: str | None = None
    advertised_order: int | None = None
    nonlinear: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    grids: tuple[str, ...] = ()
    zero: str | None = None
    may_draw: bool = False
    called: bool = False

    def grid(self, index: int) -> str | None:
        """The name of the grid that a job asks for; None where there is none.

        index: of one of `grids`, where AT_ZERO and DRAWN_ANEW come in between; or one of these.
        """
        if index == AT_ZERO:
            return self.zero
        anew = next((name for name in self.grids if name.startswith((ANEW, STEPS_ANEW))), None)
        if index == DRAWN_ANEW:
            return anew
        others = [name for name in self.grids if name not in (self.zero, anew)]
        return others[index] if index < len(others) else None


class Departure(NamedTuple):
    """A difference on other inputs.  verdict: to which it leads, or "note".  kind, detail: of its finding."""

    verdict: str
    kind: str
    detail: str


@dataclass(frozen=True)
class Trouble:
    """The numbers of steps on which a run fails in one way.  kind: "exception" or "non-finite".  what: one line."""

    kind: str
    steps: tuple[int, ...]
    what: str


@dataclass(frozen=True)
class Setting:
    """A target as typed, and its troubles.  refused: the message with which it refuses these options."""

    target: str
    refused: str | None
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True)
class Failure:
    """Why there is no trace, in one line.  step: the grid point that the run was stepping to, if known.

    kind: "input" (no such target, option or grid), "no-table" (it has none), "no-steps" (its evaluations belong to no
    steps), "error" (an exception), "non-finite" (it evaluates its model at a level that is not finite), "memory",
    "timeout", "exit" (it ended the process), "crash" (a signal did), "start" (Python did not start).
    """

    kind: str
    message: str
    step: int | None = None


@dataclass(frozen=True)
class Finding:
    """One fact: kind is one of formula, order, grid, roundoff, non-finite, not-linear, exception, state, batch, memory,
    range.  severity: "error" where it makes the exit code 1 by itself, else "note".
    """

    kind: str
    step: int | None
    detail: str
    severity: str = "note"


@dataclass(frozen=True)
class Step:
    """A row against the reference's: the errors as shipped and in float64, the worst entry, the records with this row.

    bound, bound_float64: the errors that rounding explains.  entry, found, expected: as shipped where only that error
    exceeds its bound.
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

    @property
    def off(self) -> bool:
        """Whether it is another row than the reference's."""
        return bool(self.equals) or self.error > self.bound or self.error_float64 > self.bound_float64


def own_name(match: str) -> str:
    """The name that a match begins with, as of "unipc-3 (last steps of lower order)"."""
    return match.partition(" ")[0]


@dataclass(frozen=True)
class Verdict:
    """The answer of `samplerproof verify`; the first eight fields are its contract.

    nominal_order: of the record it equals.  steps: row by row against the reference.
    growth: {N: roundoff as shipped}, where it conforms.  errors: {N: error}, with the observed order as slope.
    sweep: the settings that were run, if requested.  versions: of the libraries.  coverage: what was varied.
    nearest: what it is, in words, where it equals no record.  repair: the smallest change that mends it, a unified
    diff, where one is known.
    guidance: how it reads the outputs of a model that has two at a state, in words; None where it reads one.
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
    advertised_order: int | None = None
    steps: list[Step] = field(default_factory=list)
    growth: dict[int, float] = field(default_factory=dict)
    errors: dict[int, float] = field(default_factory=dict)
    sweep: list[Setting] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    coverage: list[str] = field(default_factory=list)
    nearest: str | None = None
    repair: str | None = None
    guidance: str | None = None

    def __repr__(self) -> str:
        found = f"matches {', '.join(self.matches)}" if self.matches else "matches no record"
        return f"Verdict({self.target!r}: {self.verdict}, {found}, exit code {self.exit_code})"

    def __str__(self) -> str:
        found = [f"{finding.kind}: {finding.detail}" for finding in self.findings]
        return "\n  ".join([repr(self), *found, *(f"covered: {line}" for line in self.coverage)])

    @property
    def exit_code(self) -> int:
        """0 it conforms; 1 it does not; 2 the question cannot be answered."""
        return exit_code(self.verdict, [finding.severity for finding in self.findings])

    @property
    def record(self) -> str | None:
        """The record that it equals, or is nearest to, or was compared with; None where there is none."""
        for text in (*self.matches, self.nearest, self.reference):
            name = own_name(text or "").partition("?")[0]
            if name in METHODS:
                return name
        return None

    def plain(self) -> dict[str, Any]:
        """The answer of `--json`: plain containers, null for what is not finite."""
        keys = {"advertised_order": "promised_order"}  # as the first release has it
        return {keys.get(key, key): _finite(value) for key, value in asdict(self).items()}


def exit_code(verdict: str, severities: Sequence[str]) -> int:
    """The exit code of a verdict with findings of these severities."""
    if verdict in ("error", "not-linear"):
        return 2
    return int(verdict in ("different-formula", "non-finite") or "error" in severities)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
