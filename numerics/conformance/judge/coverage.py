"""What was varied for a verdict, a line each: what it is a verdict on."""

from __future__ import annotations

from collections.abc import Mapping

from ...readback import Trace
from ..process.probes import COVERED
from ..report import Failure
from .case import Beyond

Runs = Mapping[tuple[int, bool], Trace | Failure]


def coverage(runs: Runs, beyond: Beyond | None) -> list[str]:
    """Dtypes and numbers of steps, other grids, other inputs, of the runs that came to an end."""
    done = [job for job, run in runs.items() if isinstance(run, Trace)]
    found = []
    for name, wide in (("float32, as shipped", False), ("float64", True)):
        steps = sorted(n for n, in_float64 in done if in_float64 == wide)
        found += [f"{name}: {', '.join(map(str, steps))} steps"] if steps else []
    if beyond is None:
        return found
    grids = {name: len(run.grid) - 1 for (name, _), run in beyond.grids.items() if isinstance(run, Trace)}
    return [*found, *(f"other grid: {name}, {steps} steps" for name, steps in grids.items()), *COVERED]
