"""How a sampler is put to the test: its process, what its model returns, its grid, and where it begins."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, whole
from ..generated.prediction_functions import PREDICTIONS
from ..grid_kinds.all_kinds import checked, parse

NAMES = ("ve", "vp", "flow")  # of processes
SCHEDULES = {"ve": "edm", "vp": "vp-linear", "flow": "flow"}  # on which a kind of grid has its levels
# The ends of grids where none are given: of the schedule's time, and of sigma over alpha.
ENDS = {
    "ve": {"t_min": 0.002, "t_max": 80.0, "sigma_min": 0.002, "sigma_max": 80.0},
    "vp": {"t_min": 1e-3, "t_max": 0.73, "sigma_min": 0.03, "sigma_max": 14.6},
    "flow": {"t_min": 1e-3, "t_max": 0.999, "sigma_min": 0.002, "sigma_max": 80.0},
}
PREFIX = "scheduler:"  # of levels that a library makes
LONGEST = 1 << 20  # bytes of a file of levels


@dataclass(frozen=True)
class Placement:
    """Choices of the user; None where the sampler's own is taken.

    process: "ve", "vp" or "flow".  prediction: what its model returns.  grid: KIND?parameter=value&…, or levels: sigma
    over alpha, and sigma on the flow.  begin: the index of the level at which it begins, as from a noised image, on
    `of` steps.
    """

    process: str | None = None
    prediction: str | None = None
    grid: str | tuple[float, ...] | None = None
    begin: int = 0
    of: int = 1

    def begins(self, steps: int) -> int:
        """The index on another number of steps."""
        return round(steps * self.begin / self.of)

    @property
    def steps(self) -> int | None:
        """The number of steps of its levels, where they are given."""
        return len(self.grid) - 1 if isinstance(self.grid, tuple) else None


def placement(process: str | None = None, prediction: str | None = None, grid: Any = None, begin: int = 0) -> Placement:
    """A placement, checked.  grid: also the path of a file of levels, or a list of them.

    Raises InputError on an unknown process, prediction or kind of grid, and on levels that do not decrease.
    """
    for field, value, known in (("process", process, NAMES), ("prediction", prediction, PREDICTIONS)):
        if value is not None and value not in known:
            raise InputError(field, value, f"one of {', '.join(known)}")
    whole("begin", begin)
    if begin < 0:
        raise InputError("begin", begin, "the index of a level, at least 0")
    if isinstance(grid, str):
        grid = _kind_or_file(grid, process or "ve")
    elif grid is not None:
        grid = _falling(grid, "grid")
    return Placement(process, prediction, grid, begin)


def _kind_or_file(text: str, process: str) -> str | tuple[float, ...]:
    """A kind of grid as it is typed, or the levels in a file.  Raises InputError on what is neither."""
    if not Path(text).is_file():
        if text.startswith(PREFIX):
            return text
        kind, parameters = parse(text, ENDS[process], "grid")
        checked(kind, parameters)
        return text
    if Path(text).stat().st_size > LONGEST:
        raise InputError("grid", text, f"a file of at most {LONGEST >> 20} MiB")
    try:
        content = Path(text).read_text(encoding="utf-8")
    except ValueError:
        raise InputError("grid", text, "a text file") from None
    return _falling(_numbers(content, text), "grid")


def _numbers(content: str, path: str) -> list[Any]:
    """The levels in a file: a JSON list, or numbers between spaces, commas or lines."""
    if content.lstrip().startswith("["):
        try:
            found = json.loads(content)
        except ValueError:
            raise InputError("grid", path, "a JSON list of levels") from None
        return list(found)
    try:
        return [float(word) for word in content.replace(",", " ").split()]
    except ValueError:
        raise InputError("grid", path, "a file of numbers, the levels, or a JSON list of them") from None


def _falling(levels: Any, field: str) -> tuple[float, ...]:
    """Levels as a tuple.  Raises InputError on the first that is not a number >= 0 below the one before."""
    try:
        found = tuple(float(level) for level in levels)
    except (TypeError, ValueError):
        raise InputError(field, levels, "a kind of grid, a file of levels, or a list of them") from None
    if len(found) < 2:
        raise InputError(field, found, "at least two levels")
    for n, level in enumerate(found):
        if not (math.isfinite(level) and level >= 0 and (n == 0 or level < found[n - 1])):
            raise InputError(f"{field}[{n}]", level, "a finite number >= 0, below the level before")
    return found
