"""The samplers that a study names by a target or a table file, read and run in a process of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from ..conformance.adapters.diffusers_levels import OWN_LEVELS, takes_levels
from ..conformance.adapters.objects import FixedTable
from ..conformance.adapters.target import is_file, parted, split
from ..conformance.on_yours import Ran
from ..conformance.process.collect import JobResult, collect
from ..conformance.process.given_grid import Given, save
from ..conformance.process.launch import Job, launched
from ..errors import InputError, SamplingError
from ..grids import Grid
from ..table_file import read_table
from ..tableau import Tableau
from .read_function import AsItIs, SamplerFault, for_one_output, table_of

TIMEOUT = 120.0  # seconds for all grids of a study
LIBRARIES = {"diffusers": "diffusers", "k-diffusion": "k-diffusion"}  # targets whose package determines them
TABLE = ".json"


@dataclass(frozen=True)
class Target:
    """A sampler by its target.  typed: as in the study.  absolute: the same for any current folder."""

    typed: str
    absolute: str

    @property
    def kept(self) -> str | None:
        """What determines it: its options and the version of its library; None for code of the user's own, whose
        imports are not known.
        """
        package = LIBRARIES.get(split(self.absolute)[0])
        try:
            return None if package is None else f"{self.absolute} of {package} {version(package)}"
        except PackageNotFoundError:
            return None

    @property
    def note(self) -> str:
        """How a scheduler of diffusers is put on a grid; "" for other targets."""
        library, name, _ = split(self.absolute)
        return OWN_LEVELS if library == "diffusers" and takes_levels(name) else ""


Named = Target | FixedTable


def named_of(names: Mapping[int, str], folder: Path) -> dict[str, Named]:
    """The samplers among the names in run.methods, by their places, that are targets or table files.

    folder: to which the paths of files are relative.  Raises InputError on a target that cannot be parsed, and on a
    file that is no table.
    """
    found: dict[str, Named] = {}
    for place, name in names.items():
        head = name.partition("?")[0]
        library = parted(head)[0] if ":" in head else ""
        if name.endswith(TABLE) and not library:
            found[name] = FixedTable(read_table(folder / name, name))
        elif library in LIBRARIES or (library and not _alias(name)):
            split(name)
            if is_file(library) and not (folder / library).is_file():
                raise InputError(f"run.methods[{place}]", name, f"no such file: {folder / library}")
            absolute = name if not is_file(library) else str((folder / library).absolute()) + name[len(library) :]
            found[name] = Target(name, absolute)
    return found


def _alias(name: str) -> bool:
    """Whether a name with a colon is one of the catalogue's, such as comfyui:dpmpp_2m."""
    from ..catalogue import NAMES

    return name.partition("?")[0] in NAMES


def readings_of(target: Target, grids: Sequence[Grid], field: str) -> list[Tableau | AsItIs | InputError]:
    """The target on every grid: its table, or to be run as it is, or why neither."""
    with TemporaryDirectory() as folder:
        jobs = [_job(Given(grid), Path(folder) / f"grid-{k}") for k, grid in enumerate(grids)]
        with launched(target.absolute, jobs) as child:
            results = collect(child, TIMEOUT)
    found: list[Tableau | AsItIs | InputError] = []
    for grid, result in zip(grids, results.jobs, strict=True):
        try:
            found.append(_reading(target, grid, result, field))
        except InputError as fault:
            found.append(fault)
    return found


def _reading(target: Target, grid: Grid, result: JobResult, field: str) -> Tableau | AsItIs:
    def run(law: Mapping[str, Any], start: Tensor, seed: int) -> Ran:
        return _ran(target, Given(grid, start, dict(law), seed))

    if result.trace is not None:
        return for_one_output(table_of(result.trace, result.bent, grid, target.typed, field, run))
    assert result.failure is not None
    if result.failure.kind == "no-steps":
        return AsItIs(result.failure.message, run)
    why = result.failure.message
    if why.startswith("target: got "):  # the study's own field and the text as it was typed stand before it
        why = why.partition("; ")[2]
    if result.failure.kind == "no-table":
        raise InputError(field, target.typed, why)
    raise SamplerFault(field, target.typed, f"a sampler that can be read back here ({why})")


def _ran(target: Target, given: Given) -> Ran:
    """Run the target as it is on a mixture.  Raises SamplingError where it fails."""
    with TemporaryDirectory() as folder, launched(target.absolute, [_job(given, Path(folder) / "run")]) as child:
        (result,) = collect(child, TIMEOUT).jobs
    if result.failure is not None:
        raise SamplingError(result.failure.message)
    assert result.sample is not None
    assert given.start is not None
    if result.sample.shape != given.start.shape or result.sample.dtype != torch.float64:
        raise SamplingError("the answer of its process is malformed")
    return Ran(result.sample, *result.counts)


def _job(given: Given, path: Path) -> Job:
    save(given, path)
    return Job(given.grid.steps, True, other_inputs=False, given=str(path))
