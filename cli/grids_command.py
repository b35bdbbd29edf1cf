"""`samplerproof grids`: the kinds of grid, and the levels of one, as plain data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..numerics.errors import InputError
from ..numerics.grid_kinds.all_kinds import KINDS, PREFIX, parameter_names, parse
from ..numerics.grid_kinds.given_kinds import lengths
from ..numerics.grid_kinds.grid_kind import GridKind
from ..numerics.support.limits import LIMITS

if TYPE_CHECKING:
    from ..numerics.grids import Grid
    from ..numerics.schedules import Schedule

STEPS = 10
MOST = 100_000  # steps whose levels are printed
ENDS = {
    "edm": (0.002, 80.0),
    "ve": (0.0, 1.0),
    "vp-linear": (1e-3, 1.0),
    "cosine": (1e-3, 0.999),
    "flow": (1e-3, 0.999),
}


def kinds() -> list[dict[str, Any]]:
    """One dictionary a kind, in the catalogue's order."""
    return [
        {
            "name": kind.name,
            "parameters": [_parameter(kind, name) for name in parameter_names(kind.name)],
            "aliases": list(kind.names),
            "cite": kind.cite or None,
            "summary": kind.summary,
            "formula": kind.formula,
            "source": kind.source or None,
        }
        for kind in KINDS.values()
    ]


def _parameter(kind: GridKind, name: str) -> dict[str, Any]:
    """default: null where a value is needed; low, high: null where there is no end; words: the values, if they are."""
    domain = next((p for p in kind.parameters if p.name == name), None)
    if domain is None:
        return {"name": name, "default": None, "low": None, "high": None, "words": None}
    default = None if name in kind.required else domain.written(domain.default)
    low, high = (None if domain.words or abs(end) == math.inf else str(end) for end in (domain.low, domain.high))
    return {"name": name, "default": default, "low": low, "high": high, "words": list(domain.words) or None}


def levels(name: str, steps: int | None, schedule_name: str) -> dict[str, Any]:
    """The levels of KIND or KIND?parameter=value&… on a schedule, noisiest first, and the findings about them.

    steps: by default those of a list, else STEPS.  lambda is null where it is infinite.
    Ends that are not given are those of ENDS, in the schedule's time.  Raises InputError on a name that is not known.
    """
    from ..numerics.grids import grid
    from ..numerics.kind_checks import kind_findings

    schedule, kind, parameters = _chosen(name, STEPS if steps is None else steps, schedule_name)
    steps = (next(iter(lengths(parameters)), 0) or STEPS) if steps is None else steps
    made = grid(schedule, kind, steps, **parameters)
    columns = made.columns
    lists = {"sigma": columns.sigma, "alpha": columns.alpha, "t": columns.t, "lambda": columns.lam}
    found = {key: [v if math.isfinite(v) else None for v in values.tolist()] for key, values in lists.items()}
    lines = [vars(finding) for finding in kind_findings(schedule, kind, parameters, made)]
    return {"name": name, "steps": steps, "schedule": schedule_name, **found, "findings": lines}


def grid_of(name: str, steps: int, schedule_name: str) -> Grid:
    """The grid of a kind and a schedule as they are typed.  Raises InputError as levels does."""
    from ..numerics.grids import grid

    schedule, kind, parameters = _chosen(name, steps, schedule_name)
    return grid(schedule, kind, steps, **parameters)


def _chosen(name: str, steps: int, schedule_name: str) -> tuple[Schedule, str, dict[str, Any]]:
    """The schedule, the kind of grid and its parameters."""
    from ..numerics.schedules import named

    limit = LIMITS["run.steps"]
    if not limit.low <= steps <= MOST:
        raise InputError("--steps", steps, f"a number from {limit.low:g} to {MOST}")
    schedule = named(schedule_name, "--schedule")
    if name.startswith(PREFIX):
        return schedule, name, {}
    low, high = ENDS[schedule.kind]
    small, large = (p.rho for p in map(schedule.point, (low, high)))
    if not math.isfinite(large):
        raise InputError("--schedule", schedule_name, f"parameters with alpha > 0 at t = {high:g}")
    ends = {"t_min": low, "t_max": high, "sigma_min": small, "sigma_max": large}
    return schedule, *parse(name, ends)
