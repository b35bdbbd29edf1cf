"""The one condition on levels that are given or read back: they fall."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import InputError, number


def check_falling(field: str, given: Sequence[float], *, start_infinite: bool = False) -> list[float]:
    """The levels as floats.  start_infinite: whether the first may be infinite, where alpha = 0.

    Raises InputError on fewer than two, and on the first that is not a number >= 0 below the one before.
    """
    for n, level in enumerate(given):
        number(f"{field}[{n}]", level, _allowed(given, n))
    levels = [float(level) for level in given]
    if len(levels) < 2:
        raise InputError(field, levels, "at least two levels")
    for n, level in enumerate(levels):
        finite = math.isfinite(level) or (start_infinite and n == 0 and level == math.inf)
        if not (finite and level >= 0 and (n == 0 or level < levels[n - 1])):
            raise InputError(f"{field}[{n}]", level, _allowed(levels, n))
    return levels


def _allowed(levels: Sequence[float], n: int) -> str:
    return "a finite number >= 0, below the level before" + (f", {levels[n - 1]}" if n else "")
