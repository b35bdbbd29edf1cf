"""The kind whose levels are given: a list, or lists of different lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from .falling import check_falling
from .grid_kind import OWN, TIME, GridKind, Levels, Values
from .level_files import levels_in

LISTS = ("sigmas", "timesteps")


def lengths(parameters: Mapping[str, Any]) -> tuple[int, ...]:
    """The numbers of steps that the lists among the parameters of a grid have, one less than their levels."""
    return tuple(len(levels) - 1 for name in LISTS if name in parameters for levels in _lists(parameters[name]))


def opened(parameters: Mapping[str, Any], folder: Path = Path()) -> dict[str, Any]:
    """The parameters with the levels of a file in place of its name, which is relative to a folder."""
    return {
        name: levels_in(folder / value, f"grid.{name}") if name in LISTS and isinstance(value, str) else value
        for name, value in parameters.items()
    }


def check_lists(parameters: Mapping[str, Any]) -> None:
    """InputError unless there are levels, or timesteps, in one list or in lists of different lengths, that fall."""
    given = [name for name in LISTS if parameters.get(name) is not None]
    if len(given) != 1:
        allowed = "a list of levels, or of timesteps, or a file that has one"
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
    several = bool(given) and all(isinstance(entry, list | tuple) for entry in given)
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
    "several numbers of steps. The name of a file stands for the list that it has: numbers in a .txt, a column of a "
    ".csv, a list in a .json.",
    r"\sigma_0 > \sigma_1 > \dots > \sigma_N \ge 0",
    (),
    levels=_listed,
)
