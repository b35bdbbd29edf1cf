"""`samplerproof verify FILE.json`: a table or a recorded run of a sampler in any language, judged as all others are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import resolve
from ..errors import InputError
from ..support.strict_json import read_object
from .report import Finding, TargetInfo, Verdict

if TYPE_CHECKING:
    import torch

    from ..readback import Trace
    from ..schedules import Schedule
    from ..tableau import Tableau
    from .adapters.recorded_run import RecordedRun

ENDING = ".json"
UNSURE = 1e-2  # errors of rows above it: the components of a run do not determine its formula
ONE_GRID = "one grid is recorded, so that no order is observed"


def is_file(target: str) -> bool:
    """Whether a target names a file with a table or a run."""
    return target.endswith(ENDING)


def verify_file(target: str, against: str | None = None, process: str | None = None) -> Verdict:
    """The verdict on the table or the recorded run in a file; see table_file.py and adapters/recorded_run.py.

    process: "vp", "ve" or "flow"; None: the one on which its points lie.
    Raises InputError on a file that is neither, and on an unknown record.
    """
    if against is not None:
        resolve(against, "against")
    data = read_object(Path(target), "target")
    if "evaluations" in data:
        from .adapters.recorded_run import run_of

        return _on_run(target, run_of(data, "run"), against, process)
    if "states" in data:
        from ..table_file import table_of
        from .adapters.recorded_run import schedule_of

        return _on_table(target, table_of(data), against, process, schedule_of(data, "table"))
    allowed = 'a table, with "states", "outputs" and "noises", or a run, with "evaluations"'
    raise InputError("target", f"{target}, an object with {', '.join(map(str, data)) or 'no keys'}", allowed)


def _on_table(
    target: str, table: Tableau, against: str | None, process: str | None, schedule: Schedule | None
) -> Verdict:
    """The verdict on a table."""
    from .adapters.solved_trace import placing, process_of

    if table.given > 1:
        raise InputError("table.given", table.given, "1: a run from one start is judged, with its start-up")
    process = process or process_of(table.points, "table.points")
    on = replace(table, points=tuple(map(placing(process, schedule), table.points)))
    from ..readback import image

    # With steps at alpha = 0 the model returns the data prediction there, and then everywhere.
    dtype = _dtype_of(table)
    found = replace(image(on, "data" if table.lost else None), schedule=schedule, dtype=dtype)
    verdict = _with_dtype(_judged(target, process, found, against), dtype)
    covered = [f"the table as it stands, its numbers of {str(dtype)[6:]}: {len(found.grid) - 1} steps"]
    return replace(verdict, coverage=covered)


def _dtype_of(table: Tableau) -> torch.dtype:
    """The precision of the numbers of a table: float32 where all are of that type, or have its digits."""
    import torch

    from .adapters.recorded_run import dtype_of

    numbers = torch.cat([part.flatten() for part in (table.states, table.outputs, table.noises)])
    try:
        found = dtype_of("table.dtype", None, numbers)
    except InputError:  # of fewer digits
        return torch.float64
    return torch.float32 if found is torch.float32 else torch.float64


def _on_run(target: str, run: RecordedRun, against: str | None, process: str | None) -> Verdict:
    """The verdict on a recorded run: of the first of its possible grids on which it conforms, else of the first."""
    from .adapters.solved_trace import process_of, traces

    process = process or process_of([*run.points, *run.grid], "run.evaluations")
    if against is not None and run.components < run.coefficients:
        return _replayed(target, run, process, against)
    verdicts = []
    for found in traces(run, process):
        if _unsure(found) and against is not None and run.grid:
            return _replayed(target, run, process, against)
        verdicts.append(_with_precision(_judged(target, process, found, against), run, found))
        if verdicts[-1].exit_code == 0:
            return verdicts[-1]
    if not verdicts:
        raise InputError("run.grid", "nothing", "the points of its steps: they do not follow from its evaluations")
    return verdicts[0]


def _replayed(target: str, run: RecordedRun, process: str, against: str) -> Verdict:
    from .replayed import replayed

    return replayed(target, run, process, against)


def _judged(target: str, process: str, found: Trace, against: str | None) -> Verdict:
    """The verdict on one trace."""
    from .judge.verdict import judge

    steps = len(found.grid) - 1
    verdict = judge(TargetInfo(target, process), {(steps, False): found, (steps, True): found}, steps, against)
    known = verdict.matches[:1] or ([verdict.reference] if verdict.reference else [])
    proved = f"; samplerproof prove {known[0].partition(' (')[0]}" if verdict.exit_code == 0 and known else ""
    return replace(verdict, findings=[*verdict.findings, Finding("order", None, ONE_GRID + proved)])


def _with_precision(verdict: Verdict, run: RecordedRun, found: Trace) -> Verdict:
    """The verdict with the precision of the run, and with what its components determine."""
    dtype, worst = str(run.dtype)[6:], max(found.uncertainty)
    sizes = f"{run.components} components, {run.coefficients} coefficients"
    solved = f"rows solved from {sizes}: each to {worst:.0e} of its largest term or better"
    result = replace(verdict, coverage=[f"one recorded run, {dtype}: {len(found.grid) - 1} steps", solved])
    result = _with_dtype(result, run.dtype)
    return replace(result, verdict="error", findings=_undetermined(found, worst)) if _unsure(found) else result


def _with_dtype(verdict: Verdict, dtype: torch.dtype) -> Verdict:
    """The verdict without an error in float64, unless the numbers are of that type."""
    return verdict if str(dtype) == "torch.float64" else replace(verdict, max_relative_error_float64=None)


def _unsure(found: Trace) -> bool:
    """Whether a linear run does not determine its rows."""
    from ..readback import LINEAR

    return max(found.uncertainty) > UNSURE and max(found.superposition) <= LINEAR[found.dtype]


def _undetermined(found: Trace, worst: float) -> list[Finding]:
    n = found.uncertainty.index(worst)
    detail = (
        f"step {found.step[n]}: the recorded vectors are nearly dependent: the row is determined to {worst:.0e} of its "
        "largest term only; record more components, or a run with outputs drawn at random, as those of samplerproof "
        "export --vectors"
    )
    return [Finding("exception", found.step[n], detail, "error")]
