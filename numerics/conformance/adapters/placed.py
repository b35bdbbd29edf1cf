"""An external sampler as the user places it: in a process, on a grid, from a level on."""

from __future__ import annotations

from dataclasses import replace

from ...errors import InputError
from ...external_run import Run
from ..placement import Placement
from .external_sampler import ExternalSampler
from .process_levels import grid_for


def placed(sampler: ExternalSampler, where: Placement) -> ExternalSampler:
    """The sampler with the choices of a placement.

    Raises InputError where it has a process or levels of its own.
    """
    name = sampler.info.name
    if where.process or where.prediction:
        if sampler.in_process is None:
            field = "process" if where.process else "prediction"
            own = f"nothing: {name} has its own, {sampler.info.process} and {sampler.prediction}"
            raise InputError(field, where.process or where.prediction, own)
        sampler = sampler.in_process(where.process or "ve", where.prediction or "data")
    if where.grid is None and where.begin == 0:
        return sampler
    inner, on_yours, from_level = sampler.on, sampler.on_yours, sampler.from_level
    process = sampler.info.process
    if where.grid is not None and on_yours is None:
        raise InputError("grid", where.grid, f"nothing: {name} makes its own levels")
    if where.begin and from_level is None and on_yours is None:
        raise InputError("begin", where.begin, f"0: {name} takes no level to begin at")

    def on(steps: int, grid: str | None = None) -> Run:
        if grid is not None:
            return inner(steps, grid)
        if where.grid is None and from_level is not None:
            return from_level(steps, where.begins(steps))
        assert on_yours is not None
        return on_yours(grid_for(process, where, steps))

    return replace(sampler, on=on)
