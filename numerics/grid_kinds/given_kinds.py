"""The kind whose levels are given: a list."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import InputError, number
from .grid_kind import OWN, TIME, GridKind, Levels, Values

LISTS = ("sigmas", "timesteps")


def _listed(steps: int, v: Values) -> Levels:
    given = [name for name in LISTS if v.get(name) is not None]
    if len(given) != 1:
        raise InputError(
            "grid.sigmas", v.get("sigmas"), "a list of levels, or of timesteps, from Python or a study file"
        )
    name = given[0]
    levels = _falling(name, v[name])
    if len(levels) != steps + 1:
        raise InputError("steps", steps, f"{len(levels) - 1}: {name} has {len(levels)} levels")
    return Levels(OWN if name == "sigmas" else TIME, levels)


def _falling(name: str, given: Sequence[float]) -> list[float]:
    """The levels; InputError on fewer than two, and on the first that is not a number >= 0 below the one before."""
    for n, level in enumerate(given):
        number(f"grid.{name}[{n}]", level, "a finite number >= 0, below the level before")
    levels = [float(level) for level in given]
    if len(levels) < 2:
        raise InputError(f"grid.{name}", levels, "at least two levels")
    for n, level in enumerate(levels):
        if not (math.isfinite(level) and level >= 0 and (n == 0 or level < levels[n - 1])):
            raise InputError(f"grid.{name}[{n}]", level, "a finite number >= 0, below the level before")
    return levels


LIST = GridKind(
    "list",
    r"Levels of your own, noisiest first: `sigmas`, which are $\sigma/\alpha$, and $\sigma$ on the schedule `flow`; or "
    "`timesteps`, times of the schedule. N is one less than their number.",
    r"\sigma_0 > \sigma_1 > \dots > \sigma_N \ge 0",
    (),
    levels=_listed,
)
