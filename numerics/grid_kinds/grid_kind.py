"""What a kind of grid is: its parameters, its formula, where it comes from, and its levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from ...names.lookup import Domain

Values = Mapping[str, Any]

TIME = "t"  # times of the schedule
RATIO = "sigma/alpha"
FLOW = "sigma of the flow"  # where alpha = 1 - sigma
MOST_LOG = 700.0  # of a power in float64
OWN = "sigma"  # sigma of the flow on the schedule "flow", sigma/alpha on every other


class Levels(NamedTuple):
    """Levels from noisy to clean, and what they measure: TIME, RATIO, FLOW or OWN."""

    unit: str
    values: list[float]


@dataclass(frozen=True)
class GridKind:
    """A kind of grid.

    levels(steps, values): the N + 1 levels; None for the kinds of grids.SMOOTH, whose levels are tensors.
    required: parameters without a default.  formula: LaTeX of level n of N, from the noisy end.
    cite: key of the paper, empty if there is none.  source: the code or page that the formula was read in.
    aliases: names in the libraries, each with the parameters that it stands for.
    """

    name: str
    summary: str
    formula: str
    parameters: tuple[Domain, ...]
    required: tuple[str, ...] = ()
    levels: Callable[[int, Values], Levels] | None = None
    cite: str = ""
    source: str = ""
    aliases: tuple[tuple[str, tuple[tuple[str, Fraction], ...]], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the libraries."""
        return tuple(alias for alias, _ in self.aliases)


def positive(name: str, default: Fraction) -> Domain:
    """A parameter above 0."""
    return Domain(name, default, Fraction(0), math.inf, closed=False)


def between(name: str, default: Fraction, low: Fraction, high: Fraction) -> Domain:
    """A parameter between both ends, which are allowed."""
    return Domain(name, default, low, high, closed=True)


def integer(name: str, default: int, low: int, high: int) -> Domain:
    """A parameter that is a whole number between both ends."""
    return Domain(name, Fraction(default), Fraction(low), Fraction(high), closed=True, whole=True)


def zero(default: int) -> Domain:
    """Whether the last step leads to sigma = 0."""
    return integer("zero", default, 0, 1)


WITH_ZERO = (("zero", Fraction(1)),)
# The schedule checks which times it has.
T_MIN, T_MAX = (
    Domain(name, Fraction(d), -math.inf, math.inf, closed=False) for name, d in (("t_min", 0), ("t_max", 1))
)
SIGMA_MIN, SIGMA_MAX = positive("sigma_min", Fraction(1, 500)), positive("sigma_max", Fraction(80))
SIGMAS = ("sigma_min", "sigma_max")


def spaced(level: Callable[[float], float], steps: int, ends_at_zero: object) -> list[float]:
    """level(i) at equally spaced fractions i of the way, 0 the noisy end; with sigma = 0 as the end of the last step,
    N levels and 0, as the libraries append it, else N + 1 levels.
    """
    count = counted(steps, ends_at_zero)
    found = [level(n / max(count - 1, 1)) for n in range(count)]
    return closed(found, ends_at_zero)


def counted(steps: int, ends_at_zero: object) -> int:
    """How many levels a formula gives."""
    return steps if ends_at_zero else steps + 1


def closed(levels: list[float], ends_at_zero: object) -> list[float]:
    """The levels, and 0 where the last step leads there."""
    return [*levels, 0.0] if ends_at_zero else levels
