"""A study from Python: the tables of a study file as a dictionary, whose methods may be samplers themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..catalogue import NAMES
from ..conformance.adapters.objects import FixedTable
from ..errors import InputError, one_line
from ..support.consent import NONE, Consent
from ..support.progress import Progress, silent
from ..tableau import Tableau
from .config import parse_study
from .read_function import External
from .run import run


def run_tables(
    tables: Mapping[str, Any],
    out: Path | None = None,
    *,
    draw: bool = False,
    external: Mapping[str, External] = MappingProxyType({}),
    progress: Progress = silent,
    consent: Consent = NONE,
    device: str = "cpu",
    base: Path = Path(),
    workers: int = 1,
    scheduler: str | None = None,
) -> dict[str, Any]:
    """Run a study whose tables are those of a study file: target, schedule, grid and run; see run.run for the answer.

    Tuples, ranges, arrays and tensors stand for lists.  An entry of run.methods is a name of the catalogue, a target or
    a table file (paths are relative to `base`), a name in `external`, or an external sampler (read_function.External)
    or table, which is named by its function or class, or its method.
    workers, scheduler: as run.run has them.  draw: also draw its figures into `out`, see study_figure.draw_study.
    Raises InputError.
    """
    if draw and out is None:
        raise InputError("draw", draw, "a folder to draw into: give out")
    data, samplers = _named(_plain(tables), external)
    answer = run(parse_study(data), out, progress, consent, device, samplers, base, workers, scheduler)
    if draw and out is not None:
        from .study_figure import draw_study  # matplotlib is slow to import

        draw_study(answer, out)
    return answer


def _plain(value: Any) -> Any:
    """The value in dictionaries, lists and plain numbers, as TOML has it."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _named(data: dict[str, Any], external: Mapping[str, External]) -> tuple[dict[str, Any], dict[str, External]]:
    """The tables with names in place of samplers in run.methods, and the samplers by these names."""
    table, samplers = data.get("run"), dict(external)
    methods = table.get("methods") if isinstance(table, dict) else None
    if not isinstance(table, dict) or not isinstance(methods, list):
        return data, samplers  # which is for parse_study to refuse
    names: list[Any] = []
    for n, entry in enumerate(methods):
        if entry is None or isinstance(entry, str | int | float | list | dict):
            names.append(entry)
            continue
        name = _own_name(entry)
        sampler = FixedTable(entry) if isinstance(entry, Tableau) else entry
        if samplers.setdefault(name, sampler) is not sampler:
            raise InputError(f"run.methods[{n}]", name, "one sampler of this name")
        names.append(name)
    return {**data, "run": {**table, "methods": names}}, samplers


def _own_name(sampler: Any) -> str:
    """The name of a function, of the class of an object, or of a table's method; another where the catalogue has it."""
    if isinstance(sampler, Tableau):
        return sampler.method if sampler.method not in NAMES else f"table:{sampler.method}"
    name = one_line(getattr(sampler, "__name__", "")) or type(sampler).__name__
    return f"{sampler.__module__}:{name}" if name in NAMES else name
