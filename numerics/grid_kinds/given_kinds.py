"""The kind whose levels are given: a list, or lists of different lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from .falling import check_falling
from .grid_kind import OWN, TIME, GridKind, Levels, Values

LISTS = ("sigmas", "timesteps")


def lengths(parameters: Mapping[str, Any]) -> tuple[int, ...]:
    """The numbers of steps that the lists among the parameters of a grid have, one less than their levels."""
    return tuple(len(levels) - 1 for name in LISTS if name in parameters for levels in _lists(parameters[name]))


def check_lists(parameters: Mapping[str, Any]) -> None:
    """InputError unless there are levels, or timesteps, in one list or in lists of different lengths, that fall."""
    given = [name for name in LISTS if parameters.get(name) is not None]
    if len(given) != 1:
        allowed = "a list of levels, or of timesteps, from Python or a study file"
        raise InputError("grid.sigmas", parameters.get("sigmas"), allowed)
    (name,) = given
    field, lists = f"grid.{name}", _lists(parameters[name])
    several = len(lists) > 1
    for k, levels in enumerate(lists):
        check_falling(f"{field}[{k}]" if several else field, levels)
        if len(levels) in map(len, lists[:k]):
            raise InputError(f"{field}[{k}]", f"{len(levels)} levels", "lists of different lengths")


def _lists(given: Sequence[Any]) -> list[Sequence[float]]:
    """The lists that a parameter has; a list of numbers is one."""
    several = all(isinstance(entry, list | tuple) for entry in given)
    return list(given) if several else [given]


def _listed(steps: int, v: Values) -> Levels:
    (name,) = (name for name in LISTS if v.get(name) is not None)
    lists = {len(levels) - 1: levels for levels in _lists(v[name])}
    if steps not in lists:
        found = " or ".join(map(str, lists))
        levels = f"{len(v[name])} levels" if len(lists) == 1 else f"lists of {found} steps"
        raise InputError("steps", steps, f"{found}: {name} has {levels}")
    return Levels(OWN if name == "sigmas" else TIME, [float(level) for level in lists[steps]])


LIST = GridKind(
    "list",
    r"Levels of your own, noisiest first: `sigmas`, which are $\sigma/\alpha$, and $\sigma$ on the schedule `flow`; or "
    "`timesteps`, times of the schedule. N is one less than their number. Lists of different lengths are one grid with "
    "several numbers of steps.",
    r"\sigma_0 > \sigma_1 > \dots > \sigma_N \ge 0",
    (),
    levels=_listed,
)
