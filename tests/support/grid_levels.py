"""The levels of a kind of grid as a library would have them, and how far two lists of levels differ."""

from __future__ import annotations

import math
from typing import Any

from samplerproof.numerics.grid_kinds.all_kinds import parse
from samplerproof.numerics.grids import grid
from samplerproof.numerics.schedules import schedule

STEPS = (1, 2, 5, 10, 20, 50)
EDM, FLOW, VP = schedule("edm"), schedule("flow"), schedule("vp-linear")
CLOSE = 1e-12
SD_ENDS = {"sigma_min": 0.0291671582, "sigma_max": 14.6146412293}


def ours(name: str, steps: int, **parameters: Any) -> list[float]:
    """The levels of KIND?p=v on the schedule of the library: sigma/alpha, or sigma of the flow."""
    kind, values = parse(name, {"t_min": 1e-3, "t_max": 1.0, **SD_ENDS})
    flowing = (
        name.startswith(("flow", "oss", "diffusers:Flow"))
        or values.get("betas") == "flow"
        or parameters.pop("flow", False)
    )
    found: list[float] = grid(FLOW if flowing else EDM, kind, steps, **{**values, **parameters}).columns.sigma.tolist()
    return found


def off(found: list[float], expected: Any) -> float:
    """The largest relative deviation; levels that are 0 must be 0."""
    theirs = [float(s) for s in expected]
    assert len(found) == len(theirs)
    return max(0.0 if a == b else abs(a - b) / abs(b) if b else math.inf for a, b in zip(found, theirs, strict=True))
