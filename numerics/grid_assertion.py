"""The levels of a sampler, or a list of levels, against the grid that they should be."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .errors import InputError
from .grid_kinds.all_kinds import parameter_names, parse
from .grid_kinds.flow_kinds import FLOW_KINDS
from .grids import grid
from .schedules import schedule

SAME = 1e-5  # a difference in lambda below it is from single precision


def difference(levels: Sequence[float], name: str, flow: bool = False) -> str:
    """How the levels sigma/alpha [N + 1], noisiest first, differ from those of KIND?parameter=value&… on N steps, in
    words; empty where they agree to 1e-5 in lambda.

    flow: whether they are of the flow x = (1 - t) x0 + t eps.  Ends that are not given, and a last level 0, are those
    of the levels.  Raises InputError on an unknown kind or parameter, and on a kind that the process cannot have.
    """
    expected = _expected(levels, name, flow)
    if len(levels) != len(expected):
        return f"{len(levels)} levels, {name} has {len(expected)}"
    for n, (found, wanted) in enumerate(zip(levels, expected, strict=True)):
        if _lambda(found) != _lambda(wanted) and not abs(_lambda(found) - _lambda(wanted)) <= SAME:
            return f"level {n} is sigma/alpha = {found:.9g}, {name} has {wanted:.9g}"
    return ""


def only_flow(name: str) -> bool:
    """Whether the kind of KIND?parameter=value&… is one that only a flow has."""
    return name.partition("?")[0] in {known for kind in FLOW_KINDS for known in (kind.name, *kind.names)}


def _expected(levels: Sequence[float], name: str, flow: bool) -> list[float]:
    positive = [level for level in levels if 0 < level < math.inf]
    if not positive:
        raise InputError("levels", list(levels), "at least one between 0 and infinity")
    low, high = min(positive), max(positive)
    times = [rho / (1 + rho) if rho < math.inf else 1.0 for rho in (low, levels[0])] if flow else [low, high]
    ends = {"t_min": times[0], "t_max": times[1], "sigma_min": low, "sigma_max": high}
    kind, values = parse(name, ends)
    process = schedule("flow" if flow else "edm")
    made = grid(process, kind, len(levels) - 1, **values)
    if levels[-1] == 0 < made.points[-1].sigma and "zero" in set(parameter_names(kind)) - set(values):
        made = grid(process, kind, len(levels) - 1, **values, zero=1.0)
    return [point.rho for point in made.points]


def _lambda(level: float) -> float:
    """lambda = -log(sigma/alpha), with infinite ends."""
    return math.inf if level <= 0 else -math.log(level)
