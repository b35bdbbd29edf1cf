"""The coverage of a verdict: what was varied, a line each."""

from __future__ import annotations

from ...readback import Trace
from ..report import ANEW, STEPS_ANEW
from .case import Runs, Variations


def coverage(runs: Runs, variations: Variations) -> list[str]:
    """Dtypes and numbers of steps, other grids and other inputs of the runs that succeeded."""
    done = [job for job, run in runs.items() if isinstance(run, Trace)]
    found = []
    for name, in_float64 in (("float32, as shipped", False), ("float64", True)):
        steps = sorted(n for n, job_in_float64 in done if job_in_float64 == in_float64)
        found += [f"{name}: {', '.join(map(str, steps))} steps"] if steps else []
    grids = {name: len(run.grid) - 1 for (name, _), run in variations.grids.items() if isinstance(run, Trace)}
    lines = [name if name.startswith(ANEW) else f"{name}, {n} steps" for name, n in grids.items() if name != STEPS_ANEW]
    return [
        *found,
        *([STEPS_ANEW] if STEPS_ANEW in grids else []),
        *(f"other grid: {line}" for line in lines),
        *variations.inputs,
    ]
