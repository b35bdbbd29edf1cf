"""The table of an external sampler on a grid of a study, or why it is run as it is."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..conformance.adapters.diffusers import scheduler_base
from ..conformance.adapters.diffusers_levels import OWN_LEVELS, takes_levels
from ..conformance.adapters.objects import Tabulates, of_object
from ..conformance.adapters.step_protocol import Adapter
from ..conformance.adapters.target import NoSteps, NoTable
from ..conformance.judge.rescaled import placed
from ..conformance.on_yours import Ran, placing, read, run_as_it_is
from ..conformance.process.global_state import guarded
from ..errors import InputError, SamplingError, one_line
from ..grids import Grid
from ..readback import Trace
from ..repeated_evaluations import without_repeated_evaluations
from ..tableau import Tableau
from ..targets.mixture import GaussianMixture

SAME = 1e-12  # relative: the ends of a table are those of the grid

# A function (denoise, x, sigmas) -> the sample, a scheduler of diffusers, an Adapter, or an object with tabulate.
External = Callable[..., Any] | Tabulates | Adapter
RunOnMixture = Callable[[Mapping[str, Any], Tensor, int], Ran]


class SamplerFault(InputError):
    """A sampler that cannot be imported, raises, or returns another shape: a fault of its own, not of a grid."""


@dataclass(frozen=True)
class AsItIs:
    """A sampler on a grid that is not linear, for the reason given, has no table, and is run as it is.

    run(law, start, seed) -> the sample of a mixture with these arguments; see on_yours.run_as_it_is.
    """

    reason: str
    run: RunOnMixture


def read_on(grid: Grid, name: str, sampler: External, field: str) -> Tableau:
    """The table of an external sampler on a grid.

    A function is run on the levels sigma / alpha of the grid, with alpha = 1, any other sampler in its own process; its
    states are then scaled to those of the grid.
    Raises InputError on `field`: an object of another kind, one that raises or is not linear (it has no table), a
    table that does not lead from the first point of the grid to the last.
    """
    found = reading(grid, name, sampler, field)
    if isinstance(found, AsItIs):
        allowed = f"a sampler that is linear in its start, outputs and noises ({found.reason})"
        raise InputError(field, name, allowed)
    return found


def for_one_output(found: Tableau | AsItIs) -> Tableau | AsItIs:
    """The table for a model whose outputs at a vector are equal, as those of a mixture."""
    return replace(found, channels={}) if isinstance(found, Tableau) else found


def reading(grid: Grid, name: str, sampler: External, field: str) -> Tableau | AsItIs:
    """As read_on; a sampler that is not linear, or whose evaluations belong to no steps, is one to be run as it is."""
    if isinstance(sampler, Tabulates) and not isinstance(sampler, type):
        return _tabulated(grid, name, sampler, field)
    try:
        external = of_object(sampler, {}, name)
    except InputError as fault:
        raise SamplerFault(field, name, fault.allowed) from fault

    def run(law: Mapping[str, Any], start: Tensor, seed: int) -> Ran:
        try:
            with _apart():
                return run_as_it_is(external, grid, GaussianMixture(**law), start, seed)
        except (Exception, SystemExit) as fault:  # the sampler may raise anything
            raise SamplingError(f"{type(fault).__name__}: {one_line(fault)}") from fault

    try:
        with _apart():
            found, bent = read(external, grid)
    except NoSteps as fault:
        return AsItIs(fault.allowed, run)
    except NoTable as fault:  # on this grid
        raise InputError(field, name, fault.allowed) from fault
    except InputError as fault:
        raise SamplerFault(field, name, fault.allowed) from fault
    except (Exception, SystemExit) as fault:  # the sampler may raise anything
        raise SamplerFault(field, name, f"a sampler that runs ({type(fault).__name__}: {one_line(fault)})") from fault
    return table_of(found, bent, grid, name, field, run)


@contextmanager
def _apart() -> Iterator[None]:
    """Context that restores global state, in which warnings of a library are no exceptions."""
    with guarded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def note_of(sampler: object) -> str:
    """How a scheduler of diffusers, class or instance, is put on a grid; "" for other samplers."""
    base = scheduler_base(sampler if isinstance(sampler, type) else type(sampler))
    return OWN_LEVELS if base is not None and takes_levels(base) else ""


def table_of(found: Trace, bent: str, grid: Grid, name: str, field: str, run: RunOnMixture) -> Tableau | AsItIs:
    """The table of a trace on a grid.  bent: why it is not linear.  run: as in AsItIs.

    Raises InputError on states that are not finite, and on levels beyond the schedule.
    """
    if not bool(found.vectors.isfinite().all()):
        raise InputError(field, name, "a sampler whose states are finite")
    if bent:
        return AsItIs(bent, run)
    merged = without_repeated_evaluations(found) if found.channel else found
    try:
        return replace(placed(merged, placing(grid)).table, method=name)
    except InputError as fault:  # a level beyond the schedule
        raise InputError(field, name, f"levels of the schedule ({fault})") from fault


def _tabulated(grid: Grid, name: str, sampler: Tabulates, field: str) -> Tableau:
    try:
        made = sampler.tabulate(grid)
    except InputError:  # it has no table on this grid
        raise
    except (Exception, SystemExit) as fault:
        reason = f"{type(fault).__name__}: {one_line(fault)}"
        raise InputError(field, name, f"an object whose tabulate runs ({reason})") from fault
    _check_table(made, grid, name, field)
    return made


def _check_table(made: object, grid: Grid, name: str, field: str) -> None:
    """InputError unless it is a table that a run can take, from the first point of the grid to the last."""
    if not isinstance(made, Tableau):
        raise InputError(field, name, f"an object whose tabulate returns a Tableau, not {type(made).__name__}")
    vectors, rows = len(made.points), len(made.points) - made.given
    matrices = (made.states, made.outputs, made.noises)
    if (
        made.given < 1
        or rows < 1
        or {vectors} != {len(made.step), len(made.evaluated)}
        or any(matrix.ndim != 2 or len(matrix) != rows for matrix in matrices)
        or made.states.shape[1] < 1
    ):
        raise InputError(field, name, "a table with a point, step and evaluated for every vector, and a row for each")
    if any(matrix.dtype != torch.float64 or not bool(matrix.isfinite().all()) for matrix in matrices):
        raise InputError(field, name, "a table of finite coefficients in float64")
    _check_ends(made, grid, name, field)


def _check_ends(made: Tableau, grid: Grid, name: str, field: str) -> None:
    for found, end in ((made.points[0], grid.point(0)), (made.points[-1], grid.point(grid.steps))):
        if not all(math.isclose(a, b, rel_tol=SAME) for a, b in zip(found[:2], end[:2], strict=True)):
            raise InputError(field, name, f"a table from the first point of the grid to the last, not at {found[:2]}")
