"""Steps that each match a record although consecutive steps are inconsistent."""

from __future__ import annotations

from ...coefficients import plan
from ...errors import InputError, SamplingError
from ...readback import Trace, image
from ...records import Record
from ...tableau import assemble
from ..forward_processes import grid_of, point
from ..step_ends import gaps

SAME = 1e-12  # of rows whose end is read from them, in float64


def matches_step_by_step(found: Trace, process: str, record: Record) -> bool:
    """Whether every step that does not chain is the record's, from its start to the point where it leads.

    For records of one evaluation and no history; False for others.
    """
    unchained = gaps(found, process)
    if record.history or record.nfe_per_step > 1 or found.nfe != len(found.grid) - 1 or not unchained:
        return False
    for gap in unchained:
        ends = found.points[gap.step - 1], point(process, gap.leads_to.alpha, gap.leads_to.sigma)
        row = found.table.row(gap.step - 1)
        try:
            grid = grid_of(process, ends)
            own = image(assemble(record, plan(record, grid), grid), found.prediction, ends).table
        except (InputError, SamplingError):
            return False
        seen = [entries[0, :1].tolist() for entries in (row.states, row.outputs, row.noises)]
        expected = [entries[0, :1].tolist() for entries in (own.states, own.outputs, own.noises)]
        if any(abs(a - b) > SAME for x, y in zip(seen, expected, strict=True) for a, b in zip(x, y, strict=True)):
            return False
    return True
