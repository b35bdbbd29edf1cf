"""Steps that are a record's one by one, though they do not chain: each leads elsewhere than the next one starts."""

from __future__ import annotations

from ...coefficients import plan
from ...errors import InputError, SamplingError
from ...readback import Trace, image, table
from ...records import Record
from ...tableau import assemble
from ..processes import grid_of, point
from .grid_checks import gaps

SAME = 1e-12  # of rows whose end is read from them, in float64


def each_alone(found: Trace, process: str, record: Record) -> bool:
    """Whether every step that does not chain is the record's, from where it starts to where it leads.

    For records of one evaluation and no history; False for others.
    """
    unchained = gaps(found, process)
    if record.history or record.nfe_per_step > 1 or found.nfe != len(found.grid) - 1 or not unchained:
        return False
    mine = table(found)
    for gap in unchained:
        ends = found.points[gap.step - 1], point(process, gap.leads_to.alpha, gap.leads_to.sigma)
        row = mine.row(gap.step - 1)
        try:
            grid = grid_of(process, ends)
            own = table(image(assemble(record, plan(record, grid), grid), found.prediction, ends))
        except (InputError, SamplingError):
            return False
        seen = [entries[0, :1].tolist() for entries in (row.states, row.outputs, row.noises)]
        expected = [entries[0, :1].tolist() for entries in (own.states, own.outputs, own.noises)]
        if any(abs(a - b) > SAME for x, y in zip(seen, expected, strict=True) for a, b in zip(x, y, strict=True)):
            return False
    return True
