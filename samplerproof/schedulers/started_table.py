"""The table of a method on a run of any length."""

from __future__ import annotations

from ..numerics.catalogue import resolve
from ..numerics.coefficients import plan
from ..numerics.grids import Grid
from ..numerics.tableau import Tableau, assemble, tabulate


def started_table(method: str, grid: Grid) -> Tableau:
    """The table of a method; on no more steps than its history that of its start-up, as pipelines run short ones."""
    record = resolve(method)
    return tabulate(method, grid) if grid.steps > record.history else assemble(record, plan(record, grid), grid)
